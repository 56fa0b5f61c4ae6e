//! SQLite's one connection that writes. Whoever has it has it alone, in the order of asking.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::checkpoint::{self, Committed};
use super::log::Log;
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
    connection: Arc<Mutex<Connection>>,
    log: Log,
    committed: Committed,
}

impl Writer {
    pub(super) fn open(path: &str) -> Result<Self, DbError> {
        Self::over(path, || Log::open(path))
    }

    fn over(path: &str, log: impl FnOnce() -> io::Result<Log>) -> Result<Self, DbError> {
        let connection = sqlite::open(path)?;
        // It is `begin` that waits for other processes, and that without a thread. Behind the lock there is nothing to wait for.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
        // A commit is synced after it, with others.
        connection.pragma_update(None, "synchronous", "normal")?;
        // The log is there from the first look on.
        sqlite::rows(&connection, "select count(*) from sqlite_schema", Vec::new())?;
        let log = log().map_err(|error| DbError::Settings(format!("{path}-wal cannot be read: {error}")))?;
        let committed = checkpoint::keep_short(sqlite::open(path)?);
        Ok(Self { connection: Arc::new(Mutex::new(connection)), log, committed })
    }

    /// The connection, outside of a transaction.
    pub(super) async fn alone(&self) -> Result<Alone, DbError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.connection).lock_owned()).await;
        let connection = turn.map_err(|_| DbError::too_much())?;
        Ok(Alone { connection, log: self.log.clone(), committed: self.committed.clone() })
    }

    /// A transaction.
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

    /// Returns when all that is committed now is on the disk.
    pub(super) async fn on_disk(&self) -> Result<(), DbError> {
        self.log.on_disk().await
    }

    #[cfg(test)]
    pub(super) fn waits(&self) -> u64 {
        self.log.waits()
    }

    /// The same with a log whose syncs begin and end when a test says so.
    #[cfg(test)]
    pub(super) fn by_hand(&self) -> (Self, super::log::Hands) {
        let (log, hands) = super::log::by_hand();
        (Self { log, ..self.clone() }, hands)
    }

    /// Whether commits can be acknowledged.
    pub(super) fn check(&self) -> Result<(), DbError> {
        self.log.check()
    }
}

fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// The connection, as long as it is somebody's. Dropped in a transaction, the transaction is rolled back.
pub(super) struct Alone {
    connection: OwnedMutexGuard<Connection>,
    log: Log,
    committed: Committed,
}

impl Alone {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn run(&self, statement: &'static str) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached(statement)?.execute([]).map(|_| ())
    }

    /// Commits, and lets go of the connection. If `synced`, it returns when that is on the disk; otherwise it will be there with
    /// the next one that is.
    pub(super) async fn commit(self, synced: bool) -> Result<(), DbError> {
        let log = self.log.clone();
        sqlite::at_the_disk(move || {
            self.run("commit")?;
            self.committed.tell();
            Ok(())
        })
        .await?;
        if synced { log.on_disk().await } else { Ok(()) }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if !self.connection.is_autocommit() {
            // An error says that SQLite has rolled back already.
            let _nothing = self.run("rollback");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::log;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_lets_go_of_the_writer_and_is_answered_when_it_is_on_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("core.db").display().to_string();
        let (log, (begins, end)) = log::by_hand();
        let writer = Writer::over(&path, || Ok(log)).expect("a writer");
        let write = async |sql| {
            let tx = writer.begin().await.expect("the writer");
            sqlite::execute(tx.connection(), sql, Vec::new()).expect("a statement");
            tx
        };
        write("create table t (n integer)").await.commit(false).await.expect("what may be lost waits for nothing");
        let first = tokio::spawn(write("insert into t values (1)").await.commit(true));
        begins.recv_timeout(Duration::from_secs(10)).expect("a sync");
        write("insert into t values (2)").await.commit(false).await.expect("the writer is free meanwhile");
        assert!(!first.is_finished(), "nobody is told before it is on the disk");
        end.send(Ok(())).expect("a thread");
        first.await.expect("no panic").expect("on the disk");
        end.send(Err(io::Error::other("a bad disk"))).expect("a thread");
        let lost = write("insert into t values (3)").await.commit(true).await;
        assert!(matches!(lost.map_err(DbError::of_commit), Err(DbError::CommitUnknown(_))));
        assert!(writer.check().is_err());
    }
}
