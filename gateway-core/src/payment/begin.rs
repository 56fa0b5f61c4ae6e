//! How a try begins: written down and committed before the provider hears of it. For an order there is at most one live
//! try: the order asks for the next one only when the last one is over.

use super::Payments;
use super::drive::Why;
use super::state::{Event, Transaction};
use super::store::{self, NewAttempt, NewTransaction, TransactionRow};
use crate::base::{AttemptId, CustomerId, Money, ReservationId, TransactionId};
use crate::db::{DbError, Tx, in_tx};
use crate::outbox::Requested;

/// A charge that belongs to no order.
pub(crate) struct Charge {
    /// New, or derived from the caller's idempotency key, as is the id of the try.
    pub(crate) id: TransactionId,
    pub(crate) attempt_id: AttemptId,
    pub(crate) customer: CustomerId,
    pub(crate) money: Money,
    pub(crate) method: String,
    pub(crate) description: String,
    pub(crate) customer_reference: Option<String>,
    pub(crate) token: Option<String>,
}

/// What became of it.
pub(crate) enum Submitted {
    /// It is written down.
    New(TransactionRow),
    /// It was written down by an earlier run with the same id.
    Again(TransactionRow),
    /// The id belongs to somebody else's.
    KeyReused,
}

impl Payments {
    /// Writes a charge down and lets it be made in the background.
    pub(crate) async fn submit(&self, charge: &Charge) -> Result<Submitted, DbError> {
        let submitted = in_tx!(self.db(), tx, { submit(tx, self, charge).await })?;
        match &submitted {
            Submitted::New(_) => self.drive_soon(charge.attempt_id, Why::First),
            // The run that wrote it down may have died: it is not known what the provider has heard.
            Submitted::Again(row) if row.state == Transaction::Pending => {
                self.drive_soon(charge.attempt_id, Why::Again);
            }
            Submitted::Again(_) | Submitted::KeyReused => {}
        }
        Ok(submitted)
    }
}

/// Writes down the try that an order asks for. Once that is kept, the provider is asked.
pub(super) async fn requested(
    tx: &mut Tx,
    payments: &Payments,
    order: ReservationId,
    asked: &Requested,
) -> Result<(), DbError> {
    let earlier = store::transaction_of_order_in(tx, order).await?;
    let transaction_id = match &earlier {
        Some(transaction) => {
            renew(tx, transaction, &asked.method).await?;
            transaction.id
        }
        None => insert(tx, order, asked).await?,
    };
    let attempt = NewAttempt {
        id: asked.attempt_id,
        transaction_id,
        is_first: earlier.is_none(),
        provider: payments.shared.processor.name(),
        money: asked.money,
        payment_method: &asked.method,
        payment_token: asked.payment_token.as_deref(),
        return_url: asked.return_url.as_deref(),
        due_at: payments.asked_until(tx.now_ms()),
    };
    store::insert_attempt(tx, &attempt).await?;
    let (payments, id) = (payments.clone(), asked.attempt_id);
    tx.when_kept(move || payments.drive_soon(id, Why::First));
    Ok(())
}

async fn renew(tx: &mut Tx, transaction: &TransactionRow, method: &str) -> Result<(), DbError> {
    if let Some(next) = transaction.state.on(Event::Tried) {
        store::move_transaction(tx, transaction.id, transaction.state, next).await?;
    }
    store::renew_transaction(tx, transaction.id, method).await
}

async fn insert(tx: &mut Tx, order: ReservationId, asked: &Requested) -> Result<TransactionId, DbError> {
    let id = TransactionId::new(tx.now_ms());
    let description = format!("Payment for {order}");
    let new = NewTransaction {
        id,
        customer_id: asked.customer,
        reservation_id: Some(order),
        money: asked.money,
        payment_method: &asked.method,
        description: &description,
        customer_reference: None,
    };
    store::insert_transaction(tx, &new).await?;
    Ok(id)
}

async fn submit(tx: &mut Tx, payments: &Payments, charge: &Charge) -> Result<Submitted, DbError> {
    if let Some(earlier) = store::transaction_in(tx, charge.id).await? {
        let own = earlier.customer_id == charge.customer;
        return Ok(if own { Submitted::Again(earlier) } else { Submitted::KeyReused });
    }
    let new = NewTransaction {
        id: charge.id,
        customer_id: charge.customer,
        reservation_id: None,
        money: charge.money,
        payment_method: &charge.method,
        description: &charge.description,
        customer_reference: charge.customer_reference.as_deref(),
    };
    store::insert_transaction(tx, &new).await?;
    let attempt = NewAttempt {
        id: charge.attempt_id,
        transaction_id: charge.id,
        is_first: true,
        provider: payments.shared.processor.name(),
        money: charge.money,
        payment_method: &charge.method,
        payment_token: charge.token.as_deref(),
        return_url: None,
        due_at: payments.asked_until(tx.now_ms()),
    };
    store::insert_attempt(tx, &attempt).await?;
    let now = tx.now_ms();
    Ok(Submitted::New(TransactionRow {
        id: charge.id,
        customer_id: charge.customer,
        reservation_id: None,
        money: charge.money,
        payment_method: charge.method.clone(),
        description: charge.description.clone(),
        customer_reference: charge.customer_reference.clone(),
        state: Transaction::Pending,
        created_at: now,
        updated_at: now,
    }))
}
