//! How a try begins: written down and committed before the provider hears of it. For an order there is at most one live
//! try; whoever asks again is shown that one.

use super::Payments;
use super::drive::Why;
use super::state::{Attempt, Event, Transaction};
use super::store::{self, AttemptRow, NewAttempt, NewTransaction, TransactionRow};
use crate::base::{AttemptId, CustomerId, Money, ReservationId, TransactionId};
use crate::db::{DbError, Tx, in_tx};
use crate::reservation::step::{self, Paid, Stepped};
use crate::reservation::{Reservation, State};

/// An order to be paid.
pub(crate) struct Pay {
    /// New, or derived from the caller's idempotency key.
    pub(crate) attempt_id: AttemptId,
    pub(crate) order: ReservationId,
    pub(crate) customer: CustomerId,
    pub(crate) method: String,
    pub(crate) token: Option<String>,
    pub(crate) return_url: Option<String>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum PayOutcome {
    /// Paid, now or before.
    Booked,
    /// Under way: the customer has to go to the page, if there is one, or wait.
    Running { action_url: Option<String> },
    /// No money came and none will from this try; the order can be paid again.
    Declined,
    /// No such order, or somebody else's.
    NotFound,
    /// The order is in no state to be paid.
    Refused(Box<Reservation>),
}

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

pub(super) enum Begun {
    Drive(AttemptId),
    Is(PayOutcome),
}

impl Payments {
    /// Pays an order: begins a try, asks the provider, and says how it stands when the provider's time is up.
    pub(crate) async fn pay(&self, pay: &Pay) -> Result<PayOutcome, DbError> {
        let begun = in_tx!(self.db(), tx, { begin(tx, self, pay).await })?;
        match begun {
            Begun::Is(outcome) => Ok(outcome),
            Begun::Drive(id) => {
                let attempt = self.drive(id, Why::First).await?;
                Ok(attempt.map_or(PayOutcome::Running { action_url: None }, |attempt| outcome_of(&attempt)))
            }
        }
    }

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

pub(super) async fn begin(tx: &mut Tx, payments: &Payments, pay: &Pay) -> Result<Begun, DbError> {
    let reservation = match step::begin_paying(tx, pay.order, pay.customer).await? {
        Stepped::NotFound => return Ok(Begun::Is(PayOutcome::NotFound)),
        Stepped::Refused(reservation) if reservation.state == State::Booked => {
            return Ok(Begun::Is(PayOutcome::Booked));
        }
        Stepped::Refused(reservation) => return Ok(Begun::Is(PayOutcome::Refused(Box::new(reservation)))),
        Stepped::Done(reservation) => reservation,
    };
    // The same call again, after its first run was cut off: it begins nothing new, also when its try is over.
    if let Some(earlier) = store::attempt_in(tx, pay.attempt_id).await? {
        let outcome = outcome_of(&earlier);
        return Ok(Begun::Is(tx.undo(outcome)));
    }
    if reservation.total.amount == 0 {
        return Ok(Begun::Is(match step::paid(tx, pay.order).await? {
            Paid::Booked(_) => PayOutcome::Booked,
            Paid::TooLate(reservation) => PayOutcome::Refused(Box::new(reservation)),
            Paid::NotFound => PayOutcome::NotFound,
        }));
    }
    let transaction_id = match store::transaction_of_order_in(tx, pay.order).await? {
        Some(transaction) => {
            if let Some(running) = running_attempt(tx, &transaction).await? {
                return Ok(Begun::Is(outcome_of(&running)));
            }
            renew(tx, &transaction, &pay.method).await?;
            transaction.id
        }
        None => insert(tx, pay, &reservation).await?,
    };
    let due_at = tx.now_ms().saturating_add(payments.shared.lease_ms);
    let attempt = NewAttempt {
        id: pay.attempt_id,
        transaction_id,
        provider: payments.shared.processor.name(),
        money: reservation.total,
        payment_method: &pay.method,
        payment_token: pay.token.as_deref(),
        return_url: pay.return_url.as_deref(),
        due_at,
    };
    store::insert_attempt(tx, &attempt).await?;
    Ok(Begun::Drive(pay.attempt_id))
}

async fn running_attempt(tx: &mut Tx, transaction: &TransactionRow) -> Result<Option<AttemptRow>, DbError> {
    let latest = store::latest_attempt_in(tx, transaction.id).await?;
    Ok(latest.filter(|attempt| attempt.state.is_live()))
}

async fn renew(tx: &mut Tx, transaction: &TransactionRow, method: &str) -> Result<(), DbError> {
    if let Some(next) = transaction.state.on(Event::Tried) {
        store::move_transaction(tx, transaction.id, transaction.state, next).await?;
    }
    store::renew_transaction(tx, transaction.id, method).await
}

async fn insert(tx: &mut Tx, pay: &Pay, reservation: &Reservation) -> Result<TransactionId, DbError> {
    let id = TransactionId::new(tx.now_ms());
    let description = format!("Payment for {}", pay.order);
    let new = NewTransaction {
        id,
        customer_id: pay.customer,
        reservation_id: Some(pay.order),
        money: reservation.total,
        payment_method: &pay.method,
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
        provider: payments.shared.processor.name(),
        money: charge.money,
        payment_method: &charge.method,
        payment_token: charge.token.as_deref(),
        return_url: None,
        due_at: tx.now_ms().saturating_add(payments.shared.lease_ms),
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

fn outcome_of(attempt: &AttemptRow) -> PayOutcome {
    match attempt.state {
        Attempt::Captured => PayOutcome::Booked,
        Attempt::Failed | Attempt::Cancelled => PayOutcome::Declined,
        Attempt::RequiresAction => PayOutcome::Running { action_url: attempt.action_url.clone() },
        Attempt::Sending | Attempt::Sent | Attempt::Unknown => PayOutcome::Running { action_url: None },
    }
}
