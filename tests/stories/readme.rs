//! What the README promises, done: its lines run as they are pasted, and the routes are as open as docs/api.md says.

use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{App, House, read};

fn page(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The lines for apps, with the running door in place of the default address and nothing else changed.
fn pasted(door: &str) -> String {
    let readme = page("README.md");
    let block =
        readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the README's sh block");
    assert_eq!(block.matches("curl ").count(), 8, "eight calls");
    assert!(block.contains("http://127.0.0.1:8080"), "the default address");
    block.replace("http://127.0.0.1:8080", door)
}

fn paste(door: &str) -> Value {
    let bash = Command::new("bash").args(["-c", &pasted(door)]).stdin(Stdio::null()).output().expect("bash runs");
    let said = String::from_utf8_lossy(&bash.stdout).into_owned();
    // The poll and the last line both answer on the terminal; the last answer starts where the transaction does.
    let last = said.rfind("{\"transaction_id\"").map(|start| &said[start..]);
    let Some(last) = last else { panic!("no transaction in {said} {}", String::from_utf8_lossy(&bash.stderr)) };
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"))
}

#[test]
fn the_lines_for_apps_work_as_pasted_right_after_the_start() {
    let house = House::new();
    // The room as it is by default, and nobody waits a while before pasting.
    let running = house.start(&[]);
    let transaction = paste(&running.door);
    assert_eq!(transaction["status"], "completed", "{transaction}");
    assert!(transaction["amount"].as_i64().is_some_and(|amount| amount > 0), "{transaction}");
}

/// A row of the routes: method, path with something in it, whether it is open.
fn routes() -> Vec<(Method, String, bool)> {
    let api = page("docs/api.md");
    let part = api.split("## Routes of the core").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("routes");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let (method, path) = cells.next()?.trim_end_matches('`').split_once(' ')?;
        let path = path.replace("{id}", "x").replace("{*path}", "shop.css");
        Some((method.parse().ok()?, path, cells.next()? == "open"))
    };
    part.lines().filter_map(row).collect()
}

#[tokio::test]
async fn every_route_is_as_open_as_the_docs_say_at_the_door_and_around_it() {
    let house = House::new();
    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=1", "waiting_room.rooms.demo.burst=1"]);
    running.set_room(&json!({ "state": "paused" })).await;
    let mut customer = App::new(&running.door);
    customer.register().await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let token = customer.customer.clone().expect("a token");
    let routes = routes();
    assert!(routes.len() > 30, "{routes:?}");
    for (method, path, open) in routes {
        // A login is not an entry, and neither is a made-up token.
        let ask = |base: &str| {
            let request = client.request(method.clone(), format!("{base}{path}"));
            let request = request.header("accept", "application/json").header("x-entry-token", "x.y.z");
            if method == Method::POST {
                request.bearer_auth(&token).json(&json!({}))
            } else {
                request.bearer_auth(&token)
            }
        };
        let (around, refused) = read(ask(&running.core)).await;
        assert_eq!(refused["code"] != "entry_required", open, "{method} {path} around the door: {around} {refused}");
        let (at_door, answer) = read(ask(&running.door)).await;
        let waits = match method {
            Method::GET => at_door == StatusCode::ACCEPTED && answer["state"] == "paused",
            _ => at_door == StatusCode::TOO_MANY_REQUESTS && answer["code"] == "waiting",
        };
        assert_eq!(!waits, open, "{method} {path} at the door: {at_door} {answer}");
    }
}
