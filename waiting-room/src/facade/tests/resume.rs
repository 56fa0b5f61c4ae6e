//! Going on with another device: one place, one device, whatever is tried; and leaving.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::harness::{Reply, World, settings};
use crate::Settings;

const ROOM: &str = "/.waiting-room/rooms/demo";
const SEATS: &str = "/screenings/lighthouse-1900/seats";

/// Somebody waits; the cookie of their device.
async fn waiting() -> (World, String) {
    let world = World::with(Settings { trusted_proxies: vec!["127.0.0.1".to_owned()], ..settings() }).await;
    world.busy().await;
    let queue = world.get(SEATS, "").await;
    assert!(queue.body.contains("data-testid=\"other-device\""), "{}", queue.body);
    (world, queue.cookie())
}

async fn code(world: &World, cookie: &str) -> String {
    let reply = world.json(Method::GET, &format!("{ROOM}/device"), cookie).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.json()["code"].as_str().expect("a code").to_owned()
}

async fn resume(world: &World, address: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    world.send(Method::POST, &format!("{ROOM}/resume"), &headers, &body.to_string()).await
}

async fn state(world: &World, cookie: &str) -> Value {
    world.json(Method::GET, &format!("{ROOM}/ticket"), cookie).await.json()
}

#[tokio::test]
async fn the_place_goes_on_with_the_new_device_and_the_old_one_is_told() {
    let (world, old) = waiting().await;
    let before = state(&world, &old).await;
    let code = code(&world, &old).await;
    // Looking at the page of the link changes nothing, however often.
    for _ in 0..2 {
        let page = world.get(&format!("{ROOM}/resume?code={code}"), "").await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.cookies().is_empty() && page.body.contains(&format!("value=\"{code}\"")), "{}", page.body);
    }
    assert_eq!(state(&world, &old).await["state"], "waiting");
    let reply = resume(&world, "203.0.113.1", &json!({ "code": code.to_lowercase().replace('-', " ") })).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let new = reply.cookie();
    for name in ["number", "position"] {
        assert_eq!((&reply.json()[name], &state(&world, &new).await[name]), (&before[name], &before[name]));
    }
    let told = state(&world, &old).await;
    assert_eq!((told["state"].as_str(), told["position"].clone()), (Some("moved"), Value::Null));
    let page = world.get(SEATS, &old).await;
    assert!(page.body.contains("data-testid=\"moved\"") && page.cookies().is_empty(), "{}", page.body);
    assert!(world.get(SEATS, &new).await.body.contains("data-testid=\"queue\""));
    let entry = world.json(Method::POST, &format!("{ROOM}/entry"), &old).await;
    assert_eq!((entry.status, entry.code()), (StatusCode::CONFLICT, "place_moved".to_owned()));
    let change = world.json(Method::POST, SEATS, &old).await;
    assert_eq!((change.status, change.code()), (StatusCode::CONFLICT, "place_moved".to_owned()));
    let more = world.json(Method::GET, &format!("{ROOM}/device"), &old).await;
    assert_eq!((more.status, more.code()), (StatusCode::CONFLICT, "place_moved".to_owned()));
    // The old device forgets the place; the new one keeps it.
    let left = world.json(Method::DELETE, &format!("{ROOM}/ticket"), &old).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert!(world.store.positions.lock().unwrap().is_empty() && state(&world, &new).await["state"] == "waiting");
}

#[tokio::test]
async fn a_code_works_once_and_the_same_attempt_may_be_repeated() {
    let (world, old) = waiting().await;
    let code = code(&world, &old).await;
    let mine = json!({ "code": code, "attempt": "phone" });
    let first = resume(&world, "203.0.113.1", &mine).await;
    let again = resume(&world, "203.0.113.1", &mine).await;
    assert_eq!((first.status, again.status), (StatusCode::OK, StatusCode::OK), "the answer may have been lost");
    assert_eq!(state(&world, &again.cookie()).await["state"], "waiting");
    for attempt in [json!({ "code": code, "attempt": "thief" }), json!({ "code": code })] {
        let reply = resume(&world, "203.0.113.1", &attempt).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::FORBIDDEN, "code_refused".to_owned()));
    }
    // On from there, and back: each time there is one device.
    let mut device = again.cookie();
    for _ in 0..3 {
        let next = resume(&world, "203.0.113.1", &json!({ "code": self::code(&world, &device).await })).await;
        assert_eq!(next.status, StatusCode::OK, "{}", next.body);
        assert_eq!(state(&world, &device).await["state"], "moved");
        device = next.cookie();
        assert_eq!(state(&world, &device).await["state"], "waiting");
    }
}

#[tokio::test]
async fn guessed_late_and_spent_codes_are_refused() {
    let (world, old) = waiting().await;
    let code = code(&world, &old).await;
    for guess in 0..10 {
        let reply = resume(&world, "203.0.113.1", &json!({ "code": format!("0000-0000-000{guess}") })).await;
        assert_eq!(reply.code(), "code_refused");
    }
    let stopped = resume(&world, "203.0.113.2", &json!({ "code": code })).await;
    assert_eq!((stopped.status, stopped.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_tries".to_owned()));
    assert_eq!(resume(&world, "198.51.100.1", &json!("code")).await.code(), "code_refused");
    world.json(Method::DELETE, &format!("{ROOM}/ticket"), &old).await;
    let spent = resume(&world, "198.51.100.1", &json!({ "code": code })).await;
    assert_eq!(spent.code(), "code_refused", "the place was given up");
    let other = world.get(SEATS, "").await.cookie();
    let late = self::code(&world, &other).await;
    world.pass_ms(16 * 60_000).await;
    assert_eq!(resume(&world, "198.51.100.1", &json!({ "code": late })).await.code(), "code_refused");
}

#[tokio::test]
async fn only_one_device_goes_in_even_where_the_node_has_not_heard_of_the_move() {
    let (world, old) = waiting().await;
    let number = state(&world, &old).await["number"].as_u64().unwrap();
    // Another node moves the place: this one hears of it with the answer to the claim.
    world.pass_ms(125_000).await;
    assert_eq!(state(&world, &old).await["state"], "called");
    let epoch = world.door.gate().rooms.get("demo").unwrap().snapshot().epoch;
    let one = crate::line::Move { number, position: number, from: Some(0), to: 1 << 32 };
    crate::store::LineStore::moves(&*world.store, "demo", epoch, &[one]).await.unwrap();
    let entry = world.json(Method::POST, &format!("{ROOM}/entry"), &old).await;
    assert!(entry.headers.get("set-cookie").is_none() && !entry.body.contains("entry_token"), "{}", entry.body);
    assert_eq!((entry.status, entry.code()), (StatusCode::CONFLICT, "place_moved".to_owned()));
}

#[tokio::test]
async fn while_the_line_cannot_be_asked_nothing_moves_and_the_code_still_works() {
    let (world, old) = waiting().await;
    let mine = json!({ "code": code(&world, &old).await, "attempt": "phone" });
    world.store.set_down(true);
    let failed = resume(&world, "203.0.113.1", &mine).await;
    assert_eq!((failed.status, failed.code()), (StatusCode::SERVICE_UNAVAILABLE, "line_unavailable".to_owned()));
    assert!(failed.cookies().is_empty() && state(&world, &old).await["state"] == "one_moment");
    world.store.set_down(false);
    let again = resume(&world, "203.0.113.1", &mine).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.body);
    assert_eq!(state(&world, &old).await["state"], "moved");
    // What this node knows holds without the store.
    world.store.set_down(true);
    assert!(world.door.check().await.is_err());
    assert_eq!(state(&world, &old).await["state"], "moved");
    let entry = world.json(Method::POST, &format!("{ROOM}/entry"), &old).await;
    assert_eq!(entry.code(), "place_moved");
}

#[tokio::test]
async fn without_scripts_a_form_is_enough() {
    let (world, old) = waiting().await;
    let page = world.get(&format!("{ROOM}/device"), &old).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<svg") && page.headers.contains_key("refresh"), "{}", page.body);
    let code = code(&world, &old).await;
    assert!(page.body.contains(&code), "{}", page.body);
    let headers = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
    let send = async |body: &str| world.send(Method::POST, &format!("{ROOM}/resume"), &headers, body).await;
    let wrong = send("code=AAAA-AAAA-AAAA&attempt=x").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.body.contains("role=\"alert\"") && wrong.cookies().is_empty(), "{}", wrong.body);
    let good = send(&format!("code={code}&attempt=x")).await;
    assert_eq!(
        (good.status, good.headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, &*format!("{ROOM}/line"))
    );
    let line = world.get(&format!("{ROOM}/line"), &good.cookie()).await;
    assert!(line.body.contains("data-testid=\"queue\""), "{}", line.body);
    assert!(world.get(&format!("{ROOM}/device"), &old).await.body.contains("data-testid=\"moved\""));
    // At their turn it goes on to the start of the shop.
    world.pass_ms(125_000).await;
    let go_in = world.get(&format!("{ROOM}/line"), &good.cookie()).await;
    assert_eq!((go_in.status, go_in.headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/"));
    assert!(go_in.cookie().contains("vestibule_entry_demo="));
}

#[tokio::test]
async fn leaving_asks_first_and_takes_the_ticket_away() {
    let (world, cookie) = waiting().await;
    let ask = world.get(&format!("{ROOM}/leave"), &cookie).await;
    assert!(ask.body.contains("data-testid=\"really-leave\"") && ask.cookies().is_empty(), "{}", ask.body);
    assert!(world.store.positions.lock().unwrap().is_empty(), "nothing has happened");
    let form = [("accept", "text/html"), ("cookie", cookie.as_str())];
    let left = world.send(Method::POST, &format!("{ROOM}/leave"), &form, "").await;
    assert_eq!(left.status, StatusCode::OK);
    assert_eq!(left.cookies(), ["vestibule_ticket_demo="]);
    assert!(left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(world.store.positions.lock().unwrap().len(), 1);
    let api = world.get(SEATS, "").await.cookie();
    let left = world.json(Method::DELETE, &format!("{ROOM}/ticket"), &api).await;
    assert_eq!((left.status, left.cookies()), (StatusCode::NO_CONTENT, vec!["vestibule_ticket_demo=".to_owned()]));
    let cross = [("cookie", api.as_str()), ("sec-fetch-site", "cross-site")];
    let cross = world.send(Method::DELETE, &format!("{ROOM}/ticket"), &cross, "").await;
    assert_eq!(cross.status, StatusCode::FORBIDDEN);
}
