//! One transaction: statements, the database's time, and whether to keep it.

use std::sync::Arc;

use sqlx::{MySql, Transaction};

#[cfg(test)]
use super::crash::{Fuse, Side};
use super::readers::{Readers, Snapshot};
use super::writer::{Alone, Writer};
use super::{Bell, DbError, Hosts, Row, Sql, Value, mysql, sqlite};
use crate::base::Clock;

/// A transaction under way. Dropped without being finished, it is rolled back.
pub(crate) struct Tx {
    inner: Inner,
    now_ms: i64,
    lost_locks: bool,
    undo: bool,
    when_kept: Vec<Box<dyn FnOnce() + Send>>,
    bell: Bell,
    #[cfg(test)]
    fuse: Fuse,
}

enum Inner {
    Sqlite { tx: Alone, synced: bool },
    Snapshot(Snapshot),
    MySql(Transaction<'static, MySql>, Arc<Hosts>),
}

impl Tx {
    pub(super) async fn begin_sqlite(writer: &Writer, synced: bool, clock: &Clock) -> Result<Self, DbError> {
        let inner = Inner::Sqlite { tx: writer.begin().await?, synced };
        Ok(Self::new(inner, clock()))
    }

    pub(super) async fn snapshot(readers: &Readers, clock: &Clock) -> Result<Self, DbError> {
        let inner = Inner::Snapshot(readers.snapshot().await?);
        Ok(Self::new(inner, clock()))
    }

    pub(super) async fn begin_mysql(hosts: &Arc<Hosts>) -> Result<Self, DbError> {
        let mut inner = hosts.pool().begin().await?;
        let now_ms = mysql::now_ms(&mut *inner).await?;
        Ok(Self::new(Inner::MySql(inner, Arc::clone(hosts)), now_ms))
    }

    fn new(inner: Inner, now_ms: i64) -> Self {
        Self {
            inner,
            now_ms,
            lost_locks: false,
            undo: false,
            when_kept: Vec::new(),
            bell: Bell::default(),
            #[cfg(test)]
            fuse: Fuse::default(),
        }
    }

    pub(super) fn with_bell(self, bell: Bell) -> Self {
        Self { bell, ..self }
    }

    #[cfg(test)]
    pub(super) fn with_fuse(self, fuse: Fuse) -> Self {
        Self { fuse, ..self }
    }

    /// Once this is committed, whoever listens in this process is told that there is work.
    pub(crate) fn brings_work(&mut self) {
        let bell = self.bell.clone();
        self.when_kept(move || bell.ring());
    }

    /// The database's clock when this transaction began, epoch milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Says that nothing of this transaction shall stay although it went well, and hands `outcome` through.
    pub(crate) fn undo<T>(&mut self, outcome: T) -> T {
        self.undo = true;
        outcome
    }

    /// Does this once the transaction is committed, and never if it is not.
    pub(crate) fn when_kept(&mut self, work: impl FnOnce() + Send + 'static) {
        self.when_kept.push(Box::new(work));
    }

    /// Runs a statement and says how many rows it matched.
    pub(crate) async fn execute(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<u64, DbError> {
        let sql = sql.into();
        let done = match &mut self.inner {
            Inner::Sqlite { tx, .. } => sqlite::execute(tx.connection(), sql.sqlite, params).map_err(DbError::from),
            Inner::Snapshot(tx) => sqlite::execute(tx.connection()?, sql.sqlite, params).map_err(DbError::from),
            Inner::MySql(tx, hosts) => hosts.noticed(mysql::execute(&mut **tx, sql.mysql, params).await),
        };
        self.noticed(done)
    }

    /// All rows.
    pub(crate) async fn rows(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let sql = sql.into();
        let rows = match &mut self.inner {
            Inner::Sqlite { tx, .. } => sqlite::rows(tx.connection(), sql.sqlite, params).map_err(DbError::from),
            Inner::Snapshot(tx) => sqlite::rows(tx.connection()?, sql.sqlite, params).map_err(DbError::from),
            Inner::MySql(tx, hosts) => hosts.noticed(mysql::rows(&mut **tx, sql.mysql, params).await),
        };
        self.noticed(rows)
    }

    /// The first row, if any.
    pub(crate) async fn row(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Option<Row>, DbError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// After a deadlock the server has rolled back already: whatever the caller makes of the error, the transaction
    /// has to be run again.
    fn noticed<T>(&mut self, done: Result<T, DbError>) -> Result<T, DbError> {
        self.lost_locks |= matches!(done, Err(DbError::Busy(_)));
        done
    }

    pub(super) fn lost_its_locks(&self) -> bool {
        self.lost_locks
    }

    /// Commits, or rolls back where [`Tx::undo`] asked for it.
    pub(super) async fn finish(self) -> Result<(), DbError> {
        if self.undo {
            self.roll_back().await;
            return Ok(());
        }
        #[cfg(test)]
        let fuse = self.fuse.clone();
        #[cfg(test)]
        if fuse.burns(Side::Before) {
            self.roll_back().await;
            return fuse.dead().await;
        }
        match self.inner {
            Inner::Sqlite { tx, synced } => tx.commit(synced).await.map_err(DbError::of_commit),
            Inner::Snapshot(tx) => {
                drop(tx);
                Ok(())
            }
            Inner::MySql(tx, hosts) => hosts.noticed(tx.commit().await.map_err(DbError::of_commit)),
        }?;
        #[cfg(test)]
        if fuse.burns(Side::After) {
            return fuse.dead().await;
        }
        for work in self.when_kept {
            work();
        }
        Ok(())
    }

    /// A failure to roll back is of no interest: the connection is closed then, and that rolls back as well.
    pub(super) async fn roll_back(self) {
        match self.inner {
            Inner::Sqlite { tx, .. } => drop(tx),
            Inner::Snapshot(tx) => drop(tx),
            Inner::MySql(tx, _) => {
                let _closed_instead = tx.rollback().await;
            }
        }
    }
}
