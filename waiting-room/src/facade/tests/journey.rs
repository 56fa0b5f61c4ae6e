//! A visitor's way: join, wait, be called, enter; with a page, without scripts, and as an app.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use super::harness::World;
use crate::Remaining;

const ROOM: &str = "/.waiting-room/rooms/demo";
const SEATS: &str = "/screenings/lighthouse-1900/seats";

fn path(rest: &str) -> String {
    format!("{ROOM}/{rest}")
}

#[tokio::test]
async fn open_paths_need_no_ticket() {
    let world = World::new().await;
    let reply = world.get("/films?sort=name", "").await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "the shop"));
    assert!(reply.cookies().is_empty());
    assert_eq!(world.last_seen().path, "/films?sort=name");
    assert_eq!(world.store.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_calm_room_shows_no_queue() {
    let world = World::new().await;
    let reply = world.get(SEATS, "").await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "the shop"));
    assert_eq!(reply.cookies().len(), 2, "ticket and entry");
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert!(world.last_seen().headers.contains_key("x-entry-token"));
    // The entry goes on, without a call to the store.
    let calls = world.store.calls.load(Ordering::Relaxed);
    let again = world.get(SEATS, &reply.cookie()).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(again.cookies().is_empty());
    assert_eq!(world.store.calls.load(Ordering::Relaxed), calls);
}

#[tokio::test]
async fn without_scripts_loading_again_is_enough() {
    let world = World::new().await;
    world.busy().await;
    let page = world.get(SEATS, "").await;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-store");
    for name in ["retry-after", "refresh", "content-security-policy"] {
        assert!(page.headers.contains_key(name), "{name}");
    }
    assert!(page.body.contains("data-state=\"waiting\""), "{}", page.body);
    let cookie = page.cookie();
    assert!(cookie.starts_with("vestibule_ticket_demo="), "{cookie}");

    let still = world.get(SEATS, &cookie).await;
    assert_eq!(still.status, StatusCode::ACCEPTED);
    assert!(still.cookies().is_empty(), "one ticket, one place");

    world.pass_ms(61_000).await;
    let inside = world.get(SEATS, &cookie).await;
    assert_eq!((inside.status, inside.body.as_str()), (StatusCode::OK, "the shop"));
    assert!(inside.cookie().starts_with("vestibule_entry_demo="));
    assert_eq!(world.times_seen(), 1);
}

#[tokio::test]
async fn an_app_joins_polls_and_enters() {
    let world = World::new().await;
    world.busy().await;
    let joined = world.json(Method::POST, &path("tickets"), "").await;
    assert_eq!(joined.status, StatusCode::CREATED);
    let facts = joined.json();
    assert_eq!((&facts["state"], &facts["position"], &facts["room"]), (&json!("waiting"), &json!(3), &json!("demo")));
    assert_eq!(facts["rate_per_minute"], 1);
    assert!(facts["eta"]["low_ms"].is_u64() && facts["poll_after_ms"].is_u64() && facts.get("entry_token").is_none());
    let bearer = format!("Bearer {}", facts["ticket"].as_str().unwrap());
    let app = [("accept", "application/json"), ("authorization", bearer.as_str())];

    let calls = world.store.calls.load(Ordering::Relaxed);
    let poll = world.send(Method::GET, &path("ticket"), &app, "").await;
    assert_eq!((poll.status, &poll.json()["position"]), (StatusCode::OK, &json!(3)));
    let early = world.send(Method::POST, &path("entry"), &app, "").await;
    assert_eq!((early.status, &early.json()["position"]), (StatusCode::ACCEPTED, &json!(3)));
    assert_eq!(world.store.calls.load(Ordering::Relaxed), calls, "who waits costs no call");

    world.pass_ms(61_000).await;
    let called = world.send(Method::GET, &path("ticket"), &app, "").await;
    assert_eq!(called.json()["state"], "called");
    let entered = world.send(Method::POST, &path("entry"), &app, "").await;
    assert_eq!(entered.status, StatusCode::OK, "{}", entered.body);
    let token = entered.json()["entry_token"].as_str().unwrap().to_owned();
    assert!(entered.json()["expires_in_ms"].as_i64().unwrap() > 0);

    let bought = world.send(Method::POST, "/checkout", &[("x-entry-token", &token)], "{}").await;
    assert_eq!(bought.status, StatusCode::OK);
    let seen = world.last_seen();
    assert_eq!(
        (seen.method.as_str(), seen.body_bytes, &seen.headers["x-entry-token"].to_str().unwrap().to_owned()),
        ("POST", 2, &token)
    );

    // A lost reply is answered again; much later the ticket is spent, and taken away.
    assert_eq!(world.send(Method::POST, &path("entry"), &app, "").await.status, StatusCode::OK);
    world.pass_ms(40_000).await;
    let spent = world.send(Method::POST, &path("entry"), &app, "").await;
    assert_eq!((spent.status, spent.code()), (StatusCode::CONFLICT, "ticket_spent".to_owned()));
    assert_eq!(spent.cookie(), "vestibule_ticket_demo=");
}

#[tokio::test]
async fn joining_again_keeps_the_place() {
    let world = World::new().await;
    world.busy().await;
    let first = world.json(Method::POST, &path("tickets"), "").await;
    let again = world.json(Method::POST, &path("tickets"), &first.cookie()).await;
    assert_eq!((again.status, &again.json()["position"]), (StatusCode::OK, &json!(3)));
    assert!(!again.cookie().contains("vestibule_ticket_demo"), "{}", again.cookie());
}

#[tokio::test]
async fn who_waits_and_wants_to_change_something_gets_429() {
    let world = World::new().await;
    world.busy().await;
    let cookie = world.get(SEATS, "").await.cookie();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let reply = world.send(method, "/checkout", &[("cookie", &cookie)], "").await;
        assert_eq!((reply.status, reply.code()), (StatusCode::TOO_MANY_REQUESTS, "waiting".to_owned()));
        assert_eq!(reply.json()["position"], 3);
        assert!(reply.cookies().is_empty() && reply.headers.contains_key("retry-after"));
    }
    assert_eq!(world.times_seen(), 0);
}

#[tokio::test]
async fn json_on_a_protected_path_has_the_same_facts() {
    let world = World::new().await;
    world.busy().await;
    let reply = world.json(Method::GET, SEATS, "").await;
    assert_eq!((reply.status, &reply.json()["state"]), (StatusCode::ACCEPTED, &json!("waiting")));
    assert!(reply.json()["ticket"].is_string() && !reply.headers.contains_key("refresh"));
    let head = world.send(Method::HEAD, SEATS, &[("cookie", &reply.cookie())], "").await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::ACCEPTED, ""));
}

#[tokio::test]
async fn a_foreign_ticket_is_told_and_a_browser_joins_anew() {
    let world = World::new().await;
    world.busy().await;
    let none = world.json(Method::GET, &path("ticket"), "").await;
    assert_eq!((none.status, none.code()), (StatusCode::UNAUTHORIZED, "ticket_required".to_owned()));
    let forged = world.json(Method::GET, &path("ticket"), "vestibule_ticket_demo=AAAA").await;
    assert_eq!((forged.status, forged.code()), (StatusCode::UNAUTHORIZED, "ticket_invalid".to_owned()));
    let page = world.get(SEATS, "vestibule_ticket_demo=AAAA").await;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert!(
        page.cookie().starts_with("vestibule_ticket_demo=A") && !page.cookie().ends_with("=AAAA"),
        "{}",
        page.cookie()
    );
}

#[tokio::test]
async fn an_entry_that_has_run_out_queues_again() {
    let world = World::new().await;
    let inside = world.get(SEATS, "").await;
    world.next_in_line().await;
    world.pass_ms(15 * 60 * 1_000 + 1_000).await;
    let app = world.json(Method::POST, "/checkout", &inside.cookie()).await;
    assert_eq!((app.status, app.code()), (StatusCode::FORBIDDEN, "entry_expired".to_owned()));
    let app = world.json(Method::GET, SEATS, &inside.cookie()).await;
    assert_eq!((app.status, app.code()), (StatusCode::FORBIDDEN, "entry_expired".to_owned()));
    let page = world.get(SEATS, &inside.cookie()).await;
    assert!(page.cookie().contains("vestibule_ticket_demo="), "a new ticket: {:?}", page.status);
}

#[tokio::test]
async fn leaving_gives_the_place_up() {
    let world = World::new().await;
    world.busy().await;
    for (method, rest, status) in
        [(Method::DELETE, "ticket", StatusCode::NO_CONTENT), (Method::POST, "leave", StatusCode::OK)]
    {
        let cookie = world.json(Method::POST, &path("tickets"), "").await.cookie();
        let left = world.json(method, &path(rest), &cookie).await;
        assert_eq!((left.status, left.cookie().as_str()), (status, "vestibule_ticket_demo="));
        world.pass_ms(120_000).await;
        assert_eq!(world.json(Method::POST, &path("entry"), &cookie).await.status, StatusCode::CONFLICT);
    }
}

#[tokio::test]
async fn another_site_cannot_touch_the_ticket() {
    let world = World::new().await;
    for header in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        for (method, rest) in [(Method::POST, "tickets"), (Method::POST, "leave"), (Method::DELETE, "ticket")] {
            let reply = world.send(method, &path(rest), &[header], "").await;
            assert_eq!((reply.status, reply.code()), (StatusCode::FORBIDDEN, "cross_site".to_owned()));
            assert!(reply.cookies().is_empty());
        }
    }
}

#[tokio::test]
async fn the_room_and_its_keys_are_public() {
    let world = World::new().await;
    let (sender, receiver) = watch::channel([("demo".to_owned(), left(120, 30))].into());
    world.door.watch_remaining(receiver);
    let room = world.json(Method::GET, ROOM, "").await.json();
    assert_eq!(
        (&room["state"], &room["waiting"], &room["remaining"]),
        (&json!("open"), &json!(0), &json!({"free": 120, "held": 30}))
    );
    sender.send([("demo".to_owned(), left(0, 0))].into()).unwrap();
    world.busy().await;
    let page = world.get(SEATS, "").await;
    assert!(page.body.contains("Everything is sold"), "{}", page.body);
    let keys = world.json(Method::GET, "/.waiting-room/jwks.json", "").await;
    assert_eq!(keys.body, world.door.jwks());
}

fn left(free: i64, held: i64) -> Remaining {
    Remaining { free, held, sold: 0, at_ms: 0 }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let world = World::new().await;
    for rest in ["", "rooms", "rooms/demo/", "rooms/demo/nothing", "rooms/demo/draws", "assets/none.js", "x"] {
        let reply = world.json(Method::GET, &format!("/.waiting-room/{rest}"), "").await;
        assert_eq!((reply.status, reply.code()), (StatusCode::NOT_FOUND, "not_found".to_owned()), "{rest}");
    }
    let reply = world.json(Method::GET, "/.waiting-room/rooms/other", "").await;
    assert_eq!((reply.status, reply.code()), (StatusCode::NOT_FOUND, "room_unknown".to_owned()));
    let reply = world.json(Method::GET, &path("tickets"), "").await;
    assert_eq!((reply.status, reply.headers["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert_eq!(world.times_seen(), 0);
}

#[tokio::test]
async fn the_pages_files_are_cached_by_their_hash() {
    let world = World::new().await;
    let file = world.get("/.waiting-room/assets/queue.js?v=1", "").await;
    assert_eq!(file.status, StatusCode::OK);
    let etag = file.headers["etag"].to_str().unwrap().to_owned();
    let again = world.send(Method::GET, "/.waiting-room/assets/queue.js", &[("if-none-match", &etag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}
