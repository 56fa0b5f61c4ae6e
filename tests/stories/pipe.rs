//! Whoever reads what a command prints may go away: `vestibule seed FILE | head -1`.

use std::process::{Command, Stdio};

use crate::harness::{House, PROGRAM, said, vestibule};

/// What shells call a program that SIGPIPE ended.
const NOBODY_READS: i32 = 141;

#[test]
fn commands_end_quietly_when_nobody_reads() {
    let house = House::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/catalogue.toml");
    for arguments in [
        &["validate"] as &[&str],
        &["doctor"],
        &["codes", "--count", "3"],
        &["completions", "bash"],
        &["seed", example],
        &["orders", "review"],
        &["simulate", "--virtual", "--visitors", "10"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(PROGRAM);
        command.current_dir(house.path()).args(arguments).stdin(Stdio::null()).stdout(writer);
        let output = command.output().expect("the program runs");
        assert_eq!(output.status.code(), Some(NOBODY_READS), "{arguments:?}: {}", said(&output));
        assert_eq!(said(&output), "", "{arguments:?}");
    }
    let again = vestibule(house.path(), &["seed", example]);
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(told.lines().any(|line| line.trim() == "seats       0"), "all of it was stored before: {told}");
}
