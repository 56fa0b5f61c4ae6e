//! Orders on their way to being paid, as the customer's call and the payments' verdicts see them: stock is held, a payment
//! is asked for, and what becomes of the money books the order or gives everything back. Capturing is the pivot: before
//! it every step can be taken back, after it the rest is only tried again.
//!
//! Talks to the payments through the outbox alone, and reads how a try stands to answer the customer who waits.

mod begin;
mod pay;
mod verdict;

pub(crate) use pay::{Orders, Pay, PayOutcome};
pub(crate) use verdict::Verdicts;
