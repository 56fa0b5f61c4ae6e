//! A store or database that does not answer at the start is asked again for a while, with a line each time.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use crate::failure::Down;

/// The first pause between two tries; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What one try came to.
pub(super) enum Tried<T> {
    /// It is there.
    Open(T),
    /// It did not answer; it may yet.
    Unreachable(String),
    /// It answered, and asking again will not help.
    Refused(anyhow::Error),
}

/// Tries until it opens, is refused, or `patience` is over. `what` names the setting in each line.
pub(super) async fn until_open<T, F>(
    what: &str,
    patience: Duration,
    stop: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Tried<T>>,
{
    let started = Instant::now();
    let mut pause = PAUSE_FIRST;
    loop {
        let reason = match attempt().await {
            Tried::Open(open) => return Ok(open),
            Tried::Refused(error) => return Err(error),
            Tried::Unreachable(reason) => reason,
        };
        let left = patience.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(gave_up(what, patience, &reason).into());
        }
        let wait = pause.min(left);
        tracing::warn!(
            "{what} does not answer: {reason}; trying again in {:.1} s, giving up in {:.0} s",
            wait.as_secs_f32(),
            left.as_secs_f32()
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Err(Down(format!("stopped while waiting for {what}")).into()),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn gave_up(what: &str, patience: Duration, reason: &impl Display) -> Down {
    Down(format!(
        "{what} did not answer within {} s: {reason}. Start it, or correct {what} \
         (start.patience_ms says how long to wait)",
        patience.as_secs_f32()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_late_is_found_and_what_never_comes_is_named() {
        let stop = CancellationToken::new();
        let mut tries = 0;
        let opened = until_open("core.database_url", Duration::from_secs(5), &stop, || {
            tries += 1;
            let answer = if tries < 2 { Tried::Unreachable("refused".to_owned()) } else { Tried::Open(tries) };
            async move { answer }
        });
        assert_eq!(opened.await.unwrap(), 2);

        let never = until_open::<(), _>("core.database_url", Duration::ZERO, &stop, || async {
            Tried::Unreachable("connection refused".to_owned())
        });
        let error = never.await.unwrap_err();
        assert!(error.downcast_ref::<Down>().is_some());
        let text = error.to_string();
        assert!(text.contains("core.database_url") && text.contains("connection refused"), "{text}");
    }

    #[tokio::test]
    async fn a_refusal_is_not_tried_again() {
        let stop = CancellationToken::new();
        let mut tries = 0;
        let refused = until_open::<(), _>("x", Duration::from_secs(60), &stop, || {
            tries += 1;
            async { Tried::Refused(anyhow::anyhow!("unsafe sql_mode")) }
        });
        assert_eq!(refused.await.unwrap_err().to_string(), "unsafe sql_mode");
        assert_eq!(tries, 1);
    }
}
