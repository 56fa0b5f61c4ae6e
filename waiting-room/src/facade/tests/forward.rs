//! What goes through: bodies, headers, limits, and an upstream that fails.

use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use tokio::net::TcpListener;

use super::harness::{World, settings};
use crate::Settings;

#[tokio::test]
async fn the_upstream_is_told_who_asks_and_nobody_else_can_tell_it() {
    let world = World::new().await;
    let entry = world.entry().await;
    let spoofed = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x-client-ip", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-waiting-room-room", "other"),
        ("x-waiting-room-anything", "1"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-late"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("connection", "close, x-secret, x-entry-token, cookie, host, upgrade"),
        ("x-secret", "1"),
    ];
    let mut headers = spoofed.to_vec();
    headers.extend([
        ("x-entry-token", entry.as_str()),
        ("x-request-id", "abc-1"),
        ("cookie", "a=b"),
        ("accept", "*/*"),
    ]);
    let reply = world.send(Method::GET, "/checkout", &headers, "").await;
    assert_eq!(reply.status, StatusCode::OK);
    let seen = world.last_seen().headers;
    for (name, value) in spoofed {
        assert!(!seen.get_all(name).iter().any(|seen| seen == value), "{name}: {value} came through");
    }
    let host = world.address.to_string();
    let told =
        |name: &str| seen.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(told("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(told("x-forwarded-proto"), ["http"]);
    assert_eq!(told("x-forwarded-host"), [host.as_str()]);
    assert_eq!(told("host"), [host.as_str()]);
    assert_eq!(told("x-request-id"), ["abc-1"]);
    assert_eq!(told("x-entry-token"), [entry.as_str()]);
    assert_eq!(told("cookie"), ["a=b"]);

    assert_eq!(reply.headers["x-shop"], "yes");
    for name in ["x-hop", "proxy-authenticate", "keep-alive"] {
        assert!(!reply.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn an_entry_token_that_nobody_checked_is_not_passed_on() {
    let world = World::new().await;
    let reply = world.send(Method::GET, "/films", &[("x-entry-token", "made-up")], "").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(!world.last_seen().headers.contains_key("x-entry-token"));
    let made_up = world.send(Method::POST, "/checkout", &[("x-entry-token", "made-up")], "").await;
    assert_eq!(made_up.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_trusted_hop_is_believed() {
    let world = World::with(Settings { trusted_proxies: vec!["127.0.0.0/8".to_owned()], ..settings() }).await;
    let headers = [("x-forwarded-for", "203.0.113.7, 10.0.0.1"), ("x-forwarded-proto", "https")];
    world.send(Method::GET, "/films", &headers, "").await;
    let seen = world.last_seen().headers;
    assert_eq!(seen["x-forwarded-for"], "203.0.113.7, 10.0.0.1, 127.0.0.1");
    assert_eq!(seen["x-forwarded-proto"], "https");
    let page = world.send(Method::GET, "/buy", &headers, "").await;
    assert!(page.headers.get_all("set-cookie").iter().all(|cookie| cookie.to_str().unwrap().ends_with("; Secure")));
    world.send(Method::GET, "/films", &[("x-forwarded-for", "<script>")], "").await;
    assert_eq!(world.last_seen().headers["x-forwarded-for"], "127.0.0.1");
}

#[tokio::test]
async fn request_ids_from_outside_are_harmless_or_replaced() {
    let world = World::new().await;
    for bad in ["", "a b", "a\"b", &"x".repeat(65), "{}"] {
        world.send(Method::GET, "/films", &[("x-request-id", bad)], "").await;
        let id = world.last_seen().headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{bad:?} became {id}");
    }
}

#[tokio::test]
async fn bodies_have_a_limit_declared_or_not() {
    let world = World::with(Settings { body_bytes_max: 1_000, ..settings() }).await;
    let fits = world.send(Method::POST, "/login", &[], &"x".repeat(1_000)).await;
    assert_eq!((fits.status, world.last_seen().body_bytes), (StatusCode::OK, 1_000));
    let declared = world.send(Method::POST, "/login", &[], &"x".repeat(1_001)).await;
    assert_eq!((declared.status, declared.code()), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large".to_owned()));
    assert_eq!(declared.json()["body_bytes_max"], 1_000);
    let chunk = "x".repeat(1_001);
    let chunked = format!(
        "POST /login HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
        chunk.len()
    );
    let answer = world.raw(chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_a_problem_with_a_name() {
    // A port that was free a moment ago: nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::in_front_of(Settings { upstream: format!("http://{gone}"), ..settings() }, Arc::default()).await;
    let reply = world.json(Method::GET, "/films", "").await;
    assert_eq!((reply.status, reply.code()), (StatusCode::BAD_GATEWAY, "upstream_unreachable".to_owned()));
    let page = world.get("/films?a=%22%3E", "").await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.body.contains("href=\"/films?a=%22%3E\""), "{}", page.body);
    // An entry that was just given is not lost with the failed request.
    let entered = world.get("/buy", "").await;
    assert_eq!((entered.status, entered.cookies().len()), (StatusCode::BAD_GATEWAY, 2));
}

#[tokio::test]
async fn an_upstream_that_is_slow_is_given_up() {
    let world = World::with(Settings { upstream_timeout_ms: 200, ..settings() }).await;
    let reply = world.json(Method::GET, "/films/slow", "").await;
    assert_eq!((reply.status, reply.code()), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout".to_owned()));
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_a_problem() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Long enough for the request to be written, then closed without a word.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            drop(stream);
        }
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let world = World::in_front_of(Settings { upstream: format!("http://{upstream}"), ..settings() }, seen).await;
    let reply = world.json(Method::GET, "/films", "").await;
    assert_eq!((reply.status, reply.code()), (StatusCode::BAD_GATEWAY, "upstream_failed".to_owned()));
}
