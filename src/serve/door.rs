//! The front door as a role: the line's store, its ticks, the listener, and what is left to sell.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::Instrument;
use waiting_room::{Answer, Door, OpenError, Remaining, Secrets};

use super::patience::{Tried, until_open};
use super::workers::{Threads, Workers};
use super::{Process, listener};
use crate::config::{SettingsError, without_password};
use crate::telemetry::request::{Server, Trace};

/// After the core's stream of what is left breaks off, this long until it is asked for again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Opens the door's store; nobody is served yet.
pub(super) async fn open(process: &mut Process) -> Result<Door> {
    let settings = &process.config.settings;
    let secrets = || -> Result<Secrets> {
        Ok(Secrets {
            ticket_key: process.keys.symmetric("ticket.key")?,
            entry_key_pkcs8: process.keys.entry_signing()?,
            access: process.config.access_files()?,
        })
    };
    let what = format!("waiting_room.store ({})", without_password(&settings.waiting_room.store));
    let patience = Duration::from_millis(settings.start.patience_ms);
    let door = until_open(&what, patience, &process.stop, || async {
        let secrets = match secrets() {
            Ok(secrets) => secrets,
            Err(error) => return Tried::Refused(error),
        };
        let clock = process.clock.clone();
        match Door::open(settings.waiting_room.clone(), secrets, clock, process.config.journal_dir()).await {
            Ok(door) => Tried::Open(door),
            Err(OpenError::Unreachable(reason)) => Tried::Unreachable(reason),
            Err(OpenError::Settings(reason)) => {
                Tried::Refused(SettingsError::new(format!("settings of the waiting room: {reason}")).into())
            }
            Err(error) => Tried::Refused(error.into()),
        }
    })
    .await?;
    let checked = door.clone();
    process.readiness.add("line", move || {
        let door = checked.clone();
        async move { door.check().await }
    });
    Ok(door)
}

/// Lets visitors in.
pub(super) fn start(process: &mut Process, listener: TcpListener, door: Door) -> Result<()> {
    let (remaining, heard) = watch::channel(Default::default());
    door.watch_remaining(heard);
    process.tasks.spawn(hear_remaining(
        process.config.settings.link.availability_url.clone(),
        remaining,
        process.stop.clone(),
    ));
    super::load::hear(process, &door);
    let ticking = door.clone();
    let stop = process.stop.clone();
    process.tasks.spawn(async move { ticking.run(stop).await });
    let workers = Arc::new(Workers::start().context("the threads that answer visitors cannot be started")?);
    let threads = Threads::Own(Arc::clone(&workers));
    process.workers = Some(workers);
    process.servers.spawn(listener::serve(listener, process.stop.clone(), threads, move |request, peer| {
        let mut request: http::Request<axum::body::Body> = request;
        let trace = Trace::begin(Server::Door, &mut request);
        match trace.span().in_scope(|| door.answer(request, peer)).now() {
            Ok(response) => Answer::at_once(trace.end(response)),
            Err(answer) => Answer::later(async move {
                let span = trace.span().clone();
                trace.end(answer.instrument(span).await)
            }),
        }
    }));
    Ok(())
}

type Heard = std::collections::BTreeMap<String, Remaining>;

/// Listens to the core, and hands the door plain numbers: the two libraries stay strangers.
async fn hear_remaining(url: String, remaining: watch::Sender<Heard>, stop: tokio_util::sync::CancellationToken) {
    let listening = async {
        loop {
            if let Err(error) = hear_until_broken(&url, &remaining).await {
                tracing::debug!(%error, url, "what is left to sell is not known now");
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.cancelled() => {}
    }
}

async fn hear_until_broken(url: &str, remaining: &watch::Sender<Heard>) -> Result<()> {
    let mut stream = std::pin::pin!(gateway_core::grpc::watch(url).await?);
    while let Some(left) = futures_util::StreamExt::next(&mut stream).await {
        let left = left?;
        remaining.send_modify(|heard| {
            heard.insert(left.sale, Remaining { free: left.free, held: left.held, sold: left.sold, at_ms: left.at_ms });
        });
    }
    Ok(())
}
