//! `kill -9` in the middle of a sale, and a stop in good order: nothing that was acknowledged is lost.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{App, House, Running, id, until};
use crate::journey::FAST;

/// The same ports again, so that the people in line find the door.
fn same_door(running: &Running) -> String {
    format!("listen.door={}", running.door.trim_start_matches("http://"))
}

#[tokio::test]
async fn after_kill_9_every_place_hold_and_booking_is_as_it_was() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let buyer = App::admitted(&running.door).await;
    let booked = buyer.buy(&["A1"]).await;
    let holder = App::admitted(&running.door).await;
    let (_, hold) = holder.hold(&["B1", "B2"]).await;
    running.set_room(&json!({ "rate_per_minute": 7 })).await;
    let mut waiting: Vec<(App, Value)> = Vec::new();
    for _ in 0..20 {
        let mut app = App::new(&running.door);
        let facts = app.join().await;
        if app.entry.is_none() {
            waiting.push((app, facts));
        }
    }
    assert!(waiting.len() >= 10, "people are waiting");

    let door = same_door(&running);
    running.kill();
    let running = house.start(&[FAST, &door]);

    for (app, before) in &waiting {
        let (status, now) = app.poll().await;
        assert_eq!(status, StatusCode::OK, "{now}");
        assert_eq!(now["rate_per_minute"], 7, "the operator's rate is kept: {now}");
        assert!(now["position"].as_u64() <= before["position"].as_u64(), "{before} became {now}");
        assert!(now["state"] == "waiting" || now["state"] == "called", "{now}");
    }
    let mut late = App::new(&running.door);
    let after = late.join().await;
    let last = waiting.iter().filter_map(|(_, facts)| facts["position"].as_u64()).max();
    assert!(after["position"].as_u64() > Some(0) && last.is_some(), "{after}");
    let (_, of_last) = waiting.last().expect("somebody").0.poll().await;
    assert!(after["position"].as_u64() > of_last["position"].as_u64(), "who comes now stands behind them");

    let (status, order) = buyer.get(&format!("/api/orders/{}", id(&booked, "order_id"))).await;
    assert_eq!((status, &order["state"]), (StatusCode::OK, &json!("booked")), "{order}");
    assert_eq!(order["ticket_code"], booked["ticket_code"]);
    let (status, problem) = buyer.hold(&["B1"]).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("seats_taken")), "{problem}");
    let (status, order) = holder.post(&format!("/holds/{}/checkout", id(&hold, "hold_id")), &json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "the holder goes on with the same token: {order}");
}

#[tokio::test]
async fn a_ticket_that_was_let_in_before_the_kill_is_not_let_in_twice() {
    let house = House::new();
    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=60", "waiting_room.rooms.demo.burst=1"]);
    let mut app = App::new(&running.door);
    app.join().await;
    let mut second = App::new(&running.door);
    second.join().await;
    second.enter().await;
    let session = second.entry.clone();
    let door = same_door(&running);
    running.kill();
    let _running = house.start(&[&door]);
    let (status, answer) = second.line(reqwest::Method::POST, "entry").await;
    match status {
        StatusCode::CONFLICT => {}
        StatusCode::OK => {
            assert_eq!(session_of(&answer["entry_token"]), session_of(&json!(session)), "the same session");
        }
        other => panic!("{other}: {answer}"),
    }
}

/// The session in an entry token: the `jti` of its claims.
fn session_of(token: &Value) -> String {
    use base64::Engine;
    let claims = token.as_str().and_then(|token| token.split('.').nth(1)).expect("a token");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    id(&claims, "jti")
}

#[tokio::test]
async fn ctrl_c_drains_and_stops_within_five_seconds() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;
    let booked = app.buy(&["A1"]).await;
    let (took, well) = running.stop();
    assert!(well, "exit code 0");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let running = house.start(&[FAST]);
    let mut again = App::new(&running.door);
    again.customer.clone_from(&app.customer);
    let (status, order) = again.get(&format!("/api/orders/{}", id(&booked, "order_id"))).await;
    assert_eq!((status, &order["state"]), (StatusCode::OK, &json!("booked")), "{order}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_under_way_at_the_stop_is_answered() {
    let house = House::new();
    // The provider takes its time, and says nothing by itself.
    let (slow, silent) = ("sandbox.slow_answer_ms=1500", "sandbox.webhook_url=http://127.0.0.1:9/nobody");
    let running = house.start(&[FAST, slow, silent]);
    let app = App::admitted(&running.door).await;
    let (status, hold) = app.hold(&["A1"]).await;
    assert_eq!(status, StatusCode::CREATED, "{hold}");
    let (status, order) = app.post(&format!("/holds/{}/checkout", id(&hold, "hold_id")), &json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let order = format!("/api/orders/{}", id(&order, "order_id"));
    let (pay, body) =
        (format!("{order}/pay"), json!({ "payment_method": "credit_card", "payment_token": "tok_timeout" }));
    let (paid, stopped) = tokio::join!(app.post(&pay, &body), async {
        until("it is under way", || async { app.get(&order).await.1["state"] != "checkout" }).await;
        tokio::task::spawn_blocking(move || running.stop()).await.expect("stops")
    });
    assert_eq!((paid.0, &paid.1["state"]), (StatusCode::OK, &json!("booked")), "{paid:?}");
    assert!(stopped.1, "exit code 0");
    assert!(stopped.0 < Duration::from_secs(5), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_streams_end_at_the_stop_and_do_not_use_up_the_drain() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let events = reqwest::Client::new().get(format!("{}/api/events", running.operator));
    let mut events = events.bearer_auth(running.operator_password()).send().await.expect("events");
    assert!(events.chunk().await.expect("an event").is_some());
    let channel = tonic::transport::Channel::from_shared(running.core_grpc.clone()).expect("an address");
    let mut health = HealthClient::new(channel.connect().await.expect("gRPC"));
    let request = HealthCheckRequest { service: String::new() };
    let mut health = health.watch(request).await.expect("a stream").into_inner();
    assert!(health.message().await.expect("a first word").is_some());

    let (took, well) = running.stop();
    assert!(well, "exit code 0");
    assert!(took < Duration::from_secs(2), "{took:?}");
    while events.chunk().await.expect("the events end well").is_some() {}
    let status = health.message().await.expect_err("the stream ends with a status");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
}
