//! A closed loop: so many connections, each sending its request again as soon as it is answered, until the count is done.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::LocalSet;

use crate::http::Connection;

/// Every load has an end, whatever the server does.
const LOAD_WITHIN: Duration = Duration::from_secs(120);

/// What a load came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) took: Duration,
    pub(crate) count: u64,
}

impl Done {
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

/// Sends `count` requests in all, one connection for each of `requests`.
///
/// # Errors
/// An answer that is not `status`, a broken connection, or too slow.
pub(crate) async fn closed_loop(address: SocketAddr, requests: &[Vec<u8>], count: u64, status: u16) -> Result<Done> {
    let left = Rc::new(Cell::new(count));
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    let mut connections = Vec::new();
    for _ in requests {
        connections.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    for (request, mut connection) in requests.iter().cloned().zip(connections) {
        let left = Rc::clone(&left);
        tasks.push(local.spawn_local(async move {
            while let Some(after) = left.get().checked_sub(1) {
                left.set(after);
                let reply = connection.send(&request).await?;
                if reply.status != status {
                    bail!("{} instead of {status}: {}", reply.status, String::from_utf8_lossy(reply.body));
                }
            }
            Ok(())
        }));
    }
    let all = local.run_until(async {
        for task in tasks {
            task.await??;
        }
        Ok::<(), anyhow::Error>(())
    });
    tokio::time::timeout(LOAD_WITHIN, all).await??;
    Ok(Done { took: started.elapsed(), count })
}
