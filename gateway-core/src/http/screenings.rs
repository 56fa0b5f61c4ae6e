//! One screening and its seat map.

use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::page::films::ScreeningPage;
use super::page::seats::{SeatsPage, rows};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::visitor::{Customer, Form};
use super::{App, fill, view};
use crate::catalogue::{self, Screening};

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
    if form == Form::Page {
        let picked = picks.map(|Query(picks)| picks.pick).unwrap_or_default();
        let picked: Vec<String> = picked.split(',').filter(|seat| !seat.is_empty()).map(str::to_owned).collect();
        return seats_page(&app, &headers, &id, viewer, picked, Lost::default()).await;
    }
    let seats = catalogue::seats(&app.db, &id, viewer.map(|viewer| viewer.0)).await?;
    let currency = screening.sale.currency;
    Ok(Json(json!({
        "screening": view::screening(&screening),
        "seats_max": screening.sale.seats_max,
        "hold_ms": screening.sale.hold_ms,
        "server_now_ms": app.db.now_ms().await?,
        "seats": seats.iter().map(|seat| view::seat(seat, currency)).collect::<Vec<_>>(),
    }))
    .into_response())
}

/// What somebody else took first, and what there is instead.
#[derive(Default)]
pub(super) struct Lost {
    pub(super) seats: Vec<String>,
    pub(super) offers: Vec<Vec<String>>,
}

/// The seat map with these seats chosen.
pub(super) async fn seats_page(
    app: &App,
    headers: &HeaderMap,
    id: &str,
    viewer: Option<Customer>,
    picked: Vec<String>,
    lost: Lost,
) -> Result<Response, Problem> {
    let screening = found(app, id).await?;
    let seats = catalogue::seats(&app.db, id, viewer.map(|viewer| viewer.0)).await?;
    let currency = screening.sale.currency;
    let cells = seats.into_iter().map(|seat| fill::seat(seat, currency, &picked)).collect();
    Ok(html(&SeatsPage {
        layout: layout_of(app, headers, &fill::seats_path(id, &picked)).await,
        screening: fill::screening(&screening),
        rows: rows(cells),
        seats_max: screening.sale.seats_max,
        hold_ms: screening.sale.hold_ms,
        lost: lost.seats,
        offers: lost.offers.into_iter().map(|seats| fill::offer(id, &seats)).collect(),
        idempotency_key: fill::fresh_key(),
    }))
}
