//! The database: a thin portable layer over SQLite and MySQL/MariaDB. Knows no table; statements live in `store` files.
//!
//! Values are limited to what both speak alike: null, 64-bit integers, text, bytes. Decisions are made in
//! [`in_tx`], on the writer; [`Db`] itself reads, possibly a moment behind on SQLite's reader connections.

mod bell;
mod bulk;
mod checkpoint;
#[cfg(test)]
pub(crate) mod crash;
mod error;
mod fitness;
mod hosts;
mod log;
mod mysql;
mod readers;
mod sqlite;
#[cfg(test)]
mod tests;
mod turn;
mod tx;
mod value;
mod writer;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use bell::Bell;
pub(crate) use bulk::Bulk;
pub use error::DbError;
pub(crate) use fitness::Durability;
use hosts::Hosts;
use readers::Readers;
pub(crate) use turn::{Answering, Turn};
pub(crate) use tx::Tx;
pub(crate) use value::{Row, Sql, Value, params};
use writer::Writer;

use crate::base::Clock;

/// How long a caller waits for a connection. Longer would only hide that the database is behind.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections at once. More do not commit faster: the log's flush is the limit.
pub(crate) const CONNECTIONS_MAX: u32 = 16;

/// How often one transaction is tried when the database picks it as the victim of a deadlock or a lock wait.
const TRIES_MAX: u32 = 4;

/// The longest pause before the second try, in milliseconds; it doubles with each further try.
const RETRY_PAUSE_MS_MAX: u64 = 20;

/// A database, cheap to clone.
#[derive(Clone)]
pub(crate) struct Db {
    pools: Pools,
    clock: Clock,
    /// Rung by commits that brought work for others.
    bell: Bell,
    #[cfg(test)]
    fuse: crash::Fuse,
}

#[derive(Clone)]
enum Pools {
    /// SQLite has one writer; readers beside it see the last commit.
    Sqlite {
        path: Arc<str>,
        writer: Writer,
        readers: Readers,
    },
    MySql(Arc<Hosts>),
}

/// A database whose transactions do not wait for the disk.
pub(crate) struct Unsynced<'a>(&'a Db);

impl Unsynced<'_> {
    pub(crate) async fn begin(&self) -> Result<Tx, DbError> {
        self.0.open(false).await
    }
}

/// The migrations of one schema, one folder for each dialect.
pub(crate) struct Migrations {
    pub(crate) sqlite: &'static sqlx::migrate::Migrator,
    pub(crate) mysql: &'static sqlx::migrate::Migrator,
}

impl Db {
    /// Connects once to `sqlite://path` or `mysql://user:password@host:port[,host:port]/database`. SQLite has no clock
    /// of its own: there `clock` is the database's clock; MySQL's own clock is used otherwise.
    ///
    /// # Errors
    /// The URL is of neither kind, the database cannot be reached, or its settings would lose or bend data.
    #[cfg(test)]
    pub(crate) async fn connect(url: &str, clock: Clock) -> Result<Self, DbError> {
        Self::connect_to(url, Durability::Demanded, clock).await
    }

    /// The same, where it may be that losing commits does not matter.
    pub(crate) async fn connect_to(url: &str, durability: Durability, clock: Clock) -> Result<Self, DbError> {
        let pools = if let Some(path) = url.strip_prefix("sqlite://") {
            sqlite::connect(path).await?
        } else if url.starts_with("mysql://") || url.starts_with("mariadb://") {
            Pools::MySql(Hosts::connect(url, durability).await?)
        } else {
            return Err(DbError::Settings(String::from("database_url starts with neither sqlite:// nor mysql://")));
        };
        Ok(Self {
            pools,
            clock,
            bell: Bell::default(),
            #[cfg(test)]
            fuse: crash::Fuse::default(),
        })
    }

    /// Brings the schema up to date. Safe to run from several nodes at once.
    pub(crate) async fn migrate(&self, migrations: &Migrations) -> Result<(), DbError> {
        let done = match &self.pools {
            Pools::Sqlite { path, .. } => sqlite::migrate(path, migrations.sqlite).await,
            Pools::MySql(hosts) => migrations.mysql.run(&hosts.pool()).await,
        };
        done.map_err(|error| DbError::Settings(format!("migrations: {error}")))?;
        self.check_tables().await
    }

    /// A table that lost its transactions, or folds its ids, is as bad as a server that does.
    async fn check_tables(&self) -> Result<(), DbError> {
        let Pools::MySql(_) = &self.pools else { return Ok(()) };
        match self.row(Sql { sqlite: "", mysql: fitness::TABLES }, params![]).await? {
            Some(mut wrong) => Err(DbError::Settings(wrong.text()?)),
            None => Ok(()),
        }
    }

    /// Opens a transaction. Callers want [`in_tx`], which also repeats and commits.
    pub(crate) async fn begin(&self) -> Result<Tx, DbError> {
        self.open(true).await
    }

    /// Transactions that a loss of power may undo until [`Db::on_disk`] says that they are on the disk: for what nobody relies on,
    /// and for what is told to nobody before. On a server commits are on the disk when they are answered, these too.
    pub(crate) fn unsynced(&self) -> Unsynced<'_> {
        Unsynced(self)
    }

    /// Itself, where [`Db::unsynced`] transactions are on the disk only some time after their commit.
    pub(crate) fn unsynced_disk(&self) -> Option<&Self> {
        self.has_one_writer().then_some(self)
    }

    /// Returns when all that is committed now is on the disk.
    ///
    /// # Errors
    /// [`DbError::CommitUnknown`].
    pub(crate) async fn on_disk(&self) -> Result<(), DbError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.on_disk().await.map_err(DbError::of_commit),
            Pools::MySql(_) => Ok(()),
        }
    }

    async fn open(&self, synced: bool) -> Result<Tx, DbError> {
        #[cfg(test)]
        self.fuse.alive().await;
        let tx = match &self.pools {
            Pools::Sqlite { writer, .. } => Tx::begin_sqlite(writer, synced, &self.clock).await,
            Pools::MySql(hosts) => hosts.noticed(Tx::begin_mysql(hosts).await),
        }?;
        #[cfg(test)]
        let tx = tx.with_fuse(self.fuse.clone());
        Ok(tx.with_bell(self.bell.clone()))
    }

    /// A transaction that can only read, of what was committed last: where there is one writer, one that does not wait for it,
    /// nor for the disk that it may be waiting for. `None` where transactions do not wait for each other anyway.
    pub(crate) async fn snapshot(&self) -> Result<Option<Tx>, DbError> {
        #[cfg(test)]
        self.fuse.alive().await;
        match &self.pools {
            Pools::Sqlite { readers, .. } => Tx::snapshot(readers, &self.clock).await.map(Some),
            Pools::MySql(_) => Ok(None),
        }
    }

    /// What rings when a commit of this process brought work.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Gives all connections back: a test has many processes.
    #[cfg(test)]
    pub(crate) async fn close(&self) {
        match &self.pools {
            // The one that writes ends with its last transaction.
            Pools::Sqlite { readers, .. } => readers.close(),
            Pools::MySql(hosts) => hosts.pool().close().await,
        }
    }

    /// How often somebody waited for SQLite's disk.
    #[cfg(test)]
    pub(crate) fn waits(&self) -> u64 {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.waits(),
            Pools::MySql(_) => 0,
        }
    }

    /// The same SQLite database, on a disk whose syncs begin and end when a test says so.
    #[cfg(test)]
    pub(crate) fn by_hand(&self) -> (Self, log::Hands) {
        let Pools::Sqlite { path, writer, readers } = self.pools.clone() else { panic!("SQLite") };
        let (writer, hands) = writer.by_hand();
        (Self { pools: Pools::Sqlite { path, writer, readers }, ..self.clone() }, hands)
    }

    /// What makes this process die at a commit.
    #[cfg(test)]
    pub(crate) fn fuse(&self) -> &crash::Fuse {
        &self.fuse
    }

    /// All rows, outside of a transaction: for showing, not for deciding.
    pub(crate) async fn rows(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let sql = sql.into();
        match &self.pools {
            Pools::Sqlite { readers, .. } => readers.rows(sql.sqlite, params).await,
            Pools::MySql(hosts) => hosts.noticed(mysql::rows(&hosts.pool(), sql.mysql, params).await),
        }
    }

    /// All rows of a statement that may go through much of a table, outside of a transaction. It keeps nobody else waiting.
    pub(crate) async fn scan(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let sql = sql.into();
        match &self.pools {
            Pools::Sqlite { readers, .. } => readers.scan(sql.sqlite, params).await,
            Pools::MySql(_) => self.rows(sql, params).await,
        }
    }

    /// The first row, if any, outside of a transaction: for showing, not for deciding.
    pub(crate) async fn row(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Option<Row>, DbError> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// The database's clock, epoch milliseconds.
    pub(crate) async fn now_ms(&self) -> Result<i64, DbError> {
        match &self.pools {
            Pools::Sqlite { .. } => Ok((self.clock)()),
            Pools::MySql(hosts) => hosts.noticed(mysql::now_ms(&hosts.pool()).await),
        }
    }

    /// This process's time, for what need not agree with the database's: the part of an id that it sorts by.
    pub(crate) fn local_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Whether the database itself lets only one transaction write at a time.
    pub(crate) fn has_one_writer(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    /// How many processes may answer: where the database has one writer one does, unless it is said that there are `many`.
    pub(crate) fn answering(&self, many: bool) -> Answering {
        if self.has_one_writer() && !many { Answering::Alone } else { Answering::AmongMany }
    }

    /// Lets this process answer, alone or with others that do not want to be alone.
    ///
    /// # Errors
    /// Another process stands against it: busy, which may pass.
    pub(crate) fn take_turn(&self, answering: Answering) -> Result<Turn, DbError> {
        match &self.pools {
            Pools::Sqlite { path, .. } => turn::take(path, answering),
            Pools::MySql(_) => Ok(Turn::FREE),
        }
    }

    /// Whether it answers.
    pub(crate) async fn check(&self) -> Result<(), DbError> {
        if let Pools::Sqlite { writer, .. } = &self.pools {
            writer.check()?;
        }
        self.row("select 1", params![]).await.map(|_| ())
    }
}

/// Runs a block in one transaction and commits it; its value is the block's `Result`. Deadlocks and lock waits repeat
/// the whole block, so it must do nothing but talk to `tx` and must not use up what it captures. An `Err`, or
/// [`Tx::undo`], rolls everything back. A macro, because an async closure over `&mut Tx` cannot be shown to be `Send`.
///
/// `in_tx!(db, tx, { tx.execute(TAKE, params![id]).await?; Ok::<_, DbError>(tx.now_ms()) })`
macro_rules! in_tx {
    ($db:expr, $tx:ident, $work:block) => {{
        let mut tries = $crate::db::Tries::first();
        loop {
            let mut open = match $db.begin().await {
                Ok(open) => open,
                Err(error) => break Err(error.into()),
            };
            let done = async {
                let $tx = &mut open;
                $work
            }
            .await;
            match tries.after(open, done).await {
                $crate::db::Next::Done(done) => break done,
                $crate::db::Next::Again => {}
            }
        }
    }};
}
pub(crate) use in_tx;

/// Counts the tries of one [`in_tx`].
pub(crate) struct Tries(u32);

/// What [`in_tx`] does next.
pub(crate) enum Next<T> {
    Done(T),
    Again,
}

impl Tries {
    pub(crate) fn first() -> Self {
        Self(1)
    }

    /// Commits, or rolls back, or asks for the block to be run once more.
    pub(crate) async fn after<T, E: From<DbError>>(&mut self, tx: Tx, done: Result<T, E>) -> Next<Result<T, E>> {
        let more = self.0 < TRIES_MAX;
        if tx.lost_its_locks() && more {
            tx.roll_back().await;
            return self.again().await;
        }
        match done {
            Ok(value) => match tx.finish().await {
                Ok(()) => Next::Done(Ok(value)),
                Err(DbError::Busy(_)) if more => self.again().await,
                Err(error) => Next::Done(Err(error.into())),
            },
            Err(error) => {
                tx.roll_back().await;
                Next::Done(Err(error))
            }
        }
    }

    async fn again<T>(&mut self) -> Next<T> {
        let longest = RETRY_PAUSE_MS_MAX << self.0.min(6);
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..=longest))).await;
        self.0 += 1;
        Next::Again
    }
}
