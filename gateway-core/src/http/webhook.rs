//! Where payment providers tell us that something happened. Nobody logs in here; the signature speaks.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use super::App;
use super::body;
use super::problem::{Code, Problem};
use crate::payment::webhook::Received;

/// Carries time and signature.
const SIGNATURE: &str = "sandbox-signature";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/webhooks/sandbox", post(sandbox))
}

async fn sandbox(State(app): State<App>, headers: HeaderMap, sent: Body) -> Result<StatusCode, Problem> {
    let bytes = body::read(sent, app.settings.body_bytes_max).await?;
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match app.payments.receive(signature, &bytes).await? {
        Received::New | Received::Duplicate => Ok(StatusCode::OK),
        Received::Forged => {
            tracing::warn!("a webhook without a valid signature was refused");
            Err(Problem::new(Code::WebhookRefused).detail("The signature is missing, wrong, or too old."))
        }
        Received::Malformed => Err(Problem::new(Code::InvalidBody).detail("This is no event.")),
    }
}
