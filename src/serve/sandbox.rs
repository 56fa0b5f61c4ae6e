//! The sandbox payment provider as a role: a world of its own, with its own ledger.

use anyhow::Result;
use gateway_core::sandbox::{Sandbox, Secrets};
use tokio::net::TcpListener;

use super::Process;
use crate::telemetry::request::Server;

/// Starts the provider.
pub(super) async fn start(process: &mut Process, listener: TcpListener) -> Result<()> {
    let secrets = Secrets {
        processor_key: process.keys.bearer("processor.key")?,
        webhook_secret: process.keys.symmetric("webhook.key")?,
    };
    let sandbox = Sandbox::open(process.config.settings.sandbox.clone(), secrets, process.clock.clone()).await?;
    process.serve_router(Server::Sandbox, listener, sandbox.router());
    let stop = process.stop.clone();
    process.tasks.spawn(async move { sandbox.run(stop).await });
    Ok(())
}
