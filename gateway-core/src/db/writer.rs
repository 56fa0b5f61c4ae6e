//! SQLite's one connection that writes. Whoever has it has it alone, in the order of asking.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::checkpoint::{self, Committed};
use super::{ACQUIRE_TIMEOUT, DbError, sqlite};

/// Takes the write lock at once: a lock taken later could be refused after half of the work.
const BEGIN: &str = "begin immediate";

/// A log of so many pages, 64 MiB, is copied by the writer itself: whoever copies it beside has been left behind.
const LOG_PAGES_MAX: i64 = 16_384;

/// The pauses before the lock is asked for again while another process has it. They double.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(32));

/// Cheap to clone. The mutex is a fair one: nobody is overtaken.
#[derive(Clone)]
pub(super) struct Writer {
    slot: Arc<Mutex<Slot>>,
    committed: Committed,
}

struct Slot {
    connection: Connection,
    /// Whether commits wait for the disk, as the connection is set now.
    synced: bool,
}

impl Writer {
    pub(super) fn open(path: &str) -> Result<Self, rusqlite::Error> {
        let connection = sqlite::open(path)?;
        // It is `begin` that waits for other processes, and that without a thread. Behind the lock there is nothing to wait for.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
        let committed = checkpoint::keep_short(sqlite::open(path)?);
        Ok(Self { slot: Arc::new(Mutex::new(Slot { connection, synced: true })), committed })
    }

    /// The connection, outside of a transaction.
    pub(super) async fn alone(&self) -> Result<Alone, DbError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.slot).lock_owned()).await;
        let slot = turn.map_err(|_| DbError::too_much())?;
        Ok(Alone { slot, committed: self.committed.clone() })
    }

    /// A transaction whose commit waits for the disk, if `synced`; otherwise it is there with the next one that does.
    pub(super) async fn begin(&self, synced: bool) -> Result<Alone, DbError> {
        let mut alone = self.alone().await?;
        if alone.slot.synced != synced {
            // Not as a statement that is kept: this pragma acts when it is prepared.
            alone.connection().pragma_update(None, "synchronous", if synced { "full" } else { "normal" })?;
            alone.slot.synced = synced;
        }
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
pub(super) struct Alone {
    slot: OwnedMutexGuard<Slot>,
    committed: Committed,
}

impl Alone {
    pub(super) fn connection(&self) -> &Connection {
        &self.slot.connection
    }

    fn run(&self, statement: &'static str) -> Result<(), rusqlite::Error> {
        self.slot.connection.prepare_cached(statement)?.execute([]).map(|_| ())
    }

    pub(super) async fn commit(self) -> Result<(), DbError> {
        sqlite::at_the_disk(move || {
            self.run("commit")?;
            self.committed.tell();
            Ok(())
        })
        .await
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if !self.slot.connection.is_autocommit() {
            // An error says that SQLite has rolled back already.
            let _nothing = self.run("rollback");
        }
    }
}
