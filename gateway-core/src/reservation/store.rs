//! Statements on reservations, seats and stock. Every guard stands in the `where`; the row count decides.

use super::{LINES_MAX, Line, Reservation, State};
use crate::base::{CustomerId, Money, ReservationId};
use crate::db::{Db, DbError, Row, Sql, Tx, params};

const SELECT: &str = "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at
      from reservation
     where id = ?";

const SELECT_LOCKED: Sql = Sql {
    sqlite: SELECT,
    mysql: "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at
      from reservation
     where id = ?
       for update",
};

const SELECT_OF: &str = "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at
      from reservation
     where customer_id = ?
     order by created_at desc, id desc
     limit ?";

const SELECT_LINES: &str = "\
    select seat_no, product_id, title, quantity, price
      from reservation_line
     where reservation_id = ?
     order by line_no";

const INSERT: &str = "\
    insert into reservation
           (id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, version,
            created_at, updated_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)";

const INSERT_LINE: &str = "\
    insert into reservation_line (reservation_id, line_no, seat_no, product_id, title, quantity, price)
    values (?, ?, ?, ?, ?, ?, ?)";

const MOVE: &str = "\
    update reservation
       set state = ?, due_at = ?, pay_until = ?, reason = ?, ticket_code = ?, version = version + 1, updated_at = ?
     where id = ?
       and state = ?
       and version = ?";

const DUE: &str = "\
    select id
      from reservation
     where state in ('held', 'checkout', 'paying', 'closing')
       and due_at <= ?
     order by due_at
     limit ?";

const WINDOWS: &str = "\
    select s.sale_id, a.currency, a.hold_ms, a.pay_ms, a.seats_max
      from screening s
      join sale a on a.id = s.sale_id
     where s.id = ?";

const SEATS_LOCKED: Sql = Sql {
    sqlite: "\
    select seat_no, price, section, state, reservation_id, free_after
      from seat
     where screening_id = ?
       and seat_no in (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     order by seat_no",
    mysql: "\
    select seat_no, price, section, state, reservation_id, free_after
      from seat
     where screening_id = ?
       and seat_no in (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     order by seat_no
       for update",
};

const CLAIM_SEATS: &str = "\
    update seat
       set state = ?, reservation_id = ?, free_after = ?
     where screening_id = ?
       and seat_no in (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       and state = 'free'";

const MARK_SEATS: &str = "\
    update seat
       set state = ?, free_after = ?
     where reservation_id = ?";

const FREE_SEATS: &str = "\
    update seat
       set state = 'free', reservation_id = null, free_after = null
     where reservation_id = ?";

const PRODUCT: &str = "\
    select p.sale_id, p.title, p.price, p.per_order_max, a.currency, a.pay_ms
      from product p
      join sale a on a.id = p.sale_id
     where p.id = ?";

const STOCK: &str = "\
    select capacity, available, held, sold
      from stock
     where product_id = ?";

const TAKE_STOCK: &str = "\
    update stock
       set available = available - ?, held = held + ?
     where product_id = ?
       and available >= ?";

const SELL_STOCK: &str = "\
    update stock
       set held = held - ?, sold = sold + ?
     where product_id = ?
       and held >= ?";

const RELEASE_STOCK: &str = "\
    update stock
       set held = held - ?, available = available + ?
     where product_id = ?
       and held >= ?";

const RETAKE_STOCK: &str = "\
    update stock
       set available = available - ?, sold = sold + ?
     where product_id = ?
       and available >= ?";

const STOCK_LOCKED: Sql = Sql {
    sqlite: "select available from stock where product_id = ?",
    mysql: "select available from stock where product_id = ? for update",
};

const MOVED: &str = "\
    insert into stock_movement (reservation_id, line_no, kind, product_id, quantity, at_ms)
    values (?, ?, ?, ?, ?, ?)";

const LAPSED_ON_PRODUCT: &str = "\
    select r.id
      from reservation r
      join reservation_line l on l.reservation_id = r.id
     where r.state in ('held', 'checkout')
       and r.due_at <= ?
       and l.product_id = ?
     order by r.due_at
     limit ?";

/// A seat as the claim sees it, locked.
pub(super) struct SeatRow {
    pub(super) seat: String,
    pub(super) price: i64,
    pub(super) section: String,
    pub(super) state: String,
    pub(super) owner: Option<ReservationId>,
    pub(super) free_after: Option<i64>,
}

/// The windows of the sale that a screening belongs to.
pub(super) struct Windows {
    pub(super) sale_id: String,
    pub(super) currency: crate::base::Currency,
    pub(super) hold_ms: i64,
    pub(super) pay_ms: i64,
    pub(super) seats_max: i64,
}

/// A product as an order sees it.
pub(super) struct ProductRow {
    pub(super) sale_id: String,
    pub(super) title: String,
    pub(super) price: i64,
    pub(super) per_order_max: i64,
    pub(super) currency: crate::base::Currency,
    pub(super) pay_ms: i64,
}

/// The numbers of a product; they add up to the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) capacity: i64,
    pub(crate) available: i64,
    pub(crate) held: i64,
    pub(crate) sold: i64,
}

/// What a movement of stock is called, and its statement.
#[derive(Clone, Copy)]
pub(super) enum StockMove {
    Hold,
    Sell,
    Release,
    Retake,
}

impl StockMove {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Hold => ("hold", TAKE_STOCK),
            Self::Sell => ("sell", SELL_STOCK),
            Self::Release => ("release", RELEASE_STOCK),
            Self::Retake => ("retake", RETAKE_STOCK),
        }
    }
}

pub(super) async fn read(db: &Db, id: ReservationId) -> Result<Option<Reservation>, DbError> {
    let Some(row) = db.row(SELECT, params![id]).await? else { return Ok(None) };
    let mut reservation = from_row(row)?;
    reservation.lines = lines_from(db.rows(SELECT_LINES, params![id]).await?)?;
    Ok(Some(reservation))
}

pub(super) async fn read_of(db: &Db, owner: CustomerId, limit: i64) -> Result<Vec<Reservation>, DbError> {
    let mut all = Vec::new();
    for row in db.rows(SELECT_OF, params![owner, limit]).await? {
        let mut reservation = from_row(row)?;
        reservation.lines = lines_from(db.rows(SELECT_LINES, params![reservation.id]).await?)?;
        all.push(reservation);
    }
    Ok(all)
}

/// The reservation, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: ReservationId) -> Result<Option<Reservation>, DbError> {
    let Some(row) = tx.row(SELECT_LOCKED, params![id]).await? else { return Ok(None) };
    let mut reservation = from_row(row)?;
    reservation.lines = lines_from(tx.rows(SELECT_LINES, params![id]).await?)?;
    Ok(Some(reservation))
}

fn from_row(mut row: Row) -> Result<Reservation, DbError> {
    Ok(Reservation {
        id: row.reservation_id()?,
        sale_id: row.text()?,
        screening_id: row.text_or_null()?,
        customer_id: row.customer_id()?,
        state: State::parse(&row.text()?).ok_or(DbError::Shape("the state of a reservation"))?,
        due_at: row.int_or_null()?,
        pay_until: row.int_or_null()?,
        pay_ms: row.int()?,
        total: Money { amount: row.int()?, currency: row.currency()? },
        reason: row.text_or_null()?,
        ticket_code: row.text_or_null()?,
        version: row.int()?,
        created_at: row.int()?,
        lines: Vec::new(),
    })
}

fn lines_from(rows: Vec<Row>) -> Result<Vec<Line>, DbError> {
    let line = |mut row: Row| {
        Ok(Line {
            seat: row.text_or_null()?,
            product: row.text_or_null()?,
            title: row.text()?,
            quantity: row.int()?,
            price: row.int()?,
        })
    };
    rows.into_iter().map(line).collect()
}

pub(super) async fn insert(tx: &mut Tx, new: &Reservation) -> Result<(), DbError> {
    let head = params![
        new.id,
        new.sale_id.as_str(),
        new.screening_id.clone(),
        new.customer_id,
        new.state.as_str(),
        new.due_at,
        new.pay_until,
        new.pay_ms,
        new.total.amount,
        new.currency(),
        new.created_at,
        new.created_at,
    ];
    tx.execute(INSERT, head).await?;
    for (n, line) in (1_i64..).zip(&new.lines) {
        let (seat, product) = (line.seat.clone(), line.product.clone());
        let values = params![new.id, n, seat, product, line.title.as_str(), line.quantity, line.price];
        tx.execute(INSERT_LINE, values).await?;
    }
    Ok(())
}

/// Stores the new state of `to`, if nobody moved it since it was read as `from` in `version`.
pub(super) async fn save(tx: &mut Tx, from: State, to: &Reservation) -> Result<bool, DbError> {
    let (reason, code, now) = (to.reason.clone(), to.ticket_code.clone(), tx.now_ms());
    let values =
        params![to.state.as_str(), to.due_at, to.pay_until, reason, code, now, to.id, from.as_str(), to.version,];
    Ok(tx.execute(MOVE, values).await? == 1)
}

pub(super) async fn due(db: &Db, now_ms: i64, limit: i64) -> Result<Vec<ReservationId>, DbError> {
    db.rows(DUE, params![now_ms, limit]).await?.into_iter().map(|mut row| row.reservation_id()).collect()
}

pub(super) async fn windows(tx: &mut Tx, screening: &str) -> Result<Option<Windows>, DbError> {
    let Some(mut row) = tx.row(WINDOWS, params![screening]).await? else { return Ok(None) };
    Ok(Some(Windows {
        sale_id: row.text()?,
        currency: row.currency()?,
        hold_ms: row.int()?,
        pay_ms: row.int()?,
        seats_max: row.int()?,
    }))
}

/// Fills the places of an `in (…)` by repeating the last seat.
fn sixteen(seats: &[String]) -> impl Iterator<Item = crate::db::Value> + '_ {
    (0..LINES_MAX).filter_map(move |n| seats.get(n).or(seats.last())).map(Into::into)
}

pub(super) async fn lock_seats(tx: &mut Tx, screening: &str, seats: &[String]) -> Result<Vec<SeatRow>, DbError> {
    let mut values = params![screening];
    values.extend(sixteen(seats));
    let seat = |mut row: Row| {
        Ok(SeatRow {
            seat: row.text()?,
            price: row.int()?,
            section: row.text()?,
            state: row.text()?,
            owner: row.bytes_or_null()?.as_deref().and_then(ReservationId::from_bytes),
            free_after: row.int_or_null()?,
        })
    };
    tx.rows(SEATS_LOCKED, values).await?.into_iter().map(seat).collect()
}

/// Claims all of `seats` for `id` in one statement; says how many it got.
pub(super) async fn claim_seats(
    tx: &mut Tx,
    reservation: &Reservation,
    seats: &[String],
    seat_state: &'static str,
) -> Result<usize, DbError> {
    let mut values = params![seat_state, reservation.id, reservation.due_at, reservation.screening_id.clone()];
    values.extend(sixteen(seats));
    Ok(usize::try_from(tx.execute(CLAIM_SEATS, values).await?).unwrap_or(usize::MAX))
}

pub(super) async fn mark_seats(tx: &mut Tx, id: ReservationId, state: &str, free: Option<i64>) -> Result<(), DbError> {
    tx.execute(MARK_SEATS, params![state, free, id]).await.map(|_| ())
}

pub(super) async fn free_seats(tx: &mut Tx, id: ReservationId) -> Result<(), DbError> {
    tx.execute(FREE_SEATS, params![id]).await.map(|_| ())
}

pub(super) async fn product(tx: &mut Tx, id: &str) -> Result<Option<ProductRow>, DbError> {
    let Some(mut row) = tx.row(PRODUCT, params![id]).await? else { return Ok(None) };
    Ok(Some(ProductRow {
        sale_id: row.text()?,
        title: row.text()?,
        price: row.int()?,
        per_order_max: row.int()?,
        currency: row.currency()?,
        pay_ms: row.int()?,
    }))
}

pub(super) async fn stock(tx: &mut Tx, product: &str) -> Result<Option<Stock>, DbError> {
    let Some(mut row) = tx.row(STOCK, params![product]).await? else { return Ok(None) };
    Ok(Some(Stock { capacity: row.int()?, available: row.int()?, held: row.int()?, sold: row.int()? }))
}

/// How many are available, with the row locked: a take of that many cannot fail in this transaction.
pub(super) async fn lock_stock(tx: &mut Tx, product: &str) -> Result<i64, DbError> {
    match tx.row(STOCK_LOCKED, params![product]).await? {
        Some(mut row) => row.int(),
        None => Ok(0),
    }
}

/// Moves stock without writing the movement; `false` when there is not enough.
pub(super) async fn move_stock(tx: &mut Tx, kind: StockMove, product: &str, quantity: i64) -> Result<bool, DbError> {
    let (_, statement) = kind.parts();
    Ok(tx.execute(statement, params![quantity, quantity, product, quantity]).await? == 1)
}

/// Writes down a movement of one line. A second one of its kind is [`DbError::Duplicate`].
pub(super) async fn record_movement(
    tx: &mut Tx,
    id: ReservationId,
    line_no: i64,
    kind: StockMove,
    line: &Line,
) -> Result<(), DbError> {
    let (name, _) = kind.parts();
    let values = params![id, line_no, name, line.product.clone(), line.quantity, tx.now_ms()];
    tx.execute(MOVED, values).await.map(|_| ())
}

pub(super) async fn lapsed_on(tx: &mut Tx, product: &str, limit: i64) -> Result<Vec<ReservationId>, DbError> {
    let rows = tx.rows(LAPSED_ON_PRODUCT, params![tx.now_ms(), product, limit]).await?;
    rows.into_iter().map(|mut row| row.reservation_id()).collect()
}
