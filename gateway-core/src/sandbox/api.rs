//! The merchant's side of the provider: charges, cancels, refunds and totals as JSON, behind the bearer key.

use super::Sandbox;
use super::state::Charge;
use super::store::{ChargeRow, Moved, Placed, Refunded};
use crate::db::DbError;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest body is a charge with two long URLs.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Far above any order, far below where sums could overflow.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

const REFERENCE_CHARS_MAX: usize = 64;

const URL_CHARS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCharge {
    reference: String,
    amount: i64,
    currency: String,
    method: String,
    return_url: Option<String>,
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    refund_id: String,
    amount: i64,
}

/// A charge as the merchant sees it. Amounts are minor units; `amount` is what was captured once it was.
#[derive(Serialize)]
struct ChargeView {
    reference: String,
    status: Charge,
    amount: i64,
    currency: String,
    refunded: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_url: Option<String>,
}

#[derive(Serialize)]
struct TotalView {
    currency: String,
    captured: i64,
    refunded: i64,
    charges: i64,
}

#[derive(Serialize)]
struct TotalsView {
    totals: Vec<TotalView>,
}

/// What goes wrong, as the merchant is told.
pub(super) enum Refusal {
    Unauthorized,
    Malformed(String),
    UnknownCharge,
    ReferenceReused,
    TooLate,
    Fault,
    Ledger(DbError),
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        Self::Ledger(error)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::Malformed(rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, detail) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "the bearer key is wrong".to_owned()),
            Self::Malformed(detail) => (StatusCode::UNPROCESSABLE_ENTITY, "malformed", detail),
            Self::UnknownCharge => (StatusCode::NOT_FOUND, "unknown_charge", "no charge has this reference".to_owned()),
            Self::ReferenceReused => {
                (StatusCode::CONFLICT, "reference_reused", "the reference or id stands for something else".to_owned())
            }
            Self::TooLate => (StatusCode::CONFLICT, "too_late", "the charge is final".to_owned()),
            Self::Fault => (StatusCode::SERVICE_UNAVAILABLE, "fault", "a fault on demand".to_owned()),
            Self::Ledger(error) => {
                tracing::error!(%error, "the sandbox ledger failed");
                (StatusCode::SERVICE_UNAVAILABLE, "ledger", "the ledger does not answer".to_owned())
            }
        };
        (status, Json(serde_json::json!({ "code": code, "detail": detail }))).into_response()
    }
}

/// `Json`, with the provider's own words for what is wrong.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Refusal))]
struct Body<T>(T);

pub(super) fn routes(sandbox: &Sandbox) -> Router {
    Router::new()
        .route("/charges", post(place))
        .route("/charges/{reference}", get(show))
        .route("/charges/{reference}/cancel", post(cancel))
        .route("/charges/{reference}/refund", post(refund))
        .route("/totals", get(totals))
        .layer(from_fn_with_state(sandbox.clone(), keyed))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(sandbox.clone())
}

async fn keyed(State(sandbox): State<Sandbox>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
    let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
    let wanted = &sandbox.shared.secrets.processor_key;
    if wanted.is_empty() || aws_lc_rs::constant_time::verify_slices_are_equal(given, wanted).is_err() {
        return Refusal::Unauthorized.into_response();
    }
    next.run(request).await
}

/// What a charge is told to do by its token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Declined,
    /// Captures, and answers too late.
    SlowAnswer,
    /// Captures, and answers with an error.
    LostAnswer,
    /// Captures one minor unit less than it was asked to.
    ShortAmount,
    /// Does nothing, and answers with an error.
    Unavailable,
}

impl Fault {
    fn of(token: Option<&str>) -> Self {
        match token {
            Some("tok_declined") => Self::Declined,
            Some("tok_timeout") => Self::SlowAnswer,
            Some("tok_lost_answer") => Self::LostAnswer,
            Some("tok_short_amount") => Self::ShortAmount,
            Some("tok_unavailable") => Self::Unavailable,
            _ => Self::None,
        }
    }

    /// The merchant does not learn the outcome from the answer, so an event has to tell.
    fn hides_the_answer(self) -> bool {
        matches!(self, Self::SlowAnswer | Self::LostAnswer)
    }
}

async fn place(State(sandbox): State<Sandbox>, Body(new): Body<NewCharge>) -> Result<Response, Refusal> {
    check(&new)?;
    let fault = Fault::of(new.token.as_deref());
    if fault == Fault::Unavailable {
        return Err(Refusal::Fault);
    }
    let state = match (&new.return_url, &new.token) {
        (Some(_), None) => Charge::RequiresAction,
        (None, _) | (Some(_), Some(_)) if fault == Fault::Declined => Charge::Declined,
        (None, _) | (Some(_), Some(_)) => Charge::Captured,
    };
    let amount = if fault == Fault::ShortAmount { new.amount.saturating_sub(1) } else { new.amount };
    let row = ChargeRow {
        reference: new.reference,
        amount,
        currency: new.currency,
        method: new.method,
        return_url: new.return_url,
        state,
        captured: if state == Charge::Captured { amount } else { 0 },
        refunded: 0,
    };
    let event_id = fault.hides_the_answer().then(Sandbox::event_id);
    let placed = sandbox.shared.ledger.place(&row, event_id.as_deref(), sandbox.now()).await?;
    if event_id.is_some() {
        sandbox.shared.told.notify_one();
    }
    match fault {
        Fault::SlowAnswer => tokio::time::sleep(Duration::from_millis(sandbox.shared.settings.slow_answer_ms)).await,
        Fault::LostAnswer => return Err(Refusal::Fault),
        Fault::None | Fault::Declined | Fault::ShortAmount | Fault::Unavailable => {}
    }
    match placed {
        Placed::Stands(row) => Ok(view(&sandbox, row).into_response()),
        Placed::Other => Err(Refusal::ReferenceReused),
    }
}

async fn show(State(sandbox): State<Sandbox>, Path(reference): Path<String>) -> Result<Json<ChargeView>, Refusal> {
    let row = sandbox.shared.ledger.charge(&reference).await?.ok_or(Refusal::UnknownCharge)?;
    Ok(view(&sandbox, row))
}

async fn cancel(State(sandbox): State<Sandbox>, Path(reference): Path<String>) -> Result<Response, Refusal> {
    check_reference(&reference)?;
    Ok(match sandbox.shared.ledger.cancel(&reference, sandbox.now()).await? {
        Moved::Stands(row) => view(&sandbox, row).into_response(),
        Moved::TooLate(row) => (StatusCode::CONFLICT, view(&sandbox, row)).into_response(),
        Moved::Unknown => return Err(Refusal::UnknownCharge),
    })
}

async fn refund(
    State(sandbox): State<Sandbox>,
    Path(reference): Path<String>,
    Body(new): Body<NewRefund>,
) -> Result<Json<ChargeView>, Refusal> {
    check_reference(&new.refund_id)?;
    if !(1..=AMOUNT_MAX).contains(&new.amount) {
        return Err(Refusal::Malformed(format!("amount must be 1 to {AMOUNT_MAX}")));
    }
    match sandbox.shared.ledger.refund(&reference, &new.refund_id, new.amount, sandbox.now()).await? {
        Refunded::Stands(row) => Ok(view(&sandbox, row)),
        Refunded::Refused => Err(Refusal::TooLate),
        Refunded::Unknown => Err(Refusal::UnknownCharge),
    }
}

async fn totals(State(sandbox): State<Sandbox>) -> Result<Json<TotalsView>, Refusal> {
    let totals = sandbox.shared.ledger.totals().await?;
    let view = |total: super::store::Total| TotalView {
        currency: total.currency,
        captured: total.captured,
        refunded: total.refunded,
        charges: total.charges,
    };
    Ok(Json(TotalsView { totals: totals.into_iter().map(view).collect() }))
}

fn view(sandbox: &Sandbox, row: ChargeRow) -> Json<ChargeView> {
    let action_url = (row.state == Charge::RequiresAction).then(|| sandbox.action_url(&row.reference));
    Json(ChargeView {
        reference: row.reference,
        status: row.state,
        amount: row.amount,
        currency: row.currency,
        refunded: row.refunded,
        action_url,
    })
}

fn check(new: &NewCharge) -> Result<(), Refusal> {
    check_reference(&new.reference)?;
    if !(1..=AMOUNT_MAX).contains(&new.amount) {
        return Err(Refusal::Malformed(format!("amount must be 1 to {AMOUNT_MAX}")));
    }
    if new.currency.len() != 3 || !new.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Refusal::Malformed("currency must be three capital letters".to_owned()));
    }
    if new.method.is_empty() || new.method.len() > REFERENCE_CHARS_MAX {
        return Err(Refusal::Malformed("method must have 1 to 64 characters".to_owned()));
    }
    if let Some(url) = &new.return_url {
        let web = url.starts_with("http://") || url.starts_with("https://");
        if !web || url.len() > URL_CHARS_MAX || url.chars().any(|char| char.is_control() || char == ' ') {
            return Err(Refusal::Malformed("return_url must be an http or https address".to_owned()));
        }
    }
    Ok(())
}

/// A reference appears in addresses, so it is plain.
pub(super) fn check_reference(reference: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if reference.is_empty() || reference.len() > REFERENCE_CHARS_MAX || !reference.bytes().all(plain) {
        return Err(Refusal::Malformed("a reference has 1 to 64 letters, digits, _ or -".to_owned()));
    }
    Ok(())
}
