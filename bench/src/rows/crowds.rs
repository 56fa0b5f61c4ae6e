//! Crowds by k6, through the front door of a Vestibule with everything in one process: `k6/run` starts it, holds the
//! scenario to its thresholds and asks the database afterwards.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use crate::servers::{Bench, program_folder};

/// Runs one scenario of `k6/scenarios`.
pub(super) fn measure(bench: &Bench, scenario: &str) -> Result<Finding> {
    let ran = run(bench, scenario, &program_folder()?.join("vestibule"), &[])?;
    let result = ran.results.first().context("no scenario ran")?;
    let measured = result["measured"].as_str().context("a scenario without figures")?.to_owned();
    let finding = Finding::new(result["holds"] == true && ran.well, measured);
    let load = result["load_before"].as_f64().unwrap_or(f64::NAN);
    Ok(ran.failed.into_iter().fold(finding.note(format!("load {load:.1} before")), Finding::note))
}

/// What `k6/run` wrote.
pub(super) struct Ran {
    pub(super) results: Vec<Value>,
    pub(super) well: bool,
    pub(super) failed: Vec<String>,
}

/// Runs scenarios against this program, with more in its environment.
pub(super) fn run(bench: &Bench, scenarios: &str, program: &Path, more: &[(&str, &Path)]) -> Result<Ran> {
    let reports = bench.folder("k6")?;
    let mut command = Command::new("k6/run");
    command.args([bench.runs("seed", "ci"), "--only", scenarios, "--release"]).stdin(Stdio::null());
    command.env("REPORT_DIR", &reports).env("VESTIBULE_TEST_BIN", program).envs(more.iter().copied());
    let output = command.output().context("k6/run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let results = std::fs::read_to_string(reports.join("k6-results.json"))
        .with_context(|| format!("k6/run wrote no results: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
    let results: Value = serde_json::from_str(&results)?;
    let failed = said.lines().filter(|line| line.starts_with("FAILED")).map(ToOwned::to_owned).collect();
    let results = results["scenarios"].as_array().cloned().unwrap_or_default();
    Ok(Ran { results, well: output.status.success(), failed })
}
