//! `vestibule simulate` against a running door, and in virtual time.

use serde_json::Value;

use crate::harness::{House, said, vestibule};

#[test]
fn a_crowd_goes_through_the_door_at_the_rate_and_is_accounted_for() {
    let house = House::new();
    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=1200", "waiting_room.rooms.demo.burst=5"]);
    let crowd = ["simulate", "--visitors", "120", "--over", "2", "--leave", "0.2", "--limit", "60", "--json"];
    let output = vestibule(house.path(), &[&crowd[..], &["--url", &running.door]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("the summary is JSON");
    let count = |name: &str| summary[name].as_u64().unwrap_or_default();
    assert_eq!(count("admitted") + count("left"), 120, "{summary}");
    assert_eq!(summary["failed"], serde_json::json!({}), "{summary}");
    assert!(count("admitted_worst_minute") <= 1_205, "{summary}");
    assert_eq!(summary["page_status"]["200"].as_u64(), Some(count("admitted")), "{summary}");
}

#[test]
fn a_door_that_is_not_there_is_told_with_its_setting() {
    let house = House::new();
    let output = vestibule(house.path(), &["simulate", "--url", "http://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(said(&output).contains("listen.door"), "{}", said(&output));
}

#[test]
fn in_virtual_time_a_crowd_needs_no_server_and_leaves_a_picture() {
    let house = House::new();
    let crowd =
        ["simulate", "--virtual", "--visitors", "2000", "--rate", "1200", "--arrivals", "poisson", "--leave", "0.3"];
    let output = vestibule(house.path(), &[&crowd[..], &["--seed", "7", "--json", "--plot", "line.svg"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("the summary is JSON");
    let count = |name: &str| summary[name].as_u64().unwrap_or_default();
    assert_eq!(count("admitted") + count("gone") + count("still_waiting"), 2_000, "{summary}");
    assert!(count("admitted_worst_minute") <= count("bound"), "{summary}");
    let picture = std::fs::read_to_string(house.path().join("line.svg")).expect("the plot was written");
    assert!(picture.starts_with("<svg") && picture.contains("Admitted per minute"));

    let again = vestibule(house.path(), &[&crowd[..], &["--seed", "7"]].concat());
    let words = String::from_utf8(again.stdout).expect("UTF-8");
    assert!(words.contains(&format!("admitted       {} of 2000", count("admitted"))), "the same seed again: {words}");
}

#[test]
fn random_stories_with_faults_keep_every_rule() {
    let house = House::new();
    let output = vestibule(house.path(), &["simulate", "--virtual", "--seeds", "20", "--seed", "5000"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("no rule was broken"));
    let mixed = vestibule(house.path(), &["simulate", "--virtual", "--seeds", "20", "--rate", "5"]);
    assert_eq!(mixed.status.code(), Some(2), "random stories have rates of their own");
}
