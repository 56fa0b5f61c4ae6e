//! Holds: taking seats, looking at them, giving them back, and checking out.

use axum::extract::{FromRequest, OriginalUri, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::body::{Body, Fields, FromForm};
use super::page::orders::{HoldPage, HoldState};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::replay::{Effect, key_reused};
use super::screenings::{no_such_screening, seats_page};
use super::visitor::{Customer, Form};
use super::{App, fill, view};
use crate::base::ReservationId;
use crate::catalogue;
use crate::reservation::{self, HoldSeats, Reservation, SeatsOutcome, State as Standing, Stepped};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/screenings/{id}/holds", post(take))
        .route("/holds/{id}", get(show).delete(release))
        .route("/holds/{id}/release", post(release))
        .route("/holds/{id}/checkout", post(checkout))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seats {
    seats: Vec<String>,
}

impl FromForm for Seats {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self { seats: fields.all("seats").map(str::to_owned).collect() })
    }
}

/// Takes all of the seats or none.
async fn take(
    State(app): State<App>,
    Path(screening): Path<String>,
    form: Form,
    customer: Result<Customer, Problem>,
    effect: Effect,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let customer = match (customer, form) {
        (Ok(customer), _) => customer,
        (Err(problem), Form::Json) => return Err(problem),
        // People come back from logging in to what they had chosen.
        (Err(problem), Form::Page) => {
            let Body(Seats { seats }) = Body::from_request(request, &app).await?;
            return Err(problem.onward(fill::seats_path(&screening, &seats), "Back to the seats"));
        }
    };
    let Body(Seats { seats }) = Body::from_request(request, &app).await?;
    let id = effect.reservation(app.db.now_ms().await?);
    let ask = HoldSeats { id, customer: customer.0, screening: screening.clone(), seats };
    let outcome = reservation::hold_seats(&app.db, &ask).await?;
    if let SeatsOutcome::Held(hold) = &outcome {
        return answer(&app, form, hold, StatusCode::CREATED).await;
    }
    if let (SeatsOutcome::Taken(lost), Form::Page) = (&outcome, form) {
        let kept = ask.seats.into_iter().filter(|seat| !lost.contains(seat)).collect();
        let page = seats_page(&app, &headers, &screening, Some(customer), kept, lost.clone()).await?;
        return Ok((Code::SeatsTaken.status(), page).into_response());
    }
    Err(problem(outcome).onward(fill::seats_path(&screening, &ask.seats), "Back to the seats"))
}

fn problem(refused: SeatsOutcome) -> Problem {
    match refused {
        SeatsOutcome::Taken(seats) => Problem::new(Code::SeatsTaken)
            .detail(format!("Nothing is held for you. Taken: {}.", seats.join(", ")))
            .with("seats", seats),
        SeatsOutcome::NoSuchScreening => no_such_screening(),
        SeatsOutcome::NoSuchSeat(seats) => {
            Problem::new(Code::NoSuchSeat).detail("The hall has no such seat.").with("seats", seats)
        }
        SeatsOutcome::NoSeats => Problem::new(Code::NoSeats).detail("Choose at least one seat."),
        SeatsOutcome::TooMany { seats_max } => Problem::new(Code::TooManySeats)
            .detail(format!("One order may hold {seats_max} seats."))
            .with("seats_max", seats_max),
        SeatsOutcome::KeyReused => key_reused(),
        SeatsOutcome::Held(_) => Problem::new(Code::Internal),
    }
}

/// The hold as JSON, or the way to its page.
async fn answer(app: &App, form: Form, hold: &Reservation, status: StatusCode) -> Result<Response, Problem> {
    Ok(match form {
        Form::Page => Redirect::to(&format!("/holds/{}", hold.id.as_hold())).into_response(),
        Form::Json => (status, Json(view::hold(hold, app.db.now_ms().await?))).into_response(),
    })
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
        return answer(&app, form, &hold, StatusCode::OK).await;
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
        idempotency_key: fill::fresh_key(),
    }))
}

async fn release(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    customer: Customer,
) -> Result<Response, Problem> {
    let stepped = reservation::cancel(&app.db, id_of(&id)?, customer.0).await?;
    let (Stepped::Done(hold) | Stepped::Refused(hold)) = &stepped else { return Err(no_such_hold()) };
    if matches!(stepped, Stepped::Refused(_)) {
        return Err(refused(hold));
    }
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
    match reservation::checkout(&app.db, id_of(&id)?, customer.0).await? {
        Stepped::Done(order) => super::orders::answer(&app, form, &order, StatusCode::CREATED).await,
        Stepped::NotFound => Err(no_such_hold()),
        Stepped::Refused(hold) => Err(refused(&hold)),
    }
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
