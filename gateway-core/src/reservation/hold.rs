//! Taking seats, named or the best that are left, and products with them. All or nothing, decided by the claim itself and
//! not by a look before.

use super::extras::{self, Extras};
use super::order::{self, HoldStock, Refused};
use super::seating::{Best, NoBlock};
use super::store::{self, SeatRow, Windows};
use super::{LINES_MAX, Line, Reservation, State, step};
use crate::base::{CustomerId, Money, ReservationId};
use crate::catalogue::{Opening, OrphanRule};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::metrics::{self, Goods, Hold};

/// How often the best seats are chosen anew after somebody else was faster.
const BEST_TRIES: usize = 6;

/// Who lost so often chooses among so many of the best, so that a crowd spreads.
const BEST_SPREAD: usize = 8;

/// Seats, and products with them, wanted for a hold.
pub(crate) struct Wanted {
    /// New, or derived from the caller's idempotency key.
    pub(crate) id: ReservationId,
    pub(crate) customer: CustomerId,
    pub(crate) screening: String,
    pub(crate) pick: Pick,
    /// Product and quantity.
    pub(crate) products: Vec<(String, i64)>,
}

/// Which seats.
pub(crate) enum Pick {
    /// These and no others.
    Named(Vec<String>),
    Best(Best),
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum SeatsOutcome {
    /// Held, now or by an earlier run with the same id.
    Held(Reservation),
    /// Held, and these are left alone by it.
    HeldLeaving(Reservation, Vec<String>),
    /// Somebody has these.
    Taken(Vec<String>),
    /// These would be left alone, and elsewhere none would.
    LeavesAlone(Vec<String>),
    /// There is no such block of seats.
    NoBlock(NoBlock),
    NoSuchScreening,
    NoSuchSeat(Vec<String>),
    NoSeats,
    TooMany {
        seats_max: i64,
    },
    /// The sale does not sell now.
    Closed(Opening),
    /// The customer has so many seats of the sale, and would have more than one may.
    OverLimit {
        had: i64,
        per_customer_max: i64,
    },
    /// The products that were wanted with the seats are why.
    Products(Refused),
    /// The id belongs to something else.
    KeyReused,
}

/// What a transaction came to.
#[expect(clippy::large_enum_variant, reason = "one at a time, looked at and dropped")]
enum Done {
    Outcome(SeatsOutcome),
    /// These keep products beyond their deadline. Nothing was done.
    Lapsed(Vec<ReservationId>),
}

/// Named seats alone, as stories want them.
#[cfg(test)]
pub(crate) struct HoldSeats {
    pub(crate) id: ReservationId,
    pub(crate) customer: CustomerId,
    pub(crate) screening: String,
    pub(crate) seats: Vec<String>,
}

#[cfg(test)]
pub(crate) async fn hold_seats(db: &Db, ask: &HoldSeats) -> Result<SeatsOutcome, DbError> {
    let (screening, pick) = (ask.screening.clone(), Pick::Named(ask.seats.clone()));
    hold(db, Wanted { id: ask.id, customer: ask.customer, screening, pick, products: Vec::new() }).await
}

/// Holds all of it, or nothing. Repeated with the same id, it answers with what the first run made.
pub(crate) async fn hold(db: &Db, mut wanted: Wanted) -> Result<SeatsOutcome, DbError> {
    let outcome = match ordered(&mut wanted) {
        Ok(()) => hold_ordered(db, &wanted).await?,
        Err(refused) => refused,
    };
    count_seats(&outcome);
    Ok(outcome)
}

/// Seats and products in the order in which they are locked, each once.
#[expect(clippy::result_large_err, reason = "one for each call, handed through")]
fn ordered(wanted: &mut Wanted) -> Result<(), SeatsOutcome> {
    let count = match &mut wanted.pick {
        Pick::Named(seats) => {
            seats.sort_unstable();
            seats.dedup();
            seats.len()
        }
        Pick::Best(best) => best.quantity,
    };
    if count == 0 {
        return Err(SeatsOutcome::NoSeats);
    }
    if !wanted.products.is_empty() {
        wanted.products = order::sums(&wanted.products).map_err(SeatsOutcome::Products)?;
    }
    if count + wanted.products.len() > LINES_MAX {
        return Err(SeatsOutcome::TooMany { seats_max: i64::try_from(LINES_MAX).unwrap_or(i64::MAX) });
    }
    Ok(())
}

async fn hold_ordered(db: &Db, wanted: &Wanted) -> Result<SeatsOutcome, DbError> {
    let mut skip = 0;
    for tries_left in (0..BEST_TRIES).rev() {
        match in_tx!(db, tx, { hold_in(tx, wanted, skip, tries_left > 0).await })? {
            Done::Outcome(SeatsOutcome::Taken(_)) if matches!(wanted.pick, Pick::Best(_)) && tries_left > 0 => {
                skip = rand::random_range(0..BEST_SPREAD);
            }
            Done::Outcome(outcome) => return Ok(outcome),
            Done::Lapsed(mut lapsed) => {
                lapsed.sort_unstable();
                // A transaction of its own: it locks orders before stock, as everybody who ends an order does.
                in_tx!(db, tx, { step::lapse_all(tx, &lapsed).await })?;
            }
        }
    }
    Err(DbError::Shape("a last try that is the last"))
}

/// What was placed has been counted by its commit.
fn count_seats(outcome: &SeatsOutcome) {
    match outcome {
        SeatsOutcome::Held(_) | SeatsOutcome::HeldLeaving(..) => {}
        SeatsOutcome::Taken(_) => metrics::hold(Goods::Seats, Hold::Taken),
        SeatsOutcome::NoBlock(NoBlock::Gone) => metrics::hold(Goods::Seats, Hold::SoldOut),
        SeatsOutcome::NoBlock(NoBlock::Kept(_)) => metrics::hold(Goods::Seats, Hold::AllHeld),
        SeatsOutcome::NoBlock(NoBlock::Together(_))
        | SeatsOutcome::LeavesAlone(_)
        | SeatsOutcome::NoSuchScreening
        | SeatsOutcome::NoSuchSeat(_)
        | SeatsOutcome::NoSeats
        | SeatsOutcome::TooMany { .. }
        | SeatsOutcome::Closed(_)
        | SeatsOutcome::OverLimit { .. }
        | SeatsOutcome::Products(_)
        | SeatsOutcome::KeyReused => metrics::hold(Goods::Seats, Hold::Refused),
    }
}

async fn hold_in(tx: &mut Tx, wanted: &Wanted, skip: usize, clear: bool) -> Result<Done, DbError> {
    if let Some(earlier) = store::lock(tx, wanted.id).await? {
        let outcome = if is_same(&earlier, wanted) { SeatsOutcome::Held(earlier) } else { SeatsOutcome::KeyReused };
        return Ok(Done::Outcome(outcome));
    }
    let Some(windows) = store::windows(tx, &wanted.screening).await? else {
        return Ok(Done::Outcome(SeatsOutcome::NoSuchScreening));
    };
    if let Some(refused) = refused_by_the_sale(tx, wanted, &windows).await? {
        return Ok(Done::Outcome(refused));
    }
    match choose(tx, wanted, &windows, skip).await? {
        Ok((seats, alone)) => claim(tx, wanted, windows, &seats, alone, clear).await,
        Err(refused) => Ok(Done::Outcome(refused)),
    }
}

/// Whether an earlier reservation of this id is what is wanted now.
fn is_same(earlier: &Reservation, wanted: &Wanted) -> bool {
    let seats = earlier.seats();
    let picked = match &wanted.pick {
        Pick::Named(named) => seats == *named,
        Pick::Best(best) => seats.len() == best.quantity,
    };
    earlier.customer_id == wanted.customer
        && earlier.screening_id.as_ref() == Some(&wanted.screening)
        && order::products_of(earlier) == wanted.products
        && picked
}

/// The sale's hours and limits. A customer with a limit is locked: two holds of theirs are counted one after the other.
async fn refused_by_the_sale(tx: &mut Tx, wanted: &Wanted, windows: &Windows) -> Result<Option<SeatsOutcome>, DbError> {
    if windows.opening != Opening::Open {
        return Ok(Some(SeatsOutcome::Closed(windows.opening)));
    }
    let count = match &wanted.pick {
        Pick::Named(seats) => seats.len(),
        Pick::Best(best) => best.quantity,
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if count > windows.seats_max {
        return Ok(Some(SeatsOutcome::TooMany { seats_max: windows.seats_max }));
    }
    if windows.seats_per_customer_max.is_some() || !wanted.products.is_empty() {
        store::lock_customers(tx, &[wanted.customer]).await?;
    }
    if let Some(per_customer_max) = windows.seats_per_customer_max {
        let had = store::seats_had(tx, wanted.customer, &windows.sale_id).await?;
        if had.saturating_add(count) > per_customer_max {
            return Ok(Some(SeatsOutcome::OverLimit { had, per_customer_max }));
        }
    }
    Ok(None)
}

/// The seats to claim, and which they would leave alone; or why there are none.
async fn choose(
    tx: &mut Tx,
    wanted: &Wanted,
    windows: &Windows,
    skip: usize,
) -> Result<Result<(Vec<String>, Vec<String>), SeatsOutcome>, DbError> {
    let named = match &wanted.pick {
        Pick::Named(seats) if windows.orphans == OrphanRule::Off => return Ok(Ok((seats.clone(), Vec::new()))),
        Pick::Named(seats) => Some(seats),
        Pick::Best(_) => None,
    };
    let hall = store::hall_in(tx, &wanted.screening).await?;
    Ok(match (named, &wanted.pick) {
        (Some(seats), _) => {
            let alone = hall.left_alone(seats);
            // Where nobody can sit without leaving one alone, there is nothing to keep together.
            if !alone.is_empty() && windows.orphans == OrphanRule::Deny && hall.could_leave_none_alone(seats) {
                Err(SeatsOutcome::LeavesAlone(alone))
            } else {
                Ok((seats.clone(), alone))
            }
        }
        (None, Pick::Best(best)) => match hall.best(best, skip) {
            Ok(mut seats) => {
                seats.sort_unstable();
                Ok((seats, Vec::new()))
            }
            Err(none) => Err(SeatsOutcome::NoBlock(none)),
        },
        (None, Pick::Named(_)) => Err(SeatsOutcome::NoSeats),
    })
}

async fn claim(
    tx: &mut Tx,
    wanted: &Wanted,
    windows: Windows,
    seats: &[String],
    alone: Vec<String>,
    clear: bool,
) -> Result<Done, DbError> {
    let rows = store::lock_seats(tx, &wanted.screening, seats).await?;
    if rows.len() != seats.len() {
        let unknown = seats.iter().filter(|seat| rows.iter().all(|row| row.seat != **seat)).cloned().collect();
        return Ok(Done::Outcome(SeatsOutcome::NoSuchSeat(unknown)));
    }
    let lost = free_lapsed(tx, &rows).await?;
    if !lost.is_empty() {
        return Ok(tx.undo(Done::Outcome(SeatsOutcome::Taken(lost))));
    }
    let mut lines: Vec<Line> = rows.iter().map(line_of_seat).collect();
    if !wanted.products.is_empty() {
        let ask = HoldStock { id: wanted.id, customer: wanted.customer, lines: wanted.products.clone(), coupon: None };
        match extras::take(tx, &ask, &windows.sale_id, clear).await? {
            Extras::Lines(more) => lines.extend(more),
            Extras::Refused(refused) => return Ok(tx.undo(Done::Outcome(SeatsOutcome::Products(refused)))),
            Extras::Lapsed(lapsed) => return Ok(tx.undo(Done::Lapsed(lapsed))),
        }
    }
    let reservation = reservation(wanted, windows, lines, tx.now_ms())?;
    store::insert(tx, &reservation).await?;
    extras::record(tx, &reservation).await?;
    if store::claim_seats(tx, &reservation, seats, "held").await? != seats.len() {
        return Ok(tx.undo(Done::Outcome(SeatsOutcome::Taken(seats.to_vec()))));
    }
    tx.when_kept(|| metrics::hold(Goods::Seats, Hold::Placed));
    Ok(Done::Outcome(if alone.is_empty() {
        SeatsOutcome::Held(reservation)
    } else {
        SeatsOutcome::HeldLeaving(reservation, alone)
    }))
}

fn reservation(wanted: &Wanted, sale: Windows, lines: Vec<Line>, now_ms: i64) -> Result<Reservation, DbError> {
    Ok(Reservation {
        id: wanted.id,
        sale_id: sale.sale_id,
        screening_id: Some(wanted.screening.clone()),
        customer_id: wanted.customer,
        state: State::Held,
        due_at: Some(now_ms.saturating_add(sale.hold_ms)),
        pay_until: None,
        pay_ms: sale.pay_ms,
        total: Money { amount: total_of(&lines)?, currency: sale.currency },
        coupon: None,
        discount: 0,
        reason: None,
        ticket_code: None,
        version: 1,
        created_at: now_ms,
        lines,
    })
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
        if step::lapse(tx, &mut step::Locked::default(), owner).await? != Some(State::Released) {
            let kept = rows.iter().filter(|row| row.owner == Some(owner)).map(|row| row.seat.clone());
            return Ok(kept.collect());
        }
    }
    Ok(Vec::new())
}

pub(super) fn total_of(lines: &[Line]) -> Result<i64, DbError> {
    let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.price.checked_mul(line.quantity)?));
    sum.ok_or(DbError::Shape("a total that fits"))
}
