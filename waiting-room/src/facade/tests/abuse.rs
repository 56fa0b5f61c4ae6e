//! Joining too often, joining without work, and not having to join at all.

use http::{Method, StatusCode};
use serde_json::Value;

use super::harness::{Reply, World, settings};
use crate::credential::proof::solve;
use crate::{BypassRule, CrawlersGet, JoinLimit, ProofOfWork, RoomSettings, Settings};

const ROOM: &str = "/.waiting-room/rooms/demo";
const SEATS: &str = "/screenings/lighthouse-1900/seats";

async fn world(change: impl FnOnce(&mut RoomSettings)) -> World {
    let mut settings = Settings { trusted_proxies: vec!["127.0.0.1".to_owned()], ..settings() };
    change(settings.rooms.get_mut("demo").unwrap());
    World::with(settings).await
}

async fn join(world: &World, address: &str, proof: Option<&str>) -> Reply {
    let mut headers = vec![("accept", "application/json"), ("x-forwarded-for", address)];
    headers.extend(proof.map(|proof| ("x-waiting-room-proof", proof)));
    world.send(Method::POST, &format!("{ROOM}/tickets"), &headers, "").await
}

async fn proof(world: &World) -> String {
    let challenge: Value = world.json(Method::GET, &format!("{ROOM}/challenge"), "").await.json();
    assert_eq!(challenge["algorithm"], "SHA-256");
    let text = |name: &str| challenge[name].as_str().unwrap().to_owned();
    solve(&text("salt"), &text("challenge"), &text("signature"), challenge["maxnumber"].as_u64().unwrap())
}

#[tokio::test]
async fn a_network_joins_so_often_and_no_more() {
    let world = world(|room| room.join_limit = JoinLimit { per_minute: 1, burst: 2 }).await;
    for host in 1..=2 {
        assert_eq!(join(&world, &format!("203.0.113.{host}"), None).await.status, StatusCode::CREATED);
    }
    let refused = join(&world, "203.0.113.3", None).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_joins".to_owned()));
    assert!(refused.headers.contains_key("retry-after") && refused.json()["retry_after_ms"].as_u64() > Some(1_000));
    // What is written before the last hop that is not ours is anybody's word.
    assert_eq!(join(&world, "198.51.100.1, 203.0.113.4", None).await.status, StatusCode::TOO_MANY_REQUESTS);
    let page = world.send(Method::GET, SEATS, &[("accept", "text/html"), ("x-forwarded-for", "203.0.113.5")], "").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.cookies().is_empty() && page.body.contains("from your network"), "{}", page.body);
    // Others join, and who has a ticket keeps it.
    let other = join(&world, "198.51.100.1", None).await;
    assert_eq!(other.status, StatusCode::CREATED);
    let poll = [("cookie", other.cookie()), ("x-forwarded-for", "203.0.113.5".to_owned())];
    let poll: Vec<(&str, &str)> = poll.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(world.send(Method::GET, &format!("{ROOM}/ticket"), &poll, "").await.status, StatusCode::OK);
    world.pass_ms(61_000).await;
    assert_eq!(join(&world, "203.0.113.3", None).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn where_work_is_asked_for_nobody_joins_without_it() {
    let world = world(|room| room.proof_of_work = ProofOfWork { number_max: 300 }).await;
    let page = world.get(SEATS, "").await;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert!(page.cookies().is_empty() && page.body.contains("data-testid=\"check\""), "{}", page.body);
    let app = world.json(Method::GET, SEATS, "").await;
    assert_eq!((app.status, app.code()), (StatusCode::FORBIDDEN, "proof_required".to_owned()));
    assert_eq!(app.json()["challenge"], format!("{ROOM}/challenge"));
    for bad in [None, Some(""), Some("nonsense")] {
        assert_eq!(join(&world, "203.0.113.1", bad).await.code(), "proof_required");
    }
    let good = proof(&world).await;
    assert_eq!(join(&world, "203.0.113.1", Some(&good)).await.status, StatusCode::CREATED);
    assert_eq!(join(&world, "203.0.113.1", Some(&good)).await.code(), "proof_required", "once");
    let late = proof(&world).await;
    world.pass_ms(121_000).await;
    assert_eq!(join(&world, "203.0.113.1", Some(&late)).await.code(), "proof_required", "in time");
    assert_eq!(world.times_seen(), 0);
}

#[tokio::test]
async fn a_proof_is_used_once_at_whichever_node() {
    let ask = |room: &mut RoomSettings| room.proof_of_work = ProofOfWork { number_max: 300 };
    let world = world(ask).await;
    let mut same = settings();
    ask(same.rooms.get_mut("demo").unwrap());
    let other = world.another_node(&same).await;
    let join_there = async |proof: &str| {
        let request = http::Request::post(format!("{ROOM}/tickets")).header("host", "door");
        let request = request.header("accept", "application/json").header("x-waiting-room-proof", proof);
        other.answer(request.body(axum::body::Body::empty()).unwrap(), "127.0.0.1:1".parse().unwrap()).await.status()
    };
    let (one, two) = (proof(&world).await, proof(&world).await);
    assert_eq!(join(&world, "203.0.113.1", Some(&one)).await.status, StatusCode::CREATED);
    assert_eq!(join_there(&one).await, StatusCode::FORBIDDEN);
    assert_eq!(join_there(&two).await, StatusCode::CREATED);
    assert_eq!(join(&world, "203.0.113.1", Some(&two)).await.code(), "proof_required");
}

#[tokio::test]
async fn where_no_work_is_asked_for_there_is_no_challenge() {
    let world = World::new().await;
    let reply = world.json(Method::GET, &format!("{ROOM}/challenge"), "").await;
    assert_eq!((reply.status, reply.code()), (StatusCode::NOT_FOUND, "not_found".to_owned()));
}

#[tokio::test]
async fn a_crawler_from_its_own_addresses_gets_the_page_or_comes_later_and_no_queue_is_indexed() {
    for (crawlers_get, status) in
        [(CrawlersGet::Page, StatusCode::OK), (CrawlersGet::Later, StatusCode::SERVICE_UNAVAILABLE)]
    {
        let rule = BypassRule {
            crawler: Some("googlebot".to_owned()),
            addresses: vec!["192.0.2.0/24".to_owned()],
            crawlers_get,
            ..BypassRule::default()
        };
        let world = world(|room| room.bypass = vec![rule]).await;
        world.busy().await;
        let ask = async |address: &str| {
            let agent = "Mozilla/5.0 (compatible; Googlebot/2.1)";
            let headers = [("accept", "text/html"), ("user-agent", agent), ("x-forwarded-for", address)];
            world.send(Method::GET, SEATS, &headers, "").await
        };
        let crawler = ask("192.0.2.7").await;
        assert_eq!((crawler.status, crawler.cookies().len()), (status, 0));
        assert_eq!(crawler.headers.contains_key("retry-after"), crawlers_get == CrawlersGet::Later);
        let liar = ask("198.51.100.7").await;
        assert_eq!((liar.status, &liar.headers["x-robots-tag"]), (StatusCode::ACCEPTED, &"noindex".parse().unwrap()));
    }
}

#[tokio::test]
async fn who_need_not_wait_passes_with_a_token_for_what_stands_behind() {
    let rule = BypassRule {
        path: Some("GET /health".to_owned()),
        header: Some("x-monitor: s3cret".to_owned()),
        addresses: vec!["192.0.2.0/24".to_owned()],
        ..BypassRule::default()
    };
    let world = world(|room| room.bypass = vec![rule]).await;
    world.busy().await;
    let ask = |path: &'static str, secret: &'static str, address: &'static str| {
        let headers = [("accept", "text/html"), ("x-monitor", secret), ("x-forwarded-for", address)];
        let world = &world;
        async move { world.send(Method::GET, path, &headers, "").await }
    };
    let passed = ask("/health", "s3cret", "192.0.2.7").await;
    assert_eq!((passed.status, passed.cookies().len()), (StatusCode::OK, 0));
    assert!(world.last_seen().headers.contains_key("x-entry-token"));
    for (path, secret, address) in
        [("/health", "s3cret", "198.51.100.7"), ("/health", "guess", "192.0.2.7"), (SEATS, "s3cret", "192.0.2.7")]
    {
        assert_eq!(ask(path, secret, address).await.status, StatusCode::ACCEPTED, "{path} {secret} {address}");
    }
    assert_eq!(world.times_seen(), 1);
}
