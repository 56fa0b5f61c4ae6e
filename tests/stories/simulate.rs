//! `vestibule simulate` against a running door.

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
