//! Where a MySQL or MariaDB database is served. Several hosts of one cluster may be named; one of them is written to:
//! the first that is fit, until it fails, and then the next.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, MySql, MySqlConnection, Pool};

use super::fitness::{Durability, Server, VARIABLES};
use super::{ACQUIRE_TIMEOUT, CONNECTIONS_MAX, DbError, mysql};

/// Every session. No rule of ours relies on the isolation level; this one only locks less. Whoever waits three
/// seconds for a row is told to try again instead of waiting for the server's usual fifty.
const SESSION: [&str; 2] = [
    "set session transaction isolation level read committed",
    "set session innodb_lock_wait_timeout = 3, session autocommit = 1, session foreign_key_checks = 1, \
     session unique_checks = 1",
];

/// A node of a cluster answers this once it has applied all that the cluster had committed before.
const CATCH_UP: [&str; 2] = ["set session wsrep_sync_wait = 1", "select 1"];

/// MySQL and MariaDB: no such variable. Then it is no cluster, and there is nothing to wait for.
const UNKNOWN_VARIABLE: u16 = 1193;

/// How long a host may take to show that it is fit.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Hosts {
    servers: Vec<MySqlConnectOptions>,
    durability: Durability,
    // A std lock: held to clone or to replace a pointer.
    current: RwLock<(usize, Pool<MySql>)>,
    is_looking: AtomicBool,
}

impl Hosts {
    /// Connects to the first host that answers.
    ///
    /// # Errors
    /// None answers, or one that answers is not fit: that is a mistake even if another would do.
    pub(super) async fn connect(url: &str, durability: Durability) -> Result<Arc<Self>, DbError> {
        let servers = servers(url)?;
        let mut last = DbError::Settings(String::from("database_url names no host"));
        for (at, server) in servers.iter().enumerate() {
            match open(server, durability).await {
                Ok(pool) => {
                    let current = RwLock::new((at, pool));
                    return Ok(Arc::new(Self { servers, durability, current, is_looking: AtomicBool::new(false) }));
                }
                Err(error @ (DbError::Unreachable(_) | DbError::Busy(_) | DbError::ReadOnly(_))) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    pub(super) fn pool(&self) -> Pool<MySql> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Hands a result through. If it says that the host may be gone, another one is looked for meanwhile.
    pub(super) fn noticed<T>(self: &Arc<Self>, done: Result<T, DbError>) -> Result<T, DbError> {
        let gone = matches!(&done, Err(error) if error.means_another_host());
        if gone && self.servers.len() > 1 && !self.is_looking.swap(true, Ordering::AcqRel) {
            let hosts = Arc::clone(self);
            tokio::spawn(async move {
                hosts.move_on().await;
                hosts.is_looking.store(false, Ordering::Release);
            });
        }
        done
    }

    /// Stays if the host is fit after all. Otherwise the first one that is fit takes over.
    async fn move_on(&self) {
        let before = self.current.read().unwrap_or_else(PoisonError::into_inner).0;
        let others = (0..self.servers.len()).filter(|at| *at != before);
        for at in std::iter::once(before).chain(others) {
            let Some(server) = self.servers.get(at) else { continue };
            let fit = match tokio::time::timeout(PROBE_WITHIN, probe(server, self.durability)).await {
                Ok(fit) => fit,
                Err(_) => Err(DbError::Unreachable(Arc::new(sqlx::Error::PoolTimedOut))),
            };
            match fit {
                Ok(()) if at == before => return,
                Ok(()) => return self.replace(at, server).await,
                Err(error) => tracing::warn!(%error, host = server.get_host(), "this database host is not fit now"),
            }
        }
        tracing::error!("no database host is fit now");
    }

    async fn replace(&self, at: usize, server: &MySqlConnectOptions) {
        let pool = pool().connect_lazy_with(server.clone());
        let old = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, (at, pool))
        };
        tracing::warn!(host = server.get_host(), port = server.get_port(), "another database host is written to now");
        old.1.close().await;
    }
}

/// `mysql://user:password@one:3306,two:3306/database`, a server each.
fn servers(url: &str) -> Result<Vec<MySqlConnectOptions>, DbError> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
    let login = if login.is_empty() { String::new() } else { format!("{login}@") };
    let server = |host: &str| {
        let server = MySqlConnectOptions::from_str(&format!("{scheme}://{login}{host}/{path}"))
            .map_err(|error| DbError::Settings(format!("database_url: {error}")))?;
        if server.get_database().is_none_or(str::is_empty) {
            return Err(DbError::Settings(String::from("database_url names no database")));
        }
        Ok(server)
    };
    hosts.split(',').map(server).collect()
}

fn pool() -> MySqlPoolOptions {
    let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIMEOUT);
    pool.after_connect(|connection, _| {
        Box::pin(async move {
            for statement in SESSION {
                connection.execute(statement).await?;
            }
            Ok(())
        })
    })
}

async fn open(server: &MySqlConnectOptions, durability: Durability) -> Result<Pool<MySql>, DbError> {
    let pool = pool().connect_with(server.clone()).await.map_err(unreachable_if_timed_out)?;
    let mut connection = pool.acquire().await?;
    check(&mut connection, durability).await?;
    drop(connection);
    Ok(pool)
}

/// While connecting, waiting in vain means that nobody is there, not that too many are.
fn unreachable_if_timed_out(error: sqlx::Error) -> DbError {
    if matches!(error, sqlx::Error::PoolTimedOut) { DbError::Unreachable(Arc::new(error)) } else { error.into() }
}

async fn check(connection: &mut MySqlConnection, durability: Durability) -> Result<(), DbError> {
    let rows = mysql::rows(&mut *connection, VARIABLES, Vec::new()).await?;
    let said = rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?)));
    said.collect::<Result<Server, DbError>>()?.check(durability)?;
    mysql::now_ms(connection).await.map(|_| ())
}

/// Whether a host can be written to, and has all that was committed on the others.
async fn probe(server: &MySqlConnectOptions, durability: Durability) -> Result<(), DbError> {
    let mut connection = server.connect().await?;
    check(&mut connection, durability).await?;
    for statement in CATCH_UP {
        match connection.execute(statement).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if mysql::number(error.as_ref()) == Some(UNKNOWN_VARIABLE) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let _closed = connection.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_several_hosts() {
        let all = servers("mysql://shop:s3:cr@t@one,two:3307/core?ssl-mode=disabled").expect("two hosts");
        let read: Vec<_> = all.iter().map(|server| (server.get_host(), server.get_port())).collect();
        assert_eq!(read, [("one", 3306), ("two", 3307)]);
        assert!(all.iter().all(|server| server.get_database() == Some("core")));
        assert!(servers("mysql://one,two/").is_err());
        assert!(servers("mysql://one:x,two/core").is_err());
    }
}
