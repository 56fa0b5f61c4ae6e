//! Taking: seats for a hold, stock for an order. All or nothing, decided by the claim itself and not by a look before.

use super::store::{self, ProductRow, SeatRow, Stock, StockMove};
use super::{LINES_MAX, Line, Reservation, State, step};
use crate::base::{CustomerId, Money, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::metrics::{self, Goods, Hold};

/// How many lapsed orders a refused buyer clears away at most before the answer is "all held".
const LAPSED_CLEARED_MAX: i64 = 16;

/// Seats wanted for a hold.
pub(crate) struct HoldSeats {
    /// New, or derived from the caller's idempotency key.
    pub(crate) id: ReservationId,
    pub(crate) customer: CustomerId,
    pub(crate) screening: String,
    pub(crate) seats: Vec<String>,
}

/// What became of it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, looked at and dropped")]
pub(crate) enum SeatsOutcome {
    /// Held, now or by an earlier run with the same id.
    Held(Reservation),
    /// Somebody has these.
    Taken(Vec<String>),
    NoSuchScreening,
    NoSuchSeat(Vec<String>),
    NoSeats,
    TooMany {
        seats_max: i64,
    },
    /// The id belongs to something else.
    KeyReused,
}

/// Some of some products, wanted for an order.
pub(crate) struct HoldStock {
    /// New, or derived from the caller's idempotency key.
    pub(crate) id: ReservationId,
    pub(crate) customer: CustomerId,
    /// Product and quantity.
    pub(crate) lines: Vec<(String, i64)>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum StockOutcome {
    /// An order in CHECKOUT, now or by an earlier run with the same id.
    Ordered(Reservation),
    /// Fewer are left than were asked for, and none will come back.
    SoldOut {
        product: String,
        available: i64,
    },
    /// Fewer are left than were asked for, but some are only held.
    AllHeld {
        product: String,
        available: i64,
    },
    NoSuchProduct(String),
    NoLines,
    TooMany {
        product: String,
        per_order_max: i64,
    },
    TooManyLines,
    /// One order belongs to one sale.
    MixedSales,
    /// The id belongs to something else.
    KeyReused,
}

/// Holds all of the seats, or none. Repeated with the same id, it answers with what the first run made.
pub(crate) async fn hold_seats(db: &Db, ask: &HoldSeats) -> Result<SeatsOutcome, DbError> {
    let mut seats = ask.seats.clone();
    seats.sort_unstable();
    seats.dedup();
    if seats.is_empty() {
        return Ok(SeatsOutcome::NoSeats);
    }
    let outcome = in_tx!(db, tx, {
        if let Some(earlier) = store::lock(tx, ask.id).await? {
            let same = earlier.customer_id == ask.customer
                && earlier.screening_id.as_ref() == Some(&ask.screening)
                && earlier.seats() == seats;
            return Ok(if same { SeatsOutcome::Held(earlier) } else { SeatsOutcome::KeyReused });
        }
        claim(tx, ask, &seats).await
    })?;
    count_seats(&outcome);
    Ok(outcome)
}

/// What was placed has been counted by its commit.
fn count_seats(outcome: &SeatsOutcome) {
    match outcome {
        SeatsOutcome::Held(_) => {}
        SeatsOutcome::Taken(_) => metrics::hold(Goods::Seats, Hold::Taken),
        SeatsOutcome::NoSuchScreening
        | SeatsOutcome::NoSuchSeat(_)
        | SeatsOutcome::NoSeats
        | SeatsOutcome::TooMany { .. }
        | SeatsOutcome::KeyReused => metrics::hold(Goods::Seats, Hold::Refused),
    }
}

async fn claim(tx: &mut Tx, ask: &HoldSeats, seats: &[String]) -> Result<SeatsOutcome, DbError> {
    let Some(windows) = store::windows(tx, &ask.screening).await? else { return Ok(SeatsOutcome::NoSuchScreening) };
    if seats.len() > LINES_MAX || i64::try_from(seats.len()).is_ok_and(|n| n > windows.seats_max) {
        return Ok(SeatsOutcome::TooMany { seats_max: windows.seats_max });
    }
    let rows = store::lock_seats(tx, &ask.screening, seats).await?;
    if rows.len() != seats.len() {
        let unknown = seats.iter().filter(|seat| rows.iter().all(|row| row.seat != **seat)).cloned().collect();
        return Ok(SeatsOutcome::NoSuchSeat(unknown));
    }
    let lost = free_lapsed(tx, &rows).await?;
    if !lost.is_empty() {
        return Ok(tx.undo(SeatsOutcome::Taken(lost)));
    }
    let now_ms = tx.now_ms();
    let lines: Vec<Line> = rows.iter().map(line_of_seat).collect();
    let reservation = Reservation {
        id: ask.id,
        sale_id: windows.sale_id,
        screening_id: Some(ask.screening.clone()),
        customer_id: ask.customer,
        state: State::Held,
        due_at: Some(now_ms.saturating_add(windows.hold_ms)),
        pay_until: None,
        pay_ms: windows.pay_ms,
        total: Money { amount: total_of(&lines)?, currency: windows.currency },
        reason: None,
        ticket_code: None,
        version: 1,
        created_at: now_ms,
        lines,
    };
    store::insert(tx, &reservation).await?;
    if store::claim_seats(tx, &reservation, seats, "held").await? != seats.len() {
        return Ok(tx.undo(SeatsOutcome::Taken(seats.to_vec())));
    }
    tx.when_kept(|| metrics::hold(Goods::Seats, Hold::Placed));
    Ok(SeatsOutcome::Held(reservation))
}

fn line_of_seat(row: &SeatRow) -> Line {
    let title = format!("{} {}", row.section, row.seat);
    Line { seat: Some(row.seat.clone()), product: None, title, quantity: 1, price: row.price }
}

/// Frees those of the locked seats that only a lapsed hold still keeps, with all else that hold has. Gives back the
/// seats that stay somebody's.
pub(super) async fn free_lapsed(tx: &mut Tx, rows: &[SeatRow]) -> Result<Vec<String>, DbError> {
    let now_ms = tx.now_ms();
    let lapsed = |row: &SeatRow| row.free_after.is_some_and(|at| at <= now_ms);
    let lost: Vec<String> =
        rows.iter().filter(|row| row.state != "free" && !lapsed(row)).map(|row| row.seat.clone()).collect();
    if !lost.is_empty() {
        return Ok(lost);
    }
    let mut owners: Vec<ReservationId> = rows.iter().filter(|row| lapsed(row)).filter_map(|row| row.owner).collect();
    owners.sort_unstable();
    owners.dedup();
    for owner in owners {
        if step::lapse(tx, owner).await? != Some(State::Released) {
            let kept = rows.iter().filter(|row| row.owner == Some(owner)).map(|row| row.seat.clone());
            return Ok(kept.collect());
        }
    }
    Ok(Vec::new())
}

/// Takes stock for an order that is in CHECKOUT at once. Repeated with the same id, it answers with the first order.
pub(crate) async fn hold_stock(db: &Db, ask: &HoldStock) -> Result<StockOutcome, DbError> {
    let mut wanted: Vec<(String, i64)> = Vec::new();
    for (product, quantity) in &ask.lines {
        match wanted.iter_mut().find(|(known, _)| known == product) {
            Some((_, sum)) => *sum = sum.saturating_add(*quantity),
            None => wanted.push((product.clone(), *quantity)),
        }
    }
    wanted.sort_unstable();
    if wanted.is_empty() || wanted.iter().any(|(_, quantity)| *quantity < 1) {
        return Ok(StockOutcome::NoLines);
    }
    if wanted.len() > LINES_MAX {
        return Ok(StockOutcome::TooManyLines);
    }
    let outcome = in_tx!(db, tx, {
        if let Some(earlier) = store::lock(tx, ask.id).await? {
            let same = earlier.customer_id == ask.customer && products_of(&earlier) == wanted;
            return Ok(if same { StockOutcome::Ordered(earlier) } else { StockOutcome::KeyReused });
        }
        order_stock(tx, ask, &wanted).await
    })?;
    count_stock(&outcome);
    Ok(outcome)
}

/// What was placed has been counted by its commit.
fn count_stock(outcome: &StockOutcome) {
    match outcome {
        StockOutcome::Ordered(_) => {}
        StockOutcome::SoldOut { .. } => metrics::hold(Goods::Stock, Hold::SoldOut),
        StockOutcome::AllHeld { .. } => metrics::hold(Goods::Stock, Hold::AllHeld),
        StockOutcome::NoSuchProduct(_)
        | StockOutcome::NoLines
        | StockOutcome::TooMany { .. }
        | StockOutcome::TooManyLines
        | StockOutcome::MixedSales
        | StockOutcome::KeyReused => metrics::hold(Goods::Stock, Hold::Refused),
    }
}

fn products_of(reservation: &Reservation) -> Vec<(String, i64)> {
    reservation.lines.iter().filter_map(|line| Some((line.product.clone()?, line.quantity))).collect()
}

async fn order_stock(tx: &mut Tx, ask: &HoldStock, wanted: &[(String, i64)]) -> Result<StockOutcome, DbError> {
    let mut lines = Vec::new();
    let mut first: Option<ProductRow> = None;
    for (id, quantity) in wanted {
        let Some(product) = store::product(tx, id).await? else { return Ok(StockOutcome::NoSuchProduct(id.clone())) };
        if *quantity > product.per_order_max {
            let (product, per_order_max) = (id.clone(), product.per_order_max);
            return Ok(StockOutcome::TooMany { product, per_order_max });
        }
        if first.as_ref().is_some_and(|first| first.sale_id != product.sale_id) {
            return Ok(StockOutcome::MixedSales);
        }
        let title = product.title.clone();
        lines.push(Line { seat: None, product: Some(id.clone()), title, quantity: *quantity, price: product.price });
        first.get_or_insert(product);
    }
    let Some(sale) = first else { return Ok(StockOutcome::NoLines) };
    let now_ms = tx.now_ms();
    let until = Some(now_ms.saturating_add(sale.pay_ms));
    let reservation = Reservation {
        id: ask.id,
        sale_id: sale.sale_id,
        screening_id: None,
        customer_id: ask.customer,
        state: State::Checkout,
        due_at: until,
        pay_until: until,
        pay_ms: sale.pay_ms,
        total: Money { amount: total_of(&lines)?, currency: sale.currency },
        reason: None,
        ticket_code: None,
        version: 1,
        created_at: now_ms,
        lines,
    };
    take_stock(tx, reservation).await
}

/// The rows first and the counters last: the counter is the row that everybody wants, so it is locked for the shortest
/// time.
async fn take_stock(tx: &mut Tx, reservation: Reservation) -> Result<StockOutcome, DbError> {
    store::insert(tx, &reservation).await?;
    for (line_no, line) in (1_i64..).zip(&reservation.lines) {
        store::record_movement(tx, reservation.id, line_no, StockMove::Hold, line).await?;
    }
    for line in &reservation.lines {
        let Some(product) = &line.product else { continue };
        if let Some(stock) = take_one(tx, product, line.quantity).await? {
            let (product, available) = (product.clone(), stock.available);
            return Ok(tx.undo(match stock.held {
                0 => StockOutcome::SoldOut { product, available },
                _ => StockOutcome::AllHeld { product, available },
            }));
        }
    }
    tx.when_kept(|| metrics::hold(Goods::Stock, Hold::Placed));
    Ok(StockOutcome::Ordered(reservation))
}

/// Takes, clearing lapsed orders away if need be. The numbers come back when there is not enough.
async fn take_one(tx: &mut Tx, product: &str, quantity: i64) -> Result<Option<Stock>, DbError> {
    if store::move_stock(tx, StockMove::Hold, product, quantity).await? {
        return Ok(None);
    }
    for lapsed in store::lapsed_on(tx, product, LAPSED_CLEARED_MAX).await? {
        step::lapse(tx, lapsed).await?;
    }
    if store::move_stock(tx, StockMove::Hold, product, quantity).await? {
        return Ok(None);
    }
    let none = Stock { capacity: 0, available: 0, held: 0, sold: 0 };
    Ok(Some(store::stock(tx, product).await?.unwrap_or(none)))
}

fn total_of(lines: &[Line]) -> Result<i64, DbError> {
    let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.price.checked_mul(line.quantity)?));
    sum.ok_or(DbError::Shape("a total that fits"))
}
