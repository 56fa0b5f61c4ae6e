//! Statements on what reservations are about: seats and stock. The claim is one statement; its row count decides.

use crate::base::{Currency, CustomerId, ReservationId};
use crate::catalogue::{Opening, OrphanRule};
use crate::db::{DbError, Row, Sql, Tx, Value, params};
use crate::reservation::{LINES_MAX, Line, Reservation};

const WINDOWS: &str = "\
    select s.sale_id, a.currency, a.hold_ms, a.pay_ms, a.seats_max, a.seats_per_customer_max, a.orphans, a.starts_at,
           a.ends_at
      from screening s
      join sale a on a.id = s.sale_id
     where s.id = ?";

/// What nothing but time keeps counts until its time is over, swept or not.
const SEATS_HAD: &str = "\
    select count(*)
      from reservation r
      join reservation_line l on l.reservation_id = r.id
     where r.customer_id = ?
       and r.sale_id = ?
       and l.seat_no is not null
       and (r.state in ('paying', 'closing', 'review', 'booked')
            or (r.state in ('held', 'checkout') and r.due_at > ?))";

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

const RETURN_STOCK: &str = "\
    update stock
       set sold = sold - ?, available = available + ?
     where product_id = ?
       and sold >= ?";

const STOCK_LOCKED: Sql = Sql {
    sqlite: "select available from stock where product_id = ?",
    mysql: "select available from stock where product_id = ? for update",
};

const MOVED: &str = "\
    insert into stock_movement (reservation_id, line_no, kind, product_id, quantity, at_ms)
    values (?, ?, ?, ?, ?, ?)";

/// By deadline, of which few have passed. The plus, which changes nothing, keeps SQLite from going through everything that was
/// ever ordered of the product instead.
const LAPSED_ON_PRODUCT: &str = "\
    select r.id
      from reservation r
      join reservation_line l on l.reservation_id = r.id
     where r.state in ('held', 'checkout')
       and r.due_at <= ?
       and +l.product_id = ?
     order by r.due_at
     limit ?";

/// A seat as the claim sees it, locked.
pub(in crate::reservation) struct SeatRow {
    pub(in crate::reservation) seat: String,
    pub(in crate::reservation) price: i64,
    pub(in crate::reservation) section: String,
    pub(in crate::reservation) state: String,
    pub(in crate::reservation) owner: Option<ReservationId>,
    pub(in crate::reservation) free_after: Option<i64>,
}

/// The windows of the sale that a screening belongs to.
pub(in crate::reservation) struct Windows {
    pub(in crate::reservation) sale_id: String,
    pub(in crate::reservation) currency: Currency,
    pub(in crate::reservation) hold_ms: i64,
    pub(in crate::reservation) pay_ms: i64,
    pub(in crate::reservation) seats_max: i64,
    pub(in crate::reservation) seats_per_customer_max: Option<i64>,
    pub(in crate::reservation) orphans: OrphanRule,
    pub(in crate::reservation) opening: Opening,
}

/// A product as an order sees it.
pub(in crate::reservation) struct ProductRow {
    pub(in crate::reservation) sale_id: String,
    pub(in crate::reservation) title: String,
    pub(in crate::reservation) price: i64,
    pub(in crate::reservation) per_order_max: i64,
    pub(in crate::reservation) per_customer_max: Option<i64>,
    pub(in crate::reservation) currency: Currency,
    pub(in crate::reservation) pay_ms: i64,
    pub(in crate::reservation) opening: Opening,
}

/// The numbers of a product; they add up to the capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) capacity: i64,
    pub(crate) available: i64,
    pub(crate) held: i64,
    pub(crate) sold: i64,
}

/// What a movement of stock is called, and its statement.
#[derive(Clone, Copy)]
pub(in crate::reservation) enum StockMove {
    Hold,
    Sell,
    Release,
    Retake,
    Return,
}

impl StockMove {
    pub(super) fn name(self) -> &'static str {
        self.parts().0
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Hold => ("hold", TAKE_STOCK),
            Self::Sell => ("sell", SELL_STOCK),
            Self::Release => ("release", RELEASE_STOCK),
            Self::Retake => ("retake", RETAKE_STOCK),
            Self::Return => ("return", RETURN_STOCK),
        }
    }
}

pub(in crate::reservation) async fn windows(tx: &mut Tx, screening: &str) -> Result<Option<Windows>, DbError> {
    let Some(mut row) = tx.row(WINDOWS, params![screening]).await? else { return Ok(None) };
    Ok(Some(Windows {
        sale_id: row.text()?,
        currency: row.currency()?,
        hold_ms: row.int()?,
        pay_ms: row.int()?,
        seats_max: row.int()?,
        seats_per_customer_max: row.int_or_null()?,
        orphans: OrphanRule::parse(&row.text()?).ok_or(DbError::Shape("a rule about single seats"))?,
        opening: Opening::at(row.int_or_null()?, row.int_or_null()?, tx.now_ms()),
    }))
}

/// How many seats of a sale a customer holds or has.
pub(in crate::reservation) async fn seats_had(tx: &mut Tx, customer: CustomerId, sale: &str) -> Result<i64, DbError> {
    match tx.row(SEATS_HAD, params![customer, sale, tx.now_ms()]).await? {
        Some(mut row) => row.int(),
        None => Ok(0),
    }
}

/// Fills the places of an `in (…)` by repeating the last seat.
fn sixteen(seats: &[String]) -> impl Iterator<Item = Value> + '_ {
    (0..LINES_MAX).filter_map(move |n| seats.get(n).or(seats.last())).map(Into::into)
}

pub(in crate::reservation) async fn lock_seats(
    tx: &mut Tx,
    screening: &str,
    seats: &[String],
) -> Result<Vec<SeatRow>, DbError> {
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
pub(in crate::reservation) async fn claim_seats(
    tx: &mut Tx,
    reservation: &Reservation,
    seats: &[String],
    seat_state: &'static str,
) -> Result<usize, DbError> {
    let mut values = params![seat_state, reservation.id, reservation.due_at, reservation.screening_id.clone()];
    values.extend(sixteen(seats));
    Ok(usize::try_from(tx.execute(CLAIM_SEATS, values).await?).unwrap_or(usize::MAX))
}

pub(in crate::reservation) async fn mark_seats(
    tx: &mut Tx,
    id: ReservationId,
    state: &str,
    free: Option<i64>,
) -> Result<(), DbError> {
    tx.execute(MARK_SEATS, params![state, free, id]).await.map(|_| ())
}

pub(in crate::reservation) async fn free_seats(tx: &mut Tx, id: ReservationId) -> Result<(), DbError> {
    tx.execute(FREE_SEATS, params![id]).await.map(|_| ())
}

/// How many are available, with the row locked: a take of that many cannot fail in this transaction.
pub(in crate::reservation) async fn lock_stock(tx: &mut Tx, product: &str) -> Result<i64, DbError> {
    match tx.row(STOCK_LOCKED, params![product]).await? {
        Some(mut row) => row.int(),
        None => Ok(0),
    }
}

/// Moves stock without writing the movement; `false` when there is not enough.
pub(in crate::reservation) async fn move_stock(
    tx: &mut Tx,
    kind: StockMove,
    product: &str,
    quantity: i64,
) -> Result<bool, DbError> {
    let (_, statement) = kind.parts();
    Ok(tx.execute(statement, params![quantity, quantity, product, quantity]).await? == 1)
}

/// Writes down a movement of one line. A second one of its kind is [`DbError::Duplicate`].
pub(in crate::reservation) async fn record_movement(
    tx: &mut Tx,
    id: ReservationId,
    line_no: i64,
    kind: StockMove,
    line: &Line,
) -> Result<(), DbError> {
    let values = params![id, line_no, kind.name(), line.product.clone(), line.quantity, tx.now_ms()];
    tx.execute(MOVED, values).await.map(|_| ())
}

pub(in crate::reservation) async fn lapsed_on(
    tx: &mut Tx,
    product: &str,
    limit: i64,
) -> Result<Vec<ReservationId>, DbError> {
    let rows = tx.rows(LAPSED_ON_PRODUCT, params![tx.now_ms(), product, limit]).await?;
    rows.into_iter().map(|mut row| row.reservation_id()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    /// Each group that finds too little asks this, with all others waiting.
    #[tokio::test]
    async fn lapsed_orders_are_found_by_their_deadline_however_much_was_sold() {
        let world = World::sqlite().await;
        let explained: &'static str = Box::leak(format!("explain query plan {LAPSED_ON_PRODUCT}").into_boxed_str());
        let mut plan = Vec::new();
        for mut row in world.db.rows(explained, params![1_i64, "p", 64_i64]).await.expect("a plan") {
            let _numbers = (row.int(), row.int(), row.int());
            plan.push(row.text().expect("a step"));
        }
        assert!(plan.iter().any(|step| step.contains("reservation_due")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("reservation_line_product")), "{plan:?}");
    }
}
