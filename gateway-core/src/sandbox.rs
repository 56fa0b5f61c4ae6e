//! The sandbox payment provider: a world of its own with its own ledger file, bearer key, hosted page, webhooks and
//! faults on demand. It knows nothing of the core's tables, so it can bear witness against them.

mod api;
mod events;
mod hosted;
pub(crate) mod page;
mod state;
mod store;
#[cfg(test)]
mod tests;

use crate::{Clock, DbError};
use axum::Router;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Ledger;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Where the provider keeps its books and how it is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The ledger file; created if it is not there.
    pub database_path: PathBuf,
    /// Where customers reach the hosted page.
    pub public_url: String,
    /// Where the merchant listens for events.
    pub webhook_url: String,
    /// How long `tok_timeout` keeps its caller waiting after it captured, in milliseconds.
    pub slow_answer_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database_path: PathBuf::from("data/sandbox.db"),
            public_url: "http://127.0.0.1:8083".to_owned(),
            webhook_url: "http://127.0.0.1:8081/webhooks/sandbox".to_owned(),
            slow_answer_ms: 10_000,
        }
    }
}

/// What the merchant and the provider share.
#[derive(Clone)]
pub struct Secrets {
    /// The bearer key of the merchant's calls.
    pub processor_key: Vec<u8>,
    /// Signs events.
    pub webhook_secret: Vec<u8>,
}

/// Why the provider cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The ledger file or its folder cannot be made or opened, or is not ours.
    #[error("the sandbox ledger {path} cannot be used")]
    Ledger {
        /// The file.
        path: String,
        /// What the database said.
        source: DbError,
    },
    /// The HTTP client for events cannot be built.
    #[error("the sandbox event client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The provider. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    secrets: Secrets,
    clock: Clock,
    ledger: Ledger,
    http: reqwest::Client,
    told: Notify,
}

impl Sandbox {
    /// Opens the ledger, and makes its file and folder if they are not there.
    ///
    /// # Errors
    /// The file cannot be opened, or is no ledger.
    pub async fn open(settings: Settings, secrets: Secrets, clock: Clock) -> Result<Self, OpenError> {
        let path = settings.database_path.display().to_string();
        let ledger = Ledger::open(&settings.database_path, clock.clone()).await;
        let ledger = ledger.map_err(|source| OpenError::Ledger { path, source })?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_millis(events::DELIVERY_TIMEOUT_MS))
            .build()?;
        Ok(Self { shared: Arc::new(Shared { settings, secrets, clock, ledger, http, told: Notify::new() }) })
    }

    /// The merchant's API and the customer's hosted page.
    pub fn router(&self) -> Router {
        api::routes(self).merge(hosted::routes(self))
    }

    /// Delivers events until cancelled. What is not delivered stays in the ledger for the next start.
    pub async fn run(&self, stop: CancellationToken) {
        events::run(&self.shared, &stop).await;
    }

    fn now(&self) -> i64 {
        (self.shared.clock)()
    }

    fn action_url(&self, reference: &str) -> String {
        format!("{}/pay/{reference}", self.shared.settings.public_url.trim_end_matches('/'))
    }

    fn event_id() -> String {
        format!("evt_{}", uuid::Uuid::new_v4().simple())
    }
}
