//! What the line is told behind the visitor's back: who is there, whose session goes on, whose is over.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, StatusCode};

use super::harness::{Reply, World, settings};
use crate::Settings;
use crate::line::{RoomChange, RoomState};
use crate::store::LineStore;

const ROOM: &str = "/.waiting-room/rooms/demo";
const SEATS: &str = "/screenings/lighthouse-1900/seats";
const END: &str = "/orders/1/the-end";

async fn changed(world: &World, change: RoomChange) {
    let room = world.door.gate().rooms.get("demo").unwrap();
    room.change("test", &change).await.unwrap();
}

async fn reported(world: &World) {
    world.door.gate().rooms.get("demo").unwrap().report().await;
}

#[tokio::test]
async fn a_poll_asks_no_store_and_is_told_of_later_in_one_batch() {
    let world = World::new().await;
    world.busy().await;
    let tickets = [world.get(SEATS, "").await.cookie(), world.get(SEATS, "").await.cookie()];
    reported(&world).await;
    // The ticking of the node itself is not counted; everything a visitor might cause is.
    let calls = world.store.calls.load(Ordering::Relaxed);
    let batches = world.store.seen.lock().unwrap().len();
    for _ in 0..20 {
        for ticket in &tickets {
            let poll = world.json(Method::GET, &format!("{ROOM}/ticket"), ticket).await;
            assert_eq!(poll.status, StatusCode::OK);
        }
    }
    assert_eq!(world.store.calls.load(Ordering::Relaxed), calls, "0 calls for 40 polls");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let seen = world.store.seen.lock().unwrap()[batches..].to_vec();
    assert!((1..=3).contains(&seen.len()) && seen.iter().any(|batch| *batch == [3, 4]), "{seen:?}");
}

#[tokio::test]
async fn a_poll_that_has_nothing_new_says_so() {
    let world = World::new().await;
    world.busy().await;
    let ticket = world.get(SEATS, "").await.cookie();
    let path = format!("{ROOM}/ticket");
    let first = world.json(Method::GET, &path, &ticket).await;
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let headers = [("cookie", ticket.as_str()), ("if-none-match", etag.as_str())];
    let again = world.send(Method::GET, &path, &headers, "").await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert!(again.headers.contains_key("retry-after"));
    changed(&world, RoomChange { message: Some("News".to_owned()), ..RoomChange::default() }).await;
    assert_eq!(world.send(Method::GET, &path, &headers, "").await.status, StatusCode::OK);
}

/// HEAD goes the way of all requests, GET the short one.
#[tokio::test]
async fn a_poll_is_answered_at_once_as_it_would_be_otherwise() {
    let world = World::new().await;
    world.busy().await;
    let (path, ticket) = (format!("{ROOM}/ticket"), world.get(SEATS, "").await.cookie());
    let text = ticket.split(';').next().and_then(|cookie| cookie.split_once('=')).expect("a cookie").1;
    let bearer = format!("Bearer {text}");
    for way in [("cookie", ticket.as_str()), ("authorization", bearer.as_str())] {
        let headers = [way, ("accept", "application/json"), ("x-request-id", "r-1")];
        let get = world.send(Method::GET, &path, &headers, "").await;
        let head = world.send(Method::HEAD, &path, &headers, "").await;
        assert_eq!((get.status, head.status), (StatusCode::OK, StatusCode::OK));
        let told = |reply: &Reply| {
            let mut told: Vec<String> = reply.headers.iter().map(|header| format!("{header:?}")).collect();
            // Spread at random.
            told.retain(|header| !header.contains("retry-after") && !header.contains("\"date\""));
            told
        };
        assert_eq!(told(&get), told(&head));
        assert!(get.headers.contains_key("retry-after") && get.headers.contains_key("etag"));
        assert_eq!(get.json()["state"], "waiting");
    }
    for (bad, status) in [("Bearer x", StatusCode::UNAUTHORIZED), ("Bearer ", StatusCode::UNAUTHORIZED)] {
        assert_eq!(world.send(Method::GET, &path, &[("authorization", bad)], "").await.status, status);
    }
}

#[tokio::test]
async fn what_stands_behind_ends_a_session() {
    let world = World::new().await;
    let inside = world.get(SEATS, "").await.cookie();
    assert!(!world.get(SEATS, &inside).await.headers.contains_key("x-waiting-room-session"));
    let last = world.send(Method::POST, END, &[("cookie", &inside)], "").await;
    assert_eq!(last.status, StatusCode::OK);
    assert!(!last.headers.contains_key("x-waiting-room-session"), "a word to the door");
    let taken = ["vestibule_ticket_demo=", "vestibule_entry_demo="].map(str::to_owned);
    assert_eq!(last.cookies(), taken, "ticket and entry have done their work");

    // The token opens nothing more, except for the repeat of a request whose answer was lost, and not for long.
    let again = |key: Option<&'static str>| {
        let mut headers = vec![("cookie", inside.clone())];
        headers.extend(key.map(|key| ("idempotency-key", key.to_owned())));
        let world = &world;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.send(Method::POST, END, &headers, "").await
        }
    };
    assert_eq!(again(None).await.code(), "entry_expired");
    assert_eq!(again(Some("k")).await.status, StatusCode::OK);
    world.pass_ms(31_000).await;
    assert_eq!(again(Some("k")).await.code(), "entry_expired");

    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let told = world.store.ended.lock().unwrap().clone();
    assert!(!told.is_empty() && told.iter().all(|id| id == &told[0]), "{told:?}");
}

#[tokio::test]
async fn an_end_that_the_line_did_not_hear_is_told_again() {
    let world = World::new().await;
    let inside = world.get(SEATS, "").await.cookie();
    world.store.set_down(true);
    world.send(Method::POST, END, &[("cookie", &inside)], "").await;
    reported(&world).await;
    world.store.set_down(false);
    reported(&world).await;
    assert_eq!(world.store.ended.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_entry_that_is_used_goes_on_where_the_room_says_so() {
    let mut renewing = settings();
    renewing.rooms.get_mut("demo").unwrap().session_renewal = true;
    for (settings, renews) in [(renewing, true), (Settings::default(), false)] {
        let world = World::with(settings).await;
        let entry = world.entry().await;
        let early = world.send(Method::GET, SEATS, &[("x-entry-token", &entry)], "").await;
        assert!(early.cookies().is_empty(), "more than half is left");
        world.pass_ms(8 * 60 * 1_000).await;
        let late = world.send(Method::GET, SEATS, &[("x-entry-token", &entry)], "").await;
        assert_eq!((late.status, late.headers.contains_key("x-entry-token")), (StatusCode::OK, renews));
        if !renews {
            continue;
        }
        let fresh = late.headers["x-entry-token"].to_str().unwrap().to_owned();
        assert_eq!(late.cookie(), format!("vestibule_entry_demo={fresh}"));
        reported(&world).await;
        assert_eq!(world.store.renewed.lock().unwrap().len(), 1);
        world.pass_ms(8 * 60 * 1_000).await;
        let old = world.send(Method::POST, SEATS, &[("x-entry-token", &entry)], "").await;
        assert_eq!(old.code(), "entry_expired");
        assert_eq!(world.send(Method::POST, SEATS, &[("x-entry-token", &fresh)], "").await.status, StatusCode::OK);
    }
}

/// The session ended at one node; another, which has its token, must not prolong it.
#[tokio::test]
async fn a_session_that_ended_at_another_node_is_not_renewed() {
    let mut renewing = settings();
    renewing.rooms.get_mut("demo").unwrap().session_renewal = true;
    let world = World::with(renewing).await;
    let entry = world.entry().await;
    let line = world.door.gate().rooms.get("demo").unwrap();
    world.send(Method::GET, SEATS, &[("x-entry-token", &entry)], "").await;
    // As another node tells of it.
    let other = format!("{:x}-1", line.snapshot().epoch);
    world.store.sessions("demo", &[], &[other]).await.unwrap();
    world.pass_ms(8 * 60 * 1_000).await;
    for _ in 0..2 {
        let late = world.send(Method::POST, SEATS, &[("x-entry-token", &entry)], "").await;
        assert_eq!(late.code(), "entry_expired");
        assert!(!late.headers.contains_key("x-entry-token"));
    }
}

/// A page loads twenty things at once; the line is asked once.
#[tokio::test]
async fn one_of_many_requests_asks_for_the_renewal() {
    let mut renewing = settings();
    renewing.rooms.get_mut("demo").unwrap().session_renewal = true;
    let world = World::with(renewing).await;
    let entry = world.entry().await;
    world.pass_ms(8 * 60 * 1_000).await;
    let headers = [("x-entry-token", entry.as_str())];
    let requests = (0..20).map(|_| world.send(Method::GET, SEATS, &headers, ""));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(answers.iter().filter(|answer| answer.headers.contains_key("x-entry-token")).count(), 1);
    assert_eq!(world.store.renewed.lock().unwrap().len(), 1);
}

/// An entry that goes on and of which the line does not know is inside without being counted.
#[tokio::test]
async fn a_renewal_that_the_line_did_not_hear_is_told_again() {
    let mut renewing = settings();
    renewing.rooms.get_mut("demo").unwrap().session_renewal = true;
    let world = World::with(renewing).await;
    let entry = world.entry().await;
    world.pass_ms(8 * 60 * 1_000).await;
    world.store.set_down(true);
    let late = world.send(Method::GET, SEATS, &[("x-entry-token", &entry)], "").await;
    assert!(late.headers.contains_key("x-entry-token"));
    reported(&world).await;
    world.store.set_down(false);
    reported(&world).await;
    assert_eq!(world.store.renewed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn rooms_that_are_shut_say_why_and_keep_who_is_inside() {
    for (state, code, status) in [
        (RoomState::Closed, "room_closed", StatusCode::FORBIDDEN),
        (RoomState::SoldOut, "sold_out", StatusCode::CONFLICT),
    ] {
        let world = World::new().await;
        let inside = world.entry().await;
        world.next_in_line().await;
        let ticket = world.get(SEATS, "").await.cookie();
        changed(&world, RoomChange { state: Some(state), ..RoomChange::default() }).await;
        for cookie in ["", ticket.as_str()] {
            let page = world.get(SEATS, cookie).await;
            assert_eq!(page.status, status);
            assert!(page.body.contains(code) && page.cookies().is_empty(), "{}", page.body);
            assert_eq!(world.json(Method::POST, "/checkout", cookie).await.code(), code);
        }
        assert_eq!(world.json(Method::POST, &format!("{ROOM}/tickets"), "").await.code(), code);
        let poll = world.json(Method::GET, &format!("{ROOM}/ticket"), &ticket).await.json();
        assert_eq!((poll["state"].as_str(), poll["position"].as_u64()), (Some(state.as_str()), Some(3)));
        let shop = world.send(Method::GET, SEATS, &[("x-entry-token", &inside)], "").await;
        assert_eq!(shop.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_draining_room_takes_nobody_new() {
    let world = World::new().await;
    world.busy().await;
    let ticket = world.get(SEATS, "").await.cookie();
    changed(&world, RoomChange { state: Some(RoomState::Draining), ..RoomChange::default() }).await;
    let late = world.get(SEATS, "").await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    assert!(late.headers.contains_key("refresh") && late.body.contains("in line still go in"), "{}", late.body);
    assert_eq!(world.get(SEATS, &ticket).await.status, StatusCode::ACCEPTED);
    world.pass_ms(61_000).await;
    assert_eq!(world.get(SEATS, &ticket).await.body, "the shop");
}

#[tokio::test]
async fn a_full_line_says_so() {
    let world = World::new().await;
    world.busy().await;
    let ticket = world.get(SEATS, "").await.cookie();
    changed(&world, RoomChange { queue_max: Some(1), ..RoomChange::default() }).await;
    let late = world.get(SEATS, "").await;
    assert_eq!(late.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(late.body.contains("queue_full") && late.headers.contains_key("refresh"), "{}", late.body);
    assert_eq!(world.json(Method::POST, &format!("{ROOM}/tickets"), "").await.code(), "queue_full");
    assert_eq!(world.get(SEATS, &ticket).await.status, StatusCode::ACCEPTED, "who is in line stays");
}
