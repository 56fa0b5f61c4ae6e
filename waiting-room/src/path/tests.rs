//! The corpus of disguises: none of them is open, none of them has two readings.

use std::collections::BTreeMap;

use http::Method;

use super::*;
use crate::settings::{RoomSettings, Settings};

fn parse(raw: &str) -> Result<CanonicalPath, PathRefused> {
    CanonicalPath::parse(&PathAndQuery::try_from(raw).expect("a path that the HTTP parser lets through"))
}

fn rules(open: &[&str]) -> Rules {
    let room = RoomSettings { open: open.iter().map(|&rule| rule.to_owned()).collect(), ..RoomSettings::default() };
    Rules::of(&BTreeMap::from([("demo".to_owned(), room)])).unwrap()
}

fn is_open(rules: &Rules, method: &Method, path: &CanonicalPath) -> bool {
    rules.room_of("shop.example", path).is_some_and(|room| room.is_open(method, path))
}

/// Spellings of `/buy` that some server somewhere takes for `/buy`, and ways to make it look open.
pub(crate) const DISGUISES: [&str; 72] = [
    "/buy",
    "/buy/",
    "/Buy",
    "/BUY",
    "/bUy/",
    "//buy",
    "///buy",
    "/./buy",
    "/././buy",
    "/buy/.",
    "/buy/..",
    "/buy/./",
    "/films/../buy",
    "/films/./../buy",
    "/static/../buy",
    "/static/x/../../buy",
    "/static/..",
    "/static/.",
    "/static//buy",
    "/films//../buy",
    "/%62uy",
    "/b%75y",
    "/%62%75%79",
    "/%42uy",
    "/buy%20",
    "/buy%00",
    "/buy%0a",
    "/buy%0d%0a",
    "/buy%09",
    "/buy%2f",
    "/%2fbuy",
    "/%2Fbuy",
    "/films%2f..%2fbuy",
    "/films/%2e%2e/buy",
    "/films/%2E%2E/buy",
    "/films/.%2e/buy",
    "/films/%2e./buy",
    "/static/%2e%2e/buy",
    "/static/%2e%2e%2fbuy",
    "/static/..%2fbuy",
    "/static/%252e%252e/buy",
    "/static/%252e%252e%252fbuy",
    "/films/%c0%ae%c0%ae/buy",
    "/films/%c0%af../buy",
    "/films/%e0%80%ae/buy",
    "/%5cbuy",
    "/films%5c..%5cbuy",
    "/buy;x",
    "/buy;jsessionid=1",
    "/films;/../buy",
    "/static/;/buy",
    "/films/..;/buy",
    "/buy%3bx",
    "/buy%23",
    "/buy%3f",
    "/buy?x=/films",
    "/buy?/static/x",
    "/buy%",
    "/buy%6",
    "/buy%zz",
    "/%u0062uy",
    "/films/..%c0%afbuy",
    "/films/..%ef%bc%8fbuy",
    "/films/%ef%bc%8e%ef%bc%8e/buy",
    "/static/%ef%bc%8f..%ef%bc%8fbuy",
    "/films/a/b/../../buy",
    "/buy.",
    "/buy..",
    "/buy/%2e",
    "/.waiting-room/../buy",
    "/.waiting-room/%2e%2e/buy",
    "/films/x/buy",
];

#[test]
fn no_disguise_is_open() {
    let rules = Rules::of(&Settings::default().rooms).unwrap();
    for raw in DISGUISES {
        if let Ok(path) = parse(raw) {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::DELETE] {
                assert!(!is_open(&rules, &method, &path), "{method} {raw} -> {}", path.as_str());
            }
        }
    }
}

#[test]
fn the_canonical_form_is_its_own_canonical_form() {
    for raw in DISGUISES.iter().chain(&["/", "/a%20b", "/%C3%BC", "/a/b/?q=%2f..", "/~u/%7Eu", "/a+b,c=d:e@f"]) {
        if let Ok(path) = parse(raw) {
            assert_eq!(parse(&path.with_query()).as_ref(), Ok(&path), "{raw}");
        }
    }
}

#[test]
fn each_refusal_has_its_reason() {
    assert_eq!(parse("/a%2fb"), Err(PathRefused::HiddenCharacter));
    assert_eq!(parse("/a%252fb"), Err(PathRefused::HiddenCharacter));
    assert_eq!(parse("/a%7f"), Err(PathRefused::HiddenCharacter));
    assert_eq!(parse("/a;b"), Err(PathRefused::ForbiddenCharacter));
    assert_eq!(parse("/a%"), Err(PathRefused::BadEscape));
    assert_eq!(parse("/a//b"), Err(PathRefused::AmbiguousSegment));
    assert_eq!(parse("/a/../b"), Err(PathRefused::AmbiguousSegment));
    assert_eq!(parse("//"), Err(PathRefused::AmbiguousSegment));
    assert_eq!(parse("/a%ff"), Err(PathRefused::NotText));
    assert_eq!(parse("*"), Err(PathRefused::NotAbsolute));
    assert_eq!(parse(&format!("/{}", "a".repeat(URI_BYTES_MAX))), Err(PathRefused::TooLong));
}

#[test]
fn harmless_spellings_become_one() {
    assert_eq!(parse("/%62u%79").unwrap().as_str(), "/buy");
    assert_eq!(parse("/%7euser").unwrap().as_str(), "/~user");
    assert_eq!(parse("/caf%c3%a9?x=%2f").unwrap().with_query(), "/caf%C3%A9?x=%2f");
    assert_eq!(parse("/a%20b/").unwrap().as_str(), "/a%20b/");
    assert_eq!(parse("/").unwrap().as_str(), "/");
}

#[test]
fn the_demo_shop_is_open_where_it_should_be() {
    let rules = Rules::of(&Settings::default().rooms).unwrap();
    let open = |method: Method, raw: &str| is_open(&rules, &method, &parse(raw).unwrap());
    for raw in
        ["/", "/films", "/films/paper-cities", "/screenings/lighthouse-1900", "/static/app.css", "/static/a/b.js"]
    {
        assert!(open(Method::GET, raw), "{raw}");
        assert!(open(Method::HEAD, raw), "{raw}");
        assert!(!open(Method::POST, raw), "{raw}");
    }
    assert!(open(Method::POST, "/login"));
    assert!(open(Method::GET, "/login?next=/buy"));
    assert!(open(Method::POST, "/webhooks/sandbox"));
    for raw in [
        "/screenings/x/seats",
        "/screenings/",
        "/screenings",
        "/static",
        "/static/",
        "/checkout",
        "/api/orders",
        "/anything",
    ] {
        let protected = !open(Method::GET, raw);
        assert!(protected, "{raw}");
    }
}

#[test]
fn rules_that_cannot_be_read_are_refused() {
    let refused = |rule: &str| {
        let room = RoomSettings { open: vec![rule.to_owned()], ..RoomSettings::default() };
        Rules::of(&BTreeMap::from([("demo".to_owned(), room)])).is_err()
    };
    for rule in
        ["", "films", "GET films", "get /films", "FETCH /x", "/a*", "/**/b", "/a//b", "/a%20", "/a;b", "GET  /a", "//"]
    {
        assert!(refused(rule), "{rule}");
    }
    assert!(!refused("/"));
    assert!(!refused("GET /a/*/b/**"));
}

#[test]
fn text_outside_ascii_is_never_open() {
    let rules = rules(&["/films/*", "/static/**"]);
    for raw in ["/films/%C3%A9", "/static/%EF%BC%8F", "/films/%E2%88%95buy"] {
        assert!(!is_open(&rules, &Method::GET, &parse(raw).unwrap()), "{raw}");
    }
    assert!(is_open(&rules, &Method::GET, &parse("/films/a%20b").unwrap()));
}

fn rooms(rooms: &[(&str, &[&str], &[&str])]) -> Rules {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let room = |hosts, paths| RoomSettings { hosts: owned(hosts), paths: owned(paths), ..RoomSettings::default() };
    let rooms = rooms.iter().map(|&(name, hosts, paths)| (name.to_owned(), room(hosts, paths)));
    Rules::of(&rooms.collect()).unwrap()
}

#[test]
fn the_most_specific_room_has_a_request() {
    let rules = rooms(&[
        ("all", &[], &[]),
        ("any-host-buy", &[], &["/buy/**"]),
        ("below", &["*.example"], &[]),
        ("below-a", &["*.a.example"], &[]),
        ("exact", &["shop.a.example"], &[]),
        ("exact-buy", &["shop.a.example"], &["/buy/**", "/other"]),
        ("exact-one", &["shop.a.example"], &["/buy/*/now"]),
        ("exact-vip", &["shop.a.example"], &["/buy/vip/now"]),
    ]);
    let room = |host: &str, raw: &str| rules.room_of(host, &parse(raw).unwrap()).map(|room| room.name().to_owned());
    for (host, raw, name) in [
        ("elsewhere", "/", "all"),
        ("elsewhere", "/buy/x", "any-host-buy"),
        ("elsewhere:8080", "/BUY", "any-host-buy"),
        ("b.example", "/buy/x", "below"),
        ("b.a.example", "/buy/x", "below-a"),
        ("SHOP.A.EXAMPLE:443", "/", "exact"),
        ("shop.a.example.", "/buy", "exact-buy"),
        ("shop.a.example", "/other/", "exact-buy"),
        ("shop.a.example", "/others", "exact"),
        ("shop.a.example", "/buy/some/now", "exact-one"),
        ("shop.a.example", "/Buy/VIP/now/", "exact-vip"),
        ("shop.a.example", "/buy/vip/now/then", "exact-buy"),
    ] {
        assert_eq!(room(host, raw).as_deref(), Some(name), "{host} {raw}");
    }
    let none = rooms(&[("buy", &["shop.example"], &["/buy/**"])]);
    assert!(none.room_of("shop.example", &parse("/").unwrap()).is_none());
    assert!(none.room_of("other.example", &parse("/buy").unwrap()).is_none());
}

#[test]
fn no_disguise_leaves_its_room() {
    let rules = rooms(&[("buy", &[], &["/buy/**"]), ("rest", &[], &[])]);
    for raw in DISGUISES {
        let Ok(path) = parse(raw) else { continue };
        if path.as_str().to_ascii_lowercase().trim_end_matches('/') == "/buy" {
            assert_eq!(rules.room_of("", &path).map(RoomRules::name), Some("buy"), "{raw}");
        }
    }
}

#[test]
fn rooms_have_no_methods_and_hosts_no_ports() {
    let refused = |hosts: &[&str], paths: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let room = RoomSettings { hosts: owned(hosts), paths: owned(paths), ..RoomSettings::default() };
        Rules::of(&BTreeMap::from([("demo".to_owned(), room)])).is_err()
    };
    assert!(
        refused(&[], &["GET /buy"]) && refused(&[], &["buy"]) && refused(&["shop:80"], &[]) && refused(&["*"], &[])
    );
    assert!(!refused(&["shop", "*.shop"], &["/", "/buy/**"]));
}

#[test]
fn what_is_plain_is_spelled_as_it_is() {
    for byte in 0x21..0x7f_u8 {
        let text = format!("/a{}b", char::from(byte));
        if is_plain(&byte) {
            assert_eq!(encode(&text), text);
            assert_eq!(decode(text.as_bytes()), Ok(text.clone().into_bytes()));
        } else {
            assert!(decode(text.as_bytes()).is_err() || encode(&text) != text, "{text}");
        }
    }
}
