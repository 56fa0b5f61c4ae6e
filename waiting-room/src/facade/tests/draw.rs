//! Before, at and after a draw: what visitors see, and that anybody can check it. The store says what a line with a
//! schedule says; the rules of the schedule have tests of their own.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::harness::World;
use crate::TicketClaims;
use crate::line::{self, DrawEvidence, Phase, RoomState, Snapshot};

const ROOM: &str = "/.waiting-room/rooms/demo";
const SEATS: &str = "/screenings/lighthouse-1900/seats";

fn early(line: &mut Snapshot) {
    line.method = line::Method::Draw;
    line.phase = Phase::Early;
    line.lanes[0].cursor = 0;
    line.prequeue_at_ms = Some(line.at_ms + 40_000);
    line.opens_at_ms = Some(line.at_ms + 100_000);
}

fn prequeue(line: &mut Snapshot) {
    early(line);
    line.phase = Phase::Prequeue;
    line.lanes[0].digest = "aa".to_owned();
}

fn in_order(line: &mut Snapshot) {
    prequeue(line);
    line.method = line::Method::Fcfs;
}

fn in_order_later(line: &mut Snapshot) {
    in_order(line);
    line.opens_at_ms = Some(line.at_ms + 3_600_000);
}

fn sold_out(line: &mut Snapshot) {
    prequeue(line);
    line.state = RoomState::SoldOut;
}

fn drawn(line: &mut Snapshot) {
    prequeue(line);
    line.phase = Phase::Running;
    line.lanes[0].drawn = 12;
}

fn called(line: &mut Snapshot) {
    drawn(line);
    line.lanes[0].cursor = 5;
}

/// A world whose first two numbers are taken.
async fn world(as_if: fn(&mut Snapshot)) -> World {
    let world = World::new().await;
    world.busy().await;
    show(&world, as_if).await;
    world
}

async fn show(world: &World, as_if: fn(&mut Snapshot)) {
    *world.store.as_if.lock().unwrap() = Some(as_if);
    world.door.check().await.unwrap();
}

async fn evidence(world: &World) -> DrawEvidence {
    let reply = world.json(Method::GET, &format!("{ROOM}/draw"), "").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    serde_json::from_value(reply.json()).expect("evidence")
}

async fn join(world: &World) -> (String, Value) {
    let reply = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
    (reply.cookie(), reply.json())
}

async fn poll(world: &World, cookie: &str) -> Value {
    let reply = world.json(Method::GET, &format!("{ROOM}/ticket"), cookie).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.json()
}

#[tokio::test]
async fn before_the_prequeue_nobody_gets_a_number() {
    let world = world(early).await;
    let calls = world.store.calls.load(Ordering::Relaxed);
    let page = world.get(SEATS, "").await;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert!(page.body.contains("data-state=\"early\"") && page.body.contains("You can join in"), "{}", page.body);
    assert!(page.cookies().is_empty() && page.headers.contains_key("refresh"));
    let refused = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "waiting".to_owned()));
    assert_eq!(world.store.calls.load(Ordering::Relaxed), calls, "the store is not asked");
    let room = world.json(Method::GET, ROOM, "").await.json();
    assert_eq!((&room["phase"], &room["method"]), (&json!("early"), &json!("draw")));
    assert_eq!(room["commitment"], evidence(&world).await.commitment);
    assert!(room["next_in_ms"].as_u64().is_some_and(|ms| (30_000..=40_000).contains(&ms)), "{room}");
}

#[tokio::test]
async fn in_the_prequeue_one_has_a_number_and_no_place() {
    let world = world(prequeue).await;
    let page = world.get(SEATS, "").await;
    assert!(
        page.body.contains("data-state=\"prequeue\"") && page.body.contains("You are in the draw"),
        "{}",
        page.body
    );
    assert!(page.body.contains(&evidence(&world).await.commitment));
    let cookie = page.cookie();
    assert_eq!(world.get(SEATS, &cookie).await.cookies(), Vec::<String>::new(), "one ticket, one registration");

    let facts = poll(&world, &cookie).await;
    assert_eq!((&facts["state"], &facts["number"]), (&json!("prequeue"), &json!(3)));
    assert!(facts["position"].is_null() && facts["ahead"].is_null(), "{facts}");
    let before = evidence(&world).await;
    assert_eq!((before.drawn, before.registered, &before.seed, &before.final_seed), (0, 3, &None, &None));

    // The page before the opening needs no store.
    world.store.set_down(true);
    assert!(world.door.check().await.is_err());
    assert_eq!(poll(&world, &cookie).await["state"], "prequeue");
    assert!(world.get(SEATS, &cookie).await.body.contains("data-state=\"prequeue\""));
    world.store.set_down(false);

    // Whoever leaves gives up a registration, not the position of the same number.
    let left = world.json(Method::DELETE, &format!("{ROOM}/ticket"), &cookie).await;
    assert_eq!((left.status, left.cookie().as_str()), (StatusCode::NO_CONTENT, "vestibule_ticket_demo="));
    assert_eq!(world.store.positions.lock().unwrap().clone(), Vec::<u64>::new());
}

/// Pages are told to wait for the opening without asking: if those who do ask were reported, the others would look as if
/// they were away, and be passed over at the opening.
#[tokio::test]
async fn before_the_opening_the_line_is_not_told_who_is_there() {
    let world = world(in_order).await;
    world.door.gate().rooms.get("demo").unwrap().report().await;
    let told = world.store.seen.lock().unwrap().len();
    let (cookie, joined) = join(&world).await;
    assert_eq!((&joined["state"], &joined["position"]), (&json!("prequeue"), &json!(3)));
    poll(&world, &cookie).await;
    world.door.gate().rooms.get("demo").unwrap().report().await;
    assert_eq!(world.store.seen.lock().unwrap()[told..], [[0; 0]; 0]);
}

#[tokio::test]
async fn an_opening_that_is_put_off_is_news() {
    let world = world(in_order).await;
    let (cookie, _) = join(&world).await;
    let path = format!("{ROOM}/ticket");
    let first = world.json(Method::GET, &path, &cookie).await;
    let headers = [("cookie", cookie.as_str()), ("if-none-match", first.headers["etag"].to_str().unwrap())];
    show(&world, in_order_later).await;
    assert_eq!(world.send(Method::GET, &path, &headers, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn at_the_opening_everybody_has_the_place_that_the_evidence_gives() {
    let world = world(prequeue).await;
    let mut people = Vec::new();
    for _ in 0..10 {
        people.push(join(&world).await.0);
    }
    let before = evidence(&world).await;
    show(&world, drawn).await;
    let after = evidence(&world).await;
    assert_eq!((&after.commitment, after.drawn), (&before.commitment, 12));
    let draw = after.check().expect("holds");
    let mut positions = Vec::new();
    for cookie in &people {
        let facts = poll(&world, cookie).await;
        let position = draw.place_of(facts["number"].as_u64().unwrap()).unwrap();
        assert_eq!((&facts["state"], &facts["position"]), (&json!("waiting"), &json!(position)));
        assert_eq!(facts["ahead"], position - 1);
        positions.push(position);
    }
    assert!(!positions.is_sorted(), "by lot, not by arrival: {positions:?}");
    let page = world.get(SEATS, &people[0]).await.body;
    assert!(page.contains(&format!("Registration 3 of 12 drew place {}.", positions[0])), "{page}");

    let (late, facts) = join(&world).await;
    assert_eq!((&facts["number"], &facts["position"]), (&json!(13), &json!(13)), "who comes later stands behind");
    assert!(!world.get(SEATS, &late).await.body.contains("verify.js"));
    let ticket = TicketClaims::read(facts["ticket"].as_str().unwrap()).expect("a ticket");
    assert_eq!((ticket.room.as_str(), ticket.epoch, ticket.number), ("demo", after.epoch, 13));
}

#[tokio::test]
async fn the_line_is_asked_with_positions() {
    let world = world(prequeue).await;
    let mut people = Vec::new();
    for _ in 0..10 {
        people.push(join(&world).await.0);
    }
    show(&world, called).await;
    let mut asked = Vec::new();
    for cookie in &people {
        let facts = poll(&world, cookie).await;
        let position = facts["position"].as_u64().unwrap();
        assert_eq!(facts["state"], if position <= 5 { "called" } else { "waiting" });
        world.json(Method::POST, &format!("{ROOM}/entry"), cookie).await;
        asked.extend((position <= 5).then_some(position));
        world.json(Method::DELETE, &format!("{ROOM}/ticket"), cookie).await;
        asked.push(position);
    }
    assert_eq!(world.store.positions.lock().unwrap().clone(), asked);
}

#[tokio::test]
async fn who_is_there_is_told_by_position() {
    let world = world(prequeue).await;
    let mut people = Vec::new();
    for _ in 0..10 {
        people.push(join(&world).await.0);
    }
    show(&world, called).await;
    let room = world.door.gate().rooms.get("demo").unwrap();
    room.report().await;
    let told = world.store.seen.lock().unwrap().len();
    let mut positions = Vec::new();
    for cookie in &people[..5] {
        positions.push(poll(&world, cookie).await["position"].as_u64().unwrap());
    }
    room.report().await;
    let mut heard = world.store.seen.lock().unwrap()[told..].concat();
    positions.sort_unstable();
    heard.sort_unstable();
    assert_eq!(heard, positions);
}

#[tokio::test]
async fn what_is_sold_out_before_the_opening_counts_down_to_nothing() {
    let world = world(prequeue).await;
    let (cookie, _) = join(&world).await;
    show(&world, sold_out).await;
    assert_eq!(poll(&world, &cookie).await["state"], "sold_out");
    for cookie in [cookie.as_str(), ""] {
        let page = world.get(SEATS, cookie).await;
        assert!(page.body.contains("Everything is sold") && !page.body.contains("prequeue"), "{}", page.body);
    }
    let refused = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await;
    assert_eq!(refused.code(), "sold_out");
}
