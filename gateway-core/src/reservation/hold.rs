//! Taking seats for a hold. All or nothing, decided by the claim itself and not by a look before.

use super::store::{self, SeatRow};
use super::{LINES_MAX, Line, Reservation, State, step};
use crate::base::{CustomerId, Money, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::metrics::{self, Goods, Hold};

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
        coupon: None,
        discount: 0,
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

pub(super) fn total_of(lines: &[Line]) -> Result<i64, DbError> {
    let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.price.checked_mul(line.quantity)?));
    sum.ok_or(DbError::Shape("a total that fits"))
}
