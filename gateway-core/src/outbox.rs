//! What one part of the core tells another. A message is written in the transaction that makes it true, and takes its
//! effect in a transaction that notes it in the inbox: told at least once, heard once. Whom it is for stands in [`Event`].
//!
//! ```text
//! commit: order is PAYING + payment_requested ─▶ payment: a try is written down ─▶ the provider is asked
//! commit: try is CAPTURED + payment_captured  ─▶ order: BOOKED, or too late: refund_requested ─▶ payment
//! commit: order is CLOSING + order_closing    ─▶ payment: the try is withdrawn ─▶ payment_failed ─▶ order: RELEASED
//! ```
//!
//! A commit rings the bell of its process, so that nobody waits for the next look. The messages about one order are
//! heard in the order in which they were written, one after the other; those of many orders in one transaction.

mod bus;
mod event;
pub mod letters;
mod news;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use bus::Bus;
pub(crate) use event::{Event, Part, Requested};
pub(crate) use news::News;
pub(crate) use worker::{Consumer, Message, Worker};

use std::collections::HashSet;

use crate::base::{MessageId, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::metrics;

/// How long what was heard is kept, to be looked at. Nothing depends on it: a message that is gone is not delivered.
const KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// Has `event` told, once the transaction is committed.
pub(crate) async fn publish(tx: &mut Tx, order: ReservationId, event: &Event) -> Result<(), DbError> {
    let id = match event {
        Event::PaymentRequested(requested) => MessageId::from(requested.attempt_id),
        Event::OrderClosing
        | Event::OrderBooked
        | Event::RefundRequested { .. }
        | Event::PaymentCaptured { .. }
        | Event::PaymentFailed { .. } => MessageId::new(tx.now_ms()),
    };
    let payload = serde_json::to_string(event).map_err(|_| DbError::Shape("an event that can be written"))?;
    store::insert(tx, &store::New { id, order, to: event.to().name(), kind: event.kind(), payload }).await?;
    tx.brings_work();
    Ok(())
}

/// Those of these messages that are written already, heard or not.
pub(crate) async fn published(
    tx: &mut Tx,
    ids: impl Iterator<Item = MessageId>,
) -> Result<HashSet<MessageId>, DbError> {
    store::written(tx, ids).await
}

/// Forgets what was heard long ago.
pub(crate) async fn clean(db: &Db) -> Result<u64, DbError> {
    in_tx!(db, tx, {
        let before = tx.now_ms().saturating_sub(KEPT_MS);
        store::delete_older(tx, before).await
    })
}

/// Shows how much waits, for how long, and what is dead.
pub(crate) async fn measure(db: &Db) -> Result<(), DbError> {
    let now_ms = db.now_ms().await?;
    let (waiting, since, dead) = store::backlog(db).await?;
    let oldest_ms = if waiting > 0 { now_ms.saturating_sub(since).max(0) } else { 0 };
    metrics::outbox(waiting, oldest_ms, dead);
    Ok(())
}
