//! The stream of what is left: one reader of the database for all who watch, and nobody reads when nobody watches.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::contract::{Load, Remaining, WatchRequest, availability_server};
use crate::catalogue::{self, SaleLeft};
use crate::http::App;

/// The pause between two readings, and so the most that is sent: once a second.
const PAUSE: Duration = Duration::from_secs(1);

/// Messages that wait for a slow watcher. Then it gets the newest numbers once it reads again.
const QUEUE_MAX: usize = 16;

#[derive(Clone, Debug, Default, PartialEq)]
struct Reading {
    sales: Vec<SaleLeft>,
    at_ms: i64,
}

/// Whoever watches shares one reader. It lives as long as somebody holds on to its channel.
pub(super) struct Watchers {
    app: App,
    // A std mutex: held for two pointer operations.
    running: Mutex<Weak<watch::Sender<Option<Reading>>>>,
}

impl Watchers {
    pub(super) fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app, running: Mutex::new(Weak::new()) })
    }

    /// The channel of the running reader, or of a new one.
    fn channel(&self) -> Arc<watch::Sender<Option<Reading>>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = running.upgrade() {
            return channel;
        }
        let channel = Arc::new(watch::Sender::new(None));
        *running = Arc::downgrade(&channel);
        tokio::spawn(read(self.app.clone(), Arc::downgrade(&channel)));
        channel
    }
}

async fn read(app: App, channel: Weak<watch::Sender<Option<Reading>>>) {
    loop {
        let reading = reading(&app).await;
        let Some(channel) = channel.upgrade() else { return };
        match reading {
            Ok(reading) => {
                channel.send_if_modified(|last| {
                    let news = last.as_ref().is_none_or(|last| last.sales != reading.sales);
                    if news {
                        *last = Some(reading);
                    }
                    news
                });
            }
            Err(error) => tracing::warn!(%error, "what is left could not be read"),
        }
        drop(channel);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn reading(app: &App) -> Result<Reading, crate::DbError> {
    Ok(Reading { sales: catalogue::remaining(&app.db).await?, at_ms: app.db.now_ms().await? })
}

/// The service.
pub(super) struct Availability(Arc<Watchers>);

impl Availability {
    pub(super) fn new(watchers: Arc<Watchers>) -> Self {
        Self(watchers)
    }
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl availability_server::Availability for Availability {
    type WatchStream = Messages<Remaining>;
    type WatchLoadStream = Messages<Load>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (messages, stream) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(forward(self.0.channel(), messages));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn watch_load(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchLoadStream>, Status> {
        let (messages, stream) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(tell_load(self.0.app.clone(), messages));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// Sends what has changed until the watcher is gone. It looks for itself: writers that are stuck report nothing.
async fn tell_load(app: App, messages: mpsc::Sender<Result<Load, Status>>) {
    let mut sent = None;
    while !messages.is_closed() {
        let now = app.peers.busy(&app.stock);
        if sent != Some(now) {
            let message = Load { in_flight: now.in_flight, per_second: now.per_second };
            if messages.send(Ok(message)).await.is_err() {
                return;
            }
            sent = Some(now);
        }
        tokio::select! {
            () = messages.closed() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Sends each reading's changes until the watcher is gone. Holding the channel is what keeps the reader alive.
async fn forward(channel: Arc<watch::Sender<Option<Reading>>>, messages: mpsc::Sender<Result<Remaining, Status>>) {
    let mut readings = channel.subscribe();
    readings.mark_changed();
    let mut sent: Vec<SaleLeft> = Vec::new();
    loop {
        let changed = tokio::select! {
            () = messages.closed() => return,
            changed = readings.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        let Some(reading) = readings.borrow_and_update().clone() else { continue };
        for sale in reading.sales.iter().filter(|sale| !sent.contains(sale)) {
            if messages.send(Ok(message(sale, reading.at_ms))).await.is_err() {
                return;
            }
        }
        sent = reading.sales;
    }
}

fn message(sale: &SaleLeft, at_ms: i64) -> Remaining {
    let left = sale.left;
    Remaining { sale: sale.sale.clone(), free: left.free, held: left.held, sold: left.sold, at_ms }
}
