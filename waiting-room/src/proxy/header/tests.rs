//! What the HTTP parser in front may let through one day: judged by the door's own rules alone.

use http::{HeaderValue, Request};

use super::*;

fn parts(version: Version, uri: &str, headers: &[(&'static str, &str)]) -> Parts {
    let mut request = Request::builder().version(version).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(()).unwrap().into_parts().0
}

fn status(version: Version, uri: &str, headers: &[(&'static str, &str)]) -> u16 {
    inspect(&parts(version, uri, headers)).map_or_else(|problem| problem.code().status().as_u16(), |()| 200)
}

#[test]
fn both_lengths_and_odd_codings_are_refused() {
    let framing = |headers: &[(&'static str, &str)]| {
        let mut all = vec![("host", "a")];
        all.extend(headers);
        status(Version::HTTP_11, "/", &all)
    };
    assert_eq!(framing(&[("transfer-encoding", "chunked")]), 200);
    assert_eq!(framing(&[("content-length", "5")]), 200);
    assert_eq!(framing(&[("content-length", "5"), ("transfer-encoding", "chunked")]), 400);
    assert_eq!(framing(&[("content-length", "5"), ("content-length", "5")]), 400);
    for length in ["", "+5", "-5", "5, 5", " 5", "5x", "٥"] {
        assert_eq!(framing(&[("content-length", length)]), 400, "{length:?}");
    }
    for coding in ["", "chunked, chunked", "identity", "gzip, chunked", "chunked ", "chunked\t", "chunked;q=1"] {
        assert_eq!(framing(&[("transfer-encoding", coding)]), 400, "{coding:?}");
    }
    assert_eq!(status(Version::HTTP_10, "/", &[("host", "a"), ("transfer-encoding", "chunked")]), 400);
    assert_eq!(status(Version::HTTP_2, "http://a/", &[("transfer-encoding", "chunked")]), 400);
}

#[test]
fn there_is_exactly_one_host() {
    assert_eq!(status(Version::HTTP_2, "http://a/", &[]), 200);
    assert_eq!(status(Version::HTTP_2, "http://a/", &[("host", "A")]), 200);
    assert_eq!(status(Version::HTTP_2, "http://a/", &[("host", "b")]), 400);
    assert_eq!(status(Version::HTTP_2, "http://u:p@a/", &[]), 400);
    assert_eq!(status(Version::HTTP_11, "http://a/", &[]), 400);
    assert_eq!(status(Version::HTTP_11, "/", &[("host", "[::1]:8080")]), 200);
    for host in ["", "a b", "a/b", "a?b", "a#b", "a,b", "a\\b", "ü", "a@b", "a\tb", "%61"] {
        assert_eq!(status(Version::HTTP_11, "/", &[("host", host)]), 400, "{host:?}");
    }
}

#[test]
fn connection_cannot_take_away_what_matters() {
    let mut headers = parts(
        Version::HTTP_11,
        "/",
        &[
            ("connection", "x-a, Host , cookie,authorization,, @"),
            ("x-a", "1"),
            ("host", "a"),
            ("cookie", "c"),
            ("authorization", "x"),
        ],
    )
    .headers;
    strip_hop_by_hop(&mut headers);
    let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["authorization", "cookie", "host"]);
}

#[test]
fn names_in_disguise_are_taken_away() {
    let names =
        ["x_forwarded_for", "X-Forwarded-Anything", "x_waiting-room_x", "x-entry_token", "x_original-url", "forwarded"];
    for name in names {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("1"));
        cleanse_request(&mut headers);
        assert!(headers.is_empty(), "{name}");
    }
}
