//! The operator's side as a router: who may, what is refused, and what is shown.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::StreamExt;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{Door, Secrets, Settings, new_entry_key};

const NOW_MS: i64 = 1_764_000_000_000;

struct Office {
    router: Router,
    _dir: tempfile::TempDir,
}

struct Reply {
    status: StatusCode,
    headers: http::HeaderMap,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

impl Office {
    async fn new() -> Office {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets {
            ticket_key: vec![7; 32],
            entry_key_pkcs8: new_entry_key(),
            access: std::collections::BTreeMap::new(),
        };
        let door = Door::open(Settings::default(), secrets, Arc::new(|| NOW_MS), dir.path().to_owned()).await.unwrap();
        Office { router: door.operator("secret".to_owned()), _dir: dir }
    }

    async fn respond(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:9090");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (parts, body) = self.respond(method, path, headers, body).await.into_parts();
        let bytes = axum::body::to_bytes(body, 1_000_000).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn patch(&self, body: &str) -> Reply {
        self.send(Method::PATCH, "/api/rooms/demo", &[("authorization", "Bearer secret")], body).await
    }

    async fn log_in(&self) -> String {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let reply = self.send(Method::POST, "/login", &form, "password=secret").await;
        assert_eq!((reply.status, reply.headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/"));
        let cookie = reply.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.ends_with("HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn nobody_without_the_password_sees_or_changes_anything() {
    let office = Office::new().await;
    for (method, path) in [
        (Method::GET, "/api/rooms"),
        (Method::GET, "/api/rooms/demo"),
        (Method::PATCH, "/api/rooms/demo"),
        (Method::GET, "/api/events"),
        (Method::POST, "/rooms/demo"),
        (Method::GET, "/"),
    ] {
        for header in [
            ("accept", "*/*"),
            ("authorization", "Bearer wrong"),
            ("authorization", "Basic c2VjcmV0"),
            ("cookie", "vestibule_operator=AAAA"),
        ] {
            // A new office each time: attempts are throttled.
            let office = Office::new().await;
            let reply = office.send(method.clone(), path, &[header], "").await;
            assert_eq!(
                (reply.status, reply.json()["code"].as_str()),
                (StatusCode::UNAUTHORIZED, Some("login_required"))
            );
        }
    }
    let browser = office.send(Method::GET, "/", &[("accept", "text/html")], "").await;
    assert_eq!((browser.status, browser.headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/login"));
}

#[tokio::test]
async fn the_wrong_password_is_throttled() {
    let office = Office::new().await;
    for _ in 0..10 {
        let reply = office.send(Method::GET, "/api/rooms", &[("authorization", "Bearer wrong")], "").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let reply = office.send(Method::GET, "/api/rooms", &[("authorization", "Bearer secret")], "").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (StatusCode::TOO_MANY_REQUESTS, Some("too_many_tries")));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = office.send(Method::POST, "/login", &form, "password=secret").await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(reply.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_room_has_all_its_numbers() {
    let office = Office::new().await;
    let reply = office.send(Method::GET, "/api/rooms", &[("authorization", "Bearer secret")], "").await;
    assert_eq!((reply.status, reply.headers["cache-control"].to_str().unwrap()), (StatusCode::OK, "no-store"));
    let rooms = reply.json();
    let room = &rooms["rooms"][0];
    let names: Vec<&str> = room.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "active",
            "admitted_last_minute",
            "admitted_total",
            "at_ms",
            "autopilot",
            "burst",
            "called",
            "closes_at",
            "closes_at_ms",
            "drawn",
            "eta_ms",
            "issued",
            "lanes",
            "let_in_without_store",
            "max_active",
            "message",
            "method",
            "on_store_loss",
            "opens_at",
            "opens_at_ms",
            "phase",
            "prequeue_at",
            "prequeue_at_ms",
            "present",
            "provisional",
            "queue_max",
            "ramp",
            "rate_per_minute",
            "remaining",
            "room",
            "session_renewal",
            "state",
            "state_why",
            "store",
            "store_away_since_ms",
            "store_ok",
            "store_why",
            "title",
            "waiting",
        ]
    );
    assert_eq!(
        (&room["room"], &room["rate_per_minute"], &room["store"], &room["store_ok"]),
        (&json!("demo"), &json!(60), &json!("memory"), &json!(true))
    );
    let missing = office.send(Method::GET, "/api/rooms/none", &[("authorization", "Bearer secret")], "").await;
    assert_eq!((missing.status, missing.json()["code"].as_str()), (StatusCode::NOT_FOUND, Some("room_unknown")));
}

#[tokio::test]
async fn changes_are_kept_and_bad_values_are_named() {
    let office = Office::new().await;
    let reply = office.patch(r#"{"rate_per_minute":500,"state":"paused","message":"Soon"}"#).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    let room = reply.json();
    assert_eq!(
        (&room["rate_per_minute"], &room["state"], &room["message"]),
        (&json!(500), &json!("paused"), &json!("Soon"))
    );
    assert_eq!(room["eta_ms"], Value::Null);
    assert_eq!(office.patch(r#"{"max_active":7}"#).await.json()["max_active"], 7);

    for (body, field) in [
        (r#"{"rate_per_minute":0}"#, "rate_per_minute"),
        (r#"{"rate_per_minute":-1}"#, "rate_per_minute"),
        (r#"{"rate_per_minute":1000001}"#, "rate_per_minute"),
        (r#"{"rate_per_minute":99999999999999999999}"#, "rate_per_minute"),
        (r#"{"rate_per_minute":1.5}"#, "rate_per_minute"),
        (r#"{"rate_per_minute":"60"}"#, "rate_per_minute"),
        (r#"{"rate_per_minute":null}"#, "rate_per_minute"),
        (r#"{"burst":-1}"#, "burst"),
        (r#"{"burst":4294967296}"#, "burst"),
        (r#"{"state":"ajar"}"#, "state"),
        (r#"{"max_active":-1}"#, "max_active"),
        (r#"{"opens_at":"tomorrow"}"#, "opens_at"),
        (r#"{"ramp":"soon"}"#, "ramp"),
        (r#"{"message":7}"#, "message"),
        (r#"{"session_ms":1}"#, "session_ms"),
        (r#"{"rate_per_minute":60,"rate":60}"#, "rate"),
    ] {
        let reply = office.patch(body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(
            (reply.json()["code"].as_str(), reply.json()["field"].as_str()),
            (Some("value_refused"), Some(field)),
            "{body}"
        );
    }
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(2_001));
    assert_eq!(office.patch(&long).await.json()["field"], "message");
    for body in ["", "{", "[]", "7"] {
        let reply = office.patch(body).await;
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("malformed_body")),
            "{body}"
        );
    }
    let huge = format!(r#"{{"message":"{}"}}"#, "x".repeat(20_000));
    let reply = office.patch(&huge).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("body_too_large")));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = office.send(Method::POST, "/login", &form, "word=secret").await;
    assert_eq!(reply.json()["code"], "value_refused");
    assert_eq!(office.patch("{}").await.json()["rate_per_minute"], 500, "nothing was changed by what was refused");
}

#[tokio::test]
async fn a_room_goes_through_all_its_states_and_says_what_they_mean() {
    let office = Office::new().await;
    for (state, why) in [
        ("draining", "Draining: who is in line goes on, nobody new joins."),
        ("closed", "Closed: nobody joins and nobody goes in; who is inside goes on."),
        ("sold_out", "Sold out: nobody joins and nobody goes in; who is inside goes on."),
        ("paused", "Paused: people may join, nobody is called."),
        ("open", "Open: people go in at the rate."),
    ] {
        let room = office.patch(&json!({ "state": state }).to_string()).await.json();
        assert_eq!((&room["state"], &room["state_why"]), (&json!(state), &json!(why)));
    }
}

#[tokio::test]
async fn everything_that_is_changed_is_shown() {
    let office = Office::new().await;
    let asked = json!({
        "queue_max": 500, "method": "draw", "opens_at": "2026-12-01T21:00:00+01:00", "session_renewal": true,
        "ramp": "800 per minute over 5 minutes",
    });
    let room = office.patch(&asked.to_string()).await.json();
    assert_eq!((&room["queue_max"], &room["method"]), (&json!(500), &json!("draw")), "{room}");
    assert_eq!(
        (&room["opens_at"], &room["opens_at_ms"]),
        (&json!("2026-12-01T20:00:00Z"), &json!(1_796_155_200_000_i64))
    );
    assert_eq!((&room["session_renewal"], &room["ramp"]["to_per_minute"]), (&json!(true), &json!(800)));
    assert_eq!(room["state_why"], "People gather; the first are called at 2026-12-01T20:00:00Z.");
    let gone = office.patch(r#"{"opens_at":null,"method":"fcfs"}"#).await.json();
    assert_eq!((&gone["opens_at"], &gone["phase"]), (&Value::Null, &json!("running")));
}

#[tokio::test]
async fn a_history_without_changes_has_nothing_to_undo() {
    let office = Office::new().await;
    let mine = [("authorization", "Bearer secret"), ("x-operator-name", "ada")];
    let changes = office.send(Method::GET, "/api/rooms/demo/changes", &mine, "").await.json();
    assert_eq!((&changes["room"], &changes["changes"]), (&json!("demo"), &json!([])));
    let undo = office.send(Method::POST, "/api/rooms/demo/undo", &mine, "").await;
    assert_eq!((undo.status, undo.json()["code"].as_str()), (StatusCode::CONFLICT, Some("nothing_to_undo")));
    let unknown = office.send(Method::POST, "/api/rooms/none/undo", &mine, "").await;
    assert_eq!(unknown.json()["code"], "room_unknown");
    let evil = [("authorization", "Bearer secret"), ("x-operator-name", "autopilot")];
    let refused = office.send(Method::POST, "/api/rooms/demo/undo", &evil, "").await;
    assert_eq!((refused.status, &refused.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("name")));
    let reply = office.send(Method::DELETE, "/api/rooms/demo/undo", &mine, "").await;
    assert_eq!(reply.headers["allow"], "POST");
}

#[tokio::test]
async fn undoing_twice_goes_two_changes_back() {
    let office = Office::new().await;
    let mine = [("authorization", "Bearer secret"), ("x-operator-name", "ada")];
    for rate in [100, 200] {
        let body = format!("{{\"rate_per_minute\":{rate}}}");
        office.send(Method::PATCH, "/api/rooms/demo", &mine, &body).await;
    }
    let mut rates = Vec::new();
    for _ in 0..2 {
        let undone = office.send(Method::POST, "/api/rooms/demo/undo", &mine, "").await.json();
        rates.push(undone["rate_per_minute"].as_u64());
    }
    let begun = crate::RoomSettings::default().rate_per_minute;
    assert_eq!(rates, [Some(100), Some(begun.into())]);
    let undo = office.send(Method::POST, "/api/rooms/demo/undo", &mine, "").await;
    assert_eq!(undo.json()["code"], "nothing_to_undo");
    let changes = office.send(Method::GET, "/api/rooms/demo/changes", &mine, "").await.json();
    let who: Vec<&str> = changes["changes"].as_array().unwrap().iter().filter_map(|one| one["who"].as_str()).collect();
    assert_eq!(who, ["ada (undo)", "ada (undo)", "ada", "ada"]);
    let evil = [("authorization", "Bearer secret"), ("x-operator-name", "eve (undo)")];
    let refused = office.send(Method::PATCH, "/api/rooms/demo", &evil, r#"{"rate_per_minute":1}"#).await;
    assert_eq!((refused.status, &refused.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("name")));
}

#[tokio::test]
async fn the_dashboard_works_with_forms_alone() {
    let office = Office::new().await;
    let cookie = office.log_in().await;
    let own = [
        ("cookie", cookie.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "http://127.0.0.1:9090"),
    ];
    let shown = office.send(Method::GET, "/", &own, "").await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.headers.contains_key("content-security-policy"));
    let changed = office.send(Method::POST, "/rooms/demo", &own, "rate_per_minute=90&state=paused").await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER);
    let room = office.send(Method::GET, "/api/rooms/demo", &own, "").await.json();
    assert_eq!((&room["rate_per_minute"], &room["state"]), (&json!(90), &json!("paused")));
    // A form has every field in it; the log of changes tells only of what somebody changed.
    let all = "rate_per_minute=120&burst=1&max_active=0&queue_max=0&method=fcfs&message=&opens_at=&closes_at=";
    assert_eq!(office.send(Method::POST, "/rooms/demo", &own, all).await.status, StatusCode::SEE_OTHER);
    let changes = office.send(Method::GET, "/api/rooms/demo/changes", &own, "").await.json();
    assert_eq!(changes["changes"][0]["after"], json!({ "rate_per_minute": 120 }), "{changes}");
    for body in ["rate_per_minute=0", "rate_per_minute=many"] {
        let refused = office.send(Method::POST, "/rooms/demo", &own, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }

    for header in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let evil = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded"), header];
        let reply = office.send(Method::POST, "/rooms/demo", &evil, "rate_per_minute=1000000").await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (StatusCode::FORBIDDEN, Some("cross_site")));
        let reply = office.send(Method::PATCH, "/api/rooms/demo", &evil, r#"{"rate_per_minute":1}"#).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
    }
    let out = office.send(Method::POST, "/logout", &own, "").await;
    assert!(out.headers["set-cookie"].to_str().unwrap().starts_with("vestibule_operator=;"));
}

#[tokio::test]
async fn events_tell_all_rooms_at_once_and_every_second() {
    let office = Office::new().await;
    let response = office.respond(Method::GET, "/api/events", &[("authorization", "Bearer secret")], "").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    for _ in 0..2 {
        let event = tokio::time::timeout(Duration::from_secs(3), events.next()).await.unwrap().unwrap().unwrap();
        let text = String::from_utf8(event.to_vec()).unwrap();
        let data: Value = serde_json::from_str(text.strip_prefix("data: ").unwrap().trim()).unwrap();
        assert_eq!(data["rooms"][0]["room"], "demo");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let office = Office::new().await;
    let reply = office.send(Method::GET, "/nothing", &[], "").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (StatusCode::NOT_FOUND, Some("not_found")));
    let reply = office.send(Method::PUT, "/login", &[], "").await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, Some("method_not_allowed"))
    );
    assert_eq!(reply.headers["allow"], "GET, HEAD, POST");
    assert_eq!(office.send(Method::GET, "/assets/operator.css", &[], "").await.status, StatusCode::OK);
    assert_eq!(office.send(Method::GET, "/assets/none", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_times_of_a_schedule_stay_in_their_order() {
    let office = Office::new().await;
    let at = |minutes: i64| NOW_MS + minutes * 60_000;
    let draw = office.patch(r#"{"method":"draw"}"#).await;
    assert_eq!((draw.status, draw.json()["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("opens_at")));
    let both = format!(r#"{{"prequeue_at":{},"opens_at":{},"method":"draw"}}"#, at(10), at(20));
    assert_eq!(office.patch(&both).await.status, StatusCode::OK);
    for (body, field) in [
        (format!(r#"{{"prequeue_at":{}}}"#, at(21)), "opens_at"),
        (format!(r#"{{"opens_at":{}}}"#, at(9)), "opens_at"),
        (r#"{"opens_at":null}"#.to_owned(), "opens_at"),
        (format!(r#"{{"closes_at":{}}}"#, at(20)), "closes_at"),
    ] {
        let refused = office.patch(&body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", refused.body);
        assert_eq!(refused.json()["field"].as_str(), Some(field), "{body}");
    }
    let later = format!(r#"{{"prequeue_at":{},"opens_at":{},"closes_at":{}}}"#, at(21), at(21), at(22));
    assert_eq!(office.patch(&later).await.status, StatusCode::OK, "all of them together may move");
    assert_eq!(office.patch(r#"{"message":"Soon"}"#).await.status, StatusCode::OK);
}
