//! Coupons: one for each customer, while there are some; and why one cannot be used.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::App;
use super::body::{Body, Fields, FromForm};
use super::problem::{Code, Problem};
use super::visitor::Customer;
use crate::coupon::{self, Issued, Refused};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/api/coupons/issue", post(issue))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    campaign: String,
}

impl FromForm for Wanted {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self { campaign: fields.need("campaign")? })
    }
}

async fn issue(
    State(app): State<App>,
    customer: Customer,
    Body(Wanted { campaign }): Body<Wanted>,
) -> Result<Response, Problem> {
    match coupon::issue(&app.coupons, &campaign, customer.0).await? {
        Issued::Now { code } => {
            Ok((StatusCode::CREATED, Json(json!({ "code": code, "campaign": campaign }))).into_response())
        }
        Issued::Before { code } => Err(Problem::new(Code::AlreadyIssued).with("coupon", code)),
        Issued::Gone => Err(Problem::new(Code::CouponsGone)),
        Issued::NotYet { in_ms } => Err(not_started(in_ms)),
        Issued::Over => Err(Problem::new(Code::CampaignEnded)),
        Issued::NoSuchCampaign => Err(Problem::new(Code::NoSuchCampaign)),
    }
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
