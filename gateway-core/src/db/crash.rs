//! Lets a test kill "the process" at a commit: before it, and nothing of it is stored; or after it, and nobody was told.
//! From then on no transaction of that [`super::Db`] begins or ends. The next process is a new `Db` on the same database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Where in a commit the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

#[derive(Clone)]
pub(crate) struct Fuse(Arc<Inner>);

struct Inner {
    /// Commits until the end; 0 is never.
    before: AtomicU64,
    after: AtomicU64,
    committed: AtomicU64,
    dead: watch::Sender<bool>,
}

impl Default for Fuse {
    fn default() -> Self {
        Self(Arc::new(Inner {
            before: AtomicU64::new(0),
            after: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            dead: watch::Sender::new(false),
        }))
    }
}

impl Fuse {
    /// Dies at the `n`th commit from now, counted from 1.
    pub(crate) fn light(&self, n: u64, side: Side) {
        let lit = match side {
            Side::Before => &self.0.before,
            Side::After => &self.0.after,
        };
        lit.store(n, Ordering::SeqCst);
    }

    /// Commits that were answered.
    pub(crate) fn committed(&self) -> u64 {
        self.0.committed.load(Ordering::SeqCst)
    }

    /// Returns once it has burnt down.
    pub(crate) async fn burnt(&self) {
        let mut dead = self.0.dead.subscribe();
        dead.wait_for(|dead| *dead).await.expect("the sender is here");
    }

    /// Whether the process dies here.
    pub(super) fn burns(&self, side: Side) -> bool {
        let lit = match side {
            Side::Before => &self.0.before,
            Side::After => &self.0.after,
        };
        let burns = *self.0.dead.borrow()
            || lit.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1);
        if burns {
            self.0.dead.send_replace(true);
        } else if side == Side::After {
            self.0.committed.fetch_add(1, Ordering::SeqCst);
        }
        burns
    }

    /// The dead do nothing.
    pub(super) async fn dead<T>(&self) -> T {
        std::future::pending().await
    }

    /// Returns at once while the process lives.
    pub(super) async fn alive(&self) {
        if *self.0.dead.borrow() {
            std::future::pending::<()>().await;
        }
    }
}
