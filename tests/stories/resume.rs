//! Two doors on one Redis: a place goes on with another device through the other door, and the old device is told.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{App, House, id, read, until};
use crate::server::{RedisProcess, redis_is_here};

const ROOM: &str = "/.waiting-room/rooms/demo";

/// Whether somebody stands in line, near or far.
async fn has_place(app: &App) -> bool {
    let (_, facts) = app.poll().await;
    facts["state"] == "waiting" || facts["state"] == "called"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_goes_on_through_another_door_and_only_one_device_goes_in() {
    if !redis_is_here() {
        return;
    }
    let mut redis = RedisProcess::start(&[]);
    let store = format!("waiting_room.store=redis://127.0.0.1:{}/0", redis.port());
    let house = House::new();
    let settings = [store.as_str(), "waiting_room.rooms.demo.rate_per_minute=60", "waiting_room.rooms.demo.burst=1"];
    let one = house.start_role(&["waiting-room"], &settings);
    let two = house.start_role(&["waiting-room"], &settings);
    one.slow_down().await;
    App::new(&one.door).join().await;
    let mut old = App::new(&one.door);
    let place = old.join().await;
    let (status, handover) = old.line(Method::GET, "device").await;
    assert_eq!(status, StatusCode::OK, "{handover}");
    assert!(!handover["url"].as_str().unwrap_or_default().contains(old.ticket.as_deref().expect("a ticket")));

    let mut new = App::new(&two.door);
    let resume = |code: String| new.client.post(format!("{}{ROOM}/resume", two.door)).json(&json!({ "code": code }));
    let (status, here) = read(resume(id(&handover, "code"))).await;
    assert_eq!((status, &here["number"]), (StatusCode::OK, &place["number"]), "{here}");
    let (status, again) = read(resume(id(&handover, "code"))).await;
    assert_eq!((status, &again["code"]), (StatusCode::FORBIDDEN, &json!("code_refused")), "{again}");
    new.ticket = Some(id(&here, "ticket"));
    until("the old door has heard of it", || async { old.poll().await.1["state"] == "moved" }).await;
    assert!(has_place(&new).await);

    // A server that forgets everything is told again by whoever knows: the old device does not come back.
    redis.kill();
    redis.start_empty();
    until("the line is back", || has_place(&new)).await;
    let three = house.start_role(&["waiting-room"], &settings);
    old.door.clone_from(&three.door);
    until("a door that has just come has heard of it", || async { old.poll().await.1["state"] == "moved" }).await;

    one.set_room(&json!({ "rate_per_minute": 60_000, "burst": 100 })).await;
    new.enter().await;
    let (status, refused) = old.line(Method::POST, "entry").await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("place_moved")), "{refused}");
    old.ticket.clone_from(&new.ticket);
    assert_eq!(old.poll().await.0, StatusCode::OK);
}
