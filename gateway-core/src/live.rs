//! The seats of a screening as they change: one reader of the database for each screening that somebody watches, in each
//! process, and one stream of changes for all who watch it. Nobody reads when nobody watches.
//!
//! A version is a digest of the whole map, so every process gives the same map the same version: whoever comes back with
//! one gets what changed since, from any of them, or the whole map if that was too long ago.

mod map;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catalogue;
use crate::db::{Db, DbError};
use map::SeatMap;
pub(crate) use map::version_of;

/// The pause between two readings, and so the most that is sent: four times a second.
const PAUSE: Duration = Duration::from_millis(250);

/// A reader rests so many times as long as it took to read: a large hall costs the database no more than a small one.
const REST: u32 = 4;

/// Who watches at the same time in one process. Whoever comes beyond that polls.
const LISTENERS_MAX: usize = 10_000;

/// Maps that a returning listener may have seen last.
const KEPT_MAX: usize = 64;

/// How long nothing may be sent: then a comment tells the listener, and whatever is between, that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a stream lasts at most. The browser comes back by itself, and is asked for its entry again.
const STREAM_MAX: Duration = Duration::from_secs(300);

/// Messages that wait for a slow listener. Then it gets everything at once, when it reads again.
const QUEUE_MAX: usize = 4;

/// What a listener hears first: when to come back after the stream has ended.
const GREETING: &str = "retry: 2000\n\n";

const COMMENT: &str = ": still here\n\n";

/// All screenings that somebody watches. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feeds(Arc<Inner>);

struct Inner {
    db: Db,
    stop: CancellationToken,
    listeners: Arc<Semaphore>,
    // A std mutex: held for map operations only.
    feeds: Mutex<HashMap<String, Weak<Feed>>>,
}

/// One screening that somebody watches. Its reader ends with the last of them.
struct Feed {
    now: watch::Sender<Option<Arc<Reading>>>,
}

/// The map as it is, and those that it was before.
struct Reading {
    map: Arc<SeatMap>,
    /// What changed since the map before, ready to be sent: almost all listeners are there.
    since: Option<(String, Bytes)>,
    earlier: VecDeque<Arc<SeatMap>>,
}

impl Feeds {
    pub(crate) fn on(db: Db) -> Self {
        Self::with(db, LISTENERS_MAX)
    }

    fn with(db: Db, listeners_max: usize) -> Self {
        Self(Arc::new(Inner {
            db,
            stop: CancellationToken::new(),
            listeners: Arc::new(Semaphore::new(listeners_max)),
            feeds: Mutex::default(),
        }))
    }

    /// Ends all streams, and lets none begin, once `stop` is cancelled.
    pub(crate) fn end_with(&self, stop: CancellationToken) {
        let own = self.0.stop.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            own.cancel();
        });
    }

    /// Events for one listener who saw the map `last` last, if any. `None` when too many listen, or the process ends.
    pub(crate) fn listen(&self, screening: &str, last: Option<String>) -> Option<mpsc::Receiver<Bytes>> {
        if self.0.stop.is_cancelled() {
            return None;
        }
        let place = Arc::clone(&self.0.listeners).try_acquire_owned().ok()?;
        let (messages, stream) = mpsc::channel(QUEUE_MAX);
        let listener = Listener { feed: self.feed(screening), messages, stop: self.0.stop.clone(), _place: place };
        tokio::spawn(listener.run(last));
        Some(stream)
    }

    /// The running reader's feed, or a new one's.
    fn feed(&self, screening: &str) -> Arc<Feed> {
        let mut feeds = self.feeds();
        if let Some(feed) = feeds.get(screening).and_then(Weak::upgrade) {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = Arc::new(Feed { now: watch::Sender::new(None) });
        feeds.insert(screening.to_owned(), Arc::downgrade(&feed));
        tokio::spawn(read(self.0.db.clone(), screening.to_owned(), Arc::downgrade(&feed), self.0.stop.clone()));
        feed
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<String, Weak<Feed>>> {
        self.0.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn watched(&self) -> usize {
        self.feeds().values().filter(|feed| feed.strong_count() > 0).count()
    }
}

/// Reads until nobody listens any more.
async fn read(db: Db, screening: String, feed: Weak<Feed>, stop: CancellationToken) {
    loop {
        let started = Instant::now();
        let map = seats(&db, &screening).await;
        let Some(feed) = feed.upgrade() else { return };
        match map {
            Ok(map) => feed.show(map),
            Err(error) => tracing::warn!(%error, screening, "the seats could not be read"),
        }
        drop(feed);
        let pause = PAUSE.max(started.elapsed() * REST);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn seats(db: &Db, screening: &str) -> Result<SeatMap, DbError> {
    Ok(SeatMap::of(&catalogue::seats(db, screening, None).await?))
}

impl Feed {
    fn show(&self, map: SeatMap) {
        self.now.send_if_modified(|now| {
            let Some(last) = now.as_ref() else {
                *now = Some(Arc::new(Reading { map: Arc::new(map), since: None, earlier: VecDeque::new() }));
                return true;
            };
            if last.map.version == map.version {
                return false;
            }
            let mut earlier = last.earlier.clone();
            earlier.push_back(Arc::clone(&last.map));
            while earlier.len() > KEPT_MAX {
                earlier.pop_front();
            }
            let since = Some((last.map.version.clone(), map.since(&last.map)));
            *now = Some(Arc::new(Reading { map: Arc::new(map), since, earlier }));
            true
        });
    }
}

impl Reading {
    /// The event that brings a listener who saw `last` up to date; `None` if there is nothing to tell.
    fn event_for(&self, last: Option<&str>) -> Option<Bytes> {
        let Some(last) = last else { return Some(self.map.whole()) };
        if last == self.map.version {
            return None;
        }
        if let Some((version, event)) = &self.since
            && version == last
        {
            return Some(event.clone());
        }
        match self.earlier.iter().rev().find(|map| map.version == last) {
            Some(earlier) => Some(self.map.since(earlier)),
            None => Some(self.map.whole()),
        }
    }
}

/// Somebody who listens. Holding the feed is what keeps its reader alive.
struct Listener {
    feed: Arc<Feed>,
    messages: mpsc::Sender<Bytes>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    async fn run(self, mut last: Option<String>) {
        let mut readings = self.feed.now.subscribe();
        readings.mark_changed();
        let end = Instant::now() + STREAM_MAX;
        if self.messages.send(Bytes::from_static(GREETING.as_bytes())).await.is_err() {
            return;
        }
        loop {
            let message = tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.messages.closed() => return,
                () = tokio::time::sleep_until(end) => return,
                () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(COMMENT.as_bytes())),
                changed = readings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let reading = readings.borrow_and_update().clone();
                    let event = reading.as_ref().and_then(|reading| reading.event_for(last.as_deref()));
                    last = reading.map(|reading| reading.map.version.clone()).or(last);
                    event
                }
            };
            if let Some(message) = message
                && self.messages.send(message).await.is_err()
            {
                return;
            }
        }
    }
}
