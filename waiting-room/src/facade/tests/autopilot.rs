//! The autopilot over real connections: into its bounds, down when the upstream fails, and left alone in a pause.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::harness::World;
use crate::line::Autopilot;
use crate::{RoomSettings, Settings};

async fn admin(world: &World, method: Method, body: &Value) -> Value {
    let request = Request::builder().method(method).uri("/api/rooms/demo").header("authorization", "Bearer secret");
    let request = request.body(Body::from(body.to_string())).unwrap();
    let answer = world.door.operator("secret".to_owned()).oneshot(request).await.unwrap();
    serde_json::from_slice(&axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap()).unwrap()
}

/// The room once its rate is this, or as it is after a while.
async fn at_rate(world: &World, rate: u32) -> Value {
    let began = Instant::now();
    loop {
        let room = admin(world, Method::GET, &json!({})).await;
        if room["rate_per_minute"] == rate || began.elapsed() > Duration::from_secs(10) {
            return room;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_ramp_is_left_alone() {
    let autopilot = Some(Autopilot { floor: 100, ceiling: 1_000, p95_ms: 5_000 });
    let room = RoomSettings { rate_per_minute: 200, autopilot, ..RoomSettings::default() };
    let rooms = BTreeMap::from([("demo".to_owned(), room)]);
    let world = World::with(Settings { rooms, ..Settings::default() }).await;
    // Its end is far above the ceiling, to which the autopilot would bring the rate at once.
    let room = admin(&world, Method::PATCH, &json!({ "ramp": "90000 over 1h" })).await;
    assert_eq!(room["ramp"]["to_per_minute"], 90_000, "{room}");
    world.pass_ms(120_000).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let room = admin(&world, Method::GET, &json!({})).await;
    assert!(room["rate_per_minute"].as_u64() > Some(2_000) && room["ramp"].is_object(), "{room}");
    assert_eq!(room["autopilot"]["why"], "Waits until the ramp is over.");
}

#[tokio::test]
async fn the_rate_follows_the_shops_orders_and_says_why() {
    let autopilot = Some(Autopilot { floor: 100, ceiling: 1_000, p95_ms: 5_000 });
    let room = RoomSettings { rate_per_minute: 1_000, autopilot, ..RoomSettings::default() };
    let rooms = BTreeMap::from([("demo".to_owned(), room)]);
    let world = World::with(Settings { rooms, ..Settings::default() }).await;
    let (report, heard) = tokio::sync::watch::channel(Some(crate::Orders { in_flight: 900, per_second: 100 }));
    world.door.watch_orders(heard);
    let room = at_rate(&world, 700).await;
    assert_eq!(room["rate_per_minute"], 700, "{room}");
    let pilot = &room["autopilot"];
    let why = "Lowered from 1000 to 700 a minute: 900 orders are under way, and the shop does 100 a second.";
    assert_eq!(pilot["why"], why);
    assert_eq!(pilot["health"]["orders"], json!({ "in_flight": 900, "per_second": 100 }));
    // Nobody says anything any more: the answers alone count, and there are none.
    report.send_replace(None);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let room = admin(&world, Method::GET, &json!({})).await;
    assert_eq!(room["rate_per_minute"], 700, "{room}");
    assert!(room["autopilot"]["health"].get("orders").is_none(), "{room}");
}

#[tokio::test]
async fn the_rate_follows_the_upstream_and_says_why() {
    let autopilot = Some(Autopilot { floor: 100, ceiling: 1_000, p95_ms: 5_000 });
    let room = RoomSettings { rate_per_minute: 5_000, autopilot, ..RoomSettings::default() };
    let rooms = BTreeMap::from([("demo".to_owned(), room)]);
    let world = World::with(Settings { rooms, ..Settings::default() }).await;

    let room = at_rate(&world, 1_000).await;
    assert_eq!(room["rate_per_minute"], 1_000, "{room}");
    let bounds = &room["autopilot"];
    assert_eq!((&bounds["floor"], &bounds["ceiling"]), (&json!(100), &json!(1_000)));

    // What was answered before the rate changed does not count, so the upstream goes on failing for a while.
    let fail = async {
        loop {
            assert_eq!(world.get("/films/fails", "").await.status, 500);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let room = tokio::select! {
        room = at_rate(&world, 700) => room,
        () = fail => unreachable!("it has no end"),
    };
    assert_eq!(room["rate_per_minute"], 700, "{room}");
    let why = room["autopilot"]["why"].as_str().unwrap();
    assert!(why.starts_with("Lowered from 1000 to 700 a minute:") && why.ends_with("answers failed."), "{why}");

    admin(&world, Method::PATCH, &json!({ "state": "paused", "rate_per_minute": 9_000 })).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let room = admin(&world, Method::GET, &json!({})).await;
    assert_eq!(
        (&room["rate_per_minute"], &room["autopilot"]["why"]),
        (&json!(9_000), &json!("Waits until the room is open."))
    );
}
