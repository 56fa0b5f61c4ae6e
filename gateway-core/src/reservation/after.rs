//! What can still happen to an order that was booked, and what a person decides about one. All of it in the caller's
//! transaction: the money is the caller's.

use super::state::Event;
use super::step::{self, Stepped};
use super::store;
use super::{Reservation, State};
use crate::base::{CustomerId, ReservationId};
use crate::db::{Db, DbError, Tx};

/// Who gives a booked order back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// Until the sale's `cancel_until`.
    Customer(CustomerId),
    /// Whenever it has to be.
    Operator,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum CalledOff {
    /// It is cancelled now: its money has to go back.
    Now(Reservation),
    /// It was cancelled before.
    Before(Reservation),
    NotFound,
    /// The time for it is over, or was never given.
    TooLate {
        cancel_until: Option<i64>,
    },
    /// It is not booked.
    Refused(Reservation),
}

/// What an operator finds out about an order under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Paid,
    NotPaid,
}

/// What a person decided, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) who: &'a str,
    pub(crate) note: &'a str,
}

/// Gives a booked order back: seats and stock are free again.
pub(crate) async fn call_off(tx: &mut Tx, id: ReservationId, by: By) -> Result<CalledOff, DbError> {
    let Some(mut order) = store::lock(tx, id).await? else { return Ok(CalledOff::NotFound) };
    let reason = match by {
        By::Customer(owner) if order.customer_id != owner => return Ok(CalledOff::NotFound),
        By::Customer(_) => "called_off",
        By::Operator => "called_off_by_us",
    };
    if order.state == State::Cancelled {
        return Ok(CalledOff::Before(order));
    }
    if let (By::Customer(_), State::Booked) = (by, order.state) {
        let cancel_until = store::cancel_until(tx, id).await?;
        if cancel_until.is_none_or(|until| until <= tx.now_ms()) {
            return Ok(CalledOff::TooLate { cancel_until });
        }
    }
    Ok(match step::apply(tx, &mut order, Event::CallOff, Some(reason)).await? {
        Ok(()) => CalledOff::Now(order),
        Err(_) => CalledOff::Refused(order),
    })
}

/// The provider took the money of a booked order back: its ticket is void, seats and stock are free again.
pub(crate) async fn reverse(tx: &mut Tx, id: ReservationId) -> Result<Stepped, DbError> {
    match store::lock(tx, id).await? {
        Some(order) => step::finish(tx, order, Event::Reverse, Some("reversed")).await,
        None => Ok(Stepped::NotFound),
    }
}

/// Ends a review. Anything else is refused: only the provider's word moves it.
pub(crate) async fn settle(tx: &mut Tx, id: ReservationId, verdict: Verdict) -> Result<Stepped, DbError> {
    let Some(order) = store::lock(tx, id).await? else { return Ok(Stepped::NotFound) };
    if order.state != State::Review {
        return Ok(Stepped::Refused(order));
    }
    match verdict {
        Verdict::Paid => step::finish(tx, order, Event::Paid, None).await,
        Verdict::NotPaid => step::finish(tx, order, Event::NotPaid, Some("not_paid")).await,
    }
}

/// Writes down who decided that the order is as it stands now, and why.
pub(crate) async fn decided(tx: &mut Tx, order: &Reservation, by: Decision<'_>) -> Result<(), DbError> {
    store::insert_decision(tx, order, by).await
}

/// What people decided about an order: kind, who, note, when.
pub(crate) async fn decisions(db: &Db, id: ReservationId) -> Result<Vec<(String, String, String, i64)>, DbError> {
    store::decisions(db, id).await
}

/// Orders that wait for a person, the longest first.
pub(crate) async fn in_review(db: &Db, limit: i64) -> Result<Vec<Reservation>, DbError> {
    store::in_review(db, limit).await
}

/// Any order, for operators.
pub(crate) async fn any(db: &Db, id: ReservationId) -> Result<Option<Reservation>, DbError> {
    store::read(db, id).await
}

/// Until when a customer may still give this booked order back; `None` when not any more.
pub(crate) async fn cancellable_until(db: &Db, order: &Reservation, now_ms: i64) -> Result<Option<i64>, DbError> {
    if order.state != State::Booked {
        return Ok(None);
    }
    Ok(store::cancel_until_of(db, order.id).await?.filter(|until| *until > now_ms))
}
