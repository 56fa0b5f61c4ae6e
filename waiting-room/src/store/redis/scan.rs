//! Which rooms there are on a server, or on the masters of a cluster. Step by step, so that nobody else who uses them is held
//! up.

use super::{
    RedisStore,
    key::{every_line, room_of},
    server::Live,
};
use crate::store::OpenError;
use redis::{
    Cmd, ErrorKind, RedisError, RedisResult,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
    cmd, from_redis_value,
};
use std::collections::HashMap;

/// Keys that a server looks at in one step, about. Tests have few keys, and want many steps.
const KEYS_A_STEP: u32 = if cfg!(test) { 2 } else { 1_000 };

/// Where the next step begins, 0 after the last one, and the keys that this one found.
type Step = (u64, Vec<Vec<u8>>);

impl RedisStore {
    /// The rooms whose lines the server keeps; one may come twice.
    pub(in crate::store) async fn rooms(&self) -> Result<Vec<String>, OpenError> {
        let keys = self.connection.keys_like(&every_line()).await;
        let keys = keys.map_err(|error| OpenError::Unreachable(error.to_string()))?;
        Ok(keys.iter().filter_map(|key| room_of(key)).map(str::to_owned).collect())
    }
}

impl Live {
    /// All keys like this; one may come twice.
    pub(super) async fn keys_like(&mut self, pattern: &str) -> RedisResult<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        let Live::Cluster(cluster) = self else {
            let mut from = 0;
            loop {
                let (next, keys): Step = from_redis_value(self.query(&step(pattern, from)).await?)?;
                found.extend(keys);
                if next == 0 {
                    return Ok(found);
                }
                from = next;
            }
        };
        let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let first = cluster.route_command(step(pattern, 0), masters).await?;
        let first: HashMap<String, Step> = from_redis_value(first)?;
        for (master, (mut next, keys)) in first {
            found.extend(keys);
            while next != 0 {
                let more = cluster.route_command(step(pattern, next), only(&master)?).await?;
                let (after, keys): Step = from_redis_value(more)?;
                found.extend(keys);
                next = after;
            }
        }
        Ok(found)
    }
}

fn step(pattern: &str, from: u64) -> Cmd {
    let mut scan = cmd("SCAN");
    scan.arg(from).arg("MATCH").arg(pattern).arg("COUNT").arg(KEYS_A_STEP);
    scan
}

/// The way to the server with this address, `host:port`.
fn only(address: &str) -> RedisResult<RoutingInfo> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    let wrong = || RedisError::from((ErrorKind::Client, "a master without host and port"));
    let (host, port) = parts.ok_or_else(wrong)?;
    Ok(RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port }))
}
