//! SQLite's log on the disk. A commit writes to the log and lets go of the writer; then it waits here, and one sync serves all
//! who committed before it began. What `synchronous=full` does for each commit by itself, with the lock held, this does for
//! many at once, beside the next transactions: nobody is told anything before the sync that covers it is over.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::DbError;

/// Cheap to clone. The thread that syncs ends with the last of these, or with the first sync that fails: after that nobody
/// knows what is on the disk, so nothing is acknowledged any more until the process is started again.
#[derive(Clone)]
pub(super) struct Log {
    ask: UnboundedSender<oneshot::Sender<()>>,
    #[cfg(test)]
    waits: Arc<std::sync::atomic::AtomicU64>,
}

impl Log {
    /// Of the database at `path`, which is open in this process, so that its log stays the same file.
    pub(super) fn open(path: &str) -> io::Result<Self> {
        let file = File::open(format!("{path}-wal"))?;
        Self::by(move || sync(&file))
    }

    fn by(sync: impl FnMut() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (ask, asked) = unbounded_channel();
        std::thread::Builder::new().name(String::from("sqlite-log")).spawn(move || serve(sync, asked))?;
        Ok(Self {
            ask,
            #[cfg(test)]
            waits: Arc::default(),
        })
    }

    /// Returns when all that is committed now is on the disk.
    pub(super) async fn on_disk(&self) -> Result<(), DbError> {
        #[cfg(test)]
        self.waits.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (done, heard) = oneshot::channel();
        if self.ask.send(done).is_ok() {
            tokio::select! {
                biased;
                Ok(()) = heard => return Ok(()),
                // What was sent in the moment in which the thread ended stays with the channel, neither answered nor dropped.
                () = self.ask.closed() => {}
            }
        }
        Err(Self::unsynced())
    }

    /// How often somebody waited for the disk.
    #[cfg(test)]
    pub(super) fn waits(&self) -> u64 {
        self.waits.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Whether commits can be acknowledged.
    pub(super) fn check(&self) -> Result<(), DbError> {
        if self.ask.is_closed() { Err(Self::unsynced()) } else { Ok(()) }
    }

    fn unsynced() -> DbError {
        DbError::Unreachable(Arc::new(io::Error::other("SQLite's log could not be synced: start again")))
    }
}

fn sync(file: &File) -> io::Result<()> {
    file.sync_data()?;
    if file.metadata()?.nlink() == 0 {
        return Err(io::Error::other("the log was deleted while the database was open"));
    }
    Ok(())
}

fn serve(mut sync: impl FnMut() -> io::Result<()>, mut asked: UnboundedReceiver<oneshot::Sender<()>>) {
    while let Some(first) = asked.blocking_recv() {
        let mut waiting = vec![first];
        while let Ok(another) = asked.try_recv() {
            waiting.push(another);
        }
        if let Err(error) = sync() {
            tracing::error!(%error, "SQLite's log could not be synced; nothing is acknowledged until the next start");
            return;
        }
        for one in waiting {
            // Who went away finds what is stored by its id.
            let _gone = one.send(());
        }
    }
}

/// Hears of each sync that begins, and says how it ends.
#[cfg(test)]
pub(super) type Hands = (std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<io::Result<()>>);

/// A log whose syncs begin and end when a test says so.
#[cfg(test)]
pub(super) fn by_hand() -> (Log, Hands) {
    let ((began, begins), (end, ends)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let log = Log::by(move || {
        began.send(()).expect("a test that looks");
        ends.recv().expect("a test that ends it")
    });
    (log.expect("a thread"), (begins, end))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_comes_during_a_sync_waits_for_the_next_one_and_shares_it() {
        let (log, (begins, end)) = by_hand();
        let wait = || {
            tokio::spawn({
                let log = log.clone();
                async move { log.on_disk().await }
            })
        };
        let first = wait();
        begins.recv_timeout(Duration::from_secs(10)).expect("the first sync");
        let later = [wait(), wait(), wait()];
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!first.is_finished(), "not before its sync is over");
        end.send(Ok(())).expect("a thread");
        first.await.expect("no panic").expect("on the disk");
        begins.recv_timeout(Duration::from_secs(10)).expect("the second sync");
        assert!(later.iter().all(|one| !one.is_finished()), "the sync that was under way began before they came");
        end.send(Ok(())).expect("a thread");
        for one in later {
            one.await.expect("no panic").expect("on the disk");
        }
        assert!(begins.try_recv().is_err(), "one for all three");
        log.check().expect("all is well");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn after_a_sync_that_failed_nothing_is_acknowledged() {
        let (log, (begins, end)) = by_hand();
        end.send(Err(io::Error::other("a bad disk"))).expect("a thread");
        assert!(matches!(log.on_disk().await, Err(DbError::Unreachable(_))));
        begins.recv_timeout(Duration::from_secs(10)).expect("one sync");
        assert!(log.on_disk().await.is_err(), "nor later");
        assert!(begins.recv().is_err(), "and it is not tried again: what the disk lost it would not write");
        assert!(log.check().is_err());
    }

    #[test]
    fn a_log_that_was_deleted_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("core.db-wal");
        let file = File::create(&path).expect("a file");
        sync(&file).expect("there");
        std::fs::remove_file(&path).expect("deleted");
        assert!(sync(&file).is_err());
    }
}
