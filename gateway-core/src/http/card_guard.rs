//! Refuses bodies that carry a card number, before anything stores or logs them. What was sent is not repeated.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::body::{self, Fields};
use super::problem::{Code, Problem};
use crate::payment::card;

/// Signed by the provider, and full of numbers that are none of a customer's.
const EXEMPT: &str = "/webhooks/";

/// The layer, for every request that can change something.
pub(super) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || request.uri().path().starts_with(EXEMPT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match body::read(body, app.settings.body_bytes_max).await {
        Ok(bytes) if has_card_number(&parts.headers, &bytes) => refused().into_response(),
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(problem) => problem.into_response(),
    }
}

/// Whether a body of this kind carries a card number. What cannot be read as what it says it is, is searched as text.
fn has_card_number(headers: &HeaderMap, bytes: &[u8]) -> bool {
    if body::is_form(headers)
        && let Ok(fields) = Fields::parse(bytes)
    {
        return fields.texts().any(card::has_card_number);
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => card::json_has_card_number(&value),
        Err(_) => card::has_card_number(&String::from_utf8_lossy(bytes)),
    }
}

fn refused() -> Problem {
    Problem::new(Code::CardDataRefused)
        .detail("Card numbers are typed at the payment provider, never here. Nothing of this was stored.")
}

#[cfg(test)]
mod tests {
    use super::has_card_number;
    use axum::http::{HeaderMap, HeaderValue, header};

    fn found(kind: &'static str, body: &str) -> bool {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        has_card_number(&headers, body.as_bytes())
    }

    #[test]
    fn every_kind_of_body_is_searched() {
        let form = "application/x-www-form-urlencoded";
        assert!(found(form, "note=4242+4242%204242-4242"));
        assert!(found(form, "4242424242424242=x"));
        assert!(found("application/json", r#"{"note":"４２４２４２４２４２４２４２４２"}"#));
        assert!(found("application/json", r#"{"note":"\u0034242424242424242"}"#));
        assert!(found("application/json", r#"{"note":"4242424242424242""#), "also when it is cut off");
        assert!(found("text/plain", "4242 4242 4242 4242"));
    }

    #[test]
    fn ordinary_bodies_pass() {
        assert!(!found("application/x-www-form-urlencoded", "payment_method=credit_card&idempotency_key=a1b2"));
        assert!(!found("application/json", r#"{"amount":1000,"description":"Payment for order #1234"}"#));
        assert!(!found("application/json", ""));
    }
}
