//! What the command line does beside serving: each talks to a running process or checks something, and prints.

pub(crate) mod codes;
pub(crate) mod customers;
pub(crate) mod doctor;
pub(crate) mod healthcheck;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod room;
pub(crate) mod seed;
pub(crate) mod simulate;
pub(crate) mod validate;
pub(crate) mod verify_draw;

use std::time::Duration;

use anyhow::{Result, bail};
use gateway_core::{Office, OpenError};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::clock;
use crate::config::{Config, without_password};
use crate::failure::{Down, Unfit};

/// A server that a command asks has this long to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The core's database, for what an operator does without a running core.
async fn office(mut config: Config) -> Result<Office> {
    config.place_databases();
    let url = &config.settings.core.database_url;
    match Office::open(&config.settings.core, clock::start()).await {
        Ok(office) => Ok(office),
        Err(OpenError::Unreachable(reason)) => {
            let reason = anyhow::Error::new(reason);
            Err(Down(format!("{} does not answer: {reason:#} (core.database_url)", without_password(url))).into())
        }
        Err(error) => Err(Unfit(format!("{:#} (core.database_url)", anyhow::Error::new(error))).into()),
    }
}

/// A client for short questions.
fn client() -> Result<Client> {
    Ok(Client::builder().timeout(ANSWER_WITHIN).build()?)
}

/// Sends a request; a server that cannot be reached is told with the setting that names it.
async fn send(request: RequestBuilder, setting: &str) -> Result<Response> {
    let (client, request) = request.build_split();
    let request = request?;
    let url = request.url().clone();
    client.execute(request).await.map_err(|error| {
        let error = anyhow::Error::from(error.without_url());
        Down(format!("nothing answers at {url}: {error:#}. Is Vestibule running there? ({setting})")).into()
    })
}

/// The JSON of an answer; a problem becomes its own sentence.
async fn json(response: Response) -> Result<Value> {
    let status = response.status();
    let body: Value = response.json().await.unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let said = |name: &str| body.get(name).and_then(Value::as_str);
    match said("detail").or_else(|| said("title")) {
        Some(sentence) => bail!("{sentence} ({})", status.as_u16()),
        None => bail!("the server answered {status}"),
    }
}
