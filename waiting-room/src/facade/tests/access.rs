//! Access codes and tokens: who may join, on the page and in the API, and that guessing is no way in.

use std::sync::LazyLock;

use http::{Method, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::harness::{Reply, World, settings};
use crate::credential::EntrySigner;
use crate::{Access, AccessFiles, AccessTokens, RoomSettings, Settings, new_entry_key};

const ROOM: &str = "/.waiting-room/rooms/demo";
const SEATS: &str = "/screenings/lighthouse-1900/seats";

static SHOP: LazyLock<Vec<u8>> = LazyLock::new(new_entry_key);

/// What the settings of these tests name.
pub(super) fn files() -> AccessFiles {
    let keys = EntrySigner::new(&SHOP).unwrap().jwks();
    AccessFiles { codes: String::new(), keys }
}

fn token(subject: &str) -> String {
    let claims = json!({"iss": "shop", "aud": "demo", "sub": subject, "exp": 1_764_100_000});
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &EncodingKey::from_ed_der(&SHOP)).unwrap()
}

async fn world(access: Access) -> World {
    let mut settings = Settings { trusted_proxies: vec!["127.0.0.1".to_owned()], ..settings() };
    let tokens = AccessTokens {
        keys: "keys.json".into(),
        issuer: "shop".to_owned(),
        audience: "demo".to_owned(),
        lane_claim: "lane".to_owned(),
        lanes: Default::default(),
    };
    let room = settings.rooms.get_mut("demo").unwrap();
    *room = RoomSettings { access, access_codes: Some("codes".into()), access_tokens: Some(tokens), ..room.clone() };
    let codes = "7KQM-2D4X-9RTB\nAAAA-BBBB\n".to_owned();
    World::with_files(settings, AccessFiles { codes, ..files() }).await
}

async fn join(world: &World, headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<(&str, &str)> = [("accept", "application/json")].iter().chain(headers).copied().collect();
    world.send(Method::POST, &format!("{ROOM}/tickets"), &headers, "").await
}

async fn type_in(world: &World, address: &str, cookie: &str, body: &str) -> Reply {
    let form = "application/x-www-form-urlencoded";
    let headers = [("accept", "text/html"), ("content-type", form), ("x-forwarded-for", address), ("cookie", cookie)];
    world.send(Method::POST, &format!("{ROOM}/access"), &headers, body).await
}

#[tokio::test]
async fn a_room_for_people_with_codes_asks_for_one() {
    let world = world(Access::Required).await;
    let page = world.get(SEATS, "").await;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert!(page.cookies().is_empty() && page.body.contains("<label for=\"code\">"), "{}", page.body);
    assert!(page.body.contains(&format!("name=\"to\" value=\"{SEATS}\"")), "{}", page.body);
    let app = world.json(Method::GET, SEATS, "").await;
    assert_eq!((app.status, app.code()), (StatusCode::FORBIDDEN, "access_required".to_owned()));
    assert_eq!(app.json()["join"], format!("{ROOM}/tickets"));
    assert_eq!(join(&world, &[]).await.code(), "access_required");
    for wrong in ["AAAA-BBBC", "7KQM", "?", "a.b.c"] {
        assert_eq!(join(&world, &[("x-waiting-room-access", wrong)]).await.code(), "access_refused", "{wrong}");
    }
    let good = join(&world, &[("x-waiting-room-access", "7kqm 2d4x 9rtb")]).await;
    assert_eq!((good.status, good.json()["state"].clone()), (StatusCode::CREATED, json!("admitted")));
    assert!(!page.body.contains("7KQM-2D4X-9RTB\n") && world.times_seen() == 0);
}

#[tokio::test]
async fn a_form_joins_without_scripts_and_says_what_is_wrong() {
    let world = world(Access::Required).await;
    join(&world, &[("x-waiting-room-access", &token("first"))]).await;
    let wrong = type_in(&world, "203.0.113.1", "", &format!("code=AAAA-BBBC&to={SEATS}")).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.cookies().is_empty() && wrong.body.contains("role=\"alert\""), "{}", wrong.body);
    assert!(!wrong.body.contains("BBBC") && wrong.body.contains(&format!("value=\"{SEATS}\"")), "{}", wrong.body);
    let empty = type_in(&world, "203.0.113.1", "", "code=+").await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    let good = type_in(&world, "203.0.113.1", "", &format!("code=aaaa+bbbb&to={SEATS}")).await;
    assert_eq!((good.status, good.headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, SEATS));
    let queue = world.get(SEATS, &good.cookie()).await;
    assert!(queue.body.contains("data-testid=\"queue\""), "{}", queue.body);
    let away = type_in(&world, "203.0.113.1", "", "code=aaaabbbb&to=//evil.example").await;
    assert_eq!(away.headers["location"], "/");
    let cross = [("sec-fetch-site", "cross-site"), ("accept", "text/html")];
    let cross = world.send(Method::POST, &format!("{ROOM}/access"), &cross, "code=aaaabbbb").await;
    assert_eq!(cross.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn guessing_is_slow_and_a_good_code_is_no_guess() {
    let world = world(Access::Open).await;
    for guess in 0..10 {
        let wrong = type_in(&world, "203.0.113.1", "", &format!("code=AAAA-CCC{guess}")).await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{guess}");
    }
    let stopped = type_in(&world, "203.0.113.2", "", "code=AAAA-BBBB").await;
    assert_eq!(stopped.status, StatusCode::TOO_MANY_REQUESTS, "even the right one, from this network");
    let app = [("x-forwarded-for", "203.0.113.2"), ("x-waiting-room-access", "AAAA-BBBB")];
    let app = join(&world, &app).await;
    assert_eq!(app.code(), "too_many_tries");
    assert!(app.json()["retry_after_ms"].as_u64().is_some());
    for host in 1..=20 {
        let good = type_in(&world, &format!("198.51.100.{host}"), "", "code=AAAA-BBBB").await;
        assert_eq!(good.status, StatusCode::SEE_OTHER, "{host}");
    }
    world.pass_ms(60_000).await;
    assert_eq!(type_in(&world, "203.0.113.1", "", "code=AAAA-BBBB").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_shops_token_is_enough_in_either_header() {
    let world = world(Access::Required).await;
    let token = token("ann");
    let bearer = format!("Bearer {token}");
    for header in [("authorization", bearer.as_str()), ("x-waiting-room-access", token.as_str())] {
        assert_eq!(join(&world, &[header]).await.status, StatusCode::CREATED);
    }
    let bad = format!("{bearer}x");
    assert_eq!(join(&world, &[("authorization", &bad)]).await.code(), "access_refused");
    // Where no tokens are taken, what an app sends with all its requests is not for the door.
    let plain = World::new().await;
    assert_eq!(join(&plain, &[("authorization", &bad)]).await.status, StatusCode::CREATED);
    // A ticket is sent the same way, and is not mistaken for one.
    let ticket = join(&world, &[("x-waiting-room-access", "AAAA-BBBB")]).await.json()["ticket"].clone();
    let mine = format!("Bearer {}", ticket.as_str().unwrap());
    let poll = world.send(Method::GET, &format!("{ROOM}/ticket"), &[("authorization", &mine)], "").await;
    assert_eq!(poll.status, StatusCode::OK);
}

#[tokio::test]
async fn in_an_open_room_a_code_is_offered_and_replaces_the_place() {
    let world = world(Access::Open).await;
    world.busy().await;
    let queue = world.get(SEATS, "").await;
    assert!(queue.body.contains("data-testid=\"have-code\"") && !queue.cookie().is_empty(), "{}", queue.body);
    let form = world.get(&format!("{ROOM}/access?to=%2Fscreenings%2Flighthouse-1900%2Fseats"), &queue.cookie()).await;
    assert_eq!(form.status, StatusCode::OK);
    assert!(form.body.contains(&format!("value=\"{SEATS}\"")), "{}", form.body);
    let number = |reply: &Value| reply["number"].as_u64();
    let before = number(&world.json(Method::GET, &format!("{ROOM}/ticket"), &queue.cookie()).await.json());
    let good = type_in(&world, "203.0.113.1", &queue.cookie(), "code=AAAA-BBBB").await;
    let after = number(&world.json(Method::GET, &format!("{ROOM}/ticket"), &good.cookie()).await.json());
    assert!(after > before, "{before:?} {after:?}");
    assert_eq!(*world.store.positions.lock().unwrap(), [before.unwrap()], "the old place is given up");
}
