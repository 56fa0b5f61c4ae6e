//! Renders the queue page in all its states, to `target/pages/` for looking at, and checks what no page may contain.

use super::super::asset;
use super::*;
use std::path::PathBuf;

/// Where rendered pages go.
pub(crate) fn pages_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/pages")
}

/// Writes a page, and fails if it contains what the policy would refuse, or text that was not escaped.
pub(crate) fn keep(name: &str, html: &str) {
    let path = pages_dir().join(name);
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folder");
    std::fs::write(&path, html).expect("write");
    let lower = html.to_lowercase();
    assert!(!lower.contains(" style="), "{name}: style attribute");
    assert!(!lower.contains("<b>evil"), "{name}: not escaped");
    for tag in lower.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let handler = tag.split_whitespace().any(|word| word.starts_with("on") && word.contains('='));
        assert!(!handler, "{name}: event handler in <{tag}>");
        assert!(!tag.starts_with("script") || tag.contains(" src="), "{name}: inline script");
        assert!(!tag.contains("=\"http") && !tag.contains("=\"//"), "{name}: elsewhere in <{tag}>");
    }
}

fn page(state: QueueState) -> QueuePage {
    QueuePage {
        room: "demo".to_owned(),
        title: "Spring premieres".to_owned(),
        state,
        position: 5_231,
        lane: None,
        lot: None,
        ahead: 312,
        eta: Some(Wait { low_ms: 270_000, high_ms: 390_000 }),
        waited_ms: 180_000,
        rate_per_minute: 60,
        poll_after_ms: 4_200,
        updated_at_ms: 1_795_286_527_000,
        server_now_ms: 1_795_286_527_200,
        message: None,
        remaining: Some(Left { free: 1_180, held: 36 }),
        session_ms: 900_000,
        code_onward: None,
    }
}

#[test]
fn every_state_renders() {
    use QueueState::{Called, OneMoment, Paused, Provisional, Waiting};
    for state in [Waiting, Called, Paused, OneMoment, Provisional] {
        let mut page = page(state);
        match state {
            QueueState::Waiting => {}
            QueueState::Called => page.ahead = 0,
            QueueState::Paused => {
                page.eta = None;
                page.message = Some("The projector in hall 1 needs ten minutes.\nNobody loses their place.".to_owned());
            }
            QueueState::OneMoment | QueueState::Provisional => {
                page.eta = None;
                (page.position, page.ahead) = (0, 0);
            }
        }
        let html = page.render().expect("renders");
        assert!(html.contains(state.headline()));
        // Nobody is told that they are first when nobody knows.
        assert_eq!(html.contains("data-testid=\"ahead\">–<"), page.position == 0);
        keep(&format!("door/queue-{}.html", state.word()), &html);
    }
}

#[test]
fn scarcity_is_told() {
    let mut scarce = page(QueueState::Waiting);
    scarce.remaining = Some(Left { free: 120, held: 14 });
    keep("door/queue-scarce.html", &scarce.render().expect("renders"));
    assert_eq!(
        scarce.hint(),
        "About 120 left, and about 312 people before you. There may be nothing left when it is your turn."
    );
    scarce.remaining = Some(Left { free: 0, held: 1 });
    assert_eq!(
        scarce.hint(),
        "Nothing is free at this moment. One is in other people's baskets; some of it may come back."
    );
    scarce.remaining = Some(Left { free: 0, held: 0 });
    assert!(scarce.hint().starts_with("Everything is sold."));
    keep("door/queue-sold_out.html", &scarce.render().expect("renders"));
    scarce.remaining = Some(Left { free: 400, held: 0 });
    assert_eq!(scarce.hint(), "");
}

#[test]
fn a_drawn_place_can_be_verified() {
    let plain = page(QueueState::Waiting).render().expect("renders");
    assert!(!plain.contains("verify.js") && plain.contains("First come"));
    let mut drawn = page(QueueState::Waiting);
    drawn.lot = Some(Lot { number: 17, drawn: 52_310, epoch: 1, lane: String::new() });
    let html = drawn.render().expect("renders");
    assert!(html.contains("Registration 17 of 52,310 drew place 5,231.") && html.contains("verify.js"), "{html}");
    assert!(!html.contains("First come"));
    keep("door/queue-drawn.html", &html);
}

#[test]
fn foreign_words_are_escaped() {
    let mut page = page(QueueState::Paused);
    page.title = "<b>evil</b> \"quoted\"".to_owned();
    page.message = Some("<b>evil</b>".to_owned());
    keep("door/queue-escaped.html", &page.render().expect("renders"));
}

#[test]
fn the_page_fits_the_first_round_trip() {
    // Ten segments of the usual size: what a server may send before the first acknowledgement.
    const FIRST_FLIGHT_BYTES: usize = 14_600;
    let html = page(QueueState::Waiting).render().expect("renders");
    assert!(html.len() <= FIRST_FLIGHT_BYTES, "{} bytes, even before compression", html.len());
}

#[test]
fn the_inlined_style_is_the_one_the_policy_allows() {
    let html = page(QueueState::Waiting).render().expect("renders");
    assert!(html.contains(&format!("<style>{}</style>", asset::STYLE)));
    assert!(asset::content_security_policy().contains("style-src 'sha256-"));
    std::fs::create_dir_all(pages_dir().join("door")).expect("folder");
    std::fs::write(pages_dir().join("door/policy.txt"), asset::content_security_policy()).expect("write");
}

#[test]
fn notices_render() {
    let html = NoticePage {
        title: "The shop is not answering".to_owned(),
        detail: "You are let in, but the shop behind this door is away for the moment. Nothing is lost; try again in \
                 a few seconds."
            .to_owned(),
        code: "upstream_unreachable".to_owned(),
        request_id: Some("0193500000007000a000000000000001".to_owned()),
        onward_path: "/screenings/lighthouse-1900/seats".to_owned(),
        onward_label: "Try again".to_owned(),
    }
    .render()
    .expect("renders");
    keep("door/notice.html", &html);
}

#[test]
fn the_check_renders() {
    let page = CheckPage { room: "demo".to_owned(), title: "<b>evil</b>".to_owned() };
    keep("door/check.html", &page.render().expect("renders"));
}

#[test]
fn assets_are_found_by_path() {
    for asset in asset::all() {
        assert_eq!(asset::asset(asset.path).map(|found| &found.etag), Some(&asset.etag));
        let path = pages_dir().join(".waiting-room/assets").join(asset.path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folder");
        std::fs::write(path, asset.bytes).expect("write");
    }
    assert!(asset::asset("../page.rs").is_none());
}

#[test]
fn waits_are_said_in_whole_minutes() {
    let said = |low_ms, high_ms| wait_said(Wait { low_ms, high_ms });
    assert_eq!(said(0, 59_000), "less than a minute");
    assert_eq!(said(30_000, 90_000), "about 1–2 minutes");
    assert_eq!(said(300_000, 300_000), "about 5 minutes");
    assert_eq!(said(3_600_000, 7_200_000), "about 1–2 hours");
    assert_eq!(utc_time(1_795_286_527_000), "18:42:07");
    assert_eq!(thousands(1_234_567), "1,234,567");
}

#[test]
fn who_is_called_in_a_slow_room_is_not_told_of_seconds() {
    let said = [0, 10_000, 10_001, 60_000, 60_001, 146_000].map(super::called_said);
    let seconds = "a few seconds";
    assert_eq!(
        said,
        [seconds, seconds, "less than a minute", "less than a minute", "up to 2 minutes", "up to 3 minutes"]
    );
}
