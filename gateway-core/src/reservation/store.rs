//! Statements on reservations. Every guard stands in the `where`; the row count decides.

mod after;
mod due;
mod goods;
mod many;
mod map;

use super::{Line, Reservation, State};
use crate::base::{CustomerId, Money, ReservationId};
use crate::db::{Db, DbError, Row, Sql, Tx, Value, params};

pub(super) use after::{cancel_until, cancel_until_of, decisions, in_review, insert_decision};
pub(super) use due::{lapsed_on, lapsed_stock, next_due_of, next_due_on, next_free_of};
pub(super) use goods::{
    ProductRow, SeatRow, Stock, StockMove, Windows, claim_seats, free_seats, lock_seats, lock_stock, mark_seats,
    move_stock, record_movement, seats_had, windows,
};
pub(super) use many::{
    had, insert_all, lapsed_among, lock_all, lock_customers, lock_stocks, products, record_holds, stored,
};
pub(super) use map::{hall, hall_in};

const SELECT: &str = "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at, coupon_code, discount
      from reservation
     where id = ?";

const SELECT_LOCKED: Sql = Sql {
    sqlite: SELECT,
    mysql: "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at, coupon_code, discount
      from reservation
     where id = ?
       for update",
};

const SELECT_OF: &str = "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at, coupon_code, discount
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
            created_at, updated_at, coupon_code, discount)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)";

const INSERT_LINE: &str = "\
    insert into reservation_line (reservation_id, line_no, seat_no, product_id, title, quantity, price)
    values (?, ?, ?, ?, ?, ?, ?)";

const MOVE: &str = "\
    update reservation
       set state = ?, due_at = ?, pay_until = ?, reason = ?, ticket_code = ?, version = version + 1, updated_at = ?
     where id = ?
       and state = ?
       and version = ?";

const EXTENSION: &str = "\
    select a.extend_ms, r.extended
      from reservation r
      join sale a on a.id = r.sale_id
     where r.id = ?";

const EXTEND: &str = "\
    update reservation
       set due_at = ?, extended = 1, version = version + 1, updated_at = ?
     where id = ?
       and state = 'held'
       and extended = 0
       and due_at > ?";

const DUE: &str = "\
    select id
      from reservation
     where state in ('held', 'checkout', 'paying', 'closing')
       and due_at <= ?
     order by due_at
     limit ?";

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
        coupon: row.text_or_null()?,
        discount: row.int()?,
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
    tx.execute(INSERT, head(new)).await?;
    for line in lines(new) {
        tx.execute(INSERT_LINE, line).await?;
    }
    Ok(())
}

fn head(new: &Reservation) -> Vec<Value> {
    params![
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
        new.coupon.clone(),
        new.discount,
    ]
}

fn lines(new: &Reservation) -> impl Iterator<Item = Vec<Value>> + '_ {
    (1_i64..).zip(&new.lines).map(|(n, line)| {
        let (seat, product) = (line.seat.clone(), line.product.clone());
        params![new.id, n, seat, product, line.title.as_str(), line.quantity, line.price]
    })
}

/// Stores the new state of `to`, if nobody moved it since it was read as `from` in `version`.
pub(super) async fn save(tx: &mut Tx, from: State, to: &Reservation) -> Result<bool, DbError> {
    let (reason, code, now) = (to.reason.clone(), to.ticket_code.clone(), tx.now_ms());
    let values =
        params![to.state.as_str(), to.due_at, to.pay_until, reason, code, now, to.id, from.as_str(), to.version,];
    Ok(tx.execute(MOVE, values).await? == 1)
}

/// What the sale adds to a hold, and whether it has been added.
pub(super) async fn extension(tx: &mut Tx, id: ReservationId) -> Result<(i64, bool), DbError> {
    extension_from(tx.row(EXTENSION, params![id]).await?)
}

/// The same, for showing.
pub(super) async fn extension_of(db: &Db, id: ReservationId) -> Result<(i64, bool), DbError> {
    extension_from(db.row(EXTENSION, params![id]).await?)
}

fn extension_from(row: Option<Row>) -> Result<(i64, bool), DbError> {
    match row {
        Some(mut row) => Ok((row.int()?, row.int()? != 0)),
        None => Ok((0, false)),
    }
}

/// Whether it was a hold that lasts and had not been extended.
pub(super) async fn extend(tx: &mut Tx, id: ReservationId, due_at: i64) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(EXTEND, params![due_at, now, id, now]).await? == 1)
}

pub(super) async fn due(db: &Db, now_ms: i64, limit: i64) -> Result<Vec<ReservationId>, DbError> {
    db.rows(DUE, params![now_ms, limit]).await?.into_iter().map(|mut row| row.reservation_id()).collect()
}
