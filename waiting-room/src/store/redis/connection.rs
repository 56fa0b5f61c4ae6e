//! One connection that mends itself, whatever server is behind it. It knows scripts, not lines.

use super::{
    super::OpenError,
    script::Whole,
    server::{CALL_TIMEOUT, Live, Server},
};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value, cmd, from_redis_value};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::{sync::Mutex, time::timeout};

/// Tells connections apart.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A connection to a server. Most broken ones are mended by the client library; one that it cannot mend is given up
/// here, and the next call makes a new one.
pub(super) struct Connection {
    server: Server,
    live: Mutex<Option<(u64, Live)>>,
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Connection, OpenError> {
        let server = Server::parse(address).map_err(|error| open_error(&error))?;
        let connection = Connection { server, live: Mutex::default() };
        connection.refuse_eviction().await?;
        Ok(connection)
    }

    /// Runs a script by its name, or with its text where the server does not know it yet.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Whole,
        keys: &[String],
        state: &str,
        arguments: &[Vec<u8>],
    ) -> RedisResult<T> {
        let command = |name: &str, script: &str| {
            let mut command = cmd(name);
            command.arg(script).arg(keys.len()).arg(keys).arg(state).arg(arguments);
            command
        };
        match self.query(&command("EVALSHA", &script.sha1)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.query(&command("EVAL", &script.code)).await
            }
            answer => answer,
        }
    }

    /// All keys like this; one may come twice.
    pub(super) async fn keys_like(&self, pattern: &str) -> RedisResult<Vec<Vec<u8>>> {
        let (_, mut live) = self.live().await?;
        live.keys_like(pattern).await
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut used = None;
        let querying = async {
            let (serial, mut live) = self.live().await?;
            used = Some(serial);
            live.query(command).await
        };
        let answer = timeout(CALL_TIMEOUT, querying).await.unwrap_or_else(|_| Err(RedisError::from(too_late())));
        if let (Err(error), Some(used)) = (&answer, used)
            && self.server.is_over(error)
        {
            self.give_up(used).await;
        }
        Ok(from_redis_value(answer?)?)
    }

    /// The connection in use and its serial number; a new one if there is none.
    async fn live(&self) -> RedisResult<(u64, Live)> {
        // An async mutex, so that one caller connects and the others wait for it, each within its own time.
        let mut live = self.live.lock().await;
        if let Some(live) = &*live {
            return Ok(live.clone());
        }
        let connection = self.server.connect().await?;
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(live.insert((serial, connection)).clone())
    }

    /// Drops this connection, unless another caller already has.
    async fn give_up(&self, used: u64) {
        let mut live = self.live.lock().await;
        if live.as_ref().is_some_and(|(serial, _)| *serial == used) {
            tracing::warn!("the line's store is silent, or another server took over: connecting anew");
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
