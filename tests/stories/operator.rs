//! The operator: live numbers, a rate that takes effect within a second, by CLI and API, with readable refusals.

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::{App, House, read, said, until, vestibule};
use crate::journey::FAST;

const SLOW: &[&str] = &["waiting_room.rooms.demo.rate_per_minute=1", "waiting_room.rooms.demo.burst=1"];

#[tokio::test]
async fn the_cli_turns_the_rate_and_it_takes_effect_within_a_second() {
    let house = House::new();
    let running = house.start(SLOW);
    App::new(&running.door).join().await;
    let mut waiting = App::new(&running.door);
    waiting.join().await;
    assert!(waiting.entry.is_none());

    let address = format!("listen.operator={}", running.operator.trim_start_matches("http://"));
    let set = vestibule(house.path(), &["room", "set", "demo", "--rate", "6000", "--set", &address]);
    assert!(set.status.success(), "{}", said(&set));
    let changed = Instant::now();
    until("the new rate is told", || async { waiting.poll().await.1["rate_per_minute"] == 6_000 }).await;
    assert!(changed.elapsed() < Duration::from_secs(1), "took {:?}", changed.elapsed());
    waiting.enter().await;

    let list = vestibule(house.path(), &["room", "list", "--set", &address]);
    let listed = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(listed.contains("demo") && listed.contains("6000") && !listed.contains("forget"), "{listed}");
    std::fs::write(house.path().join("data/line/old-sale.journal"), "").expect("a journal");
    let list = vestibule(house.path(), &["room", "list", "--set", &address]);
    let listed = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(listed.contains("`vestibule room forget old-sale` clears it"), "{listed}");
}

#[tokio::test]
async fn a_room_that_is_opened_again_does_not_go_on_saying_that_it_is_paused() {
    let house = House::new();
    let running = house.start(SLOW);
    let address = format!("listen.operator={}", running.operator.trim_start_matches("http://"));
    let room = |arguments: &[&str]| {
        let output = vestibule(house.path(), &[&["room"], arguments, &["--set", &address]].concat());
        (output.status.code(), said(&output))
    };
    assert_eq!(room(&["pause", "demo", "--message", "Back at eight."]).0, Some(0));
    assert_eq!(room(&["open", "demo"]).0, Some(0));
    let facts: Value =
        reqwest::get(format!("{}/.waiting-room/rooms/demo", running.door)).await.unwrap().json().await.unwrap();
    assert_eq!((&facts["state"], facts.get("message")), (&json!("open"), None), "{facts}");

    let (code, said) = room(&["set", "demo"]);
    assert!(code == Some(2) && said.contains("--rate"), "nothing to change is a mistake: {said}");
    let (code, said) = room(&["set", "demo", "--rate", "-5"]);
    assert!(code == Some(2) && said.contains("invalid value '-5'"), "{said}");
}

#[tokio::test]
async fn the_cli_knows_every_state_and_tells_what_was_wrong() {
    let house = House::new();
    let running = house.start(SLOW);
    let address = format!("listen.operator={}", running.operator.trim_start_matches("http://"));
    let room =
        |line: &[&str]| vestibule(house.path(), &[&["room"], line, &["--set", &address, "--as", "ada"]].concat());
    for (command, state) in
        [("drain", "draining"), ("close", "closed"), ("sold-out", "sold_out"), ("pause", "paused"), ("open", "open")]
    {
        let went = room(&[command, "demo", "--message", "Back at eight."]);
        let told = String::from_utf8_lossy(&went.stdout).into_owned();
        assert!(went.status.success() && told.contains(state) && told.contains("Back at eight."), "{}", said(&went));
    }
    for (line, told) in [
        (["--method", "luck"], "method must be one of"),
        (["--opens-at", "tomorrow"], "opens_at must be a time like"),
        (["--rate", "0"], "rate_per_minute must be"),
    ] {
        let refused = room(&[&["set", "demo"], line.as_slice()].concat());
        assert!(!refused.status.success() && said(&refused).contains(told), "{}", said(&refused));
    }
    let changes = room(&["changes", "demo"]);
    assert!(changes.status.success(), "{}", said(&changes));
}

#[tokio::test]
async fn a_paused_room_calls_nobody_and_tells_why() {
    let house = House::new();
    let running = house.start(SLOW);
    App::new(&running.door).join().await;
    running.set_room(&json!({ "state": "paused", "message": "Back at eight.", "rate_per_minute": 60_000 })).await;
    let mut app = App::new(&running.door);
    app.join().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, facts) = app.poll().await;
    assert_eq!((&facts["state"], &facts["message"]), (&json!("paused"), &json!("Back at eight.")), "{facts}");
    running.set_room(&json!({ "state": "open" })).await;
    app.enter().await;
}

#[tokio::test]
async fn the_admin_api_wants_the_password_and_refuses_nonsense_in_words() {
    let house = House::new();
    let running = house.start(SLOW);
    let room = format!("{}/api/rooms/demo", running.operator);
    let client = Client::new();
    assert_eq!(client.get(&room).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let wrong = client.get(&room).bearer_auth("wrong").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    for nonsense in [json!({ "rate_per_minute": -1 }), json!({ "rate_per_minute": 2_000_000 }), json!({ "rtae": 5 })] {
        let change = client.patch(&room).bearer_auth(running.operator_password()).json(&nonsense);
        let (status, problem) = read(change).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{nonsense}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("rate_per_minute")), "{problem}");
    }
}

#[tokio::test]
async fn health_and_metrics_stand_on_the_operators_listener_only() {
    let house = House::new();
    let running = house.start(&[]);
    App::new(&running.door).join().await;
    let get = async |url: String| reqwest::get(url).await.unwrap();
    assert_eq!(get(format!("{}/healthz", running.operator)).await.status(), StatusCode::OK);
    let ready: Value = get(format!("{}/readyz", running.operator)).await.json().await.unwrap();
    assert_eq!(ready["ready"], true, "{ready}");
    let metrics = get(format!("{}/metrics", running.operator)).await.text().await.unwrap();
    for name in ["vestibule_request_seconds", "vestibule_tickets_issued_total"] {
        assert!(metrics.contains(name), "{name} in {metrics}");
        assert!(metrics.contains(&format!("# HELP {name} ")), "what {name} is, in {metrics}");
    }
    for outside in [&running.door, &running.core] {
        let body = get(format!("{outside}/metrics")).await.text().await.unwrap();
        assert!(!body.contains("vestibule_request_seconds"), "no metrics on {outside}");
    }
    let healthy = vestibule(
        house.path(),
        &["healthcheck", "--set", &format!("listen.operator={}", running.operator.trim_start_matches("http://"))],
    );
    assert!(healthy.status.success(), "{}", said(&healthy));
}

#[tokio::test]
async fn expected_waits_are_held_against_the_real_ones() {
    let house = House::new();
    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=60", "waiting_room.rooms.demo.burst=1"]);
    for _ in 0..4 {
        App::new(&running.door).join().await;
    }
    App::admitted(&running.door).await;
    let metrics = reqwest::get(format!("{}/metrics", running.operator)).await.unwrap().text().await.unwrap();
    let judged: Vec<&str> = metrics.lines().filter(|line| line.starts_with("vestibule_eta_total{")).collect();
    assert_eq!(judged, ["vestibule_eta_total{room=\"demo\",outcome=\"inside\"} 1"], "{metrics}");
}

#[tokio::test]
async fn what_is_sold_and_paid_is_counted() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;
    app.buy(&["A1", "A2"]).await;
    // A booked order ends its session: somebody else tries the same seat.
    App::admitted(&running.door).await.hold(&["A1"]).await;
    let metrics = reqwest::get(format!("{}/metrics", running.operator)).await.unwrap().text().await.unwrap();
    for line in [
        "vestibule_holds_total{goods=\"seats\",outcome=\"placed\"} 1",
        "vestibule_holds_total{goods=\"seats\",outcome=\"taken\"} 1",
        "vestibule_orders_total{outcome=\"booked\"} 1",
        "vestibule_payments_total{outcome=\"captured\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}
