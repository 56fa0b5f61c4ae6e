//! What the payments are told about orders, and what they do about it.

use super::begin;
use super::drive::Why;
use super::record::cause;
use super::{Payments, store};
use crate::base::{AttemptId, ReservationId};
use crate::db::{DbError, Tx};
use crate::outbox::{Consumer, Event, Message, Part, publish};

impl Consumer for Payments {
    const PART: Part = Part::Payment;

    async fn consume(&self, tx: &mut Tx, messages: &[Message]) -> Result<(), DbError> {
        for message in messages {
            match &message.event {
                Event::PaymentRequested(asked) => begin::requested(tx, self, message.order, asked).await?,
                Event::OrderClosing => self.withdraw(tx, message.order).await?,
                Event::OrderBooked => self.withdraw_others(tx, message.order).await?,
                Event::RefundRequested { attempt_id, amount } => self.give_back_late(tx, *attempt_id, *amount).await?,
                Event::PaymentCaptured { .. } | Event::PaymentFailed { .. } => {
                    return Err(DbError::Shape("an event that payments are told"));
                }
            }
        }
        Ok(())
    }
}

impl Payments {
    /// Nobody wants the order any more. The provider decides whether that is in time; without a try it is.
    async fn withdraw(&self, tx: &mut Tx, order: ReservationId) -> Result<(), DbError> {
        if self.ask_again(tx, order).await? || store::is_captured(tx, order).await? {
            // Its verdict will be told, or is told already.
            return Ok(());
        }
        publish(tx, order, &Event::PaymentFailed { attempt_id: None }).await
    }

    /// Paid by an earlier try, while a later one was under way.
    async fn withdraw_others(&self, tx: &mut Tx, order: ReservationId) -> Result<(), DbError> {
        self.ask_again(tx, order).await.map(|_| ())
    }

    /// Has the order's live try asked about at once; whether there is one. The asking sees that nobody wants it.
    async fn ask_again(&self, tx: &mut Tx, order: ReservationId) -> Result<bool, DbError> {
        let Some(id) = store::live_attempt(tx, order).await? else { return Ok(false) };
        store::make_due(tx, id).await?;
        let payments = self.clone();
        // Without a free worker now, the reconciler is next.
        tx.when_kept(move || payments.drive_soon(id, Why::Again));
        Ok(true)
    }

    async fn give_back_late(&self, tx: &mut Tx, id: AttemptId, amount: i64) -> Result<(), DbError> {
        store::insert_refund(tx, id, cause::LATE, amount).await?;
        let shared = self.shared.clone();
        tx.when_kept(move || {
            tracing::warn!(attempt = %id, "money came too late and is given back");
            shared.due.notify_one();
        });
        Ok(())
    }
}
