//! Ids, money and the clock: plain values that everything else speaks in. No I/O.

mod id;
mod money;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use id::{AttemptId, CustomerId, MessageId, RefundId, ReservationId, TransactionId};
pub use money::{Currency, Money};

/// Epoch milliseconds that never go backwards. Injected: the library does not read the clock.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The time as RFC 3339 in UTC with milliseconds, as shown to clients.
pub fn rfc3339(epoch_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(epoch_ms) {
        Ok(at) => format!("{at:.3}"),
        // Outside of what a calendar can show; only a broken clock or row gets here.
        Err(_) => String::from("unknown"),
    }
}
