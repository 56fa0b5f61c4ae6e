//! The provider from outside: over a real listener, with a real merchant's key.

use super::{Sandbox, Secrets, Settings};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

struct World {
    sandbox: Sandbox,
    url: String,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

async fn listen(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn world(webhook_url: &str) -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        database_path: dir.path().join("new/folder/sandbox.db"),
        public_url: "http://pay.example".to_owned(),
        webhook_url: webhook_url.to_owned(),
        slow_answer_ms: 50,
    };
    let secrets = Secrets { processor_key: b"key".to_vec(), webhook_secret: b"secret".to_vec() };
    let sandbox = Sandbox::open(settings, secrets, Arc::new(|| 1_700_000_000_000)).await.expect("opens");
    let url = listen(sandbox.router()).await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("builds");
    World { sandbox, url, http, _dir: dir }
}

impl World {
    async fn call(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth("key").json(body);
        let answer = request.send().await.expect("answers");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn decide(&self, reference: &str, decision: &str) -> (u16, String) {
        let request = self.http.post(format!("{}/pay/{reference}", self.url)).form(&[("decision", decision)]);
        let answer = request.send().await.expect("answers");
        let to = answer.headers().get("location").map(|to| to.to_str().expect("text").to_owned());
        (answer.status().as_u16(), to.unwrap_or_default())
    }

    async fn totals(&self) -> (i64, i64) {
        let totals = self.sandbox.shared.ledger.totals().await.expect("totals");
        totals.first().map_or((0, 0), |total| (total.captured, total.refunded))
    }
}

fn charge(reference: &str, token: Option<&str>) -> Value {
    let mut body = json!({"reference": reference, "amount": 1200, "currency": "EUR", "method": "credit_card"});
    if let Some(token) = token {
        body["token"] = json!(token);
    }
    body
}

#[tokio::test]
async fn one_reference_is_one_charge() {
    let world = world("http://127.0.0.1:9/").await;
    for _ in 0..3 {
        let (status, body) = world.call("/charges", &charge("a", None)).await;
        assert_eq!((status, &body["status"]), (200, &json!("captured")));
    }
    let mut other = charge("a", None);
    other["amount"] = json!(1300);
    assert_eq!(world.call("/charges", &other).await.0, 409);
    assert_eq!(world.totals().await, (1200, 0));
}

#[tokio::test]
async fn a_wrong_key_gets_nothing() {
    let world = world("http://127.0.0.1:9/").await;
    let request = world.http.post(format!("{}/charges", world.url)).bearer_auth("kez").json(&charge("a", None));
    assert_eq!(request.send().await.expect("answers").status().as_u16(), 401);
    assert_eq!(world.totals().await, (0, 0));
}

#[tokio::test]
async fn cancelled_before_it_came_stays_cancelled() {
    let world = world("http://127.0.0.1:9/").await;
    assert_eq!(world.call("/charges/late/cancel", &json!({})).await.1["status"], json!("cancelled"));
    assert_eq!(world.call("/charges", &charge("late", None)).await.1["status"], json!("cancelled"));
    assert_eq!(world.totals().await, (0, 0));
}

#[tokio::test]
async fn captured_money_leaves_by_refunds_and_never_twice() {
    let world = world("http://127.0.0.1:9/").await;
    world.call("/charges", &charge("a", None)).await;
    assert_eq!(world.call("/charges/a/cancel", &json!({})).await.0, 409);
    for _ in 0..2 {
        assert_eq!(world.call("/charges/a/refund", &json!({"refund_id": "r1", "amount": 1000})).await.0, 200);
    }
    assert_eq!(world.call("/charges/a/refund", &json!({"refund_id": "r2", "amount": 201})).await.0, 409);
    assert_eq!(world.totals().await, (1200, 1000));
}

#[tokio::test]
async fn tokens_are_faults_on_demand() {
    let world = world("http://127.0.0.1:9/").await;
    assert_eq!(world.call("/charges", &charge("d", Some("tok_declined"))).await.1["status"], json!("declined"));
    assert_eq!(world.call("/charges", &charge("u", Some("tok_unavailable"))).await.0, 503);
    assert_eq!(world.totals().await, (0, 0));
    assert_eq!(world.call("/charges", &charge("l", Some("tok_lost_answer"))).await.0, 503);
    assert_eq!(world.call("/charges", &charge("t", Some("tok_timeout"))).await.0, 200);
    assert_eq!(world.call("/charges", &charge("s", Some("tok_short_amount"))).await.1["amount"], json!(1199));
    assert_eq!(world.totals().await, (3599, 0));
}

#[tokio::test]
async fn the_customer_decides_on_the_hosted_page_once() {
    let world = world("http://127.0.0.1:9/").await;
    let mut new = charge("h", None);
    new["return_url"] = json!("http://shop.example/orders/1");
    let (_, body) = world.call("/charges", &new).await;
    assert_eq!(body["action_url"], json!("http://pay.example/pay/h"));
    let page = world.http.get(format!("{}/pay/h", world.url)).send().await.expect("answers");
    assert!(page.text().await.expect("text").contains("decision"));
    assert_eq!(world.decide("h", "approve").await, (303, "http://shop.example/orders/1".to_owned()));
    assert_eq!(world.decide("h", "decline").await.0, 303);
    assert_eq!(world.totals().await, (1200, 0));
    assert_eq!(world.decide("nothing", "approve").await.0, 404);
}

#[tokio::test]
async fn events_are_tried_again_until_the_merchant_takes_them() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let merchant = {
        let seen = Arc::clone(&seen);
        axum::Router::new().fallback(move |headers: axum::http::HeaderMap, body: String| async move {
            let mut seen = seen.lock().expect("not poisoned");
            let signature = headers.get("sandbox-signature").map(|value| value.to_str().expect("text").to_owned());
            seen.push((signature.unwrap_or_default(), body));
            if seen.len() < 2 { axum::http::StatusCode::SERVICE_UNAVAILABLE } else { axum::http::StatusCode::OK }
        })
    };
    let world = world(&listen(merchant).await).await;
    world.call("/charges", &charge("l", Some("tok_lost_answer"))).await;
    super::events::deliver_due(&world.sandbox.shared).await;
    // The clock stands still, so make the event due by hand instead of waiting for the backoff.
    let ledger = &world.sandbox.shared.ledger;
    let due = ledger.due_events(i64::MAX, 10).await.expect("due");
    assert_eq!(due.len(), 1, "the refused event is kept");
    ledger.event_again(&due[0].event_id, 0).await.expect("kept");
    super::events::deliver_due(&world.sandbox.shared).await;
    assert!(ledger.due_events(i64::MAX, 10).await.expect("due").is_empty());
    let seen = seen.lock().expect("not poisoned");
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].1, seen[1].1, "the same event");
    let signed = super::events::sign(&world.sandbox.shared.secrets, 1_700_000_000, seen[0].1.as_bytes());
    assert_eq!(seen[0].0, signed);
}

#[tokio::test]
async fn run_ends_when_told() {
    let world = world("http://127.0.0.1:9/").await;
    let stop = CancellationToken::new();
    stop.cancel();
    world.sandbox.run(stop).await;
}
