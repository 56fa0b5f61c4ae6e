//! The public keys with which the core verifies entry tokens for itself: from the door in the same process, or
//! fetched from the door's JWKS and kept fresh. Until they are there nothing protected is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use waiting_room::{Door, EntryVerifier};

use super::Process;

/// Between two looks at a door that has not answered yet.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Between two looks at a door that has: a new key is published well before it signs.
const REFRESH_AFTER: Duration = Duration::from_secs(60);
/// A door that does not answer within this time is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Gives the verifier its keys, now or as soon as the door can be reached.
pub(super) fn provide(process: &mut Process, verifier: &Arc<EntryVerifier>, door: Option<&Door>) -> Result<()> {
    if let Some(door) = door {
        verifier.swap(&door.jwks()).context("the door's own keys cannot be read")?;
        return Ok(());
    }
    let url = process.config.settings.link.entry_keys_url.clone();
    let fetched = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&fetched);
    let from = url.clone();
    process.readiness.add("entry_keys", move || {
        let verdict = if known.load(Ordering::Relaxed) { Ok(()) } else { Err(format!("not fetched yet from {from}")) };
        async move { verdict }
    });
    process.tasks.spawn(refresh(url, Arc::clone(verifier), fetched, process.stop.clone()));
    Ok(())
}

async fn refresh(url: String, verifier: Arc<EntryVerifier>, fetched: Arc<AtomicBool>, stop: CancellationToken) {
    loop {
        let pause = match fetch(&url, &verifier).await {
            Ok(()) => {
                fetched.store(true, Ordering::Relaxed);
                REFRESH_AFTER
            }
            Err(error) => {
                tracing::warn!("link.entry_keys_url: no keys from {url}: {error:#}; trying again");
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn fetch(url: &str, verifier: &EntryVerifier) -> Result<()> {
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
    let keys = client.get(url).send().await?.error_for_status()?.text().await?;
    verifier.swap(&keys)?;
    Ok(())
}
