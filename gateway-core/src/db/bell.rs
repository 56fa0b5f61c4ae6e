//! Tells this process that a commit brought work. Nothing depends on it: who listens also looks from time to time.

use std::sync::Arc;

use tokio::sync::watch;

/// A bell, cheap to clone. A ring while nobody waits is not lost: the next to wait hears it at once.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<watch::Sender<()>>);

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.send_replace(());
    }

    /// Hears every ring from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
