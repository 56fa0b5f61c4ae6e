//! Orders: how they stand, giving them up, and the list of one's own. Paying them is elsewhere.

use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::page::Moment;
use super::page::orders::{BookingsPage, OrderPage};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::visitor::{Customer, Form};
use super::{App, fill, view};
use crate::base::{CustomerId, ReservationId, rfc3339};
use crate::reservation::after::{self, CalledOff};
use crate::reservation::{self, Reservation, State as Standing, Stepped};

/// Orders in the list of one's own: more than that, nobody reads.
const LISTED_MAX: i64 = 50;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/orders/{id}", get(show))
        .route("/orders/{id}", get(show))
        .route("/api/orders/{id}/cancel", post(cancel))
        .route("/orders/{id}/cancel", post(cancel))
        .route("/bookings", get(bookings))
}

/// The problem of an order that is not there, or not theirs.
pub(crate) fn no_such_order() -> Problem {
    Problem::new(Code::NotFound).detail("There is no such order.").onward("/bookings", "My bookings")
}

/// Reads the id of an order from a path.
pub(crate) fn id_of(id: &str) -> Result<ReservationId, Problem> {
    ReservationId::parse(id).ok_or_else(no_such_order)
}

/// The order as JSON with this status, or the way to its page.
pub(crate) async fn answer(
    app: &App,
    form: Form,
    order: &Reservation,
    status: StatusCode,
) -> Result<Response, Problem> {
    if form == Form::Page {
        return Ok(Redirect::to(&format!("/orders/{}", order.id)).into_response());
    }
    let payment = app.payments.of_order(order.id).await?;
    let now_ms = app.db.now_ms().await?;
    Ok((status, Json(view::order(order, payment.as_ref(), now_ms))).into_response())
}

/// A new order, which nobody can have paid for yet: nothing is read again.
pub(crate) fn new(form: Form, order: &Reservation) -> Response {
    if form == Form::Page {
        return Redirect::to(&format!("/orders/{}", order.id)).into_response();
    }
    (StatusCode::CREATED, Json(view::order(order, None, order.created_at))).into_response()
}

/// The order of a customer. What is only a hold yet is no order.
pub(crate) async fn found(app: &App, id: ReservationId, owner: CustomerId) -> Result<Reservation, Problem> {
    let order = reservation::find(&app.db, id, owner).await?;
    order.filter(|order| order.pay_until.is_some()).ok_or_else(no_such_order)
}

async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    customer: Customer,
    uri: OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let mut order = found(&app, id, customer.0).await?;
    if matches!(order.state, Standing::Paying | Standing::Closing) {
        // Who comes back from the provider's page should not have to wait for the next round of questions.
        app.peers.look(&app.payments, id).await?;
        order = found(&app, id, customer.0).await?;
    }
    let json = form == Form::Json || uri.path().starts_with("/api/");
    if json { answer(&app, Form::Json, &order, StatusCode::OK).await } else { page(&app, &headers, &order).await }
}

async fn page(app: &App, headers: &HeaderMap, order: &Reservation) -> Result<Response, Problem> {
    let payment = app.payments.of_order(order.id).await?;
    let now_ms = app.db.now_ms().await?;
    let state = fill::order_state(order.shown_state(now_ms)).ok_or_else(no_such_order)?;
    let paying = order.state == Standing::Paying;
    let reason = view::reason(order, payment.as_ref(), now_ms);
    let (transaction_id, action_url) = match payment {
        Some(payment) => (Some(payment.transaction_id.to_string()), payment.action_url.filter(|_| paying)),
        None => (None, None),
    };
    Ok(html(&OrderPage {
        layout: layout_of(app, headers, &format!("/orders/{}", order.id)).await,
        order_id: order.id.to_string(),
        state,
        occasion: fill::occasion(app, order).await?,
        lines: fill::lines(order),
        discount: fill::discount(order),
        total: fill::total(order.total),
        pay_within_ms: order.pay_within_ms(now_ms),
        pay_ms: order.pay_ms,
        transaction_id,
        action_url,
        reason,
        ticket_code: order.ticket_code.clone(),
        cancel_until: after::cancellable_until(&app.db, order, now_ms).await?.map(|at_ms| Moment { at_ms }),
        created_at: Moment { at_ms: order.created_at },
        idempotency_key: fill::fresh_key(),
    }))
}

async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    form: Form,
    customer: Customer,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let order = found(&app, id, customer.0).await?;
    if matches!(order.state, Standing::Booked | Standing::Cancelled) {
        return call_off(&app, form, id, customer).await;
    }
    let order = done(reservation::cancel(&app.db, id, customer.0).await?, no_such_order, not_cancelled)?;
    answer(&app, form, &order, StatusCode::OK).await
}

/// The reservation after a customer's step. Why there was none is said in the words of a hold or of an order.
pub(super) fn done(
    stepped: Stepped,
    missing: fn() -> Problem,
    refused: fn(&Reservation) -> Problem,
) -> Result<Reservation, Problem> {
    match stepped {
        Stepped::Done(reservation) => Ok(reservation),
        Stepped::NotFound => Err(missing()),
        Stepped::Refused(reservation) => Err(refused(&reservation)),
    }
}

fn not_cancelled(order: &Reservation) -> Problem {
    Problem::new(Code::NotPossibleNow)
        .detail("This order cannot be cancelled any more.")
        .with("state", order.state.as_str())
        .onward(format!("/orders/{}", order.id), "To the order")
}

/// Gives a booked order back, and its money.
async fn call_off(app: &App, form: Form, id: ReservationId, customer: Customer) -> Result<Response, Problem> {
    match app.payments.call_off(id, customer.0).await? {
        CalledOff::Now(order) | CalledOff::Before(order) => answer(app, form, &order, StatusCode::OK).await,
        CalledOff::NotFound => Err(no_such_order()),
        CalledOff::Refused(order) => Err(not_cancelled(&order)),
        CalledOff::TooLate { cancel_until } => {
            let problem = Problem::new(Code::CancelTooLate).detail(match cancel_until {
                Some(_) => "The time to cancel is over.",
                None => "What is booked in this sale cannot be cancelled.",
            });
            let problem = match cancel_until {
                Some(until) => problem.with("cancel_until", rfc3339(until)),
                None => problem,
            };
            Err(problem.onward(format!("/orders/{id}"), "To the order"))
        }
    }
}

async fn bookings(
    State(app): State<App>,
    form: Form,
    customer: Customer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut orders = reservation::list(&app.db, customer.0, LISTED_MAX).await?;
    orders.retain(|order| order.pay_until.is_some());
    let now_ms = app.db.now_ms().await?;
    if form == Form::Json {
        let orders: Vec<_> = orders.iter().map(|order| view::order(order, None, now_ms)).collect();
        return Ok(Json(serde_json::json!({ "orders": orders })).into_response());
    }
    let mut listed = Vec::new();
    for order in &orders {
        listed.extend(fill::booking(&app, order, now_ms).await?);
    }
    Ok(html(&BookingsPage { layout: layout_of(&app, &headers, "/bookings").await, orders: listed }))
}
