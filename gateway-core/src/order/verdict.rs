//! The orders are told what became of the money: booked, paid back because nothing is left to sell for it, or free again.

use crate::base::ReservationId;
use crate::db::{DbError, Tx};
use crate::outbox::{Consumer, Event, Message, News, Part, publish};
use crate::reservation::step::{self, Locked, Paid};

/// What the orders do about verdicts.
pub(crate) struct Verdicts(pub(crate) News);

impl Consumer for Verdicts {
    const PART: Part = Part::Order;

    async fn consume(&self, tx: &mut Tx, messages: &[Message]) -> Result<(), DbError> {
        let mut orders: Vec<ReservationId> = messages.iter().map(|message| message.order).collect();
        orders.sort_unstable();
        let mut locked = step::lock_all(tx, &orders).await?;
        for message in messages {
            take_effect(tx, &mut locked, message).await?;
        }
        let news = self.0.clone();
        tx.when_kept(move || orders.into_iter().for_each(|order| news.tell(order)));
        Ok(())
    }
}

async fn take_effect(tx: &mut Tx, locked: &mut Locked, message: &Message) -> Result<(), DbError> {
    let order = message.order;
    match &message.event {
        Event::PaymentCaptured { attempt_id, amount } => match step::paid(tx, locked, order).await? {
            Paid::Booked(booked) => {
                let (order, attempt) = (booked.id, *attempt_id);
                tx.when_kept(move || tracing::info!(%order, %attempt, "an order is paid"));
                Ok(())
            }
            Paid::TooLate(_) | Paid::NotFound => {
                publish(tx, order, &Event::RefundRequested { attempt_id: *attempt_id, amount: *amount }).await
            }
        },
        Event::PaymentFailed { .. } => {
            // Refused means that the order has been settled by other means; there is nothing to take back then.
            let _settled = step::not_paid(tx, locked, order).await?;
            Ok(())
        }
        Event::PaymentRequested(_) | Event::OrderClosing | Event::OrderBooked | Event::RefundRequested { .. } => {
            Err(DbError::Shape("an event that orders are told"))
        }
    }
}
