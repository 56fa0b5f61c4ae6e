//! Orders of stock that another process takes. An answer that does not come says nothing: the same order, by the same id,
//! is asked for again, a few times, and then whoever wants it is told that nobody knows yet.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::contract::ReserveRequest;
use super::contract::stock_client::StockClient;
use super::wire;
use crate::group::Load;
use crate::grpc::key::KeyShow;
use crate::grpc::{Unreserved, watch_load};
use crate::reservation::{HoldStock, StockOutcome};

/// A listener answers a hundred requests of one connection at a time, and a group of the writers takes more than twice as
/// many.
const CONNECTIONS: usize = 4;

/// How long one answer may take: the writers turn away who would wait for five seconds, and the last of the others are
/// written after that.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// How long all of it may take: less than people wait for a page, and much less than the claim of an idempotency key lasts.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often an order is asked for. With the pauses about as long as a process takes to start again.
const TRIES_MAX: u32 = 4;

/// The pause after the first try, in milliseconds; three times as long after each.
const PAUSE_MS: f64 = 100.0;

/// After the stream of the load breaks off, this long until it is asked for again.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

type Client = StockClient<InterceptedService<Channel, KeyShow>>;

/// The process that takes orders of stock for this one.
pub(in crate::grpc) struct Remote {
    url: String,
    /// Used in turn.
    clients: Vec<Client>,
    turn: AtomicUsize,
    under_way: AtomicU64,
    /// It did not answer when it was last asked, or turned us away: said once.
    away: AtomicBool,
    load: watch::Sender<Load>,
}

/// What became of one try.
#[expect(clippy::large_enum_variant, reason = "one at a time, looked at and handed on")]
enum Heard {
    Outcome(Result<StockOutcome, Unreserved>),
    /// It is done, or it is not.
    Nothing(Status),
    /// It does not take orders from us. Nothing was done.
    TurnedAway(Status),
}

impl Remote {
    pub(in crate::grpc) fn new(url: &str, endpoint: &Endpoint, key: &KeyShow) -> Self {
        let client = |_| StockClient::with_interceptor(endpoint.connect_lazy(), key.clone());
        Self {
            url: url.to_owned(),
            clients: (0..CONNECTIONS).map(client).collect(),
            turn: AtomicUsize::new(0),
            under_way: AtomicU64::new(0),
            away: AtomicBool::new(false),
            load: watch::Sender::default(),
        }
    }

    /// Takes stock for an order there.
    pub(in crate::grpc) async fn reserve(&self, ask: &HoldStock) -> Result<StockOutcome, Unreserved> {
        let _counted = UnderWay::count(&self.under_way);
        let (request, end) = (wire::request(ask), Instant::now() + PATIENCE);
        for tried in 0..TRIES_MAX {
            let left = end.saturating_duration_since(Instant::now());
            match self.once(request.clone(), left.min(ANSWER_WITHIN)).await {
                Heard::Outcome(outcome) => {
                    if self.away.swap(false, Ordering::Relaxed) {
                        tracing::info!(url = self.url, "orders of stock are taken again");
                    }
                    return outcome;
                }
                Heard::TurnedAway(status) => {
                    if !self.away.swap(true, Ordering::Relaxed) {
                        tracing::error!(url = self.url, %status, "core.stock_url takes no orders of this process");
                    }
                    return Err(Unreserved::TurnedAway);
                }
                Heard::Nothing(status) => {
                    if !self.away.swap(true, Ordering::Relaxed) {
                        tracing::warn!(url = self.url, %status, "no answer to an order of stock; it is asked for again");
                    }
                    let pause = pause(tried, rand::random());
                    if Instant::now() + pause >= end {
                        break;
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Err(Unreserved::NoAnswer)
    }

    async fn once(&self, request: ReserveRequest, within: Duration) -> Heard {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let Some(mut client) = self.clients.get(turn).cloned() else {
            return Heard::Nothing(Status::unavailable("no connection"));
        };
        match tokio::time::timeout(within, client.reserve(request)).await {
            Ok(Ok(response)) => Heard::Outcome(wire::outcome(response.into_inner())),
            Ok(Err(status)) if is_refusal(status.code()) => Heard::TurnedAway(status),
            Ok(Err(status)) => Heard::Nothing(status),
            Err(_) => Heard::Nothing(Status::deadline_exceeded("it took too long")),
        }
    }

    /// How busy that process is with everybody's orders, and never less than with those that wait here for it.
    pub(in crate::grpc) fn busy(&self) -> Load {
        let there = *self.load.borrow();
        Load { in_flight: there.in_flight.max(self.under_way.load(Ordering::Relaxed)), ..there }
    }

    /// Listens to how busy it is, until the stop.
    pub(in crate::grpc) async fn hear_load(&self, stop: &CancellationToken) {
        let listening = async {
            loop {
                if let Ok(mut stream) = watch_load(&self.url).await {
                    while let Some(Ok(load)) = stream.next().await {
                        self.load.send_replace(load);
                    }
                }
                // Who is served how fast is the best that is known; who waits there is not.
                self.load.send_modify(|load| load.in_flight = 0);
                tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
            }
        };
        tokio::select! {
            () = listening => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Whether the answer is that nothing was done, and that the same call will be answered in the same way.
const fn is_refusal(code: Code) -> bool {
    match code {
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::InvalidArgument => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}

/// The pause after a try, from half to one and a half of what it is on average, so that a crowd does not come as one again.
fn pause(tried: u32, luck: f64) -> Duration {
    let average_ms = PAUSE_MS * 3_f64.powi(i32::try_from(tried).unwrap_or(i32::MAX));
    Duration::from_millis(1).mul_f64((average_ms * (0.5 + luck)).min(60_000.0))
}

/// An order on its way, for as long as this lives.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn count(orders: &'a AtomicU64) -> Self {
        orders.fetch_add(1, Ordering::Relaxed);
        Self(orders)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_and_together_leave_time_for_the_answers() {
        let all = |luck| (0..TRIES_MAX).map(|tried| pause(tried, luck)).collect::<Vec<_>>();
        assert_eq!(all(0.5).iter().map(Duration::as_millis).collect::<Vec<_>>(), [100, 300, 900, 2_700]);
        let longest: Duration = all(1.0).iter().take(3).sum();
        assert!(longest < PATIENCE, "the last try is made: {longest:?}");
        assert_eq!(pause(u32::MAX, 1.0), Duration::from_secs(60));
    }
}
