//! The line's own simulation, as anybody can run it.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use crate::servers::{Bench, program_folder};

const SECONDS_MAX: f64 = 120.0;
const TIMES_MIN: f64 = 1_000.0;
const SEEDS_MIN: u64 = 1_000;

pub(super) fn measure(bench: &Bench) -> Result<Finding> {
    let seeds = bench.runs(SEEDS_MIN, 100);
    let mut command = Command::new(program_folder()?.join("vestibule"));
    let output = command.args(["simulate", "--virtual", "--json", "--seeds", &seeds.to_string()]).output()?;
    if !output.status.success() {
        return Ok(Finding::missed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let summary: Value = serde_json::from_slice(&output.stdout).context("a summary in JSON")?;
    let number = |name: &str| summary[name].as_f64().with_context(|| format!("no {name} in {summary}"));
    let (stories, took_s, times) = (number("stories")?, number("took_s")?, number("times_real_time")?);
    let measured = format!("{stories:.0} seeds in {took_s:.1} s, {times:.0} times real time, no rule broken");
    let holds = stories >= seeds as f64 && took_s <= SECONDS_MAX && times >= TIMES_MIN;
    Ok(Finding::new(holds, measured).note(format!("{} events", summary["events"])))
}
