//! What goes wrong at the public door: each answer is a problem with a stable code and a sentence that helps.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{App, House, SCREENING, read};
use crate::journey::FAST;

/// The answer is problem+json, with this code, and explains itself.
#[track_caller]
fn is_problem((status, problem): &(StatusCode, Value), wanted: StatusCode, code: &str) {
    assert_eq!((*status, problem["code"].as_str()), (wanted, Some(code)), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
    assert!(problem["retry"].is_string() && problem["type"].is_string() && problem["title"].is_string(), "{problem}");
}

#[tokio::test]
async fn bad_bookings_are_refused_in_words() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;
    let holds = format!("/screenings/{SCREENING}/holds");
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;

    is_problem(&app.hold(&["Z99"]).await, unprocessable, "no_such_seat");
    is_problem(&app.hold(&[]).await, unprocessable, "no_seats");
    let many = ["A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4", "C1"];
    is_problem(&app.hold(&many).await, unprocessable, "too_many_seats");
    is_problem(
        &app.post("/screenings/no-such/holds", &json!({ "seats": ["A1"] })).await,
        StatusCode::NOT_FOUND,
        "not_found",
    );

    app.hold(&["A1"]).await;
    let taken = app.hold(&["A1", "A2"]).await;
    is_problem(&taken, StatusCode::CONFLICT, "seats_taken");
    assert_eq!(taken.1["seats"], json!(["A1"]), "lists which");

    let malformed = app.request(Method::POST, &holds).header("content-type", "application/json").body("{\"seats\":[");
    is_problem(&read(malformed).await, StatusCode::BAD_REQUEST, "malformed_body");
    let unknown = app.post(&holds, &json!({ "seats": ["A2"], "price": 0 })).await;
    is_problem(&unknown, unprocessable, "invalid_body");
    let huge = app.request(Method::POST, &holds).header("content-type", "application/json").body("x".repeat(2 << 20));
    is_problem(&read(huge).await, StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
    let wrong_method = read(app.request(Method::PUT, "/films")).await;
    is_problem(&wrong_method, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");

    let card = json!({ "amount": 1, "currency": "USD", "payment_method": "credit_card",
        "description": "card 4242 4242 4242 4242", "customer_id": app.customer_id });
    is_problem(&app.post("/transactions", &card).await, unprocessable, "card_data_refused");
}

#[tokio::test]
async fn bad_credentials_are_refused_in_words() {
    let house = House::new();
    let running = house.start(&[FAST, "waiting_room.rooms.demo.session_ms=1500"]);
    let mut app = App::admitted(&running.door).await;
    let unauthorized = StatusCode::UNAUTHORIZED;

    let good = app.ticket.clone().expect("a ticket");
    for bad in ["", "nonsense", &good[1..], &format!("{good}x")] {
        app.ticket = Some(bad.to_owned());
        is_problem(&app.poll().await, unauthorized, "ticket_invalid");
    }
    let other = House::new();
    let elsewhere = other.start(&[FAST]);
    let mut foreign = App::new(&elsewhere.door);
    foreign.join().await;
    app.ticket = foreign.ticket.clone();
    is_problem(&app.poll().await, unauthorized, "ticket_invalid");

    tokio::time::sleep(std::time::Duration::from_millis(1_700)).await;
    let expired = app.hold(&["A1"]).await;
    assert!(expired.0.is_client_error(), "an expired entry token lets nobody in: {}", expired.1);
    assert!(expired.1["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{}", expired.1);

    let mut app = App::admitted(&running.door).await;
    app.customer = Some("not.a.token".to_owned());
    is_problem(&app.hold(&["A1"]).await, unauthorized, "token_invalid");
    app.customer = None;
    is_problem(&app.hold(&["A1"]).await, unauthorized, "login_required");
    let wrong = app.post("/login", &json!({ "email": "nobody@example.test", "password": "wrong horse" })).await;
    is_problem(&wrong, unauthorized, "wrong_login");
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_a_clear_answer_and_the_line_goes_on() {
    let house = House::new();
    let running = house.start_role(&["waiting-room"], &[FAST, "waiting_room.upstream=http://127.0.0.1:9"]);
    let app = App::new(&running.door);
    is_problem(&app.get("/films").await, StatusCode::BAD_GATEWAY, "upstream_unreachable");
    let mut app = App::new(&running.door);
    assert!(app.join().await["state"].is_string());
}
