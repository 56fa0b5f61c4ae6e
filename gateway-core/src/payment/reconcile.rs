//! The reconciler: asks about every try that has no verdict, sends money back that must go back, and follows events
//! whose payment was not there yet. Several nodes may run it at once: each row is claimed before it is worked on.

use super::Payments;
use super::drive::Why;
use super::processors::GivenBack;
use super::record::cause;
use super::state::Event;
use super::store::{self, RefundRow};
use crate::base::AttemptId;
use crate::db::{DbError, in_tx};
use crate::metrics;
use crate::upkeep;
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Rows of one kind taken in one round; the next round follows at once while rounds are full.
const ROUND_MAX: i64 = 64;

/// Questions to the provider under way at once.
const CONCURRENT_MAX: usize = 16;

/// The first wait after a refund that was not answered; it doubles up to the maximum.
const REFUND_AGAIN_MS: i64 = 1_000;

const REFUND_AGAIN_MS_MAX: i64 = 60_000;

/// What one round found to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reconciled {
    /// Tries that were asked about.
    pub(crate) asked: usize,
    /// Refunds that were sent.
    pub(crate) refunds: usize,
    /// There may be more.
    pub(crate) full: bool,
}

impl Payments {
    /// Reconciles every `interval` and whenever something becomes due at once, until cancelled.
    pub(crate) async fn run(&self, interval: Duration, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let Some(round) = upkeep::round(stop, Box::pin(self.reconcile())).await else { return };
            match round {
                Ok(done) if done.full => continue,
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "reconciling payments failed; it is tried again"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.due.notified() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// One round.
    pub(crate) async fn reconcile(&self) -> Result<Reconciled, DbError> {
        self.unpark().await?;
        let now = self.db().now_ms().await?;
        let due = store::due_attempts(self.db(), now, ROUND_MAX).await?;
        let claimed = if due.is_empty() { Vec::new() } else { self.claim(&due).await? };
        let asked = claimed.len();
        let drives = claimed.into_iter().map(|id| async move {
            if let Err(error) = self.drive(id, Why::Again).await {
                tracing::error!(attempt = %id, %error, "a payment was not recorded; it is asked about again");
            }
        });
        futures_util::stream::iter(drives).buffer_unordered(CONCURRENT_MAX).collect::<()>().await;
        let refunds = self.give_back().await?;
        let full = i64::try_from(asked.max(refunds)).is_ok_and(|n| n >= ROUND_MAX);
        Ok(Reconciled { asked, refunds, full })
    }

    async fn claim(&self, due: &[(AttemptId, i64)]) -> Result<Vec<AttemptId>, DbError> {
        let lease_ms = self.shared.lease_ms;
        in_tx!(self.db(), tx, {
            let until = tx.now_ms().saturating_add(lease_ms);
            let mut claimed = Vec::new();
            for (id, due_at) in due {
                if store::claim_due(tx, *id, *due_at, until).await? {
                    claimed.push(*id);
                }
            }
            Ok::<_, DbError>(claimed)
        })
    }

    async fn give_back(&self) -> Result<usize, DbError> {
        let due = store::due_refunds(self.db(), self.db().now_ms().await?, ROUND_MAX).await?;
        let mut sent = 0;
        for refund in due {
            sent += usize::from(self.refund(&refund).await?);
        }
        Ok(sent)
    }

    /// Sends one refund, if nobody else has it. Its id makes it safe to send again.
    async fn refund(&self, refund: &RefundRow) -> Result<bool, DbError> {
        let lease_ms = self.shared.lease_ms;
        let claimed = in_tx!(self.db(), tx, {
            let until = tx.now_ms().saturating_add(lease_ms);
            store::claim_refund(tx, refund, until).await
        })?;
        if !claimed {
            return Ok(false);
        }
        let id = refund.id.to_string();
        let given = self.shared.processor.refund(&refund.reference, &id, refund.amount).await;
        if given == GivenBack::Refused {
            tracing::error!(refund = %refund.id, attempt = %refund.attempt_id, "the provider refuses a refund");
        }
        in_tx!(self.db(), tx, {
            let (to, counted, due_at) = match given {
                GivenBack::Done => ("succeeded", metrics::Refund::Succeeded, None),
                GivenBack::Refused => ("failed", metrics::Refund::Failed, None),
                GivenBack::NoAnswer => {
                    ("unknown", metrics::Refund::Unknown, Some(tx.now_ms().saturating_add(again_ms(refund.tries))))
                }
            };
            let moved = store::move_refund(tx, refund.id, to, due_at).await?;
            if moved {
                tx.when_kept(move || metrics::refund(counted));
            }
            // What went back for other causes was never the transaction's own money.
            if moved
                && given == GivenBack::Done
                && matches!(refund.cause.as_str(), cause::LATE | cause::CANCELLED)
                && let Some(next) = refund.transaction_state.on(Event::Refunded)
            {
                store::move_transaction(tx, refund.transaction_id, refund.transaction_state, next).await?;
            }
            Ok::<_, DbError>(())
        })?;
        Ok(true)
    }
}

fn again_ms(tries: i64) -> i64 {
    let doublings = u32::try_from(tries.clamp(0, 8)).unwrap_or(8);
    REFUND_AGAIN_MS.saturating_mul(1 << doublings).min(REFUND_AGAIN_MS_MAX)
}
