//! The admin API: rooms as JSON, changes, and the same facts once a second as events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::Stream;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use serde::Serialize;

use super::auth::Who;
use super::change::{self, refuse};
use super::facts::Facts;
use super::{Desk, history};
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
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|_| Problem::new(Code::BodyTooLarge, "A change is a few numbers and a message."))?;
    apply(&desk, &who, &name, &change::parse(&body)?).await.map(fresh)
}

/// `GET /api/rooms/{room}/changes`: who changed what, the latest first.
pub(super) async fn changes(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Problem> {
    let room = desk.door.gate().rooms.get(&name).ok_or_else(unknown)?;
    let changes = history::of(room).await.map_err(store_says)?;
    Ok(fresh(serde_json::json!({ "room": room.name(), "changes": changes })))
}

/// `POST /api/rooms/{room}/undo`: the values from before the latest change of an operator that still stands.
pub(super) async fn undo(
    State(desk): State<Desk>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    take_back(&desk, &who, &name).await.map(fresh)
}

/// Undoes the latest change by an operator that still stands, for the API and for the dashboard's button.
pub(super) async fn take_back(desk: &Desk, who: &Who, name: &str) -> Result<Facts, Problem> {
    let room = desk.door.gate().rooms.get(name).ok_or_else(unknown)?;
    let Some(latest) = history::latest_to_undo(room.changes().await.map_err(store_says)?) else {
        return Err(Problem::new(Code::NothingToUndo, "No change of this room that still stands is kept."));
    };
    apply(desk, &who.undoing(), name, &latest.before).await
}

/// Makes a change of one room, for the API and for the dashboard's form.
pub(super) async fn apply(desk: &Desk, who: &Who, name: &str, change: &RoomChange) -> Result<Facts, Problem> {
    let room = desk.door.gate().rooms.get(name).ok_or_else(unknown)?;
    change.check().map_err(|invalid| refuse(invalid.field, &invalid.to_string()))?;
    let before = room.snapshot();
    change::in_order(change, &before)?;
    let after = room.change(who.as_str(), change).await.map_err(store_says)?;
    metrics::operator_changed(room.name());
    tracing::info!(
        room = room.name(),
        who = who.as_str(),
        rate_before = before.rate_per_minute,
        rate_after = after.rate_per_minute,
        burst_before = before.burst,
        burst_after = after.burst,
        state_before = before.state.as_str(),
        state_after = after.state.as_str(),
        message_changed = before.message != after.message,
        "an operator changed a room"
    );
    if let Some(field) = change::not_taken(change, &after) {
        let detail = format!("{field} is not kept by this line's store; what else was asked for has changed");
        return Err(refuse(field, &detail));
    }
    Ok(Facts::of(&desk.door, room))
}

fn store_says(error: StoreError) -> Problem {
    match error {
        StoreError::Invalid(invalid) => refuse(invalid.field, &invalid.to_string()),
        StoreError::Unreachable(_)
        | StoreError::Busy
        | StoreError::NoRoom(_)
        | StoreError::Full
        | StoreError::NoLane
        | StoreError::Proof
        | StoreError::Closed => line_unavailable("The line's store does not answer; nothing may have changed."),
    }
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
        path if path.starts_with("/api/rooms/") && path.ends_with("/undo") => "POST",
        path if path.starts_with("/api/rooms/") && path.ends_with("/changes") => "GET, HEAD",
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
