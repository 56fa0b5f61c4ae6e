//! The core as a role: database, sweeper, pages and JSON behind the entry-token layer, and gRPC.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use gateway_core::catalogue::Catalogue;
use gateway_core::{Core, OpenError};
use tokio::net::TcpListener;
use waiting_room::{Door, EntryLayer, EntryVerifier};

use super::patience::{Tried, until_open};
use super::{Process, entry_keys};
use crate::telemetry::request::Server;

/// Starts the core. `door` is the door in the same process, if there is one.
pub(super) async fn start(
    process: &mut Process,
    http: TcpListener,
    grpc: TcpListener,
    door: Option<&Door>,
) -> Result<()> {
    let core = open(process).await?;
    let (demo, services) = (&process.config.settings.demo, process.config.settings.core.services);
    if demo.seed && services.order {
        let mut catalogue = Catalogue::demo((process.clock)());
        for sale in &mut catalogue.sales {
            (sale.hold_ms, sale.pay_ms) = (demo.hold_ms, demo.pay_ms);
            sale.products.iter_mut().for_each(|product| product.stock = demo.stock);
            sale.campaigns.iter_mut().for_each(|campaign| campaign.coupons = demo.coupons);
        }
        core.seed(&catalogue).await?;
    }
    let checked = core.clone();
    process.readiness.add("database", move || {
        let core = checked.clone();
        async move { core.check().await }
    });

    let mut router = core.router();
    if services.order {
        let verifier = Arc::new(EntryVerifier::closed());
        entry_keys::provide(process, &verifier, door)?;
        let rooms = &process.config.settings.waiting_room.rooms;
        router = router.layer(EntryLayer::new(verifier, rooms, process.clock.clone())?);
    }
    process.serve_router(Server::Core, http, router);
    process.serve_router(Server::CoreGrpc, grpc, core.grpc().into_axum_router());

    let drained = process.drained.clone();
    process.tasks.spawn(async move { core.run(drained).await });
    Ok(())
}

async fn open(process: &Process) -> Result<Core> {
    let settings = &process.config.settings;
    let patience = Duration::from_millis(settings.start.patience_ms);
    until_open("core.database_url", patience, &process.stop, || async {
        let secrets = match process.keys.of_the_core() {
            Ok(secrets) => secrets,
            Err(error) => return Tried::Refused(error),
        };
        match Core::open(settings.core.clone(), secrets, process.clock.clone()).await {
            Ok(core) => Tried::Open(core),
            Err(OpenError::Unreachable(reason)) => Tried::Unreachable(format!("{:#}", anyhow::Error::new(reason))),
            Err(error) => Tried::Refused(error.into()),
        }
    })
    .await
}
