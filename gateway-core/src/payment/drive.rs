//! Drives one try: decides what to ask the provider, asks, and has the answer recorded. Safe to run twice at once and to
//! run again after a crash: the reference is the same, and only evidence moves the rows.

use super::Payments;
use super::processors::{Heard, Order};
use super::state::Attempt;
use super::store::{self, AttemptRow};
use crate::base::{AttemptId, ReservationId};
use crate::db::{DbError, in_tx};
use crate::reservation::State;
use std::sync::Arc;
use std::time::Duration;

/// A charge of no order that is not settled after this time is withdrawn instead of sent again.
const CHARGE_AGE_MS_MAX: i64 = 15 * 60_000;

/// How often an order's page may make us ask the provider.
const LOOK_PAUSE_MS: i64 = 1_000;

/// How long an order's page waits for the provider.
const LOOK_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Who drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The one that wrote the try down: the provider cannot have heard of it.
    First,
    /// Anybody later: the provider may have heard of it.
    Again,
}

/// What to ask the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Charge,
    /// Ask how it stands; if it never arrived, send it.
    FindOrCharge,
    Find,
    Cancel,
    /// There is nothing left to ask.
    Nothing,
}

/// `wanted`: somebody still wants the money to come.
const fn next_call(state: Attempt, why: Why, wanted: bool) -> Call {
    match (state, why, wanted) {
        (Attempt::Captured, Why::First | Why::Again, _) => Call::Nothing,
        (Attempt::Failed | Attempt::Cancelled, Why::First | Why::Again, _) => Call::Find,
        (
            Attempt::Sending | Attempt::Sent | Attempt::RequiresAction | Attempt::Unknown,
            Why::First | Why::Again,
            false,
        ) => Call::Cancel,
        (Attempt::Sending, Why::First, true) => Call::Charge,
        (Attempt::Sending | Attempt::Unknown, Why::Again, true) | (Attempt::Unknown, Why::First, true) => {
            Call::FindOrCharge
        }
        (Attempt::Sent | Attempt::RequiresAction, Why::First | Why::Again, true) => Call::Find,
    }
}

impl Payments {
    /// Asks and records. Answers with the try as it stands afterwards, `None` if there is no such try.
    pub(super) async fn drive(&self, id: AttemptId, why: Why) -> Result<Option<AttemptRow>, DbError> {
        let Some(attempt) = store::attempt(self.db(), id).await? else { return Ok(None) };
        let wanted = match attempt.reservation_state {
            Some(state) => state == State::Paying,
            None => self.db().now_ms().await?.saturating_sub(attempt.created_at) < CHARGE_AGE_MS_MAX,
        };
        let processor = &self.shared.processor;
        let heard = match next_call(attempt.state, why, wanted) {
            Call::Nothing => return Ok(Some(attempt)),
            Call::Charge => self.charge(&attempt).await?,
            Call::Find => processor.find(&attempt.reference).await,
            Call::Cancel => processor.cancel(&attempt.reference).await,
            Call::FindOrCharge => {
                let found = processor.find(&attempt.reference).await;
                if found == Heard::Absent { self.charge(&attempt).await? } else { found }
            }
        };
        if let Heard::NoAnswer(class) = heard {
            tracing::warn!(attempt = %id, class, "the payment provider gave no verdict");
        }
        self.record(id, &heard).await
    }

    /// Sends a try that is on the disk: for money of one that a loss of power undid, nobody would ever ask.
    async fn charge(&self, attempt: &AttemptRow) -> Result<Heard, DbError> {
        self.db().on_disk().await?;
        Ok(self.shared.processor.charge(&order(attempt)).await)
    }

    /// Drives a try in the background, if there is room. If not, the reconciler finds it when it is due, here or in the
    /// process that asks.
    pub(super) fn drive_soon(&self, id: AttemptId, why: Why) {
        if !self.shared.asks {
            return self.ring();
        }
        let Ok(queued) = Arc::clone(&self.shared.queue).try_acquire_owned() else { return };
        let payments = self.clone();
        tokio::spawn(async move {
            let _queued = queued;
            // The semaphore is never closed; without a worker there would be nothing to do anyway.
            let Ok(_worker) = payments.shared.workers.acquire().await else { return };
            if let Err(error) = payments.drive(id, why).await {
                tracing::error!(attempt = %id, %error, "a payment was not recorded; the reconciler will ask again");
            }
        });
    }

    /// Something is due: whoever reconciles need not wait for the next round.
    pub(crate) fn ring(&self) {
        self.shared.due.notify_one();
    }

    /// Waits until something is due, in a process that leaves it to others.
    pub(crate) async fn rung(&self) {
        self.shared.due.notified().await;
    }

    /// Asks the provider about the order's live try, at most once a second for each order, and not for long.
    pub(crate) async fn look(&self, id: ReservationId) -> Result<(), DbError> {
        let Some(transaction) = store::transaction_of_order(self.db(), id).await? else { return Ok(()) };
        let Some(attempt) = store::latest_attempt(self.db(), transaction.id).await? else { return Ok(()) };
        match attempt.state {
            Attempt::Sending | Attempt::Captured | Attempt::Failed | Attempt::Cancelled => return Ok(()),
            Attempt::Sent | Attempt::RequiresAction | Attempt::Unknown => {}
        }
        let claimed = in_tx!(self.db(), tx, {
            let now = tx.now_ms();
            let (before, until) = (now.saturating_sub(LOOK_PAUSE_MS), self.asked_until(now));
            store::claim_stale(tx, attempt.id, before, until).await
        })?;
        if claimed
            && self.shared.asks
            && let Ok(driven) = tokio::time::timeout(LOOK_TIMEOUT, self.drive(attempt.id, Why::Again)).await
        {
            driven?;
        }
        Ok(())
    }
}

fn order(attempt: &AttemptRow) -> Order {
    Order {
        reference: attempt.reference.clone(),
        money: attempt.money,
        method: attempt.method.clone(),
        token: attempt.token.clone(),
        return_url: attempt.return_url.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Call, Why, next_call};

    #[test]
    fn only_the_first_run_charges_without_asking() {
        for state in Attempt::ALL {
            for wanted in [true, false] {
                assert_ne!(next_call(state, Why::Again, wanted), Call::Charge, "{state:?}");
            }
        }
        assert_eq!(next_call(Attempt::Sending, Why::First, true), Call::Charge);
        assert_eq!(next_call(Attempt::Unknown, Why::Again, true), Call::FindOrCharge);
    }

    #[test]
    fn what_nobody_wants_is_withdrawn_and_never_sent() {
        for state in Attempt::ALL {
            for why in [Why::First, Why::Again] {
                let call = next_call(state, why, false);
                let expected = match state {
                    Attempt::Captured => Call::Nothing,
                    Attempt::Failed | Attempt::Cancelled => Call::Find,
                    Attempt::Sending | Attempt::Sent | Attempt::RequiresAction | Attempt::Unknown => Call::Cancel,
                };
                assert_eq!(call, expected, "{state:?}");
            }
        }
    }
}
