//! SQLite's connections that read, beside the one that writes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ACQUIRE_TIMEOUT, DbError, Row, Value, sqlite};

/// Sees the last commit, and nothing that is committed later.
const BEGIN: &str = "begin deferred";

/// How many there are at most.
const READERS_MAX: usize = 4;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers(Arc<Inner>);

struct Inner {
    path: String,
    turns: Arc<Semaphore>,
    // A std mutex: held to push or to pop. The last one used is the next one, for its statements are prepared.
    free: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn open(path: &str) -> Result<Self, rusqlite::Error> {
        let free = Mutex::new(vec![one(path)?]);
        Ok(Self(Arc::new(Inner { path: path.to_owned(), turns: Arc::new(Semaphore::new(READERS_MAX)), free })))
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All rows.
    pub(super) async fn rows(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let _turn = self.turn().await?;
        let connection = self.take()?;
        let rows = sqlite::rows(&connection, sql, params);
        self.free().push(connection);
        Ok(rows?)
    }

    /// All rows of what takes long. Cut off, it takes its connection along, and the next one opens another.
    pub(super) async fn scan(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let _turn = self.turn().await?;
        let connection = self.take()?;
        let scan = move || sqlite::rows(&connection, sql, params).map(|rows| (connection, rows));
        let (connection, rows) = sqlite::at_the_disk(scan).await?;
        self.free().push(connection);
        Ok(rows)
    }

    /// A connection in a transaction that can only read.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, DbError> {
        let turn = self.turn().await?;
        let connection = self.take()?;
        connection.prepare_cached(BEGIN)?.execute([])?;
        Ok(Snapshot { readers: self.clone(), connection: Some(connection), _turn: turn })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, DbError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.0.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(DbError::too_much)
    }

    fn take(&self) -> Result<Connection, rusqlite::Error> {
        let free = self.free().pop();
        free.map_or_else(|| one(&self.0.path), Ok)
    }

    /// Gives up those that nobody uses now: a test has many processes.
    #[cfg(test)]
    pub(super) fn close(&self) {
        self.free().clear();
    }
}

/// A connection in a transaction that can only read. It waits for nobody and nobody waits for it.
pub(super) struct Snapshot {
    readers: Readers,
    /// There until it is dropped.
    connection: Option<Connection>,
    _turn: OwnedSemaphorePermit,
}

impl Snapshot {
    pub(super) fn connection(&self) -> Result<&Connection, DbError> {
        self.connection.as_ref().ok_or(DbError::Shape("a connection until the end"))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // One that cannot be ended is closed, which ends it.
        if connection.prepare_cached("rollback").and_then(|mut end| end.execute([])).is_ok() {
            self.readers.free().push(connection);
        }
    }
}

fn one(path: &str) -> Result<Connection, rusqlite::Error> {
    let connection = sqlite::open(path)?;
    connection.pragma_update(None, "query_only", "on")?;
    Ok(connection)
}
