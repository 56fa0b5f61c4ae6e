//! Who is on the way to the writer of orders, so that who looks knows what is as good as taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::order::HoldStock;

/// In the order of coming, from before they queue for the writer until it has served them.
#[derive(Default)]
pub(super) struct Ahead(Mutex<OnTheWay>);

#[derive(Default)]
struct OnTheWay {
    next: u64,
    asks: BTreeMap<u64, HoldStock>,
}

/// An order on its way. Its place is left when it is dropped: served, or passed over because nobody listens any more.
pub(super) struct Going {
    pub(super) ask: HoldStock,
    ahead: Arc<Ahead>,
    number: u64,
}

impl Ahead {
    pub(super) fn join(self: &Arc<Self>, ask: HoldStock) -> Going {
        let mut on_the_way = self.lock();
        let number = on_the_way.next;
        on_the_way.next += 1;
        on_the_way.asks.insert(number, ask.clone());
        Going { ask, ahead: Arc::clone(self), number }
    }

    /// The first so many.
    pub(super) fn first(&self, most: usize) -> Vec<HoldStock> {
        self.lock().asks.values().take(most).cloned().collect()
    }

    // A std mutex: never held across an `.await`.
    fn lock(&self) -> MutexGuard<'_, OnTheWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.ahead.lock().asks.remove(&self.number);
    }
}
