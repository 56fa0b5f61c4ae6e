//! Paying an order: `POST /api/orders/{id}/pay` for apps, `POST /orders/{id}/pay` from the order's page.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use serde::Deserialize;

use super::App;
use super::body::{Body, Fields, FromForm};
use super::orders::{self, id_of, no_such_order};
use super::problem::{Code, Problem};
use super::replay::Effect;
use super::visitor::{Customer, Form};
use crate::base::{AttemptId, CustomerId, ReservationId};
use crate::order::{Pay, PayOutcome};
use crate::reservation::{Reservation, State as OrderState};

const TOKEN_CHARS_MAX: usize = 255;
const URL_CHARS_MAX: usize = 1_000;

/// How a customer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    CreditCard,
    EWallet,
    BankTransfer,
}

impl Method {
    /// The name in rows and on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CreditCard => "credit_card",
            Self::EWallet => "e_wallet",
            Self::BankTransfer => "bank_transfer",
        }
    }

    /// The method with this name.
    pub(super) fn named(name: &str) -> Result<Self, Problem> {
        [Self::CreditCard, Self::EWallet, Self::BankTransfer]
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| {
                Problem::new(Code::InvalidPayment)
                    .detail("payment_method must be credit_card, e_wallet or bank_transfer.")
                    .with("field", "payment_method")
            })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    payment_method: Method,
    payment_token: Option<String>,
    return_url: Option<String>,
}

impl FromForm for Payment {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        let payment_method = Method::named(&fields.need("payment_method")?)?;
        Ok(Self { payment_method, payment_token: None, return_url: None })
    }
}

pub(super) fn routes() -> Router<App> {
    Router::new().route("/api/orders/{id}/pay", post(pay)).route("/orders/{id}/pay", post(pay_from_page))
}

async fn pay(
    State(app): State<App>,
    Customer(customer): Customer,
    Path(id): Path<String>,
    effect: Effect,
    Body(payment): Body<Payment>,
) -> Result<Response, Problem> {
    check_token(payment.payment_token.as_deref())?;
    check_url(payment.return_url.as_deref())?;
    let order = id_of(&id)?;
    match start(&app, order, customer, &effect, payment).await? {
        PayOutcome::Booked => shown(&app, StatusCode::OK, order, customer).await.map(last),
        PayOutcome::Running { .. } => shown(&app, StatusCode::ACCEPTED, order, customer).await,
        PayOutcome::Declined => Err(declined(&app, order).await?),
        PayOutcome::NotFound => Err(no_such_order()),
        PayOutcome::Refused(reservation) => Err(refused(&reservation)),
    }
}

async fn pay_from_page(
    State(app): State<App>,
    customer: Result<Customer, Problem>,
    Path(id): Path<String>,
    effect: Effect,
    Body(payment): Body<Payment>,
) -> Result<Response, Problem> {
    let order = id_of(&id)?;
    let page = format!("/orders/{order}");
    // Whoever has to log in first comes back to the order.
    let Customer(customer) = customer.map_err(|problem| problem.onward(page.clone(), "Back to the order"))?;
    let return_url = Some(format!("{}{page}", app.settings.public_url.trim_end_matches('/')));
    match start(&app, order, customer, &effect, Payment { return_url, ..payment }).await? {
        PayOutcome::Running { action_url: Some(url) } => Ok(Redirect::to(&url).into_response()),
        // The order's page says how it stands and what can be done.
        PayOutcome::Booked => Ok(last(Redirect::to(&page).into_response())),
        PayOutcome::Declined | PayOutcome::Running { action_url: None } | PayOutcome::Refused(_) => {
            Ok(Redirect::to(&page).into_response())
        }
        PayOutcome::NotFound => Err(no_such_order()),
    }
}

/// The answer that a visitor came for: a front door may give their place inside to the next.
fn last(mut response: Response) -> Response {
    response.headers_mut().insert("x-waiting-room-session", HeaderValue::from_static("end"));
    response
}

async fn start(
    app: &App,
    order: ReservationId,
    customer: CustomerId,
    effect: &Effect,
    payment: Payment,
) -> Result<PayOutcome, Problem> {
    let now_ms = app.db.now_ms().await?;
    let attempt_id = effect.seed("attempt").map_or_else(|| AttemptId::new(now_ms), AttemptId::derived);
    let pay = Pay {
        attempt_id,
        order,
        customer,
        method: payment.payment_method.name().to_owned(),
        token: payment.payment_token,
        return_url: payment.return_url,
    };
    // A client who goes away only stops waiting: what was committed goes on by itself.
    let outcome = app.orders.pay(&pay).await?;
    if !effect.is_keyed() {
        // With a key, the answer is on the disk before it is given, and all that it tells of with it.
        app.db.on_disk().await?;
    }
    Ok(outcome)
}

async fn shown(app: &App, status: StatusCode, order: ReservationId, customer: CustomerId) -> Result<Response, Problem> {
    let order = orders::found(app, order, customer).await?;
    orders::answer(app, Form::Json, &order, status).await
}

async fn declined(app: &App, order: ReservationId) -> Result<Problem, Problem> {
    let told = app.payments.of_order(order).await?;
    let why = told.as_ref().and_then(|told| told.failed_because).unwrap_or("The payment was declined.");
    let problem = Problem::new(Code::PaymentDeclined).detail(why).with("order_id", order.to_string());
    Ok(match told {
        Some(told) => problem.with("transaction_id", told.transaction_id.to_string()),
        None => problem,
    })
}

fn refused(reservation: &Reservation) -> Problem {
    let state = reservation.state;
    let (code, detail) = match state {
        OrderState::Held => (Code::NotPossibleNow, "Check the hold out first."),
        OrderState::Released if reservation.pay_until.is_none() => {
            (Code::HoldExpired, "The hold is over. Choose again.")
        }
        OrderState::Released | OrderState::Cancelled | OrderState::Reversed => {
            (Code::NotPossibleNow, "The order was cancelled. Choose again.")
        }
        OrderState::Closing | OrderState::Review => {
            (Code::NotPossibleNow, "The time to pay is over, and the running payment is being checked.")
        }
        OrderState::Checkout | OrderState::Paying | OrderState::Booked => {
            (Code::NotPossibleNow, "This order cannot be paid now.")
        }
    };
    Problem::new(code)
        .detail(detail)
        .with("state", state.as_str())
        .onward(format!("/orders/{}", reservation.id), "Back to the order")
}

/// A token is an opaque word of the provider's.
pub(super) fn check_token(token: Option<&str>) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match token {
        Some(token) if token.is_empty() || token.len() > TOKEN_CHARS_MAX || !token.bytes().all(plain) => {
            Err(Problem::new(Code::InvalidPayment)
                .detail(format!("payment_token has 1 to {TOKEN_CHARS_MAX} letters, digits, _ or -."))
                .with("field", "payment_token"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Where the provider sends the customer back to: an app's own address, but a web address.
fn check_url(url: Option<&str>) -> Result<(), Problem> {
    let Some(url) = url else { return Ok(()) };
    let web = url.starts_with("http://") || url.starts_with("https://");
    if web && url.len() <= URL_CHARS_MAX && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::new(Code::InvalidPayment)
        .detail(format!("return_url must be an http or https address of at most {URL_CHARS_MAX} characters."))
        .with("field", "return_url"))
}

#[cfg(test)]
mod tests {
    use super::{Method, check_token, check_url, last};
    use axum::response::{IntoResponse, Redirect};

    #[test]
    fn a_booked_order_is_what_the_visitor_came_for() {
        let answer = last(Redirect::to("/orders/1").into_response());
        assert_eq!(answer.headers()["x-waiting-room-session"], "end");
        assert_eq!(answer.headers()["location"], "/orders/1");
    }

    #[test]
    fn methods_have_one_spelling() {
        for name in ["credit_card", "e_wallet", "bank_transfer"] {
            assert_eq!(Method::named(name).expect("a method").name(), name);
            let json: Method = serde_json::from_str(&format!("\"{name}\"")).expect("a method");
            assert_eq!(json.name(), name);
        }
        assert!(Method::named("cash").is_err());
    }

    #[test]
    fn addresses_are_web_addresses() {
        assert!(check_url(Some("https://app.example/done?x=1")).is_ok());
        for bad in ["javascript:alert(1)", "/orders/1", "http://a b", "http://a\n", ""] {
            assert!(check_url(Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tokens_are_words() {
        assert!(check_token(Some("tok_declined")).is_ok());
        for bad in ["", "tok declined", "tök"] {
            assert!(check_token(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
