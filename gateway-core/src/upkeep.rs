//! What the core does by itself, apart from payments: releases what has lapsed, forgets old answers.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::db::Db;
use crate::metrics::{self, Sweep};
use crate::{outbox, replay, reservation};

/// Old answers are forgotten once in so many sweeps: they are kept for a day, so there is no hurry.
const SWEEPS_PER_CLEANING: u64 = 120;

/// The outbox is measured once in so many sweeps.
const SWEEPS_PER_MEASURE: u64 = 10;

/// A round of work that has begun has this long to end when the process stops: with the drain before it, within the five
/// seconds that a stop may take.
const ENDS_WITHIN: Duration = Duration::from_millis(800);

/// What a round of work answers; `None` when the process stops and it did not end in time. Cut off at once, it would leave
/// what it has taken to nobody until the lease ends.
pub(crate) async fn round<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(ENDS_WITHIN).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = too_late => None,
    }
}

/// Sweeps every `interval` until cancelled. A failure is logged and tried again in the next round.
pub(crate) async fn run(db: &Db, interval: Duration, stop: &CancellationToken) {
    let mut sweeps: u64 = 0;
    while !stop.is_cancelled() {
        let full = sweep(db).await;
        if sweeps.is_multiple_of(SWEEPS_PER_MEASURE)
            && let Err(error) = outbox::measure(db).await
        {
            tracing::error!(%error, "the outbox could not be measured");
        }
        if sweeps.is_multiple_of(SWEEPS_PER_CLEANING) {
            if let Err(error) = replay::clean(db).await {
                tracing::error!(%error, "old answers were not deleted");
            }
            if let Err(error) = outbox::clean(db).await {
                tracing::error!(%error, "old messages were not deleted");
            }
        }
        sweeps += 1;
        if !full {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
        }
    }
}

/// One sweep; whether there may be more to do at once.
async fn sweep(db: &Db) -> bool {
    match reservation::sweep(db).await {
        Ok(swept) => {
            metrics::sweep(Sweep::Done);
            if swept.released + swept.closing + swept.review > 0 {
                tracing::info!(swept.released, swept.closing, swept.review, "deadlines have passed");
            }
            if swept.review > 0 {
                tracing::error!(swept.review, "a payment provider stayed silent: a person has to look");
            }
            swept.full
        }
        Err(error) => {
            metrics::sweep(Sweep::Failed);
            tracing::error!(%error, "lapsed holds were not released");
            false
        }
    }
}
