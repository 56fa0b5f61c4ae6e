//! The router from outside: what it answers to the right requests and to every wrong one.

mod browsers;
mod contract;
mod coupons;
mod keys;
mod live;
mod sales;
mod wrong;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::testing::{World, clock, small};
use crate::{Core, Secrets, Settings};

/// A core on a story's database, with a small sale.
pub(super) struct Shop<'w> {
    pub(super) core: Core,
    pub(super) router: Router,
    pub(super) world: &'w World,
}

/// An answer, read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts a problem of this code, with its status, type and members.
    #[track_caller]
    pub(super) fn is_problem(&self, code: &str, status: u16) -> Value {
        let problem = self.json();
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{}", self.text());
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:vestibule:problem:{code}"));
        assert_eq!(problem["status"], status);
        assert!(["safe", "after_change", "never"].contains(&problem["retry"].as_str().unwrap_or_default()));
        problem
    }
}

pub(super) const KEY: &[u8] = b"a key of thirty-two bytes, or so";

impl<'w> Shop<'w> {
    pub(super) async fn open(world: &'w World) -> Self {
        Self::open_with(world, 60_000, 60_000).await
    }

    pub(super) async fn open_with(world: &'w World, hold_ms: i64, pay_ms: i64) -> Self {
        let settings = Settings { database_url: world.url.clone(), ..Settings::default() };
        let secret = |text: &str| text.as_bytes().to_vec();
        let secrets = Secrets {
            customer_key: KEY.to_vec(),
            webhook_secret: secret("w"),
            processor_key: secret("p"),
            services_key: KEY.to_vec(),
        };
        let core = Core::open(settings, secrets, clock()).await.expect("a core");
        core.seed(&small(hold_ms, pay_ms)).await.expect("a catalogue");
        Self { router: core.router(), core, world }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A token of a new customer.
    pub(super) async fn token(&self) -> String {
        let customer = self.world.customer().await;
        self.core.shared.auth.token(customer).expect("a token").0
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(json_request("GET", path, token).body(Body::empty()).expect("a request")).await
    }

    pub(super) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send(json_request("POST", path, token).body(Body::from(body.to_string())).expect("a request")).await
    }

    /// Holds seats and gives the hold's id.
    pub(super) async fn hold(&self, token: &str, seats: &[&str]) -> String {
        let held = self.post("/screenings/s/holds", token, &json!({ "seats": seats })).await;
        assert_eq!(held.status, StatusCode::CREATED, "{}", held.text());
        held.json()["hold_id"].as_str().expect("an id").to_owned()
    }
}

/// As an app sends it. No token, no header.
pub(super) fn json_request(method: &str, path: &str, token: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    if token.is_empty() { request } else { request.header(header::AUTHORIZATION, format!("Bearer {token}")) }
}

/// As a browser sends it, logged in by its cookie.
pub(super) fn page_request(method: &str, path: &str, token: &str) -> http::request::Builder {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("sec-fetch-site", "same-origin");
    let request = if method == "POST" {
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    } else {
        request
    };
    if token.is_empty() { request } else { request.header(header::COOKIE, format!("vestibule_customer={token}")) }
}
