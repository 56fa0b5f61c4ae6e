//! Two lanes on a real door: who joins which, whose turn it is, what the operator sees and changes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{App, House, Running, read, said, until, vestibule};

const LANES: &[&str] = &[
    "waiting_room.rooms.demo.rate_per_minute=1",
    "waiting_room.rooms.demo.burst=1",
    "waiting_room.rooms.demo.lanes=[{ name = \"press\", weight = 3, anyone = true }, { name = \"members\", weight = 2 }]",
];

async fn join(running: &Running, lane: &str) -> (App, Value) {
    let mut app = App::new(&running.door);
    let path = format!("/.waiting-room/rooms/demo/tickets?lane={lane}");
    let (status, facts) = read(app.request(Method::POST, &path)).await;
    assert_eq!(status, StatusCode::CREATED, "{facts}");
    app.ticket = facts["ticket"].as_str().map(ToOwned::to_owned);
    (app, facts)
}

async fn room(running: &Running) -> Value {
    let room = reqwest::get(format!("{}/.waiting-room/rooms/demo", running.door)).await.expect("answers");
    room.json().await.expect("JSON")
}

#[tokio::test]
async fn lanes_have_their_own_numbers_and_their_share_of_the_rate() {
    let house = House::new();
    let running = house.start(LANES);
    let mut people: Vec<(&str, App)> = Vec::new();
    for number in 1..=30 {
        for lane in ["general", "press"] {
            let (app, facts) = join(&running, lane).await;
            assert_eq!((&facts["lane"], &facts["number"]), (&json!(lane), &json!(number)), "{facts}");
            people.push((lane, app));
        }
    }
    for closed in ["members", "vip"] {
        let path = format!("/.waiting-room/rooms/demo/tickets?lane={closed}");
        let (status, problem) = read(App::new(&running.door).request(Method::POST, &path)).await;
        assert_eq!((status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("lane")), "{problem}");
    }
    let facts = room(&running).await;
    let waiting = |lane: usize| facts["lanes"][lane]["waiting"].as_u64().expect("a number");
    assert!(waiting(0) >= 29 && waiting(1) >= 29 && waiting(2) == 0, "{facts}");
    let wait = |lane: usize| facts["lanes"][lane]["eta"]["high_ms"].as_u64().expect("a time");
    assert!(wait(0) > 2 * wait(1), "a third of the share, three times the wait: {facts}");

    running.set_room(&json!({ "rate_per_minute": 240, "burst": 1 })).await;
    let (_, last) = people.pop().expect("somebody");
    let mut crowd = JoinSet::new();
    for (lane, mut app) in people {
        crowd.spawn(async move {
            app.enter().await;
            lane
        });
    }
    let mut entered = Vec::new();
    while entered.len() < 28 {
        entered.push(crowd.join_next().await.expect("somebody").expect("went in"));
    }
    crowd.abort_all();
    let press = entered.iter().filter(|lane| **lane == "press").count();
    assert!((18..=24).contains(&press), "three of four, to within a person or two: {entered:?}");

    let address = format!("listen.operator={}", running.operator.trim_start_matches("http://"));
    let set = |weight: &str| vestibule(house.path(), &["room", "set", "demo", "--weight", weight, "--set", &address]);
    assert!(set("press=1").status.success());
    until("the new weight is told", async || room(&running).await["lanes"][1]["weight"] == 1).await;
    let refused = set("vip=1");
    assert!(!refused.status.success() && said(&refused).contains("of lanes that the room has"), "{}", said(&refused));

    let (before, door) = (room(&running).await, format!("listen.door={}", running.door.trim_start_matches("http://")));
    running.kill();
    let running = house.start(&[LANES, &[door.as_str()]].concat());
    let after = room(&running).await;
    let lane = |facts: &Value| (facts["lanes"][1]["lane"].clone(), facts["lanes"][1]["weight"].clone());
    assert_eq!(lane(&after), lane(&before), "the operator's weight outlives a restart");
    let (status, facts) = last.poll().await;
    assert_eq!((status, &facts["lane"], &facts["number"]), (StatusCode::OK, &json!("press"), &json!(30)), "{facts}");
}
