//! Payments: transactions, the tries behind them, and everything that finds out how a try ended. Orders ask for a try and
//! are told its verdict through the outbox.
//!
//! ```text
//! told: an order wants to be paid ─▶ row SENDING ─▶ drive: ask the provider ─▶ record: attempt + transaction + message
//!                                                      ▲          ▲
//!             told: an order is closing, reconciler ───┘          └─── webhook, order page: hints to ask again
//! ```

mod begin;
pub(crate) mod call_off;
pub(crate) mod card;
mod drive;
mod hear;
mod processors;
mod reconcile;
mod record;
mod state;
mod store;
#[cfg(test)]
mod tests;
pub(crate) mod webhook;

use crate::base::{AttemptId, Clock, ReservationId, TransactionId};
use crate::db::{Db, DbError};
use crate::group::Writers;
use crate::outbox::News;
use processors::Processor;
use record::Records;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

pub(crate) use begin::{Charge, Submitted};
pub(crate) use store::{After, TransactionRow, transaction, transactions_of};

/// Tries driven in the background at once. More would only queue at the provider.
const WORKERS_MAX: usize = 128;

/// Tries that wait for a worker. What does not fit is found by the reconciler when it is due.
const QUEUE_MAX: usize = 4_096;

/// How the provider is reached.
pub(crate) struct Settings<'a> {
    pub(crate) processor_url: &'a str,
    pub(crate) processor_key: &'a [u8],
    /// The bound of one call, in milliseconds.
    pub(crate) processor_timeout_ms: u64,
    pub(crate) webhook_secret: &'a [u8],
    /// Whether this process asks the provider. One that does not writes down what another is to ask.
    pub(crate) asks: bool,
}

/// The payments of one core. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Payments {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    clock: Clock,
    processor: Processor,
    webhook_secret: Vec<u8>,
    asks: bool,
    /// Whoever asks the provider has the try for himself this long, in milliseconds: a charge, and a question after it.
    lease_ms: i64,
    /// The one way to record what the provider said.
    records: Writers<Records>,
    workers: Semaphore,
    queue: Arc<Semaphore>,
    /// Something became due at once.
    due: Notify,
    /// Who waits here for an order's payment.
    news: News,
}

/// How a try stands, for whoever waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not written down yet, or the provider is being asked for the first time.
    Begins,
    /// It takes longer: for the customer, who has to go to the page, or for the provider.
    Waits { action_url: Option<String> },
    /// The money is there.
    Paid,
    /// None will come.
    NotPaid,
}

/// What an order shows of its payment.
pub(crate) struct OfOrder {
    pub(crate) transaction_id: TransactionId,
    /// The provider's page, while it waits for the customer.
    pub(crate) action_url: Option<String>,
    /// Why the last try brought no money: a sentence.
    pub(crate) failed_because: Option<&'static str>,
}

impl Payments {
    /// # Errors
    /// The HTTP client cannot be built.
    pub(crate) fn new(db: Db, news: News, clock: Clock, settings: &Settings<'_>) -> Result<Self, reqwest::Error> {
        let timeout_ms = settings.processor_timeout_ms;
        let client = processors::sandbox::Client::new(settings.processor_url, settings.processor_key, timeout_ms)?;
        Ok(Self {
            shared: Arc::new(Shared {
                records: Writers::new(Records(db.clone())),
                db,
                clock,
                processor: Processor::Sandbox(client),
                webhook_secret: settings.webhook_secret.to_vec(),
                asks: settings.asks,
                lease_ms: i64::try_from(timeout_ms).unwrap_or(i64::MAX / 4).saturating_mul(2).saturating_add(1_000),
                workers: Semaphore::new(WORKERS_MAX),
                queue: Arc::new(Semaphore::new(QUEUE_MAX)),
                due: Notify::new(),
                news,
            }),
        })
    }

    /// When somebody else may ask about a try that is due now. Where this process asks nothing, that is at once.
    fn asked_until(&self, now_ms: i64) -> i64 {
        if self.shared.asks { now_ms.saturating_add(self.shared.lease_ms) } else { now_ms }
    }

    fn db(&self) -> &Db {
        &self.shared.db
    }

    /// How this try stands.
    pub(crate) async fn standing(&self, id: AttemptId) -> Result<Standing, DbError> {
        Ok(standing(store::attempt(self.db(), id).await?))
    }

    /// How the order's last try stands.
    pub(crate) async fn standing_of_order(&self, order: ReservationId) -> Result<Standing, DbError> {
        let Some(transaction) = store::transaction_of_order(self.db(), order).await? else {
            return Ok(Standing::Begins);
        };
        Ok(standing(store::latest_attempt(self.db(), transaction.id).await?))
    }

    /// What the order's page and JSON say about its payment; `None` before the first try.
    pub(crate) async fn of_order(&self, order: ReservationId) -> Result<Option<OfOrder>, DbError> {
        let Some(transaction) = store::transaction_of_order(self.db(), order).await? else { return Ok(None) };
        let attempt = store::latest_attempt(self.db(), transaction.id).await?;
        let failed_because = attempt
            .as_ref()
            .filter(|attempt| matches!(attempt.state, state::Attempt::Failed | state::Attempt::Cancelled))
            .map(|attempt| sentence(attempt.error_class.as_deref()));
        let action_url = attempt
            .filter(|attempt| attempt.state == state::Attempt::RequiresAction)
            .and_then(|attempt| attempt.action_url);
        Ok(Some(OfOrder { transaction_id: transaction.id, action_url, failed_because }))
    }
}

fn standing(attempt: Option<store::AttemptRow>) -> Standing {
    let Some(attempt) = attempt else { return Standing::Begins };
    match attempt.state {
        state::Attempt::Sending => Standing::Begins,
        state::Attempt::RequiresAction => Standing::Waits { action_url: attempt.action_url },
        state::Attempt::Sent | state::Attempt::Unknown => Standing::Waits { action_url: None },
        state::Attempt::Captured => Standing::Paid,
        state::Attempt::Failed | state::Attempt::Cancelled => Standing::NotPaid,
    }
}

fn sentence(error_class: Option<&str>) -> &'static str {
    match error_class {
        Some("declined") => "The payment was declined. You can try again or pay in another way.",
        Some("cancelled") => "The payment was cancelled. Nothing was charged.",
        Some("amount_mismatch") => "The amount paid was not the amount due. It is being paid back.",
        Some("refused") => "The payment provider does not accept this payment. Try another way to pay.",
        _ => "The payment did not succeed. Nothing was charged.",
    }
}
