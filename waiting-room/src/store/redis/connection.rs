//! One connection that mends itself, to a single server or to a cluster. It knows scripts, not lines.

use super::{super::OpenError, script::Whole};
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cmd, from_redis_value,
};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{sync::Mutex, time::timeout};

/// How long one connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long one reply may take: a script runs in well under a millisecond, so a server this late has stopped.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long one command may take with everything: connecting again, following a moved slot.
const CALL_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Attempts to connect again before a call gives up; the next call tries anew.
const RECONNECTS_MAX: usize = 1;
/// The longest pause between two such attempts.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Redirections that one call follows in a cluster.
const CLUSTER_RETRIES_MAX: u32 = 3;

/// Tells connections apart.
static SERIAL: AtomicU64 = AtomicU64::new(0);

const SINGLE: &str = "redis://";
const CLUSTER: &str = "redis+cluster://";

/// Where to connect to.
enum Server {
    Single(Client),
    Cluster(Box<ClusterClient>),
}

/// What connecting gives; clones share one connection.
#[derive(Clone)]
enum Live {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// A connection to a server. Broken ones are mended by the client library; one that stays silent is not noticed there
/// (the network took the server away without a word), so it is given up here, and the next call makes a new one.
pub(super) struct Connection {
    server: Server,
    live: Mutex<Option<(u64, Live)>>,
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Connection, OpenError> {
        let server = if address.starts_with(SINGLE) { single(address) } else { cluster(address) };
        let server = server.map_err(|error| open_error(&error))?;
        let connection = Connection { server, live: Mutex::default() };
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
        match self.query(&command("EVALSHA", &script.sha1)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.query(&command("EVAL", &script.code)).await
            }
            answer => answer,
        }
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut used = None;
        let querying = async {
            let (serial, live) = self.live().await?;
            used = Some(serial);
            match live {
                Live::Single(mut connection) => command.query_async(&mut connection).await,
                Live::Cluster(mut connection) => command.query_async(&mut connection).await,
            }
        };
        let answer = timeout(CALL_TIMEOUT, querying).await.unwrap_or_else(|_| Err(RedisError::from(too_late())));
        if let (Err(error), Some(used)) = (&answer, used)
            && error.is_timeout()
        {
            self.give_up(used).await;
        }
        answer
    }

    /// The connection in use and its serial number; a new one if there is none.
    async fn live(&self) -> RedisResult<(u64, Live)> {
        // An async mutex, so that one caller connects and the others wait for it, each within its own time.
        let mut live = self.live.lock().await;
        if let Some(live) = &*live {
            return Ok(live.clone());
        }
        let connection = match &self.server {
            Server::Single(client) => {
                Live::Single(ConnectionManager::new_with_config(client.clone(), manager_config()).await?)
            }
            Server::Cluster(client) => Live::Cluster(client.get_async_connection().await?),
        };
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(live.insert((serial, connection)).clone())
    }

    /// Drops this connection, unless another caller already has.
    async fn give_up(&self, used: u64) {
        let mut live = self.live.lock().await;
        if live.as_ref().is_some_and(|(serial, _)| *serial == used) {
            tracing::warn!("the line's store is silent: connecting anew");
            *live = None;
        }
    }

    /// A server that evicts any key when its memory is full would forget who went in.
    async fn refuse_eviction(&self) -> Result<(), OpenError> {
        match self.query::<Value>(cmd("INFO").arg("memory")).await {
            Ok(info) if mentions(&info, "maxmemory_policy:allkeys-") => {
                Err(OpenError::Unsafe("maxmemory-policy must be noeviction or volatile-*".to_owned()))
            }
            Ok(_) => Ok(()),
            Err(error) if error.code().is_none() => Err(open_error(&error)),
            Err(error) => {
                tracing::warn!(%error, "could not see the server's maxmemory-policy; it must not be allkeys-*");
                Ok(())
            }
        }
    }
}

fn single(address: &str) -> RedisResult<Server> {
    Client::open(address).map(Server::Single)
}

fn manager_config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(RECONNECTS_MAX)
        .set_max_delay(RECONNECT_PAUSE_MAX)
}

fn cluster(address: &str) -> RedisResult<Server> {
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
    Ok(Server::Cluster(Box::new(client)))
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
