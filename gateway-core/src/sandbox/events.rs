//! Signed events for the merchant, delivered from the ledger by one loop until the merchant took them or the
//! attempts are used up. They are hints: the ledger is the truth.

use super::store::EventRow;
use super::{Secrets, Shared};
use aws_lc_rs::hmac;
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the merchant may take for one event.
pub(super) const DELIVERY_TIMEOUT_MS: u64 = 5_000;

/// How often the loop looks for events that became due.
const LOOK_EVERY_MS: u64 = 250;

/// Events taken from the ledger at once, so that a long outage does not fill memory.
const BATCH_MAX: i64 = 64;

/// Deliveries under way at once.
const CONCURRENT_MAX: usize = 8;

/// The first wait after a failed delivery; it doubles up to `BACKOFF_MS_MAX`.
const BACKOFF_MS: i64 = 500;

const BACKOFF_MS_MAX: i64 = 60_000;

/// With the waits above this is about three days, as long as large providers try.
const ATTEMPTS_MAX: i64 = 4_320;

/// Names the header that carries time and signature.
const SIGNATURE_HEADER: &str = "sandbox-signature";

pub(super) async fn run(shared: &Shared, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let delivered = deliver_due(shared).await;
        if delivered >= BATCH_MAX.unsigned_abs() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = shared.told.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)) => {}
        }
    }
}

/// Tries everything that is due once; answers how many events the merchant took.
pub(super) async fn deliver_due(shared: &Shared) -> u64 {
    let due = match shared.ledger.due_events((shared.clock)(), BATCH_MAX).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(%error, "the sandbox ledger failed");
            return 0;
        }
    };
    let tries = due.into_iter().map(|event| deliver(shared, event));
    futures_util::stream::iter(tries)
        .buffer_unordered(CONCURRENT_MAX)
        .fold(0, |sum, taken| async move { sum + u64::from(taken) })
        .await
}

async fn deliver(shared: &Shared, event: EventRow) -> bool {
    let body = serde_json::json!({
        "event_id": event.event_id,
        "type": event.kind,
        "reference": event.reference,
        "created_at_ms": event.created_at_ms,
    })
    .to_string();
    let now = (shared.clock)();
    let request = shared
        .http
        .post(&shared.settings.webhook_url)
        .header("content-type", "application/json")
        .header(SIGNATURE_HEADER, sign(&shared.secrets, now / 1_000, body.as_bytes()))
        .body(body);
    let taken = request.send().await.is_ok_and(|answer| answer.status().is_success());
    let noted = if taken || event.attempts >= ATTEMPTS_MAX {
        shared.ledger.event_done(&event.event_id).await
    } else {
        shared.ledger.event_again(&event.event_id, now.saturating_add(backoff_ms(event.attempts))).await
    };
    if let Err(error) = noted {
        tracing::error!(%error, "the sandbox ledger failed");
    }
    taken
}

fn backoff_ms(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(16);
    BACKOFF_MS.saturating_mul(1 << doublings).min(BACKOFF_MS_MAX)
}

/// `t=<epoch seconds>,v1=<hex of HMAC-SHA256 over "t.body">`, fresh at every delivery.
pub(super) fn sign(secrets: &Secrets, at_s: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secrets.webhook_secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{at_s}.").as_bytes());
    context.update(body);
    let hex = context.sign().as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::{BACKOFF_MS_MAX, backoff_ms};

    #[test]
    fn waits_double_and_stop_at_a_minute() {
        assert_eq!([0, 1, 2].map(backoff_ms), [500, 1_000, 2_000]);
        assert_eq!(backoff_ms(i64::MAX), BACKOFF_MS_MAX);
    }
}
