//! Which server an address means, and one connection to it: a single server, a cluster, or the master that sentinels
//! name. It knows addresses, not commands.

use futures_util::future::BoxFuture;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, RedisResult,
    ServerErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long one connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long one reply may take: a script runs in well under a millisecond, so a server this late has stopped.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long one command may take with everything: connecting again, following a moved slot.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(2_000);
/// Attempts to connect again before a call gives up; the next call tries anew.
const RECONNECTS_MAX: usize = 1;
/// The longest pause between two such attempts.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(250);
/// Redirections that one call follows in a cluster.
const CLUSTER_RETRIES_MAX: u32 = 3;

const SINGLE: &str = "redis://";
const CLUSTER: &str = "redis+cluster://";
const SENTINEL: &str = "redis+sentinel://";

/// Where to connect to.
pub(super) enum Server {
    Single(Client),
    Cluster(Box<ClusterClient>),
    /// An async mutex: asking the sentinels needs the client for itself, and one caller at a time asks.
    Sentinel(Box<Mutex<SentinelClient>>),
}

/// What connecting gives; clones share one connection.
#[derive(Clone)]
pub(super) enum Live {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
    /// To the server that was the master when it was made. It does not mend itself: another may be the master by then.
    Master(MultiplexedConnection),
}

impl Server {
    /// Reads `redis://host:port/db`, `redis+cluster://host:port,host:port` or
    /// `redis+sentinel://host:port,host:port/service/db`. A login stands before the hosts; it is for the servers, not
    /// for the sentinels.
    pub(super) fn parse(address: &str) -> RedisResult<Server> {
        if address.starts_with(SINGLE) {
            Client::open(address).map(Server::Single)
        } else if let Some(rest) = address.strip_prefix(CLUSTER) {
            cluster(rest)
        } else if let Some(rest) = address.strip_prefix(SENTINEL) {
            sentinel(rest)
        } else {
            Err(wrong("expected redis://…, redis+cluster://… or redis+sentinel://…"))
        }
    }

    /// Boxed: these futures are large, and connecting is rare.
    pub(super) fn connect(&self) -> BoxFuture<'_, RedisResult<Live>> {
        Box::pin(async move {
            Ok(match self {
                Server::Single(client) => {
                    Live::Single(ConnectionManager::new_with_config(client.clone(), manager_config()).await?)
                }
                Server::Cluster(client) => Live::Cluster(client.get_async_connection().await?),
                Server::Sentinel(client) => {
                    Live::Master(client.lock().await.get_async_connection_with_config(&master_config()).await?)
                }
            })
        })
    }

    /// Whether the connection that said this has to be made anew: it is silent (the network took the server away
    /// without a word), or what is at its other end is no longer the one that takes writes.
    pub(super) fn is_over(&self, error: &RedisError) -> bool {
        let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        match self {
            Server::Single(_) => error.is_timeout() || demoted,
            Server::Cluster(_) => error.is_timeout(),
            Server::Sentinel(_) => {
                error.is_timeout() || demoted || error.is_io_error() || error.is_unrecoverable_error()
            }
        }
    }
}

impl Live {
    pub(super) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Live::Single(connection) => command.query_async(connection).await,
            Live::Cluster(connection) => command.query_async(connection).await,
            Live::Master(connection) => command.query_async(connection).await,
        }
    }
}

fn manager_config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(RECONNECTS_MAX)
        .set_max_delay(RECONNECT_PAUSE_MAX)
}

fn master_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

/// The login with its `@`, or nothing, and what follows it.
fn split_login(rest: &str) -> (&str, &str) {
    rest.rfind('@').map_or(("", rest), |at| rest.split_at(at + 1))
}

fn cluster(rest: &str) -> RedisResult<Server> {
    let (login, nodes) = split_login(rest);
    let nodes = nodes.trim_end_matches('/').split(',').map(|node| format!("{SINGLE}{login}{node}"));
    let client = ClusterClientBuilder::new(nodes)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .overall_response_timeout(Some(CALL_TIMEOUT))
        .retries(CLUSTER_RETRIES_MAX)
        .build()?;
    Ok(Server::Cluster(Box::new(client)))
}

fn sentinel(rest: &str) -> RedisResult<Server> {
    let (login, rest) = split_login(rest);
    let mut parts = rest.trim_end_matches('/').splitn(3, '/');
    let (hosts, service, db) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
    if hosts.is_empty() || service.is_empty() {
        return Err(wrong("expected redis+sentinel://host:port,host:port/service/db"));
    }
    let sentinels = hosts.split(',').map(|host| format!("{SINGLE}{host}").into_connection_info());
    let sentinels: Vec<ConnectionInfo> = sentinels.collect::<RedisResult<_>>()?;
    // The client library reads login and database as those of a single server; the host in it is not used.
    let master = format!("{SINGLE}{login}master/{}", db.unwrap_or_default()).into_connection_info()?;
    let master = SentinelNodeConnectionInfo::default().set_redis_connection_info(master.redis_settings().clone());
    let client = SentinelClient::build(sentinels, service.to_owned(), Some(master), SentinelServerType::Master)?;
    Ok(Server::Sentinel(Box::new(Mutex::new(client))))
}

fn wrong(words: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, words))
}
