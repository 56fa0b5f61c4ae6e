//! Reservations: seats and stock kept for a customer, from the hold to the booking. Knows nothing of payments, which
//! tell it what became of the money through [`step`].

pub(crate) mod after;
mod ahead;
mod extend;
mod extras;
mod hold;
mod judge;
mod limit;
mod order;
mod seating;
mod share;
mod short;
mod state;
pub(crate) mod step;
mod store;
mod sweep;
#[cfg(test)]
mod tests;

pub(crate) use extend::{Extended, extend, extendable_ms};
#[cfg(test)]
pub(crate) use hold::{HoldSeats, hold_seats};
pub(crate) use hold::{Pick, SeatsOutcome, Wanted, hold};
pub(crate) use order::{HoldStock, Lost, Refused, StockOrders, StockOutcome, hold_stock};
pub(crate) use seating::{Best, NoBlock};
pub(crate) use short::{product_returns_in_ms, seats_return_in_ms};
pub(crate) use state::State;
pub(crate) use step::{Stepped, cancel, checkout};
pub(crate) use sweep::sweep;

use crate::base::{Currency, CustomerId, Money, ReservationId};
use crate::db::{Db, DbError};

/// The most seats, and the most different products, of one reservation. A statement names this many places.
pub(crate) const LINES_MAX: usize = 16;

/// A reservation as stored. Checked out, it is the order, under the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) id: ReservationId,
    pub(crate) sale_id: String,
    pub(crate) screening_id: Option<String>,
    pub(crate) customer_id: CustomerId,
    pub(crate) state: State,
    /// The next deadline by the database's clock, epoch milliseconds.
    pub(crate) due_at: Option<i64>,
    /// Set at checkout.
    pub(crate) pay_until: Option<i64>,
    pub(crate) pay_ms: i64,
    /// What is to pay: the lines together without the discount.
    pub(crate) total: Money,
    /// The code of the coupon that it was ordered with; a released order has given it back.
    pub(crate) coupon: Option<String>,
    /// Minor units that the coupon took off.
    pub(crate) discount: i64,
    pub(crate) reason: Option<String>,
    pub(crate) ticket_code: Option<String>,
    pub(crate) version: i64,
    pub(crate) created_at: i64,
    pub(crate) lines: Vec<Line>,
}

/// One seat, or some of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) seat: Option<String>,
    pub(crate) product: Option<String>,
    /// What it is, for people.
    pub(crate) title: String,
    pub(crate) quantity: i64,
    /// Minor units for one.
    pub(crate) price: i64,
}

impl Reservation {
    /// Whether its deadline has passed while nothing but time keeps it: the seats are free to others already.
    pub(crate) fn has_lapsed(&self, now_ms: i64) -> bool {
        matches!(self.state, State::Held | State::Checkout) && self.due_at.is_some_and(|due| due <= now_ms)
    }

    /// The state as shown: what has lapsed counts as released, also before the sweeper says so.
    pub(crate) fn shown_state(&self, now_ms: i64) -> State {
        if self.has_lapsed(now_ms) { State::Released } else { self.state }
    }

    /// How long the hold still lasts, in milliseconds; 0 when it is none any more.
    pub(crate) fn expires_in_ms(&self, now_ms: i64) -> i64 {
        match (self.state, self.due_at) {
            (State::Held, Some(due)) => due.saturating_sub(now_ms).max(0),
            _ => 0,
        }
    }

    /// How long there is to pay, in milliseconds; 0 when there is nothing to pay any more.
    pub(crate) fn pay_within_ms(&self, now_ms: i64) -> i64 {
        match (self.state, self.pay_until) {
            (State::Checkout | State::Paying, Some(until)) => until.saturating_sub(now_ms).max(0),
            _ => 0,
        }
    }

    /// The lines together.
    pub(crate) fn subtotal(&self) -> Money {
        Money { amount: self.total.amount.saturating_add(self.discount), currency: self.total.currency }
    }

    /// The seats, in the order of the lines.
    pub(crate) fn seats(&self) -> Vec<String> {
        self.lines.iter().filter_map(|line| line.seat.clone()).collect()
    }

    fn currency(&self) -> Currency {
        self.total.currency
    }
}

/// A customer's reservation, for showing. Somebody else's is not there.
pub(crate) async fn find(db: &Db, id: ReservationId, owner: CustomerId) -> Result<Option<Reservation>, DbError> {
    let found = store::read(db, id).await?;
    Ok(found.filter(|reservation| reservation.customer_id == owner))
}

/// A customer's reservations, newest first, at most `limit`.
pub(crate) async fn list(db: &Db, owner: CustomerId, limit: i64) -> Result<Vec<Reservation>, DbError> {
    store::read_of(db, owner, limit).await
}

/// Seats to offer in place of these: as many, of the same kind, next to each other; the nearest first.
pub(crate) async fn near(db: &Db, screening: &str, seats: &[String]) -> Result<Vec<Vec<String>>, DbError> {
    Ok(store::hall(db, screening).await?.near(seats))
}
