//! Copies SQLite's log into the database file beside the writer. SQLite would have a commit do it, one in every few dozen, and
//! with it everybody waits for the two syncs that copying takes.

use std::time::Duration;

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::sqlite;

/// How long the log is left to grow: pages that change often are copied once for all changes.
const EVERY: Duration = Duration::from_millis(250);

/// Does not wait for readers and writers, and they do not wait for it.
const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";

/// Says that there is something to copy. Copying ends with the last of these.
#[derive(Clone)]
pub(super) struct Committed(Sender<()>);

impl Committed {
    pub(super) fn tell(&self) {
        // It has been told before, and has not looked yet.
        let _full = self.0.try_send(());
    }
}

/// Copies from now on. Without a runtime nobody does, and the log is the writer's again.
pub(super) fn keep_short(connection: Connection) -> Committed {
    let (tell, told) = channel(1);
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(copy(connection, told));
    }
    Committed(tell)
}

async fn copy(mut connection: Connection, mut told: Receiver<()>) {
    while told.recv().await.is_some() {
        tokio::time::sleep(EVERY).await;
        let copied = sqlite::at_the_disk(move || {
            sqlite::rows(&connection, CHECKPOINT, Vec::new())?;
            Ok(connection)
        });
        connection = match copied.await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "SQLite's log is not copied beside the writer any more; the writer does it");
                return;
            }
        };
    }
}
