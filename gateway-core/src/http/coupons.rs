//! Coupons: one for each customer, while there are some.

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
use crate::coupon::{self, Issued};

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
        Issued::NoSuchCampaign => Err(Problem::new(Code::NoSuchCampaign)),
    }
}
