//! SQLite's connections that read, beside the one that writes. They too go from one to the next as they are: what a pool asks of
//! a connection's thread between two uses costs as much as the read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::Semaphore;

use super::{ACQUIRE_TIMEOUT, DbError, Row, Value, sqlite};

/// How many there are at most.
const READERS_MAX: usize = 4;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers(Arc<Inner>);

struct Inner {
    options: SqliteConnectOptions,
    turns: Semaphore,
    // A std mutex: held to push or to pop. The last one used is the next one, for its statements are prepared.
    free: Mutex<Vec<SqliteConnection>>,
}

impl Readers {
    pub(super) async fn connect(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let free = Mutex::new(vec![options.connect().await?]);
        Ok(Self(Arc::new(Inner { options, turns: Semaphore::new(READERS_MAX), free })))
    }

    fn free(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows. Cut off, the read takes its connection along, and the next one opens another.
    pub(super) async fn rows(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, self.0.turns.acquire()).await;
        let _turn = turn.map_err(|_| DbError::too_much())?.map_err(|_| sqlx::Error::PoolClosed)?;
        let free = self.free().pop();
        let mut connection = match free {
            Some(connection) => connection,
            None => self.0.options.connect().await?,
        };
        let rows = sqlite::rows(&mut connection, sql, params).await;
        // A thread that has panicked is not asked again.
        if !matches!(rows, Err(DbError::Unreachable(_))) {
            self.free().push(connection);
        }
        rows
    }

    /// Gives up those that nobody uses now: a test has many processes.
    #[cfg(test)]
    pub(super) fn close(&self) {
        self.free().clear();
    }
}
