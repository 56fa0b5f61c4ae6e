//! The crowds of k6 against a program that has one processor and 1 GiB, as `docker run -m 1g --cpus=1` would give it.

use anyhow::Result;

use super::{Finding, crowds};
use crate::servers::{Bench, program_folder};

const SCENARIOS: &str = "orders,coupons,rush";

pub(super) fn measure(bench: &Bench) -> Result<Finding> {
    let limits = bench.folder("limited")?.join("limits");
    let program = program_folder()?.join("vestibule");
    let limited = std::env::current_dir()?.join("deploy/limited");
    let more = [("LIMITED_PROGRAM", program.as_path()), ("LIMITED_REPORT", limits.as_path())];
    let ran = crowds::run(bench, SCENARIOS, &limited, &more)?;
    let told = ran.results.iter().map(|one| {
        let text = |name: &str| one[name].as_str().unwrap_or("?").to_owned();
        format!("{}: {}", text("scenario"), text("measured"))
    });
    let said = std::fs::read_to_string(&limits).unwrap_or_default();
    let by = said.lines().next().unwrap_or("by nothing");
    let most = said.lines().filter_map(|line| line.strip_prefix("most memory: ")?.strip_suffix(" MiB")?.parse().ok());
    let most = most.max().map_or_else(String::new, |most: u64| format!(", of which it used {most} MiB"));
    let measured = format!("{}; limited {by}{most}", told.collect::<Vec<_>>().join("; "));
    let all = ran.results.len() == SCENARIOS.split(',').count() && ran.results.iter().all(|one| one["holds"] == true);
    Ok(ran.failed.into_iter().fold(Finding::new(ran.well && all && !said.is_empty(), measured), Finding::note))
}
