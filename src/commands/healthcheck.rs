//! `vestibule healthcheck`: exit code 0 if the running process is ready, so that an image needs no curl.

use anyhow::Result;

use super::{client, send};
use crate::config::Config;
use crate::failure::Down;
use crate::out::say;

/// Asks `/readyz` on the operator's listener.
pub(crate) async fn run(config: &Config) -> Result<()> {
    let url = format!("http://{}/readyz", config.settings.listen.operator);
    let response = send(client()?.get(url), "listen.operator").await?;
    let ready = response.status().is_success();
    let report = response.text().await?;
    say!("{report}");
    if ready { Ok(()) } else { Err(Down("not ready".to_owned()).into()) }
}
