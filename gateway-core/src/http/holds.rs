//! Holds: taking seats, looking at them, giving them back, and checking out.

use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::body::wanted;
use super::orders::{self, done};
use super::page::orders::{HoldPage, HoldState};
use super::page::seats::Why;
use super::people::{html, layout_of};
use super::picking::{self, Picked};
use super::problem::{Code, Problem};
use super::replay::Effect;
use super::screenings::{Refused, no_such_screening, seats_page};
use super::visitor::{Customer, Form};
use super::{App, fill, view};
use crate::base::ReservationId;
use crate::catalogue;
use crate::reservation::{self, Extended, Reservation, SeatsOutcome, State as Standing, Wanted};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/screenings/{id}/holds", post(take))
        .route("/holds/{id}", get(show).delete(release))
        .route("/holds/{id}/release", post(release))
        .route("/holds/{id}/extend", post(extend))
        .route("/holds/{id}/checkout", post(checkout))
}

/// Takes all of it or nothing.
async fn take(
    State(app): State<App>,
    Path(screening): Path<String>,
    form: Form,
    customer: Result<Customer, Problem>,
    effect: Effect,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let back = |picked: &Picked| (fill::seats_path(&screening, picked.named()), "Back to the seats");
    let (customer, picked) = wanted(&app, form, customer, request, back).await?;
    let named = picked.named().to_vec();
    let (pick, products) = picked.into_parts()?;
    let id = effect.reservation(app.db.now_ms().await?);
    let ask = Wanted { id, customer: customer.0, screening: screening.clone(), pick, products };
    let outcome = reservation::hold(&app.db, ask).await?;
    if let SeatsOutcome::Held(hold) = &outcome {
        return answer(&app, form, hold, StatusCode::CREATED, &[]).await;
    }
    if let SeatsOutcome::HeldLeaving(hold, alone) = &outcome {
        return answer(&app, form, hold, StatusCode::CREATED, alone).await;
    }
    let asked = Asked { screening: &screening, named, customer, headers: &headers };
    refuse(&app, form, asked, outcome).await
}

/// Who asked, for what.
struct Asked<'a> {
    screening: &'a str,
    named: Vec<String>,
    customer: Customer,
    headers: &'a HeaderMap,
}

/// The refusal, with seats to take instead where some were lost: as the map to people, as a problem to apps.
async fn refuse(app: &App, form: Form, asked: Asked<'_>, refused: SeatsOutcome) -> Result<Response, Problem> {
    let Asked { screening, named, customer, headers } = asked;
    let lost_some = matches!(refused, SeatsOutcome::Taken(_) | SeatsOutcome::LeavesAlone(_));
    let offers = if lost_some { reservation::near(&app.db, screening, &named).await? } else { Vec::new() };
    if let (SeatsOutcome::Taken(seats) | SeatsOutcome::LeavesAlone(seats), Form::Page) = (&refused, form) {
        let kept = named.into_iter().filter(|seat| !seats.contains(seat)).collect();
        let taken = matches!(refused, SeatsOutcome::Taken(_));
        let why = if taken { Why::Taken(seats.clone()) } else { Why::LeavesAlone(seats.clone()) };
        let page = seats_page(app, headers, screening, Some(customer), kept, Refused { why, offers }).await?;
        let code = if taken { Code::SeatsTaken } else { Code::SeatsLeftAlone };
        return Ok((code.status(), page).into_response());
    }
    let mut problem = picking::problem(refused);
    if lost_some {
        problem = problem.with("alternatives", json!(offers));
    }
    Err(problem.onward(fill::seats_path(screening, &named), "Back to the seats"))
}

/// The hold as JSON, or the way to its page. `alone` are seats that it leaves without a neighbour.
async fn answer(
    app: &App,
    form: Form,
    hold: &Reservation,
    status: StatusCode,
    alone: &[String],
) -> Result<Response, Problem> {
    if form == Form::Page {
        return Ok(Redirect::to(&format!("/holds/{}", hold.id.as_hold())).into_response());
    }
    let mut view = view::hold(hold, app.db.now_ms().await?);
    view["extendable_ms"] = json!(reservation::extendable_ms(&app.db, hold).await?);
    if !alone.is_empty() {
        view["left_alone"] = json!(alone);
    }
    Ok((status, Json(view)).into_response())
}

/// The problem of a hold that is not there, or not theirs.
fn no_such_hold() -> Problem {
    Problem::new(Code::NotFound).detail("There is no such hold.").onward("/films", "See the films")
}

fn id_of(id: &str) -> Result<ReservationId, Problem> {
    ReservationId::parse(id).ok_or_else(no_such_hold)
}

async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    customer: Customer,
    uri: OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let hold = reservation::find(&app.db, id_of(&id)?, customer.0).await?;
    let hold = hold.filter(|hold| hold.screening_id.is_some()).ok_or_else(no_such_hold)?;
    if form == Form::Json {
        return answer(&app, form, &hold, StatusCode::OK, &[]).await;
    }
    let now_ms = app.db.now_ms().await?;
    let screening = hold.screening_id.clone().unwrap_or_default();
    let sale = catalogue::screening(&app.db, &screening).await?.ok_or_else(no_such_screening)?.sale;
    let state = match (hold.shown_state(now_ms), hold.pay_until) {
        (_, Some(_)) => HoldState::CheckedOut(hold.id.to_string()),
        (Standing::Held, None) => HoldState::Held,
        (_, None) => HoldState::Gone,
    };
    Ok(html(&HoldPage {
        layout: layout_of(&app, &headers, uri.path()).await,
        hold_id: hold.id.as_hold(),
        state,
        occasion: fill::occasion(&app, &hold).await?,
        lines: fill::lines(&hold),
        total: fill::total(hold.total),
        expires_in_ms: hold.expires_in_ms(now_ms),
        hold_ms: sale.hold_ms,
        pay_ms: sale.pay_ms,
        extendable_ms: reservation::extendable_ms(&app.db, &hold).await?,
        idempotency_key: fill::fresh_key(),
    }))
}

/// Lets a hold last longer, once.
async fn extend(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    customer: Customer,
) -> Result<Response, Problem> {
    let refuse = |code, detail: &'static str, hold: &Reservation| {
        let problem = Problem::new(code).detail(detail).with("state", hold.state.as_str());
        problem.onward(format!("/holds/{}", hold.id.as_hold()), "To your seats")
    };
    match reservation::extend(&app.db, id_of(&id)?, customer.0).await? {
        Extended::Done(hold) => answer(&app, form, &hold, StatusCode::OK, &[]).await,
        Extended::NotFound => Err(no_such_hold()),
        Extended::Already(hold) => Err(refuse(Code::ExtendedAlready, "A hold is extended once.", &hold)),
        Extended::NotOffered(hold) => Err(refuse(Code::NotExtendable, "This sale does not extend holds.", &hold)),
        Extended::Refused(mut hold) => {
            hold.state = hold.shown_state(app.db.now_ms().await?);
            Err(refused(&hold))
        }
    }
}

async fn release(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    customer: Customer,
) -> Result<Response, Problem> {
    let hold = done(reservation::cancel(&app.db, id_of(&id)?, customer.0).await?, no_such_hold, refused)?;
    Ok(match (form, &hold.screening_id) {
        (Form::Json, _) => StatusCode::NO_CONTENT.into_response(),
        (Form::Page, Some(screening)) => Redirect::to(&fill::seats_path(screening, &[])).into_response(),
        (Form::Page, None) => Redirect::to("/flashsale").into_response(),
    })
}

async fn checkout(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    customer: Customer,
) -> Result<Response, Problem> {
    let order = done(reservation::checkout(&app.db, id_of(&id)?, customer.0).await?, no_such_hold, refused)?;
    orders::answer(&app, form, &order, StatusCode::CREATED).await
}

fn refused(hold: &Reservation) -> Problem {
    let seats = hold.screening_id.as_ref().map(|screening| fill::seats_path(screening, &hold.seats()));
    let problem = if hold.state == Standing::Released {
        Problem::new(Code::HoldExpired).detail("The seats are free for everybody again.")
    } else {
        Problem::new(Code::NotPossibleNow).detail("This is not possible any more.")
    };
    let problem = problem.with("state", hold.state.as_str());
    match seats {
        Some(path) => problem.onward(path, "Choose again"),
        None => problem.onward("/flashsale", "To the flash sale"),
    }
}
