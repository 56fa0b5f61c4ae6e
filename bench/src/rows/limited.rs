//! The crowds of k6 against a program that has one processor and 1 GiB, as `docker run -m 1g --cpus=1` would give it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use crate::servers::{Bench, program_folder};

const SCENARIOS: &str = "orders,coupons,rush";

pub(super) fn measure(bench: &Bench) -> Result<Finding> {
    let reports = bench.folder("limited")?;
    let mut command = Command::new("k6/run");
    command.args([bench.runs("seed", "ci"), "--only", SCENARIOS, "--release"]).stdin(Stdio::null());
    command.env("REPORT_DIR", &reports).env("VESTIBULE_TEST_BIN", std::env::current_dir()?.join("deploy/limited"));
    command.env("LIMITED_PROGRAM", program_folder()?.join("vestibule")).env("LIMITED_REPORT", reports.join("limits"));
    let output = command.output().context("k6/run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let results = std::fs::read_to_string(reports.join("k6-results.json"))
        .with_context(|| format!("k6/run wrote no results: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
    let results: Value = serde_json::from_str(&results)?;
    let all = results["scenarios"].as_array().context("no scenario ran")?;
    let told = all.iter().map(|one| {
        let name = one["scenario"].as_str().or(one["name"].as_str()).unwrap_or("scenario");
        format!("{name}: {}", one["measured"].as_str().unwrap_or("no figures"))
    });
    let limits = std::fs::read_to_string(reports.join("limits")).unwrap_or_default();
    let by = limits.lines().next().unwrap_or("by nothing");
    let measured = format!("{}; limited {by}", told.collect::<Vec<_>>().join("; "));
    let held = output.status.success() && all.iter().all(|one| one["holds"] == true) && !limits.is_empty();
    let failed = said.lines().filter(|line| line.starts_with("FAILED")).map(ToOwned::to_owned);
    Ok(failed.fold(Finding::new(held, measured), Finding::note))
}
