//! SQLite's one connection that writes. Whoever has it has it alone, in the order of asking.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::{ACQUIRE_TIMEOUT, DbError, sqlite};

/// Takes the write lock at once: a lock taken later could be refused after half of the work.
const BEGIN: &str = "begin immediate";

/// The pauses before the lock is asked for again while another process has it. They double.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(32));

/// Cheap to clone. The mutex is a fair one: nobody is overtaken.
#[derive(Clone)]
pub(super) struct Writer(Arc<Mutex<Connection>>);

impl Writer {
    pub(super) fn open(path: &str) -> Result<Self, rusqlite::Error> {
        let connection = sqlite::open(path)?;
        // It is `begin` that waits for other processes, and that without a thread. Behind the lock there is nothing to wait for.
        connection.busy_timeout(Duration::ZERO)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// The connection, outside of a transaction.
    pub(super) async fn alone(&self) -> Result<Alone, DbError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.0).lock_owned()).await;
        turn.map(Alone).map_err(|_| DbError::too_much())
    }

    pub(super) async fn begin(&self) -> Result<Alone, DbError> {
        let alone = self.alone().await?;
        let (asked, mut pause) = (Instant::now(), PAUSES.0);
        loop {
            let begun = alone.run(BEGIN);
            match begun {
                Ok(()) => return Ok(alone),
                Err(error) if is_taken(&error) && asked.elapsed() < sqlite::BUSY_TIMEOUT => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// The connection, as long as it is somebody's. Dropped in a transaction, the transaction is rolled back.
pub(super) struct Alone(OwnedMutexGuard<Connection>);

impl Alone {
    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }

    fn run(&self, statement: &'static str) -> Result<(), rusqlite::Error> {
        self.0.prepare_cached(statement)?.execute([]).map(|_| ())
    }

    pub(super) async fn commit(self) -> Result<(), DbError> {
        sqlite::at_the_disk(move || self.run("commit")).await
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // An error says that SQLite has rolled back already.
            let _nothing = self.run("rollback");
        }
    }
}
