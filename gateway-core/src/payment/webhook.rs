//! Events from the provider: verified, stored once, and then only a hint to ask the provider. What an event claims is
//! never believed.

use super::Payments;
use super::drive::Why;
use super::store::{self, NewWebhook};
use crate::db::{DbError, in_tx};
use aws_lc_rs::hmac;
use serde::Deserialize;

/// How far the signature's time may be from ours, in seconds: longer ago is a replay.
const TOLERANCE_S: i64 = 300;

/// Ids and names longer than this are nobody's.
const NAME_BYTES_MAX: usize = 64;

/// An event whose payment is not there is looked at again after this pause.
const PARKED_AGAIN_MS: i64 = 10_000;

/// And at most this often; then it was never ours.
const PARKED_TRIES_MAX: i64 = 30;

/// Parked events looked at in one round.
const PARKED_MAX: i64 = 64;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Stored for the first time.
    New,
    /// Stored before.
    Duplicate,
    /// Not signed by the provider, or too long ago.
    Forged,
    /// Signed, and not in a form that we know.
    Malformed,
}

/// Only what is needed; what the provider adds one day does not break us.
#[derive(Deserialize)]
struct Event {
    event_id: String,
    #[serde(rename = "type")]
    kind: String,
    reference: String,
}

/// Whether `signature`, `t=<epoch seconds>,v1=<hex>`, is the secret's for this body and not too old or too new.
pub(crate) fn is_genuine(secret: &[u8], signature: &str, body: &[u8], now_ms: i64) -> bool {
    let (mut at, mut mac) = (None, None);
    for part in signature.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => at = value.parse::<i64>().ok(),
            Some(("v1", value)) => mac = from_hex(value),
            Some(_) | None => {}
        }
    }
    let (Some(at), Some(mac)) = (at, mac) else { return false };
    if secret.is_empty() || (now_ms / 1_000).abs_diff(at) > TOLERANCE_S.unsigned_abs() {
        return false;
    }
    let mut signed = format!("{at}.").into_bytes();
    signed.extend_from_slice(body);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), &signed, &mac).is_ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    // Longer is no signature of ours, so it is not even read.
    if text.len() != 64 {
        return None;
    }
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    text.as_bytes().chunks(2).map(|pair| Some((nibble(*pair.first()?)? << 4) | nibble(*pair.get(1)?)?)).collect()
}

impl Payments {
    /// Takes an event in: stored with its hint in one commit, then followed at once.
    pub(crate) async fn receive(&self, signature: &str, body: &[u8]) -> Result<Received, DbError> {
        if !is_genuine(&self.shared.webhook_secret, signature, body, (self.shared.clock)()) {
            return Ok(Received::Forged);
        }
        let Ok(event) = serde_json::from_slice::<Event>(body) else { return Ok(Received::Malformed) };
        if [&event.event_id, &event.kind, &event.reference].iter().any(|name| !is_name(name)) {
            return Ok(Received::Malformed);
        }
        let provider = self.shared.processor.name();
        let stored = in_tx!(self.db(), tx, {
            let hinted = store::hint(tx, &event.reference).await?;
            let state = if hinted.is_some() { "done" } else { "parked" };
            let due_at = hinted.is_none().then(|| tx.now_ms().saturating_add(PARKED_AGAIN_MS));
            let (event_id, kind, reference) = (&event.event_id, &event.kind, &event.reference);
            let new = NewWebhook { provider, event_id, kind: word(kind), reference, body, state, due_at };
            store::insert_webhook(tx, &new).await?;
            Ok::<_, DbError>(hinted)
        });
        match stored {
            Ok(hinted) => {
                if let Some(id) = hinted {
                    // The hint made it due: without a free worker now, the reconciler is next.
                    self.drive_soon(id, Why::Again);
                }
                Ok(Received::New)
            }
            Err(DbError::Duplicate) => Ok(Received::Duplicate),
            Err(error) => Err(error),
        }
    }

    /// Events that came before their payment, as far as they are due.
    pub(super) async fn unpark(&self) -> Result<(), DbError> {
        let now = self.db().now_ms().await?;
        let provider = self.shared.processor.name();
        for (event_id, reference, tries) in store::parked_webhooks(self.db(), now, PARKED_MAX).await? {
            in_tx!(self.db(), tx, {
                let hinted = store::hint(tx, &reference).await?;
                let over = hinted.is_some() || tries >= PARKED_TRIES_MAX;
                let due_at = (!over).then(|| tx.now_ms().saturating_add(PARKED_AGAIN_MS));
                store::move_webhook(tx, provider, &event_id, if over { "done" } else { "parked" }, due_at).await
            })?;
        }
        Ok(())
    }
}

/// The kind is for people who look at the table; its column is short.
fn word(kind: &str) -> &str {
    kind.get(..32).unwrap_or(kind)
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::is_genuine;
    use aws_lc_rs::hmac;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn signed(secret: &[u8], at_s: i64, body: &str) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), format!("{at_s}.{body}").as_bytes());
        let hex = tag.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        format!("t={at_s},v1={hex}")
    }

    #[test]
    fn genuine_events_pass() {
        let now_s = NOW_MS / 1_000;
        for at in [now_s, now_s - 300, now_s + 300] {
            assert!(is_genuine(b"secret", &signed(b"secret", at, "{}"), b"{}", NOW_MS));
        }
    }

    #[test]
    fn forged_stale_and_broken_ones_do_not() {
        let now_s = NOW_MS / 1_000;
        let good = signed(b"secret", now_s, "{}");
        assert!(!is_genuine(b"secret", &good, b"{ }", NOW_MS), "another body");
        assert!(!is_genuine(b"other", &good, b"{}", NOW_MS), "another secret");
        assert!(!is_genuine(b"", &signed(b"", now_s, "{}"), b"{}", NOW_MS), "no secret");
        assert!(!is_genuine(b"secret", &signed(b"secret", now_s - 301, "{}"), b"{}", NOW_MS), "stale");
        let later = good.replace(&now_s.to_string(), &(now_s + 1).to_string());
        assert!(!is_genuine(b"secret", &later, b"{}", NOW_MS), "time changed");
        for broken in ["", "t=1", "v1=00", "t=x,v1=zz", &good.replace("v1=", "v0=")] {
            assert!(!is_genuine(b"secret", broken, b"{}", NOW_MS), "{broken}");
        }
    }
}
