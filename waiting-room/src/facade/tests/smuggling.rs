//! Requests that two servers read differently, over a real connection; and every disguise of a protected path.

use http::{Method, StatusCode};

use super::harness::World;
use crate::path::tests::DISGUISES;

/// What the first line of the answer must be, and the request. `{H}` is a proper `Host`, and the door closes after it.
#[rustfmt::skip]
const REQUESTS: [(&str, &str); 44] = [
    ("HTTP/1.1 200", "GET /films HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 200", "POST /login HTTP/1.1\r\n{H}Content-Length: 1\r\n\r\nx"),
    ("HTTP/1.1 200", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
    ("HTTP/1.1 200", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: chunked;x=1\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding:\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Content-Length: +1\r\n\r\nx"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Content-Length: -1\r\n\r\nx"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Content-Length: 1, 1\r\n\r\nx"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Content-Length: 0x1\r\n\r\nx"),
    ("HTTP/1.1 400", "POST /login HTTP/1.1\r\n{H}Content-Length: 99999999999999999999\r\n\r\nx"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\nConnection: close\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\n{H}Host: b\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\n{H}Host: a\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\nHost: a@b\r\nConnection: close\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\nHost: a, b\r\nConnection: close\r\n\r\n"),
    ("HTTP/1.1 400", "GET http://evil/films HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 200", "GET http://a/films HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\n{H}X: a\r\n b\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\n{H}X : a\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\n{H}X: a\0b\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films HTTP/1.1\r\n{H}X: a\rb\r\n\r\n"),
    ("HTTP/1.1 405", "CONNECT a:80 HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 405", "TRACE /films HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 405", "get /films HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 405", "PROPFIND /films HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 400", "OPTIONS * HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 417", "POST /login HTTP/1.1\r\n{H}Expect: y 100-continue\r\nContent-Length: 0\r\n\r\n"),
    ("HTTP/1.1 400", "GET /films?\0 HTTP/1.1\r\n{H}\r\n"),
    ("HTTP/1.1 400", "GET films HTTP/1.1\r\n{H}\r\n"),
];

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let world = World::new().await;
    let mut wrong = Vec::new();
    for (expected, request) in REQUESTS {
        let bytes = request.replace("{H}", "Host: a\r\nConnection: close\r\n");
        let before = world.times_seen();
        let answer = world.raw(bytes.as_bytes()).await;
        let forwarded = world.times_seen() - before;
        let passes = expected.ends_with("200");
        if !answer.starts_with(expected) || forwarded != usize::from(passes) {
            let first = answer.lines().next().unwrap_or("no answer").to_owned();
            wrong.push(format!("{request:?}: {first}, forwarded {forwarded}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_second_request_cannot_hide_in_the_first() {
    let world = World::new().await;
    let hidden = "GET /films/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (framing, body) in [
        ("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\n", "0\r\n\r\n"),
        ("X: a\n", ""),
    ] {
        let answer =
            world.raw(format!("POST /login HTTP/1.1\r\nHost: a\r\n{framing}\r\n{body}{hidden}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{framing:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answer}");
    }
    for chunk in ["0x1\r\nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n", "1;\n\r\nx\r\n0\r\n\r\n", "1\r\nxy\r\n0\r\n\r\n"] {
        let head = "POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = world.raw(format!("{head}{chunk}{hidden}").as_bytes()).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1 && !answer.starts_with("HTTP/1.1 200"), "{chunk:?}: {answer}");
    }
    assert!(world.seen.lock().unwrap().iter().all(|seen| seen.path != "/films/smuggled"));
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_read() {
    let world = World::new().await;
    let head = |lines: String| format!("GET /films HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    let many: String = (0..70).map(|index| format!("x-{index}: 1\r\n")).collect();
    let answer = world.raw(head(many).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let answer = world.raw(head(format!("x: {}\r\n", "a".repeat(33 * 1024))).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let long = format!("GET /films?{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "a".repeat(9 * 1024));
    assert!(world.raw(long.as_bytes()).await.starts_with("HTTP/1.1 414"));
    assert_eq!(world.times_seen(), 0);
}

#[tokio::test]
async fn no_disguise_of_a_protected_path_gets_through() {
    let world = World::new().await;
    // The room is busy, so that nobody is let in on the way.
    world.busy().await;
    let cookie = world.get("/buy", "").await.cookie();
    for path in DISGUISES {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Length: 0\r\n\r\n"
            );
            let answer = world.raw(request.as_bytes()).await;
            let status: u16 = answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_default();
            assert!(matches!(status, 202 | 400 | 404 | 429), "{method} {path}: {answer}");
            assert!(!answer.contains("\r\nlocation:"), "{method} {path}: {answer}");
        }
    }
    assert_eq!(world.times_seen(), 0);
}

#[tokio::test]
async fn what_is_decided_about_is_what_is_sent() {
    let world = World::new().await;
    let entry = world.entry().await;
    for (asked, sent) in
        [("/%62u%79?x=%2F..", "/buy?x=%2F.."), ("/caf%c3%a9", "/caf%C3%A9"), ("/buy/", "/buy/"), ("/BUY", "/BUY")]
    {
        let reply = world.send(Method::GET, asked, &[("x-entry-token", &entry)], "").await;
        assert_eq!((reply.status, world.last_seen().path.as_str()), (StatusCode::OK, sent));
    }
}
