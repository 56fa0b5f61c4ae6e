//! The admin API: rooms as JSON, changes, and the same facts once a second as events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use serde_json::Value;

use super::Desk;
use super::facts::Facts;
use crate::door::line_unavailable;
use crate::line::RoomChange;
use crate::metrics;
use crate::problem::{Code, Problem};
use crate::store::StoreError;

/// How often the dashboard hears of its rooms.
const EVENT_EVERY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
pub(super) struct AllRooms {
    rooms: Vec<Facts>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.respond(None)
    }
}

/// An answer that no cache may keep.
fn fresh(body: impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) async fn rooms(State(desk): State<Desk>) -> Response {
    fresh(AllRooms { rooms: Facts::all(&desk.door) })
}

pub(super) async fn room(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Problem> {
    let room = desk.door.gate().rooms.get(&name).ok_or_else(unknown)?;
    Ok(fresh(Facts::of(&desk.door, room)))
}

pub(super) async fn change(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|_| Problem::new(Code::BodyTooLarge, "A change is a few numbers and a message."))?;
    apply(&desk, &name, &parse(&body)?).await.map(fresh)
}

/// Makes a change of one room, for the API and for the dashboard's form.
pub(super) async fn apply(desk: &Desk, name: &str, change: &RoomChange) -> Result<Facts, Problem> {
    let room = desk.door.gate().rooms.get(name).ok_or_else(unknown)?;
    change.check().map_err(|invalid| refuse(invalid.field, &invalid.to_string()))?;
    let before = room.snapshot();
    let after = room.change("operator", change).await.map_err(|error| match error {
        StoreError::Invalid(invalid) => refuse(invalid.field, &invalid.to_string()),
        StoreError::Unreachable(_)
        | StoreError::Busy
        | StoreError::NoRoom(_)
        | StoreError::Full
        | StoreError::Closed => line_unavailable("The line's store does not answer; nothing may have changed."),
    })?;
    metrics::operator_changed(room.name());
    tracing::info!(
        room = room.name(),
        rate_before = before.rate_per_minute,
        rate_after = after.rate_per_minute,
        burst_before = before.burst,
        burst_after = after.burst,
        state_before = before.state.as_str(),
        state_after = after.state.as_str(),
        message_changed = before.message != after.message,
        "an operator changed a room"
    );
    Ok(Facts::of(&desk.door, room))
}

/// Reads a change; says which field is wrong rather than where the parser stopped.
fn parse(body: &[u8]) -> Result<RoomChange, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        Problem::new(Code::JsonMalformed, format!("This is not JSON ({at})."))
    })?;
    let Value::Object(fields) = &value else {
        return Err(Problem::new(Code::JsonMalformed, "A JSON object is expected."));
    };
    for (name, value) in fields {
        if value.is_null() {
            return Err(refuse(name, &format!("{name} must not be null; leave it out to keep it")));
        }
        let one = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        serde_json::from_value::<RoomChange>(one).map_err(|_| refuse(name, &expected(name)))?;
    }
    serde_json::from_value(value).map_err(|error| refuse("body", &error.to_string()))
}

fn expected(field: &str) -> String {
    use crate::line::{BURST_MAX, RATE_PER_MINUTE_MAX};
    match field {
        "rate_per_minute" => format!("rate_per_minute must be a whole number from 1 to {RATE_PER_MINUTE_MAX}"),
        "burst" => format!("burst must be a whole number from 0 (follows the rate) to {BURST_MAX}"),
        "state" => "state must be \"open\" or \"paused\"".to_owned(),
        "message" => "message must be a text".to_owned(),
        _ => "there is no such field; rate_per_minute, burst, state and message can be changed".to_owned(),
    }
}

fn refuse(field: &str, detail: &str) -> Problem {
    Problem::new(Code::ValueRefused, detail).with("field", field)
}

fn unknown() -> Problem {
    Problem::new(Code::RoomUnknown, "There is no room of this name.")
}

pub(super) async fn nothing() -> Problem {
    Problem::new(Code::NotFound, "The operator's side has no such page.")
}

pub(super) async fn wrong_method(method: Method, uri: axum::http::Uri) -> Problem {
    tracing::debug!(%method, path = uri.path(), "method not allowed");
    let allow = match uri.path() {
        "/login" => "GET, HEAD, POST",
        "/logout" => "POST",
        path if path.starts_with("/api/rooms/") => "GET, HEAD, PATCH",
        path if path.starts_with("/rooms/") => "POST",
        _ => "GET, HEAD",
    };
    Problem::method(allow)
}

/// All rooms, at once and then every second, for as long as somebody listens.
pub(super) async fn events(State(desk): State<Desk>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let every = tokio::time::interval(EVENT_EVERY);
    let stream = futures_util::stream::unfold((desk, every), async |(desk, mut every)| {
        every.tick().await;
        let body = AllRooms { rooms: Facts::all(&desk.door) };
        // Plain structs of numbers and strings: their serialization has no way to fail.
        let event = Event::default().data(serde_json::to_string(&body).unwrap_or_default());
        Some((Ok(event), (desk, every)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
