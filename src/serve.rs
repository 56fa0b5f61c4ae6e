//! Starts the roles: each server with its listener, its tasks and its health. The whole product in one process is
//! the roles apart, started together: the same functions on the same path.

mod announce;
mod core;
mod door;
mod endless;
mod entry_keys;
mod listener;
mod listeners;
mod load;
mod patience;
mod polls;
mod sandbox;
mod stop;
mod workers;

use std::sync::Arc;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waiting_room::Answer;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::keys::KeyFolder;
use crate::telemetry::health::{self, Readiness};
use crate::telemetry::request::{Server, traced};
use crate::telemetry::{self, metrics};

use listeners::Listeners;
use workers::{Threads, Workers};

/// Which servers a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything in one process.
    All,
    /// The front door.
    WaitingRoom,
    /// Booking and payment.
    Core,
    /// The sandbox payment provider.
    Sandbox,
}

impl Role {
    pub(crate) const fn runs(self, server: Server) -> bool {
        match server {
            Server::Door => matches!(self, Self::All | Self::WaitingRoom),
            Server::Core | Server::CoreGrpc => matches!(self, Self::All | Self::Core),
            Server::Sandbox => matches!(self, Self::All | Self::Sandbox),
            Server::Operator => true,
        }
    }
}

/// What every role needs to start, and where it reports to.
struct Process {
    config: Config,
    keys: KeyFolder,
    clock: Clock,
    stop: CancellationToken,
    /// Cancelled after the stop, when no server has a request under way any more: what these wait for goes on until then.
    drained: CancellationToken,
    readiness: Readiness,
    servers: JoinSet<()>,
    tasks: JoinSet<()>,
    /// Those of the door. They outlive all tasks: what the last of these wait for may be at work on them.
    workers: Option<Arc<Workers>>,
}

impl Process {
    /// Serves a router until the stop.
    fn serve_router(&mut self, server: Server, listener: tokio::net::TcpListener, router: axum::Router) {
        self.servers.spawn(listener::serve(listener, self.stop.clone(), Threads::Shared, move |request, _peer| {
            let router = router.clone();
            let answering = traced(server, request, |request| async move {
                let Ok(response) = tower::ServiceExt::oneshot(router, request).await;
                response
            });
            Answer::later(answering)
        }));
    }
}

/// Runs a role until it is told to stop.
pub(crate) async fn run(role: Role, mut config: Config) -> Result<()> {
    telemetry::start_logs(&config.settings.log)?;
    let stop = stop::on_signal()?;
    let mut listeners = Listeners::bind(role, &config.settings.listen).await?;
    let addresses = listeners.addresses(&config.settings.listen)?;
    config.link_to(&addresses);
    config.place_databases();
    let keys = KeyFolder::open(config.data_dir())?;
    let metrics = metrics::start(stop.clone())?;
    let mut process = Process {
        config,
        keys,
        clock: clock::start(),
        stop,
        drained: CancellationToken::new(),
        readiness: Readiness::default(),
        servers: JoinSet::new(),
        tasks: JoinSet::new(),
        workers: None,
    };

    if let Some(listener) = listeners.take(Server::Sandbox) {
        sandbox::start(&mut process, listener).await?;
    }
    let door = if role.runs(Server::Door) { Some(door::open(&mut process).await?) } else { None };
    if let (Some(http), Some(grpc)) = (listeners.take(Server::Core), listeners.take(Server::CoreGrpc)) {
        core::start(&mut process, http, grpc, door.as_ref()).await?;
    }
    let mut operator = axum::Router::new();
    let mut password = None;
    if let (Some(door), Some(listener)) = (door, listeners.take(Server::Door)) {
        let made = process.keys.operator_password()?;
        operator = door.operator(made.text.clone());
        password = made.is_new.then_some(made.text);
        door::start(&mut process, listener, door)?;
    }
    if let Some(listener) = listeners.take(Server::Operator) {
        let operator = operator.merge(health::router(process.readiness.clone(), metrics));
        process.serve_router(Server::Operator, listener, operator);
    }
    announce::ready(role, &process.config, password.as_deref());
    while process.servers.join_next().await.is_some() {}
    process.drained.cancel();
    while process.tasks.join_next().await.is_some() {}
    tracing::info!("stopped");
    Ok(())
}
