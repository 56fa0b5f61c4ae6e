//! A draw from the first registration to the last check: by our own command, and by a stranger's program in Python.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{App, House, Running, id, said, until, vestibule};

const PEOPLE: usize = 30;
/// Time to register in.
const PREQUEUE_MS: u64 = 8_000;

/// The line's clock.
async fn now_ms(running: &Running) -> u64 {
    let room = reqwest::get(format!("{}/.waiting-room/rooms/demo", running.door)).await.expect("answers");
    room.json::<Value>().await.expect("JSON")["updated_at_ms"].as_u64().expect("a time")
}

fn evidence_url(running: &Running) -> String {
    format!("{}/.waiting-room/rooms/demo/draw", running.door)
}

async fn evidence(running: &Running) -> Value {
    reqwest::get(evidence_url(running)).await.expect("answers").json().await.expect("JSON")
}

/// What `docs/draw.py` finds: it shares no code with the program.
fn strangers_check(evidence: &Value) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/draw.py");
    let mut child =
        Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 runs");
    child.stdin.take().expect("piped").write_all(evidence.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Where everybody stands, in the order of registering.
async fn positions(people: &[App]) -> Vec<u64> {
    let mut positions = Vec::new();
    for app in people {
        let (status, facts) = app.poll().await;
        assert_eq!(status, StatusCode::OK, "{facts}");
        positions.push(facts["position"].as_u64().unwrap_or_else(|| panic!("a place: {facts}")));
    }
    positions
}

#[tokio::test]
async fn thirty_people_draw_and_anybody_can_check_it() {
    let house = House::new();
    let running = house.start(&[]);
    let opens_at_ms = now_ms(&running).await + PREQUEUE_MS;
    running.set_room(&json!({ "method": "draw", "opens_at_ms": opens_at_ms })).await;
    let before = evidence(&running).await;
    let mut people = Vec::new();
    for number in 1..=PEOPLE {
        let mut app = App::new(&running.door);
        let facts = app.join().await;
        assert_eq!((&facts["state"], &facts["number"]), (&json!("prequeue"), &json!(number)), "{facts}");
        assert!(facts["position"].is_null() && app.entry.is_none(), "{facts}");
        people.push(app);
    }
    assert!(before["seed"].is_null(), "{before}");
    let url = evidence_url(&running);
    let early = vestibule(house.path(), &["verify-draw", "--url", &url]);
    assert!(early.status.code() == Some(1) && said(&early).contains("has not been made"), "{early:?}");

    until("the opening", async || evidence(&running).await["drawn"] == PEOPLE).await;
    let after = evidence(&running).await;
    assert_eq!(after["commitment"], before["commitment"]);
    let found = strangers_check(&after);
    assert_eq!((&found["commitment_matches"], &found["final_seed"]), (&json!(true), &after["final_seed"]));
    let places = positions(&people).await;
    let expected: Vec<u64> = (1..=PEOPLE).filter_map(|number| found["places"][number.to_string()].as_u64()).collect();
    assert_eq!(places, expected, "the page, the door and the stranger agree");
    assert!(!places.is_sorted(), "by lot: {places:?}");
    let mut sorted = places.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(1..=PEOPLE as u64), "every place once");

    let commitment = id(&before, "commitment");
    let by_number = ["verify-draw", "--url", &url, "--commitment", &commitment, "--number", "7"];
    let ticket = people[6].ticket.clone().expect("a ticket");
    for arguments in [&by_number[..], &["verify-draw", "--url", &url, "--ticket", &ticket]] {
        let checked = vestibule(house.path(), arguments);
        assert!(checked.status.success(), "{}", said(&checked));
        let text = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(text.trim_end().ends_with(&format!("place {}", places[6])), "{text}");
    }
    let other = "00".repeat(32);
    let wrong = vestibule(house.path(), &["verify-draw", "--url", &url, "--commitment", &other]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    let mut forged = after.clone();
    forged["digest"] = json!("another");
    let file = house.path().join("draw.json");
    std::fs::write(&file, forged.to_string()).expect("written");
    let wrong = vestibule(house.path(), &["verify-draw", "--file", &file.display().to_string()]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");

    let mut late = App::new(&running.door);
    let facts = late.join().await;
    assert_eq!((&facts["number"], &facts["position"]), (&json!(PEOPLE + 1), &json!(PEOPLE + 1)), "{facts}");
    let door = format!("listen.door={}", running.door.trim_start_matches("http://"));
    running.kill();
    let running = house.start(&[&door]);
    assert_eq!(positions(&people).await, places, "a restart changes no place");
    let again = evidence(&running).await;
    assert_eq!((&again["seed"], &again["digest"]), (&after["seed"], &after["digest"]));
}
