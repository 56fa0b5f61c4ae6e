//! The operator's side: admin API, dashboard, login and live events. Changes rates and states; sees no visitor.

mod api;
mod asset;
mod auth;
mod change;
mod dashboard;
mod facts;
mod history;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use self::auth::Guard;
use crate::facade::Door;

/// Largest body that the admin API reads, in bytes: a few numbers and a message.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the handlers share.
#[derive(Clone)]
struct Desk {
    door: Door,
    guard: Arc<Guard>,
}

/// All routes of the operator's listener.
pub(crate) fn router(door: Door, password: String) -> Router {
    let desk = Desk { door, guard: Arc::new(Guard::new(password)) };
    let inside = Router::new()
        .route("/", get(dashboard::show))
        .route("/rooms/{room}", post(dashboard::change))
        .route("/rooms/{room}/undo", post(dashboard::undo))
        .route("/logout", post(dashboard::logout))
        .route("/api/rooms", get(api::rooms))
        .route("/api/rooms/{room}", get(api::room).patch(api::change))
        .route("/api/rooms/{room}/changes", get(api::changes))
        .route("/api/rooms/{room}/undo", post(api::undo))
        .route("/api/events", get(api::events))
        .route_layer(axum::middleware::from_fn_with_state(desk.clone(), auth::require));
    Router::new()
        .merge(inside)
        .route("/login", get(dashboard::login_page).post(dashboard::login))
        .route("/assets/{name}", get(dashboard::file))
        .method_not_allowed_fallback(api::wrong_method)
        .fallback(api::nothing)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

#[cfg(test)]
mod tests;
