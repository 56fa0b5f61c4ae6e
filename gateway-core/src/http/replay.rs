//! `Idempotency-Key`: the layer that runs a keyed POST once and gives its answer again.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;

use super::App;
use super::body::{self, Fields};
use super::people::{Asked, dressed};
use super::problem::{Code, Problem};
use super::visitor::known;
use crate::base::{ReservationId, TransactionId};
use crate::replay::{self, Answer, Begun, Call, KEY_CHARS_MAX};

/// The request header, and the form field that stands for it.
const HEADER: &str = "idempotency-key";
const FIELD: &str = "idempotency_key";

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Routes are kept in this many characters; longer ones by their hash.
const ROUTE_CHARS_MAX: usize = 120;

/// Not keyed: they are idempotent by nature, and tokens are never stored.
const EXEMPT: [&str; 4] = ["/login", "/register", "/logout", "/webhooks/"];

/// The ids of what a request makes: derived from its key, so that a second run finds the first one's.
#[derive(Clone)]
pub(crate) struct Effect(Option<Arc<Call>>);

impl Effect {
    /// Whether the request came with a key.
    pub(crate) fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    /// Of a reservation.
    pub(crate) fn reservation(&self, now_ms: i64) -> ReservationId {
        self.seed("reservation").map_or_else(|| ReservationId::new(now_ms), ReservationId::derived)
    }

    /// Of a transaction.
    pub(crate) fn transaction(&self, now_ms: i64) -> TransactionId {
        self.seed("transaction").map_or_else(|| TransactionId::new(now_ms), TransactionId::derived)
    }

    /// The seed of any other id; `None` when the request came without a key.
    pub(crate) fn seed(&self, what: &str) -> Option<[u8; 16]> {
        self.0.as_ref().map(|call| call.seed(what))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Effect {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self(None)))
    }
}

/// The layer.
pub(super) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if request.method() != Method::POST || EXEMPT.iter().any(|exempt| path.starts_with(exempt)) {
        return next.run(request).await;
    }
    // Without a customer there is nobody whom a key could belong to; the handler says what is missing.
    let Ok(customer) = known(&app, request.headers()) else { return next.run(request).await };
    match keyed(&app, customer.0, request).await {
        Ok((request, None)) => next.run(request).await,
        Ok((request, Some(call))) => run(&app, call, request, next).await.unwrap_or_else(Problem::into_response),
        Err(problem) => problem.into_response(),
    }
}

/// Reads the body and finds the key.
async fn keyed(
    app: &App,
    customer: crate::base::CustomerId,
    request: Request,
) -> Result<(Request, Option<Call>), Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, app.settings.body_bytes_max).await?;
    let key = key_of(&parts, &bytes)?;
    let call = key.map(|key| {
        let path = parts.uri.path();
        let route = if path.len() <= ROUTE_CHARS_MAX { format!("POST {path}") } else { hex(&[path.as_bytes()]) };
        let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let query = parts.uri.query().unwrap_or_default();
        let fingerprint = replay::sha256(&[path.as_bytes(), query.as_bytes(), kind, &bytes]);
        Call { customer, route, key, fingerprint }
    });
    Ok((Request::from_parts(parts, Body::from(bytes)), call))
}

fn hex(parts: &[&[u8]]) -> String {
    replay::sha256(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key_of(parts: &Parts, bytes: &Bytes) -> Result<Option<String>, Problem> {
    let invalid = || {
        Problem::new(Code::IdempotencyKeyInvalid)
            .detail(format!("An idempotency key has 1 to {KEY_CHARS_MAX} printable ASCII characters."))
    };
    let key = match parts.headers.get(HEADER) {
        Some(value) => Some(value.to_str().map_err(|_| invalid())?.trim().to_owned()),
        None if body::is_form(&parts.headers) => {
            Fields::parse(bytes)?.one(FIELD).filter(|key| !key.is_empty()).map(str::to_owned)
        }
        None => None,
    };
    let usable = |key: &String| (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    match key {
        Some(key) if !usable(&key) => Err(invalid()),
        other => Ok(other),
    }
}

async fn run(app: &App, call: Call, request: Request, next: Next) -> Result<Response, Problem> {
    match app.replays.begin(&call).await? {
        Begun::Run(claim) => {
            let asked = Asked::of(request.method(), request.uri(), request.headers());
            let (app, call) = (app.clone(), Arc::new(call));
            // Its own task: a client who goes away does not stop a request halfway, and finds its answer later.
            let running = tokio::spawn(async move {
                let answer = answer(&app, &asked, &call, request, next).await;
                match answer.keep(&app, &call, claim).await {
                    Ok(response) => response,
                    Err(problem) => dressed(&app, &asked, problem.into_response()).await,
                }
            });
            running.await.map_err(|_| Problem::new(Code::Internal))
        }
        Begun::Replay(answer) => {
            let mut response = to_response(answer);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Begun::KeyReused => Err(key_reused()),
        Begun::InProgress { retry_after_ms } => Err(Problem::new(Code::RequestInProgress)
            .detail("Wait for the first one, or ask again with the same key.")
            .retry_after_ms(retry_after_ms)),
    }
}

/// The answer to a key that came with something else before.
pub(crate) fn key_reused() -> Problem {
    Problem::new(Code::IdempotencyKeyReused).detail("Use a new key for a new request; the first one's effect stands.")
}

/// The largest answer of ours, by far.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An answer, and whether it is the last word.
struct Finished {
    answer: Answer,
    last_word: bool,
}

async fn answer(app: &App, asked: &Asked, call: &Arc<Call>, mut request: Request, next: Next) -> Finished {
    request.extensions_mut().insert(Effect(Some(call.clone())));
    let response = next.run(request).await;
    let later = response.extensions().get::<Problem>().is_some_and(|problem| problem.code.may_change());
    let last_word = !later && !response.status().is_server_error();
    let response = dressed(app, asked, response).await;
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let header =
        |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
    let headers = parts.headers.iter().filter_map(header).collect();
    Finished { answer: Answer { status: parts.status.as_u16(), headers, body: body.to_vec() }, last_word }
}

impl Finished {
    /// Stores the answer before it is given. What the same request may change later, our failures above all, is not
    /// kept.
    async fn keep(self, app: &App, call: &Call, claim: replay::Claim) -> Result<Response, Problem> {
        if self.last_word {
            app.replays.finish(call, claim, &self.answer).await?;
        } else {
            app.replays.forget(call, claim).await?;
        }
        Ok(to_response(self.answer))
    }
}

fn to_response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
