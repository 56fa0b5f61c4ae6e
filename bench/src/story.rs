//! Stories that the tests tell: each is one test on real processes, or over many random events, that prints its figures.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::servers::Bench;

/// Where a story is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Book {
    /// `tests/faults`.
    Faults,
    /// The libraries' own tests.
    Libraries,
}

/// Tells one story, on the server at `mysql` where it is told on one; what it measured, and whether it ended well.
pub(crate) fn tell(bench: &Bench, book: Book, story: &str, mysql: Option<&str>) -> Result<(Value, bool)> {
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--workspace", "--locked", "--quiet"]);
    match book {
        Book::Faults => command.args(["--test", "faults"]),
        Book::Libraries => command.arg("--lib"),
    };
    command.args(["--", "--nocapture", "--exact", story]).env("CI", "true").stdin(Stdio::null());
    command.envs(mysql.map(|url| ("VESTIBULE_TEST_MYSQL_URL", url)));
    command.env("VESTIBULE_TEST_FAULTS_LONG", bench.runs("1", "0"));
    command.env("VESTIBULE_TEST_EVENTS", bench.runs("1000000", "100000"));
    let output = command.output().context("cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let figures = said.lines().find(|line| line.starts_with('{') && line.contains("\"story\""));
    let figures = figures.with_context(|| format!("{story} measured nothing: {}", tail(&said)))?;
    Ok((serde_json::from_str(figures)?, output.status.success()))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join(" / ")
}

/// A figure; too many where there is none.
pub(crate) fn count(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or(u64::MAX / 16)
}
