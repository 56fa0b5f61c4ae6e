//! What the stories of `tests/faults` measured: each is one test on real processes that prints its figures.

use anyhow::Result;
use serde_json::Value;

use super::Finding;
use crate::servers::Bench;
use crate::story::{Book, count, tell};

const SHARE_MIN: f64 = 0.99;
/// Where nobody goes away and nothing breaks.
const ABANDONED: &str = "fault::abandoned";
const BROKEN: [&str; 9] = [
    "one_door_killed",
    "all_doors_killed",
    "redis_emptied",
    "replica_promoted",
    "redis_gone",
    "redis_stopped",
    "door_stopped",
    "clocks_two_hours_ahead",
    "clocks_two_hours_back",
];

async fn abandoned(bench: &Bench) -> Result<&Value> {
    // Two rows of one run.
    bench
        .abandoned
        .get_or_try_init(|| async { tell(bench, Book::Faults, ABANDONED, None).map(|(figures, _)| figures) })
        .await
}

pub(super) async fn window(bench: &Bench) -> Result<Finding> {
    let figures = abandoned(bench).await?;
    let (full, allowed) = (count(figures, "fullest_minute"), count(figures, "minute_allows"));
    let measured = format!(
        "{full} of {allowed} allowed in the fullest 60 s; {} above in a window of any length up to 60 s",
        count(figures, "over_on_arrival")
    );
    let holds = full > 0 && full <= allowed && count(figures, "over_on_arrival") == 0;
    Ok(Finding::new(holds, measured).note(figures.to_string()))
}

pub(super) async fn share(bench: &Bench) -> Result<Finding> {
    let figures = abandoned(bench).await?;
    let share = figures["share"].as_f64().unwrap_or(0.0);
    let measured = format!(
        "{:.2} % in the emptiest {:.0} s ({} tickets, 7 of 10 gone)",
        share * 100.0,
        figures["share_over_s"].as_f64().unwrap_or(0.0),
        count(figures, "tickets")
    );
    Ok(Finding::new(share >= SHARE_MIN, measured))
}

pub(super) fn all(bench: &Bench) -> Result<Finding> {
    let mut sums = [0; 5];
    let (mut least, mut held, mut notes) = (f64::INFINITY, true, Vec::new());
    for story in BROKEN {
        let (figures, ended_well) = match tell(bench, Book::Faults, &format!("fault::{story}"), None) {
            Ok(told) => told,
            Err(error) => {
                held = false;
                notes.push(format!("{error:#}"));
                continue;
            }
        };
        for (sum, name) in sums.iter_mut().zip(["lost", "twice", "over_on_arrival", "unanswered", "asked"]) {
            *sum += count(&figures, name);
        }
        let share = figures["share"].as_f64().unwrap_or(0.0);
        least = least.min(share);
        held &= ended_well && share >= SHARE_MIN;
        notes.push(format!("{}{figures}", if ended_well { "" } else { "MISSED " }));
    }
    let [lost, twice, over, unanswered, asked] = sums;
    let measured = format!(
        "{lost} lost, {twice} twice, {over} over, {unanswered} of {asked} questions unanswered, at least {:.1} % of the rate",
        least * 100.0
    );
    let holds = held && lost + twice + over + unanswered == 0;
    Ok(notes.into_iter().fold(Finding::new(holds, measured), Finding::note))
}
