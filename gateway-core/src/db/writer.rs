//! SQLite's one connection that writes. Whoever has it has it alone, in the order of asking. It goes from one transaction to
//! the next as it is: a pool would ask its thread twice in between whether it is still there, while everybody waits, and
//! nothing but this process can end it.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::ACQUIRE_TIMEOUT;

/// Takes the write lock at once: a lock taken later could be refused after half of the work.
const BEGIN: &str = "begin immediate";

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    options: Arc<SqliteConnectOptions>,
    // A fair mutex: nobody is overtaken.
    slot: Arc<Mutex<Slot>>,
}

struct Slot {
    connection: SqliteConnection,
    /// A transaction may be open. Only whoever saw it end says otherwise.
    is_open: bool,
}

impl Slot {
    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&mut self.connection).await.map(|_| ())
    }

    /// Rolls back what somebody left who went away.
    async fn clean(&mut self) {
        if self.is_open {
            // An error says that there was nothing to roll back, or that the connection is gone, and all of it with it.
            let _nothing = self.run("rollback").await;
            self.is_open = false;
        }
    }
}

impl Writer {
    pub(super) async fn connect(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let slot = Slot { connection: options.connect().await?, is_open: false };
        Ok(Self { options: Arc::new(options), slot: Arc::new(Mutex::new(slot)) })
    }

    /// The connection, outside of a transaction.
    pub(super) async fn alone(&self) -> Result<Alone, sqlx::Error> {
        let turn = Arc::clone(&self.slot).lock_owned();
        let slot = tokio::time::timeout(ACQUIRE_TIMEOUT, turn).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let mut alone = Alone { slot, all: Arc::clone(&self.slot) };
        alone.slot.clean().await;
        Ok(alone)
    }

    pub(super) async fn begin(&self) -> Result<Alone, sqlx::Error> {
        let mut alone = self.alone().await?;
        alone.slot.is_open = true;
        let mut begun = alone.slot.run(BEGIN).await;
        if matches!(begun, Err(sqlx::Error::WorkerCrashed)) {
            // Its thread has panicked. What it was about is rolled back with the connection.
            alone.slot.connection = self.options.connect().await?;
            begun = alone.slot.run(BEGIN).await;
        }
        alone.slot.is_open = begun.is_ok();
        begun.map(|()| alone)
    }
}

/// The connection, as long as it is somebody's. Dropped in a transaction, the transaction is rolled back before anything
/// else happens on the connection.
pub(super) struct Alone {
    slot: OwnedMutexGuard<Slot>,
    all: Arc<Mutex<Slot>>,
}

impl Alone {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.slot.connection
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.slot.run("commit").await?;
        self.slot.is_open = false;
        Ok(())
    }

    pub(super) async fn roll_back(mut self) -> Result<(), sqlx::Error> {
        self.slot.clean().await;
        Ok(())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // The next to write rolls back; until somebody does, other processes would wait for this file.
        if self.slot.is_open
            && let Ok(runtime) = Handle::try_current()
        {
            let all = Arc::clone(&self.all);
            runtime.spawn(async move { all.lock().await.clean().await });
        }
    }
}
