//! The core over HTTP: JSON for apps and pages for people, on the same addresses. Decides nothing about bookings.

mod account;
pub(crate) mod asset;
pub(crate) mod body;
mod card_guard;
mod coupons;
mod csrf;
mod fill;
mod films;
mod flashsale;
mod holds;
pub(crate) mod orders;
pub(crate) mod page;
mod pay;
pub(crate) mod people;
mod picking;
pub(crate) mod problem;
pub(crate) mod replay;
mod screenings;
#[cfg(test)]
mod tests;
mod transactions;
pub(crate) mod view;
pub(crate) mod visitor;
mod webhook;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::Shared;
use problem::{Code, Problem};

/// What handlers work with.
pub(crate) type App = Arc<Shared>;

/// All routes of the core.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/films") }))
        .merge(films::routes())
        .merge(screenings::routes())
        .merge(holds::routes())
        .merge(flashsale::routes())
        .merge(orders::routes())
        .merge(pay::routes())
        .merge(transactions::routes())
        .merge(webhook::routes())
        .merge(coupons::routes())
        .merge(account::routes())
        .route("/static/{*path}", get(asset_file))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/static/favicon.svg") }))
        .fallback(unknown_route)
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) })
        .layer(from_fn_with_state(app.clone(), replay::layer))
        .layer(from_fn_with_state(app.clone(), card_guard::layer))
        .layer(from_fn_with_state(app.clone(), csrf::layer))
        .layer(from_fn_with_state(app.clone(), people::layer))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked))
        .layer(from_fn(not_stored))
        .with_state(app)
}

async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(Code::NotFound).detail(format!("There is nothing at {}.", uri.path()))
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "a request panicked");
    Problem::new(Code::Internal).into_response()
}

/// Answers are for one customer at one moment; what may be kept says so itself. And none is to be guessed at.
async fn not_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

async fn asset_file(uri: Uri, headers: axum::http::HeaderMap) -> Response {
    let path = uri.path().strip_prefix("/static/").unwrap_or_default();
    let Some(asset) = asset::asset(path) else { return Problem::new(Code::NotFound).into_response() };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|etag| etag.as_bytes() == asset.etag.as_bytes());
    let kept = [(header::ETAG, asset.etag.as_str()), (header::CACHE_CONTROL, asset::CACHE_CONTROL)];
    if known {
        return (axum::http::StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
}
