//! All metrics of this crate on one page: the table, and one function per event. Labels are
//! closed sets; nothing about a customer, an order or a payment is ever a label.
//!
//! What a transaction decides is counted when it is committed (`Tx::when_kept`): a block
//! that is run again, or rolled back, counts nothing.

use metrics::{counter, gauge};

use crate::group::Load;
use crate::outbox::Part;

const HOLDS: &str = "vestibule_holds_total";
const ORDERS: &str = "vestibule_orders_total";
const PAYMENTS: &str = "vestibule_payments_total";
const REFUNDS: &str = "vestibule_refunds_total";
const COUPONS: &str = "vestibule_coupons_total";
const KEYED_REQUESTS: &str = "vestibule_keyed_requests_total";
const SWEEPS: &str = "vestibule_sweeps_total";
const MESSAGES: &str = "vestibule_messages_total";
const OUTBOX_WAITING: &str = "vestibule_outbox_waiting";
const OUTBOX_OLDEST: &str = "vestibule_outbox_oldest_seconds";
const OUTBOX_DEAD: &str = "vestibule_outbox_dead";
const ORDERS_IN_FLIGHT: &str = "vestibule_orders_in_flight";
const ORDERS_PER_SECOND: &str = "vestibule_orders_per_second";

/// Every counter: name and help. The exporter describes them from here, and so does docs/operating.md.
pub const TABLE: [(&str, &str); 8] = [
    (
        HOLDS,
        "Wishes to hold seats or stock, and holds given back unbought, by goods (seats, stock) and outcome \
         (placed, taken, sold_out, all_held, refused, released, busy)",
    ),
    (
        ORDERS,
        "Orders that came to their end, or back from it, by outcome (booked, released, review, cancelled, reversed)",
    ),
    (PAYMENTS, "Tries to pay that got a verdict, or none in time, by outcome (captured, failed, cancelled, unknown)"),
    (REFUNDS, "Refunds asked of the provider, by outcome (succeeded, failed, unknown)"),
    (COUPONS, "Wishes for a coupon, by outcome (issued, repeated, gone, refused, busy)"),
    (KEYED_REQUESTS, "Requests with an idempotency key, by outcome (run, replayed, key_reused, in_progress)"),
    (SWEEPS, "Rounds of the sweeper, by outcome (done, failed)"),
    (
        MESSAGES,
        "Deliveries of what one part of the core tells another, by consumer (order, payment) and outcome \
         (heard, again, dead)",
    ),
];

/// Every gauge: name and help.
pub const GAUGES: [(&str, &str); 5] = [
    (ORDERS_IN_FLIGHT, "Orders of stock that queue for their group or are being written"),
    (
        ORDERS_PER_SECOND,
        "Orders of stock answered in a second of the writers' busy time; in flight by this is the wait",
    ),
    (OUTBOX_WAITING, "Messages in the outbox that are not heard yet"),
    (OUTBOX_OLDEST, "Age of the oldest of them, in seconds; more than a few means that a consumer is missing"),
    (OUTBOX_DEAD, "Messages that failed too often: `vestibule outbox list` tells why"),
];

/// Declares the outcomes of one event with their labels.
macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $label:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }
        }
    };
}

outcomes! {
    /// What is held.
    Goods { Seats = "seats", Stock = "stock" }
}
outcomes! {
    /// What became of a hold.
    Hold {
        Placed = "placed",
        Taken = "taken",
        SoldOut = "sold_out",
        AllHeld = "all_held",
        Refused = "refused",
        Released = "released",
        Busy = "busy",
    }
}
outcomes! {
    /// How an order ended.
    Order {
        Booked = "booked",
        Released = "released",
        Review = "review",
        Cancelled = "cancelled",
        Reversed = "reversed",
    }
}
outcomes! {
    /// What became of a try to pay.
    Payment { Captured = "captured", Failed = "failed", Cancelled = "cancelled", Unknown = "unknown" }
}
outcomes! {
    /// What the provider made of a refund.
    Refund { Succeeded = "succeeded", Failed = "failed", Unknown = "unknown" }
}
outcomes! {
    /// What became of a wish for a coupon.
    Coupon { Issued = "issued", Repeated = "repeated", Gone = "gone", Refused = "refused", Busy = "busy" }
}
outcomes! {
    /// What became of a request with a key.
    Keyed { Run = "run", Replayed = "replayed", KeyReused = "key_reused", InProgress = "in_progress" }
}
outcomes! {
    /// How a round of the sweeper went.
    Sweep { Done = "done", Failed = "failed" }
}

outcomes! {
    /// What became of the delivery of a message.
    Told { Heard = "heard", Again = "again", Dead = "dead" }
}

/// Somebody wanted to hold something, or a hold came back.
pub(crate) fn hold(goods: Goods, outcome: Hold) {
    holds(goods, outcome, 1);
}

/// The same, many times.
pub(crate) fn holds(goods: Goods, outcome: Hold, many: usize) {
    let many = u64::try_from(many).unwrap_or(u64::MAX);
    counter!(HOLDS, "goods" => goods.label(), "outcome" => outcome.label()).increment(many);
}

/// How busy the writers of orders are.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(crate) fn load(load: Load) {
    gauge!(ORDERS_IN_FLIGHT).set(load.in_flight as f64);
    gauge!(ORDERS_PER_SECOND).set(load.per_second as f64);
}

/// An order ended.
pub(crate) fn order(outcome: Order) {
    counter!(ORDERS, "outcome" => outcome.label()).increment(1);
}

/// A try to pay moved to where it tells something.
pub(crate) fn payment(outcome: Payment) {
    counter!(PAYMENTS, "outcome" => outcome.label()).increment(1);
}

/// The provider was asked to give money back.
pub(crate) fn refund(outcome: Refund) {
    counter!(REFUNDS, "outcome" => outcome.label()).increment(1);
}

/// Somebody wanted a coupon.
pub(crate) fn coupon(outcome: Coupon) {
    counter!(COUPONS, "outcome" => outcome.label()).increment(1);
}

/// A request with an idempotency key arrived.
pub(crate) fn keyed(outcome: Keyed) {
    counter!(KEYED_REQUESTS, "outcome" => outcome.label()).increment(1);
}

/// Messages were delivered, or were not.
pub(crate) fn told(to: Part, outcome: Told, many: usize) {
    let many = u64::try_from(many).unwrap_or(u64::MAX);
    counter!(MESSAGES, "consumer" => to.name(), "outcome" => outcome.label()).increment(many);
}

/// How the outbox stands.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(crate) fn outbox(waiting: i64, oldest_ms: i64, dead: i64) {
    gauge!(OUTBOX_WAITING).set(waiting as f64);
    gauge!(OUTBOX_OLDEST).set(oldest_ms as f64 / 1_000.0);
    gauge!(OUTBOX_DEAD).set(dead as f64);
}

/// The sweeper went round.
pub(crate) fn sweep(outcome: Sweep) {
    counter!(SWEEPS, "outcome" => outcome.label()).increment(1);
}

#[cfg(test)]
mod tests;
