//! The hosted page: where a customer approves or declines, and is sent back to the shop. No card is entered here.

use super::Sandbox;
use super::page::{PayErrorPage, PayPage, PayState, content_security_policy};
use super::state::{Charge, Event};
use super::store::{ChargeRow, Moved};
use crate::db::DbError;
use crate::http::page::Price;
use askama::Template as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

/// One word is all the form says.
const BODY_BYTES_MAX: usize = 1_024;

#[derive(Deserialize)]
struct Choice {
    decision: Decision,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Approve,
    Decline,
}

pub(super) fn routes(sandbox: &Sandbox) -> Router {
    Router::new()
        .route("/pay/{reference}", get(show).post(decide))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(sandbox.clone())
}

async fn show(State(sandbox): State<Sandbox>, Path(reference): Path<String>) -> Response {
    match sandbox.shared.ledger.charge(&reference).await {
        Ok(Some(row)) => page(row),
        Ok(None) => unknown(),
        Err(error) => failed(&error),
    }
}

async fn decide(State(sandbox): State<Sandbox>, Path(reference): Path<String>, Form(choice): Form<Choice>) -> Response {
    let event = match choice.decision {
        Decision::Approve => Event::Approve,
        Decision::Decline => Event::Decline,
    };
    let moved = sandbox.shared.ledger.decide(&reference, event, &Sandbox::event_id(), sandbox.now()).await;
    sandbox.shared.told.notify_one();
    match moved {
        // Too late or not, the shop knows best what to show now.
        Ok(Moved::Stands(row) | Moved::TooLate(row)) => match row.return_url.as_deref() {
            Some(url) => Redirect::to(url).into_response(),
            None => page(row),
        },
        Ok(Moved::Unknown) => unknown(),
        Err(error) => failed(&error),
    }
}

fn page(row: ChargeRow) -> Response {
    let state = match row.state {
        Charge::RequiresAction => PayState::Open,
        Charge::Captured => PayState::Captured,
        Charge::Declined => PayState::Declined,
        Charge::Cancelled => PayState::Cancelled,
    };
    let page = PayPage {
        reference: row.reference,
        price: Price { amount: row.amount, currency: row.currency },
        method: row.method,
        state,
        return_url: row.return_url.unwrap_or_default(),
    };
    html(StatusCode::OK, page.render())
}

fn unknown() -> Response {
    error_page(StatusCode::NOT_FOUND, "No such payment", "Go back to the shop and start the payment again.")
}

fn failed(error: &DbError) -> Response {
    tracing::error!(%error, "the sandbox ledger failed");
    error_page(StatusCode::SERVICE_UNAVAILABLE, "One moment", "Nothing was paid by this click. Try again shortly.")
}

fn error_page(status: StatusCode, title: &str, detail: &str) -> Response {
    html(status, PayErrorPage { title: title.to_owned(), detail: detail.to_owned() }.render())
}

fn html(status: StatusCode, page: Result<String, askama::Error>) -> Response {
    match page {
        Ok(page) => {
            let headers = [
                (header::CACHE_CONTROL, "no-store"),
                (header::CONTENT_SECURITY_POLICY, content_security_policy()),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
            ];
            (status, headers, Html(page)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the hosted page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
