//! Starting wrongly: each answer is a sentence that helps, and the exit code says of what kind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use crate::harness::{House, said, vestibule};

#[test]
fn a_wrong_key_in_the_file_names_the_file_the_key_and_the_right_one() {
    let house = House::new();
    fs::write(house.path().join("vestibule.toml"), "[waiting_room]\nstroe = \"memory\"\n").unwrap();
    let output = vestibule(house.path(), &[]);
    assert_eq!(output.status.code(), Some(3));
    let said = said(&output);
    assert!(
        said.contains("vestibule.toml") && said.contains("stroe") && said.contains("did you mean `store`?"),
        "{said}"
    );
}

#[test]
fn a_taken_port_names_the_setting() {
    let house = House::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("listen.door={}", holder.local_addr().unwrap());
    let output = vestibule(house.path(), &["--set", &address]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("listen.door"), "{}", said(&output));
}

#[test]
fn a_store_or_database_that_is_not_there_is_tried_again_then_named() {
    let house = House::new();
    let free: Vec<String> = ["door", "core", "core_grpc", "sandbox", "operator"]
        .iter()
        .flat_map(|name| ["--set".to_owned(), format!("listen.{name}=127.0.0.1:0")])
        .collect();
    for (setting, wrong) in [
        ("waiting_room.store", "waiting_room.store=redis://nobody:secret@127.0.0.1:9/0"),
        ("core.database_url", "core.database_url=mysql://nobody:secret@127.0.0.1:9/core"),
    ] {
        let mut arguments: Vec<&str> = free.iter().map(String::as_str).collect();
        arguments.extend(["--set", "start.patience_ms=4000", "--set", wrong]);
        let started = Instant::now();
        let output = vestibule(house.path(), &arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(setting) && said.contains("trying again"), "{said}");
        assert!(!said.contains("secret"), "a password is never printed: {said}");
        assert!(started.elapsed().as_secs() >= 4, "it was tried for the time that was set");
    }
}

#[test]
fn a_second_process_that_would_answer_from_the_same_file_is_told_what_to_do() {
    let house = House::new();
    let first = house.start(&[]);
    let keys = format!("link.entry_keys_url={}/.waiting-room/jwks.json", first.door);
    let address = ["--set", "listen.core=127.0.0.1:0", "--set", "listen.core_grpc=127.0.0.1:0", "--set", &keys];
    let second = vestibule(house.path(), &[&["core", "--set", "start.patience_ms=1000"][..], &address].concat());
    let said = said(&second);
    assert_eq!(second.status.code(), Some(4), "{said}");
    assert!(said.contains("core.db-lock") && said.contains("core.many_order_processes = true"), "{said}");
    drop(first);
    drop(house.start(&[]));
}

#[test]
fn settings_can_be_checked_without_starting() {
    let house = House::new();
    let good = vestibule(house.path(), &["validate"]);
    assert!(good.status.success() && String::from_utf8_lossy(&good.stdout).contains("valid"));
    let bad = vestibule(house.path(), &["validate", "--set", "listen.door=nowhere"]);
    assert_eq!(bad.status.code(), Some(3));
    // A lane that the room does not have, in the file of its codes: neither checked nor started.
    fs::write(house.path().join("codes.txt"), "AAAA-BBBB\nAAAA-CCCC,vip\n").unwrap();
    let codes = ["--set", "waiting_room.rooms.demo.access_codes=codes.txt"];
    for command in [&["validate"][..], &[]] {
        let refused = vestibule(house.path(), &[command, &codes].concat());
        assert_eq!(refused.status.code(), Some(3));
        let told = "codes.txt): line 2: there is no lane \"vip\" in this room; it has general";
        assert!(said(&refused).contains(told), "{}", said(&refused));
    }
    let usage = vestibule(house.path(), &["rooom"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(said(&usage).contains("room"), "{}", said(&usage));
}

#[test]
fn a_room_that_the_settings_have_is_not_forgotten() {
    let house = House::new();
    let refused = vestibule(house.path(), &["room", "forget", "demo"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("is in the settings"), "{}", said(&refused));
    let journal = house.path().join("data/line/old-sale.journal");
    fs::create_dir_all(journal.parent().unwrap()).unwrap();
    fs::write(&journal, "").unwrap();
    let doctor = || String::from_utf8_lossy(&vestibule(house.path(), &["doctor"]).stdout).into_owned();
    assert!(doctor().contains("also old-sale, which the settings do not have"), "{}", doctor());
    for told in ["is forgotten", "has no room"] {
        let done = vestibule(house.path(), &["room", "forget", "old-sale"]);
        assert!(done.status.success(), "{}", said(&done));
        assert!(String::from_utf8_lossy(&done.stdout).contains(told));
    }
    assert!(!journal.exists());
    assert!(doctor().contains("none but those of the settings"), "{}", doctor());
}

#[test]
fn secrets_are_made_private_and_the_password_is_shown_once() {
    let house = House::new();
    let running = house.start(&[]);
    let password = running.operator_password();
    assert!(password.len() >= 20);
    for file in ["keys/ticket.key", "keys/entry-ed25519.pk8", "keys/customer.key", "operator-password"] {
        let mode = fs::metadata(house.path().join("data").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert!(running.logged().iter().all(|line| !line.contains(&password)), "never in a log");
    drop(running);
    assert_eq!(house.start(&[]).operator_password(), password);
}

#[test]
fn help_and_completions_are_there() {
    let house = House::new();
    let help = String::from_utf8(vestibule(house.path(), &["--help"]).stdout).unwrap();
    for word in ["waiting-room", "core", "room", "simulate", "validate", "doctor", "--config"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    let completions = vestibule(house.path(), &["completions", "bash"]);
    assert!(String::from_utf8_lossy(&completions.stdout).contains("vestibule"));
}
