//! How busy the core is with orders, heard over gRPC and handed to the door's autopilot as plain numbers: the two libraries
//! stay strangers.

use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt;
use tokio::sync::watch;
use waiting_room::{Door, Orders};

use super::Process;

/// After the stream breaks off, this long until it is asked for again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Listens until the stop. While the core says nothing the autopilot goes by the answers that the door sees.
pub(super) fn hear(process: &mut Process, door: &Door) {
    let (orders, heard) = watch::channel(None);
    door.watch_orders(heard);
    let (url, stop) = (process.config.settings.link.availability_url.clone(), process.stop.clone());
    process.tasks.spawn(async move {
        let listening = async {
            loop {
                if let Err(error) = hear_until_broken(&url, &orders).await {
                    tracing::debug!(%error, url, "how busy the core is is not known now");
                }
                orders.send_replace(None);
                tokio::time::sleep(RECONNECT_AFTER).await;
            }
        };
        tokio::select! {
            () = listening => {}
            () = stop.cancelled() => {}
        }
    });
}

async fn hear_until_broken(url: &str, orders: &watch::Sender<Option<Orders>>) -> Result<()> {
    let mut stream = std::pin::pin!(gateway_core::grpc::watch_load(url).await?);
    while let Some(load) = stream.next().await {
        let load = load?;
        orders.send_replace(Some(Orders { in_flight: load.in_flight, per_second: load.per_second }));
    }
    Ok(())
}
