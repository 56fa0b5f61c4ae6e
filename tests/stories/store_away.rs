//! Redis goes away under two doors while people come: they get provisional tickets, and numbers in the order of arrival
//! once it is back, with its data or without. And what rooms do that do not hold: let in their share, or everybody.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use crate::harness::{House, Running, read, until};
use crate::server::{RedisProcess, redis_is_here};
use crate::wire::{subject_of, upstream};

/// An answer that costs no call to Redis comes at once; a loaded machine may need longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Between two arrivals at different doors: what doors may notice the return apart, stretched as the sweep is.
const APART: Duration = Duration::from_millis(1_500);

/// The stories measure times, so they run one after the other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Doors {
    _house: House,
    running: Vec<Running>,
}

impl Doors {
    async fn open(redis: &RedisProcess, set: &[&str]) -> Doors {
        let house = House::new();
        let store = format!("waiting_room.store=redis://127.0.0.1:{}/0", redis.port());
        let upstream = format!("waiting_room.upstream={}", upstream().await);
        let settings: Vec<&str> = [store.as_str(), upstream.as_str()].into_iter().chain(set.iter().copied()).collect();
        let running = (0..2).map(|_| house.start_role(&["waiting-room"], &settings)).collect();
        Doors { _house: house, running }
    }

    fn url(&self, index: usize) -> &str {
        &self.running[index % 2].door
    }

    /// What the operator of a door sees.
    async fn facts(&self, index: usize) -> Value {
        let door = &self.running[index];
        let request = Client::new().get(format!("{}/api/rooms/demo", door.operator));
        read(request.bearer_auth(door.operator_password())).await.1
    }

    /// Both doors have noticed.
    async fn notice(&self, ok: bool) {
        until("both doors notice", async || {
            let (one, two) = (self.facts(0).await, self.facts(1).await);
            one["store_ok"] == ok && two["store_ok"] == ok
        })
        .await;
    }
}

async fn call(door: &str, method: Method, path: &str, ticket: &str) -> (StatusCode, Value) {
    let request = Client::new().request(method, format!("{door}/.waiting-room/rooms/demo/{path}"));
    let begin = Instant::now();
    let answer = read(if ticket.is_empty() { request } else { request.bearer_auth(ticket) }).await;
    assert!(begin.elapsed() < ANSWER_WITHIN, "{path} took {:?}", begin.elapsed());
    answer
}

/// Joins; the ticket.
async fn join(door: &str, state: &str) -> String {
    let (status, facts) = call(door, Method::POST, "tickets", "").await;
    assert_eq!((status, &facts["state"]), (StatusCode::CREATED, &Value::from(state)), "{facts}");
    facts["ticket"].as_str().expect("a ticket").to_owned()
}

/// Polls a door until there is a number, as a page would; the number and the new ticket.
async fn numbered(door: String, ticket: String) -> (u64, String) {
    let end = Instant::now() + crate::harness::PATIENCE;
    loop {
        assert!(Instant::now() < end, "a number never came");
        let (status, facts) = call(&door, Method::GET, "ticket", &ticket).await;
        assert_eq!(status, StatusCode::OK, "{facts}");
        if let Some(number) = facts["number"].as_u64() {
            return (number, facts["ticket"].as_str().expect("the ticket with the number").to_owned());
        }
        assert_eq!((&facts["state"], &facts["position"]), (&"provisional".into(), &Value::Null));
        sleep(Duration::from_millis(facts["poll_after_ms"].as_u64().expect("when to ask again"))).await;
    }
}

/// People who come to both doors while Redis is away; it comes back; everybody gets a number.
async fn people_come_and_redis_returns(away: impl FnOnce(&mut RedisProcess), back: impl FnOnce(&mut RedisProcess)) {
    let mut redis = RedisProcess::start(&[]);
    let doors =
        Doors::open(&redis, &["waiting_room.rooms.demo.rate_per_minute=1", "waiting_room.rooms.demo.burst=1"]).await;
    let before = join(doors.url(0), "waiting").await;
    let (_, facts) = call(doors.url(0), Method::GET, "ticket", &before).await;
    let place = facts["position"].as_u64().expect("a place");
    away(&mut redis);
    let mut people = Vec::new();
    // The first come before anybody has noticed.
    for index in 0..6 {
        let ticket = join(doors.url(index), "provisional").await;
        let door = doors.url(index).to_owned();
        people.push(tokio::spawn(numbered(door, ticket)));
        sleep(APART).await;
    }
    doors.notice(false).await;
    assert!(doors.facts(0).await["provisional"].as_u64() >= Some(3));
    let (status, facts) = call(doors.url(1), Method::GET, "ticket", &before).await;
    assert_eq!((status, facts["position"].as_u64()), (StatusCode::OK, Some(place)), "the last place: {facts}");
    back(&mut redis);
    let returned = Instant::now();
    doors.notice(true).await;
    let last = join(doors.url(0), "provisional").await;
    let last = tokio::spawn(numbered(doors.url(0).to_owned(), last));
    let mut numbers = Vec::new();
    for person in people {
        numbers.push(person.await.expect("a number"));
    }
    let took = returned.elapsed();
    numbers.push(last.await.expect("a number"));
    let only: Vec<u64> = numbers.iter().map(|(number, _)| *number).collect();
    eprintln!("numbers in the order of arrival, {took:?} after the return: {only:?}");
    let mut sorted = only.clone();
    sorted.sort_unstable();
    assert_eq!(only, sorted, "the order of arrival");
    assert_eq!(only.iter().collect::<BTreeSet<_>>().len(), only.len(), "no number twice");
    assert!(only.iter().all(|number| *number > place), "behind who was there before");
    // Their new tickets are good at the other door, and all is as before.
    for (index, (number, ticket)) in numbers.iter().enumerate() {
        let (status, facts) = call(doors.url(index + 1), Method::GET, "ticket", ticket).await;
        assert_eq!((status, facts["number"].as_u64()), (StatusCode::OK, Some(*number)), "{facts}");
    }
    until("all is as before", async || doors.facts(0).await["store_away_since_ms"].is_null()).await;
    join(doors.url(0), "waiting").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_redis_stands_still_gets_a_number_in_order() {
    if !redis_is_here() {
        return;
    }
    let _alone = ALONE.lock().await;
    people_come_and_redis_returns(|redis| redis.signal("STOP"), |redis| redis.signal("CONT")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_redis_is_gone_gets_a_number_in_order_from_an_empty_one() {
    if !redis_is_here() {
        return;
    }
    let _alone = ALONE.lock().await;
    people_come_and_redis_returns(RedisProcess::kill, RedisProcess::start_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_that_dies_takes_no_provisional_place_along() {
    if !redis_is_here() {
        return;
    }
    let _alone = ALONE.lock().await;
    let mut redis = RedisProcess::start(&[]);
    let mut doors =
        Doors::open(&redis, &["waiting_room.rooms.demo.rate_per_minute=1", "waiting_room.rooms.demo.burst=1"]).await;
    join(doors.url(0), "waiting").await;
    redis.kill();
    let early = join(doors.url(0), "provisional").await;
    sleep(APART).await;
    let late = join(doors.url(1), "provisional").await;
    doors.running.remove(0).kill();
    let other = doors.running[0].door.clone();
    let (early, late) = (tokio::spawn(numbered(other.clone(), early)), tokio::spawn(numbered(other, late)));
    sleep(Duration::from_secs(1)).await;
    redis.start_empty();
    let (early, late) = (early.await.expect("a number").0, late.await.expect("a number").0);
    assert!(early < late, "{early} came before {late}");
}

/// Asks to go in, as told, for as long as `watch` lasts; when, and for whom the entry is.
async fn goes_in(door: String, ticket: String, watch: Instant) -> Option<(Instant, String)> {
    while Instant::now() < watch {
        let (_, mut facts) = call(&door, Method::GET, "ticket", &ticket).await;
        if facts["state"] == "called" {
            facts = call(&door, Method::POST, "entry", &ticket).await.1;
        }
        if let Some(token) = facts["entry_token"].as_str() {
            return Some((Instant::now(), subject_of(token)));
        }
        sleep(Duration::from_millis(facts["poll_after_ms"].as_u64().unwrap_or(500).min(1_000))).await;
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doors_that_go_on_locally_let_in_their_shares_and_not_more() {
    const RATE_PER_MINUTE: u64 = 120;
    const BURST: u64 = 2;
    if !redis_is_here() {
        return;
    }
    let _alone = ALONE.lock().await;
    let mut redis = RedisProcess::start(&[]);
    let room = |name: &str| format!("waiting_room.rooms.demo.{name}");
    let set = [room("rate_per_minute=120"), room("burst=2"), room("on_store_loss=local"), room("local_nodes=2")];
    let doors = Doors::open(&redis, &set.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // Ten people have numbers when Redis goes; the first of them may be inside already.
    let mut tickets = Vec::new();
    for index in 0..10 {
        let (_, facts) = call(doors.url(index), Method::POST, "tickets", "").await;
        if facts["entry_token"].is_null() {
            tickets.push((index, facts["ticket"].as_str().expect("a ticket").to_owned()));
        }
    }
    redis.kill();
    let gone = Instant::now();
    for index in 0..4 {
        tickets.push((index, join(doors.url(index), "provisional").await));
    }
    let watch = gone + Duration::from_secs(16);
    let people: Vec<_> = tickets
        .iter()
        .map(|(index, ticket)| tokio::spawn(goes_in(doors.url(*index).to_owned(), ticket.clone(), watch)))
        .collect();
    let mut entries = Vec::new();
    for person in people {
        entries.extend(person.await.expect("it was watched"));
    }
    let local: u64 = doors.facts(0).await["let_in_without_store"].as_u64().unwrap_or(0)
        + doors.facts(1).await["let_in_without_store"].as_u64().unwrap_or(0);
    entries.sort();
    let times: Vec<_> = entries.iter().map(|(at, _)| at.duration_since(gone).as_millis()).collect();
    eprintln!("{local} went in without the store, {} in all, at {times:?} ms", entries.len());
    assert!(local >= 8, "the shares were used: {local}");
    for (from, (begin, _)) in entries.iter().enumerate() {
        for (to, (end, _)) in entries.iter().enumerate().skip(from) {
            // Answers may be late by a little on a machine that is busy.
            let window_ms = u64::try_from(end.duration_since(*begin).as_millis()).expect("fits") + 200;
            let (people, allowed) = ((to - from) as u64 + 1, window_ms * RATE_PER_MINUTE / 60_000 + BURST);
            assert!(people <= allowed, "{people} in {window_ms} ms, {allowed} allowed");
        }
    }
    redis.start_empty();
    until("all is as before", async || {
        doors.facts(0).await["store_away_since_ms"].is_null() && doors.facts(1).await["store_away_since_ms"].is_null()
    })
    .await;
    // Who went in here does not go in again at the other door.
    let (index, ticket) = &tickets[0];
    let (status, facts) = call(doors.url(index + 1), Method::POST, "entry", ticket).await;
    assert_eq!(status, StatusCode::CONFLICT, "{facts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doors_that_open_let_everybody_in_and_close_again() {
    if !redis_is_here() {
        return;
    }
    let _alone = ALONE.lock().await;
    let mut redis = RedisProcess::start(&[]);
    let set = [
        "waiting_room.rooms.demo.rate_per_minute=1",
        "waiting_room.rooms.demo.burst=1",
        "waiting_room.rooms.demo.on_store_loss=open",
    ];
    let doors = Doors::open(&redis, &set).await;
    let ticket = join(doors.url(0), "waiting").await;
    let look = async |door: &str| {
        let request = Client::new().get(format!("{door}/seats")).header("accept", "text/html");
        request.send().await.expect("an answer").status()
    };
    redis.kill();
    assert_eq!(look(doors.url(0)).await, StatusCode::ACCEPTED, "a hiccup opens nothing");
    until("the doors open", async || {
        look(doors.url(0)).await == StatusCode::OK && look(doors.url(1)).await == StatusCode::OK
    })
    .await;
    let (status, facts) = call(doors.url(1), Method::POST, "entry", &ticket).await;
    assert_eq!(status, StatusCode::OK, "{facts}");
    let facts = doors.facts(0).await;
    assert!(facts["let_in_without_store"].as_u64() >= Some(1), "{facts}");
    assert!(facts["store_why"].as_str().is_some_and(|why| why.contains("EVERYBODY GOES IN")), "{facts}");
    redis.start_empty();
    doors.notice(true).await;
    assert_eq!(look(doors.url(0)).await, StatusCode::ACCEPTED, "closed again");
    assert_eq!(look(doors.url(1)).await, StatusCode::ACCEPTED, "closed again");
}
