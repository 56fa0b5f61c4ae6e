//! One screening and its seat map.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

use super::page::films::ScreeningPage;
use super::page::seats::{SeatsPage, Why, rows};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::visitor::{Customer, Form};
use super::{App, fill, view};
use crate::catalogue::{self, SaleState, Screening, Seat};
use crate::{live, reservation};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/screenings/{id}", get(screening)).route("/screenings/{id}/seats", get(seats))
}

/// The problem of a screening that is not there.
pub(super) fn no_such_screening() -> Problem {
    Problem::new(Code::NotFound).detail("There is no such screening.").onward("/films", "See the films")
}

async fn found(app: &App, id: &str) -> Result<Screening, Problem> {
    catalogue::screening(&app.db, id).await?.ok_or_else(no_such_screening)
}

async fn screening(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    uri: OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let screening = found(&app, &id).await?;
    if form == Form::Json {
        return Ok(Json(view::screening(&screening)).into_response());
    }
    let film = catalogue::film(&app.db, &screening.film_id).await?.ok_or_else(no_such_screening)?;
    Ok(html(&ScreeningPage {
        layout: layout_of(&app, &headers, uri.path()).await,
        film: fill::film(film),
        screening: fill::screening(&screening),
        seats_max: screening.sale.seats_max,
        hold_ms: screening.sale.hold_ms,
        pay_ms: screening.sale.pay_ms,
    }))
}

#[derive(Deserialize)]
struct Picks {
    /// Seats to show as chosen, with commas between.
    #[serde(default)]
    pick: String,
}

async fn seats(
    State(app): State<App>,
    Path(id): Path<String>,
    picks: Result<Query<Picks>, QueryRejection>,
    form: Form,
    viewer: Option<Customer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let screening = found(&app, &id).await?;
    if wants_stream(&headers) {
        return stream(&app, &id, &headers);
    }
    if form == Form::Page {
        let picked = picks.map(|Query(picks)| picks.pick).unwrap_or_default();
        let picked: Vec<String> = picked.split(',').filter(|seat| !seat.is_empty()).map(str::to_owned).collect();
        return seats_page(&app, &headers, &id, viewer, picked, Refused::NO).await;
    }
    let seats = catalogue::seats(&app.db, &id, viewer.map(|viewer| viewer.0)).await?;
    let etag = etag_of(&screening, &seats);
    let kept = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, "private, no-cache")];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let currency = screening.sale.currency;
    let body = Json(json!({
        "screening": view::screening(&screening),
        "seats_max": screening.sale.seats_max,
        "hold_ms": screening.sale.hold_ms,
        "server_now_ms": app.db.now_ms().await?,
        "version": live::version_of(&seats),
        "seats": seats.iter().map(|seat| view::seat(seat, currency)).collect::<Vec<_>>(),
    }));
    Ok((kept, body).into_response())
}

/// Weak, as it leaves the time out: the map, whose seats are the viewer's own, and whether the sale sells.
fn etag_of(screening: &Screening, seats: &[Seat]) -> String {
    let mine: String = seats.iter().filter(|seat| seat.mine).map(|seat| format!("-{}", seat.name)).collect();
    format!("W/\"{}-{}{mine}\"", live::version_of(seats), screening.state().as_str())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.trim_start().starts_with("text/event-stream")
}

/// When a listener for whom there is no place should try again, in milliseconds.
const STREAM_RETRY_MS: i64 = 5_000;

/// What changes on the map, as it changes.
fn stream(app: &App, id: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let full = || {
        let problem =
            Problem::new(Code::Busy).detail("Too many people watch this map. Ask for it now and then instead.");
        problem.retry_after_ms(STREAM_RETRY_MS)
    };
    let messages = app.live.listen(id, last).ok_or_else(full)?;
    let body = Body::from_stream(ReceiverStream::new(messages).map(Ok::<_, Infallible>));
    let kept = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kept, body).into_response())
}

/// Why a pick was refused, and what there is instead.
pub(super) struct Refused {
    pub(super) why: Why,
    pub(super) offers: Vec<Vec<String>>,
}

impl Refused {
    /// Nothing was.
    const NO: Self = Self { why: Why::Not, offers: Vec::new() };
}

/// The seat map with these seats chosen.
pub(super) async fn seats_page(
    app: &App,
    headers: &HeaderMap,
    id: &str,
    viewer: Option<Customer>,
    picked: Vec<String>,
    refused: Refused,
) -> Result<Response, Problem> {
    let screening = found(app, id).await?;
    let seats = catalogue::seats(&app.db, id, viewer.map(|viewer| viewer.0)).await?;
    let all_held = screening.state() == SaleState::AllHeld;
    let may_return_in_ms = if all_held { reservation::seats_return_in_ms(&app.db, id).await? } else { None };
    let currency = screening.sale.currency;
    let cells = seats.into_iter().map(|seat| fill::seat(seat, currency, &picked)).collect();
    Ok(html(&SeatsPage {
        layout: layout_of(app, headers, &fill::seats_path(id, &picked)).await,
        screening: fill::screening(&screening),
        rows: rows(cells),
        may_return_in_ms,
        seats_max: screening.sale.seats_max,
        hold_ms: screening.sale.hold_ms,
        refused: refused.why,
        offers: refused.offers.into_iter().map(|seats| fill::offer(id, &seats)).collect(),
        idempotency_key: fill::fresh_key(),
    }))
}
