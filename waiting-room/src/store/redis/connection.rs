//! One connection that mends itself, to a single server or to a cluster. It knows scripts, not lines.

use super::{super::OpenError, script::Whole};
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cmd, from_redis_value,
};
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;

/// How long one connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long one reply may take: a script runs in well under a millisecond, so a server this late has stopped.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long one call may take with everything: connecting again, loading the script, following a moved slot.
const CALL_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Attempts to connect again before a call gives up; the next call tries anew.
const RECONNECTS_MAX: usize = 1;
/// The longest pause between two such attempts.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Redirections that one call follows in a cluster.
const CLUSTER_RETRIES_MAX: u32 = 3;

const SINGLE: &str = "redis://";
const CLUSTER: &str = "redis+cluster://";

/// A connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Connection, OpenError> {
        let connecting =
            async { if address.starts_with(SINGLE) { single(address).await } else { cluster(address).await } };
        let connection = match timeout(CALL_TIMEOUT, connecting).await {
            Ok(connection) => connection.map_err(|error| open_error(&error))?,
            Err(_) => return Err(OpenError::Unreachable("no connection in time".to_owned())),
        };
        connection.refuse_eviction().await?;
        Ok(connection)
    }

    /// Runs a script by its name, or with its text where the server does not know it yet.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Whole,
        keys: &[String],
        now_ms: i64,
        arguments: &[Vec<u8>],
    ) -> RedisResult<T> {
        let command = |name: &str, script: &str| {
            let mut command = cmd(name);
            command.arg(script).arg(keys.len()).arg(keys).arg(now_ms).arg(arguments);
            command
        };
        let running = async {
            match self.query(&command("EVALSHA", &script.sha1)).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.query(&command("EVAL", &script.code)).await
                }
                answer => answer,
            }
        };
        timeout(CALL_TIMEOUT, running).await.unwrap_or_else(|_| Err(RedisError::from(too_late())))
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self.clone() {
            Connection::Single(mut connection) => command.query_async(&mut connection).await,
            Connection::Cluster(mut connection) => command.query_async(&mut connection).await,
        }
    }

    /// A server that evicts any key when its memory is full would forget who went in.
    async fn refuse_eviction(&self) -> Result<(), OpenError> {
        match self.query::<Value>(cmd("INFO").arg("memory")).await {
            Ok(info) if mentions(&info, "maxmemory_policy:allkeys-") => {
                Err(OpenError::Unsafe("maxmemory-policy must be noeviction or volatile-*".to_owned()))
            }
            Ok(_) => Ok(()),
            Err(error) if error.is_io_error() => Err(open_error(&error)),
            Err(error) => {
                tracing::warn!(%error, "could not see the server's maxmemory-policy; it must not be allkeys-*");
                Ok(())
            }
        }
    }
}

async fn single(address: &str) -> RedisResult<Connection> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(RECONNECTS_MAX)
        .set_max_delay(RECONNECT_PAUSE_MAX);
    ConnectionManager::new_with_config(Client::open(address)?, config).await.map(Connection::Single)
}

async fn cluster(address: &str) -> RedisResult<Connection> {
    let wrong = (ErrorKind::InvalidClientConfig, "expected redis://… or redis+cluster://…");
    let rest = address.strip_prefix(CLUSTER).ok_or(wrong)?;
    let (login, nodes) = rest.rsplit_once('@').map_or(("", rest), |(login, nodes)| (login, nodes));
    let at = if login.is_empty() { "" } else { "@" };
    let nodes = nodes.trim_end_matches('/').split(',').map(|node| format!("{SINGLE}{login}{at}{node}"));
    let client = ClusterClientBuilder::new(nodes)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .overall_response_timeout(Some(CALL_TIMEOUT))
        .retries(CLUSTER_RETRIES_MAX)
        .build()?;
    client.get_async_connection().await.map(Connection::Cluster)
}

fn open_error(error: &RedisError) -> OpenError {
    if error.kind() == ErrorKind::InvalidClientConfig {
        OpenError::Address(error.to_string())
    } else {
        OpenError::Unreachable(error.to_string())
    }
}

fn too_late() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time")
}

/// Whether a server says this of itself: one server answers with a text, a cluster with one text a server.
fn mentions(info: &Value, words: &str) -> bool {
    let one: Result<String, _> = from_redis_value(info.clone());
    let many: Result<HashMap<String, String>, _> = from_redis_value(info.clone());
    one.is_ok_and(|text| text.contains(words))
        || many.is_ok_and(|texts| texts.values().any(|text| text.contains(words)))
}
