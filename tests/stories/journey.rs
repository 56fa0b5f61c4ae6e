//! From the line to the ticket, by the API, and what time does to those who do not pay.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{App, House, SCREENING, id, until};

/// A room that lets everybody in at once, so that a story need not wait where the wait is not its subject.
pub(crate) const FAST: &str = "waiting_room.rooms.demo.rate_per_minute=600000";

#[tokio::test]
async fn a_visitor_buys_two_seats() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;

    let (_, films) = app.get("/films").await;
    assert!(films["films"].as_array().is_some_and(|films| films.len() == 3), "{films}");
    let order = app.buy(&["A1", "A2"]).await;
    assert_eq!(order["lines"].as_array().map(Vec::len), Some(2));

    let (status, transaction) = app.get(&format!("/transactions/{}", id(&order, "transaction_id"))).await;
    assert_eq!((status, &transaction["status"]), (StatusCode::OK, &json!("completed")), "{transaction}");
    assert_eq!(transaction["amount"], order["total"]["amount"]);

    let other = App::admitted(&running.door).await;
    assert_eq!(other.seat_state("A1").await, "sold");
    let (status, problem) = app.hold(&["A3"]).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("entry_expired")), "a booked order ends it");
    let (status, _) = other.get(&format!("/transactions/{}", id(&order, "transaction_id"))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "a customer sees only their own");
    let (status, _) = other.get(&format!("/api/orders/{}", id(&order, "order_id"))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn people_wait_their_turn_in_order_and_are_let_in_at_the_rate() {
    let house = House::new();
    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=60", "waiting_room.rooms.demo.burst=1"]);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut apps = Vec::new();
    let mut positions = Vec::new();
    for _ in 0..6 {
        let mut app = App::new(&running.door);
        let facts = app.join().await;
        positions.push(facts["position"].as_u64().unwrap_or_default());
        apps.push(app);
    }
    assert!(positions.is_sorted(), "places in the order of arrival: {positions:?}");
    assert!(apps[0].entry.is_some() && apps[1].entry.is_none(), "the first is through at once, the rest waits");

    let (status, facts) = apps[5].poll().await;
    assert_eq!(status, StatusCode::OK);
    assert!(facts["ahead"].as_u64().is_some_and(|ahead| ahead >= 1), "{facts}");
    assert!(facts["eta"]["low_ms"].as_u64() <= facts["eta"]["high_ms"].as_u64(), "{facts}");

    let started = std::time::Instant::now();
    for app in &mut apps {
        app.enter().await;
    }
    assert!(started.elapsed().as_millis() > 3_500, "five more people at one a second take time");
}

#[tokio::test]
async fn nobody_gets_in_without_an_entry_token_and_not_around_the_door() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let mut first = App::admitted(&running.door).await;
    running.slow_down().await;

    let mut late = App::new(&running.door);
    late.register().await;
    let (status, facts) = late.get(&format!("/screenings/{SCREENING}/seats")).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{facts}");
    assert_eq!(facts["state"], "waiting");
    let (status, problem) = late.hold(&["A1"]).await;
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("waiting")), "{problem}");

    late.door.clone_from(&running.core);
    let (status, problem) = late.hold(&["A1"]).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("entry_required")), "{problem}");
    late.entry = first.entry.take();
    let (status, _) = late.hold(&["A1"]).await;
    assert_eq!(status, StatusCode::CREATED, "the core verifies the same token for itself");
}

#[tokio::test]
async fn a_lapsed_hold_is_free_for_others_at_once() {
    let house = House::new();
    let running = house.start(&[FAST, "demo.hold_ms=1200"]);
    let (slow, quick) = (App::admitted(&running.door).await, App::admitted(&running.door).await);
    let (_, hold) = slow.hold(&["B1", "B2"]).await;
    assert!(hold["expires_in_ms"].as_i64().is_some_and(|left| (1..=1_200).contains(&left)), "{hold}");
    let (status, problem) = quick.hold(&["B2", "B3"]).await;
    assert_eq!((status, &problem["seats"]), (StatusCode::CONFLICT, &json!(["B2"])), "{problem}");

    until("the hold lapses", || async { quick.hold(&["B1", "B2"]).await.0 == StatusCode::CREATED }).await;
    let (status, problem) = slow.post(&format!("/holds/{}/checkout", id(&hold, "hold_id")), &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
}

#[tokio::test]
async fn an_order_that_is_not_paid_in_time_is_cancelled_and_its_seats_are_free() {
    let house = House::new();
    let running = house.start(&[FAST, "demo.pay_ms=1200"]);
    let app = App::admitted(&running.door).await;
    let (_, hold) = app.hold(&["C1"]).await;
    let (_, order) = app.post(&format!("/holds/{}/checkout", id(&hold, "hold_id")), &json!({})).await;
    let path = format!("/api/orders/{}", id(&order, "order_id"));
    until("the order is cancelled", || async { app.get(&path).await.1["state"] == "released" }).await;
    assert_eq!(app.seat_state("C1").await, "free");
    let (status, problem) = app.post(&format!("{path}/pay"), &json!({ "payment_method": "credit_card" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
}

#[tokio::test]
async fn a_declined_payment_can_be_tried_again() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;
    let (_, hold) = app.hold(&["D1"]).await;
    let (_, order) = app.post(&format!("/holds/{}/checkout", id(&hold, "hold_id")), &json!({})).await;
    let pay = format!("/api/orders/{}/pay", id(&order, "order_id"));
    let declined = json!({ "payment_method": "credit_card", "payment_token": "tok_declined" });
    let (status, problem) = app.post(&pay, &declined).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYMENT_REQUIRED, &json!("payment_declined")), "{problem}");
    let (status, order) = app.post(&pay, &json!({ "payment_method": "credit_card" })).await;
    assert_eq!((status, &order["state"]), (StatusCode::OK, &json!("booked")), "{order}");
}

#[tokio::test]
async fn the_same_key_has_one_effect_and_the_same_answer() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;
    let path = format!("/screenings/{SCREENING}/holds");
    let send = async |body: serde_json::Value| {
        let request = app.request(Method::POST, &path).header("idempotency-key", "basket-1").json(&body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let first = send(json!({ "seats": ["E1"] })).await;
    assert_eq!(first.0, StatusCode::CREATED, "{}", first.1);
    assert_eq!(send(json!({ "seats": ["E1"] })).await, first);
    assert_eq!(send(json!({ "seats": ["E2"] })).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_request_id_goes_through_both_servers() {
    let house = House::new();
    let running = house.start(&[FAST, "log.filter=info"]);
    let app = App::new(&running.door);
    let answer = app.request(Method::GET, "/films").header("x-request-id", "story-42").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "story-42");
    let logged = running.logged();
    for server in ["door", "core"] {
        let found =
            logged.iter().any(|line| line.contains("story-42") && line.contains(&format!("\"server\":\"{server}\"")));
        assert!(found, "the {server}'s log names the request: {logged:#?}");
    }
}
