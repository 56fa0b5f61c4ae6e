//! Forwarding: one upstream over pooled HTTP/1.1 connections. Takes an [`Admitted`] for every request; there is no
//! other way through.

use std::error::Error as StdError;
use std::time::Duration;

use axum::body::Body;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body_util::{LengthLimitError, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Origin;
use super::header::{cleanse_request, strip_hop_by_hop};
use super::pulse::Pulse;
use crate::credential::ENTRY_HEADER;
use crate::door::Admitted;
use crate::metrics;
use crate::path::CanonicalPath;
use crate::problem::{Code, Problem};

/// Requests that are on their way to the upstream at once; more wait for their turn within their time. Each costs a
/// connection, two descriptors where both ends are in one process, and some more while they are opened; a crowd of ten
/// thousand must not need one for each of them.
const IN_FLIGHT_MAX: usize = 2_048;
/// Idle connections that are kept; more are opened as needed and closed afterwards.
const IDLE_CONNECTIONS_MAX: usize = 512;
/// An upstream usually closes idle connections after a minute or more; closing first avoids losing the race.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection on the own network is there in milliseconds, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Responses with more headers than this are a broken upstream's.
const RESPONSE_HEADERS_MAX: usize = 256;

/// The one upstream.
pub(crate) struct Upstream {
    client: Client<HttpConnector, Body>,
    authority: Authority,
    timeout: Duration,
    body_bytes_max: u64,
    pulse: Pulse,
    turns: Semaphore,
}

/// A request that has been looked at: everything forwarding needs besides permission.
#[derive(Clone, Copy)]
pub(crate) struct Passage<'a> {
    pub(crate) path: &'a CanonicalPath,
    pub(crate) origin: &'a Origin,
}

impl Upstream {
    pub(crate) fn new(authority: Authority, timeout: Duration, body_bytes_max: u64) -> Upstream {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .set_host(false)
            .build(connector);
        Upstream {
            client,
            authority,
            timeout,
            body_bytes_max,
            pulse: Pulse::default(),
            turns: Semaphore::new(IN_FLIGHT_MAX),
        }
    }

    /// How the upstream answered lately.
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Sends the request on and answers with the upstream's answer. Consumes the proof that it may pass.
    ///
    /// # Errors
    /// The [`Problem`] to answer with: the upstream cannot be reached, breaks off, takes too long, or the body is
    /// larger than allowed.
    pub(crate) async fn forward(
        &self,
        admitted: Admitted,
        passage: Passage<'_>,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        if declared_bytes(parts) > self.body_bytes_max {
            return Err(self.too_large());
        }
        let request = self.dress(admitted, passage, parts, body)?;
        let beat = self.pulse.begin(Instant::now());
        let answer = async {
            // Never closed. Given back when the answer begins: what is streamed after that may last for hours.
            let _turn = self.turns.acquire().await;
            self.client.request(request).await
        };
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(response)) => {
                metrics::forwarded(beat.end(Instant::now(), response.status().is_server_error()));
                Ok(undress(response))
            }
            Ok(Err(error)) => {
                let problem = self.explain(&error);
                // A body that is too large says nothing of the upstream.
                if problem.code() != Code::BodyTooLarge {
                    beat.end(Instant::now(), true);
                }
                Err(problem)
            }
            Err(_) => {
                beat.end(Instant::now(), true);
                Err(Problem::new(Code::UpstreamTimeout, "The shop took too long; it may still have done it."))
            }
        }
    }

    fn dress(
        &self,
        admitted: Admitted,
        passage: Passage<'_>,
        parts: &Parts,
        body: Body,
    ) -> Result<Request<Body>, Problem> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(passage.path.with_query())
            .build()
            .map_err(|_| Problem::new(Code::PathRefused, "The path cannot be sent on."))?;
        let limit = usize::try_from(self.body_bytes_max).unwrap_or(usize::MAX);
        let mut request = Request::new(Body::new(Limited::new(body, limit)));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = parts.headers.clone();
        let headers = request.headers_mut();
        cleanse_request(headers);
        passage.origin.tell(headers);
        if let Some(Ok(token)) = admitted.into_token().map(|token| HeaderValue::from_str(&token)) {
            headers.insert(ENTRY_HEADER, token);
        }
        Ok(request)
    }

    fn too_large(&self) -> Problem {
        let detail = format!("At most {} bytes are accepted.", self.body_bytes_max);
        Problem::new(Code::BodyTooLarge, detail).with("body_bytes_max", self.body_bytes_max)
    }

    fn explain(&self, error: &Error) -> Problem {
        if error.is_connect() {
            tracing::warn!(error = %chain(error), "the upstream cannot be reached");
            return Problem::new(
                Code::UpstreamUnreachable,
                "The shop behind the door does not answer; nothing was sent.",
            )
            .retry_after(UNREACHABLE_RETRY_MS);
        }
        if causes(error).any(<dyn StdError>::is::<LengthLimitError>) {
            return self.too_large();
        }
        tracing::warn!(error = %chain(error), "the upstream broke off");
        Problem::new(Code::UpstreamFailed, "The shop broke off its answer; it may still have done what was asked.")
    }
}

/// When to try again after a failed connection, in milliseconds.
const UNREACHABLE_RETRY_MS: u64 = 2_000;

fn declared_bytes(parts: &Parts) -> u64 {
    let text = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    text.map_or(0, |digits| digits.parse().unwrap_or(u64::MAX))
}

/// What stands behind has ended the visitor's session: an extension of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionEnds;

/// With the value `end`, the visitor's session is over.
const SESSION_HEADER: &str = "x-waiting-room-session";

fn undress(response: Response<hyper::body::Incoming>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    // A word to the door, not to the visitor.
    if parts.headers.remove(SESSION_HEADER).is_some_and(|word| word == "end") {
        parts.extensions.insert(SessionEnds);
    }
    parts.version = Version::default();
    Response::from_parts(parts, Body::new(body))
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
