//! Several rooms behind one door: by host and path, the most specific first, and no way from one into another.

use std::collections::BTreeMap;

use http::{Method, StatusCode};

use super::harness::World;
use crate::line::Snapshot;
use crate::{RoomSettings, Settings};

fn room(hosts: &[&str], paths: &[&str], open: &[&str]) -> RoomSettings {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    RoomSettings {
        rate_per_minute: 1,
        burst: 1,
        hosts: owned(hosts),
        paths: owned(paths),
        open: owned(open),
        ..RoomSettings::default()
    }
}

async fn world() -> World {
    let rooms = BTreeMap::from([
        ("demo".to_owned(), room(&[], &["/buy/**"], &["GET /buy/terms"])),
        ("other".to_owned(), room(&["other.example"], &[], &["GET /"])),
        ("rest".to_owned(), room(&["127.0.0.1"], &["/elsewhere/**"], &[])),
    ]);
    World::with(Settings { rooms, ..Settings::default() }).await
}

async fn token(world: &World, room: &str) -> String {
    let reply = world.json(Method::POST, &format!("/.waiting-room/rooms/{room}/tickets"), "").await;
    reply.json()["entry_token"].as_str().expect("the room is calm").to_owned()
}

#[tokio::test]
async fn a_token_opens_its_own_room_only() {
    let world = world().await;
    let (demo, other) = (token(&world, "demo").await, token(&world, "other").await);
    let buy = |host: &'static str, token: String| {
        let world = &world;
        async move { world.send(Method::POST, "/buy/now", &[("host", host), ("x-entry-token", &token)], "").await }
    };
    assert_eq!(buy("shop.example", demo.clone()).await.status, StatusCode::OK);
    assert_eq!(buy("other.example", other.clone()).await.status, StatusCode::OK);
    for (host, token) in [("shop.example", &other), ("other.example", &demo), ("Other.Example:1", &demo)] {
        let refused = buy(host, token.clone()).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "waiting".to_owned()), "{host}");
    }
    assert_eq!(world.times_seen(), 2);
}

#[tokio::test]
async fn each_room_has_its_own_line_open_paths_and_cookies() {
    let world = world().await;
    let get = |host: &'static str, path: &'static str| {
        let world = &world;
        async move { world.send(Method::GET, path, &[("host", host), ("accept", "text/html")], "").await }
    };
    assert_eq!(get("shop.example", "/buy/terms").await.status, StatusCode::OK);
    assert_eq!(get("other.example", "/").await.status, StatusCode::OK);
    // Open in one room is not open in another.
    let bought = get("shop.example", "/buy/seats").await;
    assert!(bought.cookie().contains("vestibule_entry_demo="), "{}", bought.cookie());
    let other = get("other.example", "/buy/terms").await;
    assert!(other.cookie().contains("vestibule_entry_other="), "{}", other.cookie());
}

#[tokio::test]
async fn what_no_room_claims_is_nobodys() {
    let world = world().await;
    let nowhere = world.json(Method::GET, "/", "").await;
    assert_eq!((nowhere.status, nowhere.code()), (StatusCode::NOT_FOUND, "room_unknown".to_owned()));
    assert_eq!(world.times_seen(), 0);
}

/// Two lines that began while their store knew of neither: the ticket of the one that did not stay.
#[tokio::test]
async fn a_ticket_of_a_line_that_never_comes_is_not_waited_with_forever() {
    fn older(line: &mut Snapshot) {
        line.epoch -= 1;
    }
    let world = world().await;
    token(&world, "demo").await;
    let held = world.send(Method::GET, "/buy/now", &[("host", "shop.example"), ("accept", "text/html")], "").await;
    let ticket = held.cookie();
    let poll = |path: &'static str, method: Method| {
        let (world, ticket) = (&world, ticket.clone());
        async move { world.json(method, path, &ticket).await }
    };
    let place = "/.waiting-room/rooms/demo/ticket";
    *world.store.as_if.lock().unwrap() = Some(older);
    world.door.check().await.unwrap();
    let young = poll(place, Method::GET).await;
    assert_eq!((young.status, young.json()["state"].as_str()), (StatusCode::OK, Some("one_moment")));
    world.pass_ms(20_000).await;
    assert_eq!(poll(place, Method::GET).await.code(), "ticket_invalid");
    world.store.set_down(true);
    assert!(world.door.check().await.is_err());
    assert_eq!(poll(place, Method::GET).await.status, StatusCode::OK, "who cannot ask refuses nobody");
}
