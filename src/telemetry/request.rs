//! One id for a request through both servers, and one log line when it is answered.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Instant;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use metrics::{Histogram, histogram};
use tracing::{Instrument, Span};
use uuid::{NoContext, Timestamp, Uuid};

use super::metrics::REQUEST_SECONDS;

/// Carries the id from client to door to core and back.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id from outside is replaced: it would only fill logs.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Which server answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Server {
    Door,
    Core,
    CoreGrpc,
    Sandbox,
    Operator,
}

/// How many there are.
const SERVERS: usize = Server::Operator as usize + 1;

impl Server {
    /// The name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Core => "core",
            Self::CoreGrpc => "core_grpc",
            Self::Sandbox => "sandbox",
            Self::Operator => "operator",
        }
    }
}

/// A request that is being answered: its id, its span and its time.
pub(crate) struct Trace {
    server: Server,
    id: HeaderValue,
    span: Span,
    started: Instant,
}

impl Trace {
    /// Gives the request its id, and a span that names it. The query is left out: it may hold what a customer typed.
    pub(crate) fn begin(server: Server, request: &mut Request<Body>) -> Trace {
        let id = request.headers().get(&REQUEST_ID).filter(|id| is_sane(id)).cloned().unwrap_or_else(new_id);
        request.headers_mut().insert(REQUEST_ID, id.clone());
        let span = if is_poll(request.method(), request.uri().path())
            && !tracing::enabled!(target: "vestibule::request", tracing::Level::INFO)
        {
            Span::none()
        } else {
            tracing::info_span!(
                "request",
                server = server.name(),
                request_id = id.to_str().unwrap_or_default(),
                method = %request.method(),
                path = request.uri().path(),
            )
        };
        Trace { server, id, span, started: Instant::now() }
    }

    /// What is logged on the way to the answer names the request.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Counts and logs the answer, and gives it the id.
    pub(crate) fn end(self, mut response: Response<Body>) -> Response<Body> {
        let took = self.started.elapsed();
        seconds(self.server, response.status()).record(took.as_secs_f64());
        self.span.in_scope(|| {
            tracing::info!(target: "vestibule::request", status = response.status().as_u16(), took_us = took.as_micros() as u64, "answered");
        });
        response.headers_mut().insert(REQUEST_ID, self.id);
        response
    }
}

/// Answers within a [`Trace`].
pub(crate) async fn traced<F>(
    server: Server,
    mut request: Request<Body>,
    answer: impl FnOnce(Request<Body>) -> F,
) -> Response<Body>
where
    F: Future<Output = Response<Body>>,
{
    let trace = Trace::begin(server, &mut request);
    let span = trace.span().clone();
    trace.end(answer(request).instrument(span).await)
}

/// Whether somebody with a ticket asks where it stands. That is answered from memory and logs nothing on its way, so it
/// needs no span unless requests are logged: naming it would be a seventh of what it costs.
pub(crate) fn is_poll(method: &Method, path: &str) -> bool {
    method == Method::GET && path.ends_with("/ticket")
}

fn is_sane(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= REQUEST_ID_BYTES_MAX
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn new_id() -> HeaderValue {
    let mut text = [0_u8; uuid::fmt::Simple::LENGTH];
    // Without the counter that orders ids of one millisecond: all threads would wait for its lock.
    let text = Uuid::new_v7(Timestamp::now(NoContext)).simple().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// The classes of status, from 100 on.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The durations of each server by class of status: looked up once, as a look-up costs more than most of a poll does.
static SECONDS: [[OnceLock<Histogram>; CLASSES.len()]; SERVERS] =
    [const { [const { OnceLock::new() }; CLASSES.len()] }; SERVERS];

fn seconds(server: Server, status: StatusCode) -> &'static Histogram {
    let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
    let of_class = || histogram!(REQUEST_SECONDS, "server" => server.name(), "status" => CLASSES[class]);
    SECONDS[server as usize][class].get_or_init(of_class)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn id_for(inbound: Option<&str>) -> (String, String) {
        let mut request = Request::new(Body::empty());
        if let Some(inbound) = inbound {
            request.headers_mut().insert(REQUEST_ID, HeaderValue::from_str(inbound).unwrap());
        }
        let response = traced(Server::Door, request, |request| async move {
            let seen = request.headers()[REQUEST_ID].clone();
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert("seen", seen);
            response
        })
        .await;
        let text = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        (text("seen"), text("x-request-id"))
    }

    #[tokio::test]
    async fn a_sane_id_is_carried_on_and_an_odd_one_replaced() {
        assert_eq!(id_for(Some("order-17.a_B")).await, ("order-17.a_B".to_owned(), "order-17.a_B".to_owned()));
        for odd in ["", "has space", "a\"b", &"x".repeat(65)] {
            let (seen, answered) = id_for(Some(odd)).await;
            assert_ne!(seen, odd);
            assert_eq!(seen, answered);
        }
        assert_eq!(id_for(None).await.0.len(), 32);
    }
}
