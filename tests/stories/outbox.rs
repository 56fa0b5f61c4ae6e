//! `vestibule outbox …` on the database of a core that has run.

use std::process::Command;

use crate::harness::{App, House, said, vestibule};
use crate::journey::FAST;

#[tokio::test]
async fn what_was_told_is_listed_and_a_dead_message_is_tried_again() {
    let house = House::new();
    let nothing = vestibule(house.path(), &["outbox", "list"]);
    assert_eq!(nothing.status.code(), Some(4), "no core has run here: {}", said(&nothing));
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;
    app.buy(&["A1"]).await;
    let outbox = |arguments: &[&str]| {
        let output = vestibule(house.path(), &[&["outbox"], arguments].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output))
    };
    let (code, listed) = outbox(&["list", "--state", "done"]);
    assert_eq!(code, Some(0), "{listed}");
    for kind in ["payment_requested", "payment_captured"] {
        assert!(listed.contains(kind), "{listed}");
    }
    assert_eq!(outbox(&["list"]), (Some(0), String::from("no message is dead\n")));

    // As if the payments had refused it too often.
    let broken = "import sqlite3, sys; database = sqlite3.connect(sys.argv[1]); \
                  database.execute(\"update outbox set state = 'dead', last_error = 'a test says so' \
                                    where kind = 'payment_captured'\"); database.commit()";
    let core = house.path().join("data/core.db");
    assert!(Command::new("python3").args(["-c", broken]).arg(core).status().expect("python3 runs").success());
    let (_, listed) = outbox(&["list"]);
    let id = listed.split_whitespace().find(|word| word.starts_with("msg_")).expect("an id").to_owned();
    assert!(listed.contains("a test says so"), "{listed}");
    let (_, shown) = outbox(&["show", &id]);
    assert!(shown.contains("payment_captured") && shown.contains("state        dead"), "{shown}");
    assert_eq!(outbox(&["replay", "--all"]), (Some(0), String::from("1 messages are tried again\n")));
    let (code, told) = outbox(&["drop", &id]);
    assert!(code == Some(1) && told.contains("is not dead"), "{told}");
    assert_eq!(outbox(&["replay", "msg_1"]).0, Some(1));
    assert_eq!(outbox(&["replay"]).0, Some(2), "one, or all of them");
}
