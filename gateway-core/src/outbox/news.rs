//! Who in this process waits for news of an order. A hint to look again, and never the news itself: whoever waits also
//! looks from time to time, because what it waits for may happen in another process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::base::ReservationId;

// A std mutex: held for a look into the map.
type Waiting = Mutex<HashMap<ReservationId, watch::Sender<()>>>;

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct News(Arc<Waiting>);

/// Hears what is told from its making on.
pub(crate) struct Listener {
    news: News,
    order: ReservationId,
    heard: watch::Receiver<()>,
}

impl News {
    fn waiting(&self) -> MutexGuard<'_, HashMap<ReservationId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn listen(&self, order: ReservationId) -> Listener {
        let heard = self.waiting().entry(order).or_default().subscribe();
        Listener { news: self.clone(), order, heard }
    }

    pub(crate) fn tell(&self, order: ReservationId) {
        if let Some(listeners) = self.waiting().get(&order) {
            listeners.send_replace(());
        }
    }
}

impl Listener {
    /// Returns when there is news, and after `longest` in any case.
    pub(crate) async fn news(&mut self, longest: Duration) {
        // The sender lives as long as its listeners; late or told, the caller looks again.
        let _told_or_late = tokio::time::timeout(longest, self.heard.changed()).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut waiting = self.news.waiting();
        if waiting.get(&self.order).is_some_and(|listeners| listeners.receiver_count() <= 1) {
            waiting.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_told_before_the_wait_is_heard_and_nobody_is_kept_for_ever() {
        let news = News::default();
        let order = ReservationId::derived([1; 16]);
        let (mut one, two) = (news.listen(order), news.listen(order));
        news.tell(order);
        let before = tokio::time::Instant::now();
        one.news(Duration::from_secs(60)).await;
        assert!(before.elapsed() < Duration::from_secs(30));
        let before = tokio::time::Instant::now();
        one.news(Duration::from_millis(30)).await;
        assert!(before.elapsed() >= Duration::from_millis(30), "told once");
        drop(one);
        assert_eq!(news.waiting().len(), 1);
        drop(two);
        assert!(news.waiting().is_empty());
        news.tell(order);
    }
}
