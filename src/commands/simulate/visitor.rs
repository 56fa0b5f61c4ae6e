//! One simulated visitor: joins, waits as told, enters, and opens the protected page once.

use std::time::{Duration, Instant};

use http::StatusCode;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

/// A door that answers nothing useful this often in a row has lost this visitor.
const ERRORS_MAX: u32 = 5;
/// Poll pause when the door does not say one.
const POLL_DEFAULT: Duration = Duration::from_secs(2);

/// What all visitors share.
pub(super) struct Site {
    pub(super) client: Client,
    pub(super) door: String,
    pub(super) room: String,
    pub(super) path: String,
}

/// What a visitor means to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// From the start of the simulation.
    pub(super) arrives_after: Duration,
    /// Leaves the line after this many polls, without a word.
    pub(super) leaves: Option<u32>,
}

/// What became of a visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// Let in.
    Admitted {
        /// When, from the start of the simulation.
        at: Duration,
        /// From joining to being let in.
        waited: Duration,
        /// The protected page's status with the entry token.
        page: u16,
    },
    /// Left the line before its turn.
    Left,
    /// The door failed it: the last thing it said.
    Failed(String),
}

/// The visitor's whole way.
pub(super) async fn go(site: &Site, plan: Plan, started: Instant) -> Fate {
    tokio::time::sleep(plan.arrives_after).await;
    let joined = Instant::now();
    match wait_for_entry(site, plan).await {
        Ok(Some(entry_token)) => {
            let (at, waited) = (started.elapsed(), joined.elapsed());
            let request = site.client.get(format!("{}{}", site.door, site.path)).header("x-entry-token", entry_token);
            match request.header(http::header::ACCEPT, "application/json").send().await {
                Ok(page) => Fate::Admitted { at, waited, page: page.status().as_u16() },
                Err(error) => Fate::Failed(error.without_url().to_string()),
            }
        }
        Ok(None) => Fate::Left,
        Err(said) => Fate::Failed(said),
    }
}

/// The entry token, or nothing if the visitor left.
async fn wait_for_entry(site: &Site, plan: Plan) -> Result<Option<String>, String> {
    let room = format!("{}/.waiting-room/rooms/{}", site.door, site.room);
    let (_, mut facts) = ask_patiently(|| site.client.post(format!("{room}/tickets"))).await?;
    let ticket = text(&facts, "ticket").ok_or("the door gave no ticket")?;
    for poll in 1_u32.. {
        if let Some(token) = text(&facts, "entry_token") {
            return Ok(Some(token));
        }
        if plan.leaves.is_some_and(|after| poll > after) {
            return Ok(None);
        }
        let pause = facts.get("poll_after_ms").and_then(Value::as_u64).map_or(POLL_DEFAULT, Duration::from_millis);
        tokio::time::sleep(pause).await;
        facts = match text(&facts, "state").as_deref() {
            Some("called") => ask_patiently(|| site.client.post(format!("{room}/entry")).bearer_auth(&ticket)).await?.1,
            _ => ask_patiently(|| site.client.get(format!("{room}/ticket")).bearer_auth(&ticket)).await?.1,
        };
    }
    Ok(None)
}

/// Asks until the door says something useful, or has failed too often.
async fn ask_patiently(request: impl Fn() -> RequestBuilder) -> Result<(StatusCode, Value), String> {
    let mut said = String::new();
    for _ in 0..ERRORS_MAX {
        match request().send().await {
            Ok(response) if response.status().is_success() => {
                let status = response.status();
                return Ok((status, response.json().await.map_err(|error| error.to_string())?));
            }
            Ok(response) => said = format!("status {}", response.status().as_u16()),
            Err(error) => said = error.without_url().to_string(),
        }
        tokio::time::sleep(POLL_DEFAULT).await;
    }
    Err(said)
}

fn text(facts: &Value, name: &str) -> Option<String> {
    facts.get(name).and_then(Value::as_str).map(ToOwned::to_owned)
}
