//! The store is gone: pages and polls still answer, those inside go on, nobody gets in.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;

use super::harness::{World, settings};
use crate::credential::{Arrival, Provisional, Ticket, TicketKeys};
use crate::line::{RoomChange, RoomState};
use crate::store::LineStore;
use crate::{Door, OnStoreLoss, RoomSettings, Secrets, Settings, new_entry_key};

const ROOM: &str = "/.waiting-room/rooms/demo";
/// As long as a provisional ticket holds.
const PROVISIONAL_MS: i64 = 12 * 60 * 60 * 1_000;
const SEATS: &str = "/screenings/lighthouse-1900/seats";

#[tokio::test]
async fn nobody_gets_in_and_everybody_is_answered() {
    let world = World::new().await;
    let inside = world.entry().await;
    world.next_in_line().await;
    let waiting = world.get(SEATS, "").await.cookie();
    world.pass_ms(61_000).await;
    let called = world.json(Method::GET, &format!("{ROOM}/ticket"), &waiting).await;
    assert_eq!(called.json()["state"], "called");

    world.store.set_down(true);
    assert!(world.door.check().await.is_err());
    // New, waiting and called people: a page or facts, and no way in.
    for (cookie, state) in [("", "provisional"), (waiting.as_str(), "one_moment")] {
        let page = world.get(SEATS, cookie).await;
        assert_eq!(page.status, StatusCode::ACCEPTED);
        assert!(page.body.contains(&format!("data-state=\"{state}\"")), "{}", page.body);
        // Without a number there is nothing that another device could take over.
        assert_eq!(page.body.contains("id=\"elsewhere\" hidden"), state == "provisional", "{}", page.body);
        assert_eq!(page.cookies().len(), usize::from(cookie.is_empty()));
        let facts = world.json(Method::GET, SEATS, cookie).await;
        assert_eq!((facts.status, facts.json()["state"].as_str()), (StatusCode::ACCEPTED, Some(state)));
    }
    let poll = world.json(Method::GET, &format!("{ROOM}/ticket"), &waiting).await;
    assert_eq!((poll.status, poll.json()["position"].as_u64()), (StatusCode::OK, Some(3)));
    let entry = world.json(Method::POST, &format!("{ROOM}/entry"), &waiting).await;
    assert_eq!((entry.status, entry.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("one_moment")));
    let join = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await;
    assert_eq!((join.status, join.json()["state"].as_str()), (StatusCode::CREATED, Some("provisional")));
    let leave = world.json(Method::DELETE, &format!("{ROOM}/ticket"), &waiting).await;
    assert_eq!(leave.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.times_seen(), 0, "nobody got in");

    // Those inside go on.
    let shop = world.send(Method::GET, SEATS, &[("x-entry-token", &inside)], "").await;
    assert_eq!(shop.status, StatusCode::OK);

    world.store.set_down(false);
    world.door.check().await.unwrap();
    assert_eq!(world.get(SEATS, &waiting).await.body, "the shop", "the place was kept");
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_lets_nobody_in() {
    let world = World::new().await;
    world.busy().await;
    let waiting = world.get(SEATS, "").await.cookie();
    world.pass_ms(61_000).await;
    // This node still believes that all is well.
    world.store.set_down(true);
    let page = world.get(SEATS, &waiting).await;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert!(page.body.contains("one_moment"));
    assert_eq!(world.times_seen(), 0);
}

/// Joins as an app; the cookie with the ticket.
async fn join(world: &World, state: &str) -> String {
    let reply = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await;
    assert_eq!((reply.status, reply.json()["state"].as_str()), (StatusCode::CREATED, Some(state)), "{}", reply.body);
    assert_eq!(
        reply.json()["position"],
        if state == "provisional" { Value::Null } else { reply.json()["number"].clone() }
    );
    reply.cookie()
}

/// Polls until there is a number.
async fn number(world: &World, cookie: &str) -> u64 {
    for _ in 0..200 {
        let facts = world.json(Method::GET, &format!("{ROOM}/ticket"), cookie).await;
        assert_eq!(facts.status, StatusCode::OK, "{}", facts.body);
        if let Some(number) = facts.json()["number"].as_u64() {
            assert!(facts.cookie().starts_with("vestibule_ticket_demo=") && facts.json()["ticket"].is_string());
            return number;
        }
        assert_eq!(facts.json()["state"], "provisional");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no number came");
}

async fn go_away(world: &World) {
    world.store.set_down(true);
    assert!(world.door.check().await.is_err());
}

async fn come_back(world: &World) {
    world.store.set_down(false);
    world.door.check().await.unwrap();
}

#[tokio::test]
async fn who_comes_meanwhile_gets_a_number_in_the_order_of_arrival() {
    let world = World::new().await;
    world.busy().await;
    // Somebody waits, so joining lets nobody in.
    let paused = RoomChange { state: Some(RoomState::Paused), ..RoomChange::default() };
    world.door.gate().rooms.get("demo").unwrap().change("ada", &paused).await.unwrap();
    join(&world, "paused").await;
    go_away(&world).await;
    let mut people = Vec::new();
    for _ in 0..3 {
        people.push(join(&world, "provisional").await);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // A copy is the same person; and asking again gives no second ticket.
    let again = world.json(Method::POST, &format!("{ROOM}/tickets"), &people[1]).await;
    assert_eq!((again.status, again.cookies().len()), (StatusCode::OK, 0));
    come_back(&world).await;
    // Whoever comes now stands behind them.
    people.push(join(&world, "provisional").await);
    world.pass_ms(5_000).await;
    let mut numbers = Vec::new();
    for index in [2, 0, 3, 1] {
        numbers.push((index, number(&world, &people[index]).await));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [(0, 4), (1, 5), (2, 6), (3, 7)]);
    assert_eq!(number(&world, &people[1]).await, 5, "replayed: the same number");
    join(&world, "paused").await;
    let page = world.get(SEATS, &people[2]).await;
    assert!(page.body.contains("data-testid=\"place\">6<"), "the page changes the ticket as well: {}", page.body);
    assert!(page.cookie().starts_with("vestibule_ticket_demo="));
}

#[tokio::test]
async fn a_provisional_ticket_is_good_at_any_node() {
    let world = World::new().await;
    go_away(&world).await;
    let ticket = join(&world, "provisional").await;
    come_back(&world).await;
    // The node that gave it is gone; this one has never heard of it.
    let clock = {
        let door = world.door.clone();
        Arc::new(move || door.gate().now_ms())
    };
    let secrets = Secrets { ticket_key: vec![7; 32], entry_key_pkcs8: new_entry_key(), access: BTreeMap::new() };
    let store: Arc<dyn LineStore> = world.store.clone();
    let other = Door::with_store(&settings(), &secrets, clock, &store).await.unwrap();
    let room = other.gate().rooms.get("demo").unwrap();
    let held = other.gate().held(ticket.split_once('=').unwrap().1, room).unwrap();
    let turn = other.gate().turn(room, held).await;
    // The room is calm, so it is in at once.
    assert!(matches!(turn, crate::door::Turn::In(grant) if grant.ticket.is_some() && grant.entry.is_some()));
}

#[tokio::test]
async fn a_store_that_was_never_missed_is_not_made_a_fuss_of() {
    let world = World::new().await;
    world.busy().await;
    go_away(&world).await;
    come_back(&world).await;
    join(&world, "waiting").await;
    // The first who notices gets a provisional ticket, and the others too until it has become a number.
    world.store.set_down(true);
    let ticket = join(&world, "provisional").await;
    come_back(&world).await;
    let late = join(&world, "provisional").await;
    world.pass_ms(4_000).await;
    assert!(number(&world, &ticket).await < number(&world, &late).await);
}

#[tokio::test]
async fn a_provisional_ticket_that_nobody_showed_for_half_a_day_is_none() {
    let world = World::new().await;
    world.busy().await;
    let began_ms = world.door.gate().now_ms();
    let ticket = |age_ms| {
        let arrival = Arrival::new(began_ms - age_ms, 1, 1, 0);
        let ticket = Provisional { room: "demo".to_owned(), arrival };
        format!("vestibule_ticket_demo={}", TicketKeys::new(&[7; 32]).mint_provisional(&ticket))
    };
    let poll = async |cookie: &str| world.json(Method::GET, &format!("{ROOM}/ticket"), cookie).await;
    assert_eq!(poll(&ticket(PROVISIONAL_MS - 60_000)).await.status, StatusCode::OK);
    let late = poll(&ticket(PROVISIONAL_MS + 60_000)).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::UNAUTHORIZED, "ticket_invalid"));
    // A browser joins anew by itself.
    let page = world.get(SEATS, &ticket(PROVISIONAL_MS + 60_000)).await;
    assert!(page.cookie().starts_with("vestibule_ticket_demo="), "{}", page.body);
}

#[tokio::test]
async fn a_provisional_place_can_be_given_up() {
    let world = World::new().await;
    world.busy().await;
    go_away(&world).await;
    let (one, two) = (join(&world, "provisional").await, join(&world, "provisional").await);
    let left = world.json(Method::DELETE, &format!("{ROOM}/ticket"), &one).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    come_back(&world).await;
    world.pass_ms(4_000).await;
    assert_eq!(number(&world, &two).await, 3, "nobody else took one");
}

async fn room_that(on_store_loss: OnStoreLoss) -> World {
    let room = RoomSettings { rate_per_minute: 60, burst: 1, on_store_loss, local_nodes: 1, ..RoomSettings::default() };
    let rooms = [("demo".to_owned(), room)].into();
    let world = World::with(Settings { rooms, ..settings() }).await;
    world.busy().await;
    world
}

/// Time passes without the store.
async fn pass_away_ms(world: &World, ms: i64) {
    world.skip_ms(ms);
    assert!(world.door.check().await.is_err());
}

async fn enter(world: &World, cookie: &str) -> StatusCode {
    world.json(Method::POST, &format!("{ROOM}/entry"), cookie).await.status
}

#[tokio::test]
async fn a_room_that_is_opened_lets_everybody_in_once_the_store_is_surely_away() {
    let world = room_that(OnStoreLoss::Open).await;
    let waiting = join(&world, "waiting").await;
    go_away(&world).await;
    let page = world.get(SEATS, &waiting).await;
    assert_eq!(page.status, StatusCode::ACCEPTED, "a hiccup opens nothing");
    assert_eq!(world.times_seen(), 0);
    pass_away_ms(&world, 4_000).await;
    for cookie in ["", waiting.as_str()] {
        let page = world.get(SEATS, cookie).await;
        assert_eq!((page.status, page.body.as_str()), (StatusCode::OK, "the shop"));
        assert!(page.cookie().contains("vestibule_entry_demo="));
    }
    let post = world.send(Method::POST, SEATS, &[("accept", "application/json")], "").await;
    assert_eq!(post.status, StatusCode::OK, "also for who changes something");
    let joined = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await;
    assert_eq!((joined.status, joined.json()["state"].as_str()), (StatusCode::CREATED, Some("admitted")));
    let room = world.door.gate().rooms.get("demo").unwrap();
    assert_eq!(room.let_in_without_store(), 4);
    come_back(&world).await;
    assert_eq!(world.get(SEATS, "").await.status, StatusCode::ACCEPTED, "closed again");
    // Who went in with a number does not go in again, here or elsewhere.
    world.pass_ms(5_000).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(world.store.positions.lock().unwrap().contains(&3), "the line was told");
    assert_eq!(enter(&world, &waiting).await, StatusCode::OK, "the same session, for a lost answer");
    world.pass_ms(16 * 60_000).await;
    assert_eq!(enter(&world, &waiting).await, StatusCode::CONFLICT, "and once it is over, no other");
}

#[tokio::test]
async fn a_room_that_goes_on_locally_lets_in_its_share_and_who_has_a_number_first() {
    let world = room_that(OnStoreLoss::Local).await;
    let waiting = join(&world, "waiting").await;
    go_away(&world).await;
    let late = join(&world, "provisional").await;
    assert_eq!(enter(&world, &waiting).await, StatusCode::ACCEPTED, "a hiccup opens nothing");
    // Detection, the store's burst, what it gave ahead, one interval: six seconds.
    pass_away_ms(&world, 5_000).await;
    assert_eq!(enter(&world, &waiting).await, StatusCode::ACCEPTED);
    let facts = world.json(Method::GET, &format!("{ROOM}/ticket"), &waiting).await;
    assert_eq!(facts.json()["state"], "called", "{}", facts.body);
    pass_away_ms(&world, 1_200).await;
    assert_eq!(enter(&world, &waiting).await, StatusCode::OK);
    assert_eq!(enter(&world, &waiting).await, StatusCode::OK, "a lost answer");
    assert_eq!(enter(&world, &late).await, StatusCode::ACCEPTED, "one a second");
    pass_away_ms(&world, 1_100).await;
    assert_eq!(enter(&world, &late).await, StatusCode::OK);
    let room = world.door.gate().rooms.get("demo").unwrap();
    assert_eq!(room.let_in_without_store(), 2);
    come_back(&world).await;
    world.pass_ms(5_000).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let told = world.store.positions.lock().unwrap().clone();
    assert!(told.contains(&3) && told.contains(&4), "both are used up: {told:?}");
    world.pass_ms(16 * 60_000).await;
    assert_eq!(enter(&world, &waiting).await, StatusCode::CONFLICT);
    assert_eq!(enter(&world, &late).await, StatusCode::CONFLICT);
}

/// Of three places one is taken when the store goes: two nodes have one each, and one more for whoever is out again.
#[tokio::test]
async fn a_room_that_goes_on_locally_keeps_to_its_part_of_the_cap() {
    let room = RoomSettings {
        rate_per_minute: 6_000,
        burst: 2,
        max_active: 3,
        on_store_loss: OnStoreLoss::Local,
        local_nodes: 2,
        ..RoomSettings::default()
    };
    let world = World::with(Settings { rooms: [("demo".to_owned(), room)].into(), ..settings() }).await;
    let inside = world.entry().await;
    go_away(&world).await;
    pass_away_ms(&world, 6_000).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(join(&world, "called").await);
    }
    let try_all = async || {
        let mut entered = 0;
        for _ in 0..3 {
            for cookie in &waiting {
                entered += usize::from(enter(&world, cookie).await == StatusCode::OK);
            }
            pass_away_ms(&world, 500).await;
        }
        entered
    };
    assert_eq!(try_all().await, 3, "one, whose answer may be lost twice");
    let end = world.send(Method::POST, "/orders/1/the-end", &[("x-entry-token", &inside)], "").await;
    assert_eq!(end.status, StatusCode::OK);
    assert_eq!(try_all().await, 6, "and a second one");
    let room = world.door.gate().rooms.get("demo").unwrap();
    assert_eq!(room.let_in_without_store(), 2);
    // The line counts them once it is back.
    come_back(&world).await;
    world.pass_ms(6_000).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_300)).await;
    assert_eq!(room.tick().await.unwrap().active, 2);
}

#[tokio::test]
async fn a_node_that_knows_less_shows_no_worse_place() {
    let world = World::with(Settings {
        rooms: [("demo".to_owned(), RoomSettings { rate_per_minute: 60, burst: 1, ..RoomSettings::default() })].into(),
        ..settings()
    })
    .await;
    world.busy().await;
    for _ in 0..30 {
        join(&world, "waiting").await;
    }
    let mine = join(&world, "waiting").await;
    // Another node saw the line now, and never again.
    let clock = {
        let door = world.door.clone();
        Arc::new(move || door.gate().now_ms())
    };
    let secrets = Secrets { ticket_key: vec![7; 32], entry_key_pkcs8: new_entry_key(), access: BTreeMap::new() };
    let store: Arc<dyn LineStore> = world.store.clone();
    let stale = Door::with_store(&settings(), &secrets, clock, &store).await.unwrap();
    let at_stale = async |headers: &[(&str, &str)]| {
        let mut request = http::Request::builder().uri(format!("{ROOM}/ticket")).header("host", "door");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = stale.answer(request, "127.0.0.1:1".parse().unwrap()).await;
        let bytes = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    world.pass_ms(10_000).await;
    let fresh = world.json(Method::GET, &format!("{ROOM}/ticket"), &mine).await;
    let (best, seen) = (fresh.json()["ahead"].as_u64().unwrap(), fresh.json()["seen"].as_str().unwrap().to_owned());
    let cookies = format!("{mine}; {}", fresh.cookie());
    assert!(fresh.cookie().starts_with("vestibule_seen_demo="), "{}", fresh.cookie());
    go_away(&world).await;
    let bearer = format!("Bearer {}", mine.split_once('=').unwrap().1.split(';').next().unwrap());
    let forgot = at_stale(&[("authorization", &bearer)]).await["ahead"].as_u64().unwrap();
    assert!(forgot > best, "this node knows less: {forgot}, {best}");
    assert_eq!(at_stale(&[("cookie", &cookies)]).await["ahead"], best);
    assert_eq!(at_stale(&[("authorization", &bearer), ("x-waiting-room-seen", &seen)]).await["ahead"], best);
    // Of another number, or nonsense: believed by nobody.
    for seen in ["1.1.0", "x", "", "9.9"] {
        assert_eq!(at_stale(&[("authorization", &bearer), ("x-waiting-room-seen", seen)]).await["ahead"], forgot);
    }
}

/// The store and all nodes were lost together: a room begins empty, and people come back with tickets of the one before.
#[tokio::test]
async fn tickets_of_a_line_that_nobody_knows_bring_it_back() {
    let world = World::new().await;
    let room = world.door.gate().rooms.get("demo").unwrap();
    let began = room.snapshot().epoch;
    let ticket = |epoch: u64, number: u64| {
        let issued_at_ms = i64::try_from(epoch).unwrap() + 1_000;
        let ticket = Ticket { room: "demo".to_owned(), epoch, lane: 0, number, issued_at_ms, generation: 0 };
        format!("vestibule_ticket_demo={}", TicketKeys::new(&[7; 32]).mint(&ticket))
    };
    let poll = async |cookie: &str| world.json(Method::GET, &format!("{ROOM}/ticket"), cookie).await;
    let (old, older) = (began - 60_000, began - 7 * 60 * 60_000);
    let people = [40, 5].map(|number| ticket(old, number));
    for cookie in &people {
        let facts = poll(cookie).await;
        assert_eq!(
            (facts.status, facts.json()["state"].as_str()),
            (StatusCode::OK, Some("one_moment")),
            "{}",
            facts.body
        );
    }
    assert_ne!(poll(&ticket(older, 9_000)).await.status, StatusCode::OK, "of another day's sale");
    world.pass_ms(3_000).await;
    world.door.check().await.unwrap();
    for (cookie, number) in people.iter().zip([40, 5]) {
        let facts = poll(cookie).await.json();
        assert_eq!((facts["state"].as_str(), facts["number"].as_u64()), (Some("waiting"), Some(number)), "{facts}");
        assert_eq!(facts["ahead"], number - 1);
    }
    assert_eq!(room.snapshot().epoch, old);
    let fresh = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await.json();
    assert_eq!(fresh["number"], 1_000_041, "nobody gets a number twice");
    // A higher one that comes later stands where it stood.
    let late = ticket(old, 60);
    poll(&late).await;
    world.door.check().await.unwrap();
    assert_eq!(poll(&late).await.json()["ahead"], 59);
    let calls = world.store.calls.load(std::sync::atomic::Ordering::Relaxed);
    for cookie in people.iter().chain([&late]) {
        poll(cookie).await;
        world.door.check().await.unwrap();
    }
    assert_eq!(world.store.calls.load(std::sync::atomic::Ordering::Relaxed), calls, "told once");
}

#[tokio::test]
async fn in_a_calm_room_each_goes_in_by_their_own_poll() {
    let world = World::new().await;
    // Its budget could hold both of them.
    let burst = crate::line::RoomChange { burst: Some(2), ..crate::line::RoomChange::default() };
    world.door.gate().rooms.get("demo").unwrap().change("test", &burst).await.unwrap();
    go_away(&world).await;
    let (one, two) = (join(&world, "provisional").await, join(&world, "provisional").await);
    come_back(&world).await;
    world.pass_ms(5_000).await;
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let room = world.door.gate().rooms.get("demo").unwrap();
    assert_eq!((room.snapshot().issued(), room.away_since_ms()), (0, None), "nothing was given to nobody");
    let facts = world.json(Method::GET, &format!("{ROOM}/ticket"), &one).await;
    assert_eq!(facts.json()["state"], "admitted", "{}", facts.body);
    assert!(facts.cookie().contains("vestibule_entry_demo=") && facts.cookie().contains("vestibule_ticket_demo="));
    assert_eq!(number(&world, &two).await, 2);
}
