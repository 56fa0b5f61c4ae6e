//! Renders the operator's pages, to `target/pages/` for looking at.

use super::super::asset;
use super::*;
use crate::visitor::page::Left;
use crate::visitor::page::tests::{keep, pages_dir};

fn room(paused: bool) -> Room {
    let change = |at_ms, who: &str, text: &str| Change { at_ms, who: who.to_owned(), text: text.to_owned() };
    Room {
        room: "demo".to_owned(),
        title: "Spring premieres".to_owned(),
        state: if paused { "paused" } else { "open" },
        state_why: if paused {
            "Paused: people may join, nobody is called."
        } else {
            "Open: people go in at the rate."
        }
        .to_owned(),
        method: "fcfs",
        max_active: 2_000,
        queue_max: 0,
        prequeue_at: String::new(),
        opens_at: "2026-12-01T20:00:00Z".to_owned(),
        closes_at: String::new(),
        changes: vec![
            change(1_795_286_520_000, "ada", "rate_per_minute: 300 → 600"),
            change(1_795_286_400_000, "operator", "state: paused → open, message: Back at eight. → none"),
        ],
        rate_per_minute: 600,
        burst: 10,
        waiting: 12_480,
        called: 24,
        admitted_total: 2_727,
        admitted_last_minute: 598,
        active: 1_904,
        eta_ms: Some(1_248_000),
        store: "memory".to_owned(),
        store_ok: !paused,
        store_why: if paused { "The store is away since noon: nobody goes in.".to_owned() } else { String::new() },
        remaining: Some(Left { free: 1_180, held: 36 }),
        message: String::new(),
        autopilot: (!paused).then(|| "Kept at 600 a minute: the shop is well, and nobody waits.".to_owned()),
    }
}

fn page(rooms: Vec<Room>, notice: Option<Notice>) -> String {
    DashboardPage { rooms, server_now_ms: 1_795_286_527_200, notice }.render().expect("renders")
}

#[test]
fn the_dashboard_renders() {
    let html = page(vec![room(false)], None);
    assert!(html.contains("21 min") && html.contains("value=\"paused\"") && html.contains("Autopilot. Kept at 600"));
    keep("operator/dashboard.html", &html);
    let notice = Notice { bad: true, text: "rate_per_minute must be between 1 and 1,000,000.".to_owned() };
    let html = page(vec![room(true)], Some(notice));
    assert!(html.contains("value=\"open\"") && html.contains("memory, away"));
    keep("operator/dashboard-paused.html", &html);
}

#[test]
fn foreign_words_are_escaped() {
    let mut evil = room(false);
    evil.title = "<b>evil</b>".to_owned();
    evil.message = "</textarea><b>evil</b>".to_owned();
    keep("operator/escaped.html", &page(vec![evil], Some(Notice { bad: false, text: "<b>evil</b>".to_owned() })));
}

#[test]
fn the_login_renders() {
    let page = LoginPage { error: Some("That is not the password.".to_owned()) };
    keep("operator/login.html", &page.render().expect("renders"));
}

#[test]
fn assets_are_found_by_path() {
    std::fs::create_dir_all(pages_dir().join("operator")).expect("folder");
    std::fs::write(pages_dir().join("operator/policy.txt"), asset::CONTENT_SECURITY_POLICY).expect("write");
    for asset in asset::all() {
        assert_eq!(asset::asset(asset.path).map(|found| &found.etag), Some(&asset.etag));
        std::fs::create_dir_all(pages_dir().join("assets")).expect("folder");
        std::fs::write(pages_dir().join("assets").join(asset.path), asset.bytes).expect("write");
    }
    assert!(asset::asset("queue.js").is_none());
}

#[test]
fn spans_are_short() {
    assert_eq!(
        [0, 59_999, 260_000, 1_248_000, 7_200_000].map(span),
        ["0 s", "59 s", "4 min 20 s", "21 min", "2 h 0 min"]
    );
}
