//! Coupons: one for each customer, while there are some; and why one cannot be used.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::App;
use super::body::{Fields, FromForm, wanted};
use super::problem::{Code, Problem};
use super::visitor::{Customer, Form, own_path};
use crate::coupon::{self, Issued, Refused};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/api/coupons/issue", post(issue))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    campaign: String,
    /// The page that a form stands on: it shows the coupon.
    #[serde(skip)]
    next: Option<String>,
}

impl FromForm for Wish {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        let next = fields.one("next").and_then(own_path).map(str::to_owned);
        Ok(Self { campaign: fields.need("campaign")?, next })
    }
}

impl Wish {
    /// Where people go on.
    fn back(&self) -> (String, &'static str) {
        (self.next.clone().unwrap_or_else(|| String::from("/flashsale")), "Back")
    }
}

async fn issue(
    State(app): State<App>,
    form: Form,
    customer: Result<Customer, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    let (customer, wish) = wanted(&app, form, customer, request, Wish::back).await?;
    let (back, label) = wish.back();
    let campaign = wish.campaign;
    let problem = match (coupon::issue(&app.coupons, &campaign, customer.0).await?, form) {
        (Issued::Now { .. } | Issued::Before { .. }, Form::Page) => return Ok(Redirect::to(&back).into_response()),
        (Issued::Now { code }, Form::Json) => {
            return Ok((StatusCode::CREATED, Json(json!({ "code": code, "campaign": campaign }))).into_response());
        }
        (Issued::Before { code }, Form::Json) => Problem::new(Code::AlreadyIssued).with("coupon", code),
        (Issued::Gone, _) => Problem::new(Code::CouponsGone),
        (Issued::NotYet { in_ms }, _) => not_started(in_ms),
        (Issued::Over, _) => Problem::new(Code::CampaignEnded),
        (Issued::NoSuchCampaign, _) => Problem::new(Code::NoSuchCampaign),
    };
    Err(problem.onward(back, label))
}

fn not_started(in_ms: i64) -> Problem {
    Problem::new(Code::CampaignNotStarted).with("starts_in_ms", in_ms).retry_after_ms(in_ms)
}

/// Why an order with a coupon was not made.
pub(super) fn problem(refused: &Refused) -> Problem {
    match refused {
        Refused::Unknown => Problem::new(Code::NoSuchCoupon).detail("You have no coupon with this code. Check it."),
        Refused::Used => Problem::new(Code::CouponUsed)
            .detail("Another order of yours has this coupon. It comes back if that order is cancelled."),
        Refused::NotYet { in_ms } => not_started(*in_ms).detail("This coupon cannot be used yet."),
        Refused::Over => Problem::new(Code::CampaignEnded).detail("This coupon has run out."),
        Refused::OtherSale => Problem::new(Code::CouponUnfit).detail("This coupon is for another sale."),
        Refused::BelowMinimum { minimum_amount } => Problem::new(Code::CouponUnfit)
            .detail("The order is too small for this coupon.")
            .with("minimum_amount", *minimum_amount),
    }
}
