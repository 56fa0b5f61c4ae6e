//! What the program tells about itself: logs, request ids, metrics and health. Holds no behaviour of the product.

pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod request;

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Sends logs to standard error: text for people, JSON for machines.
pub(crate) fn start_logs(settings: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.filter).with_context(|| {
        format!("log.filter: `{}` cannot be read; write it as in `info,waiting_room=debug`", settings.filter)
    })?;
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match settings.format {
        LogFormat::Text => logs.compact().init(),
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(true).with_span_list(false).init(),
    }
    Ok(())
}
