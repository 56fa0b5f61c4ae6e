//! `vestibule simulate`: sends visitors through a running door, as an app would, and reports what they met; or, with
//! `--virtual`, drives the line itself.

mod offline;
mod plot;
mod report;
mod visitor;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{json, send};
use crate::cli::SimulateArgs;
use crate::config::Config;
use crate::out::say;
use report::Report;
use visitor::Plan;

/// A poll that takes longer than this counts as an error of the door.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The most visitors through a real door: each holds a connection.
const VISITORS_MAX: u32 = 100_000;

/// Runs the visitors and prints the summary.
pub(crate) async fn run(arguments: &SimulateArgs, config: &Config) -> Result<()> {
    if arguments.offline {
        return offline::run(arguments);
    }
    ensure!(
        arguments.visitors <= VISITORS_MAX,
        "at most {VISITORS_MAX} visitors fit through a real door; --virtual has room"
    );
    let door = arguments.url.clone().unwrap_or_else(|| format!("http://{}", config.settings.listen.door));
    let client = Client::builder().timeout(ANSWER_WITHIN).build().context("cannot make an HTTP client")?;
    let rate = rate_per_minute(&client, &door, &arguments.room).await?;
    let site = Arc::new(visitor::Site { client, door, room: arguments.room.clone(), path: arguments.path.clone() });

    let bar = progress(arguments, rate);
    let started = Instant::now();
    let mut visitors = JoinSet::new();
    for plan in plans(arguments) {
        let site = Arc::clone(&site);
        visitors.spawn(async move { visitor::go(&site, plan, started).await });
    }
    let mut report = Report::new(rate);
    let deadline = tokio::time::sleep(Duration::from_secs(arguments.limit.into()));
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            next = visitors.join_next() => match next {
                Some(fate) => {
                    report.add(fate.context("a visitor's task failed")?);
                    bar.inc(1);
                    bar.set_message(report.in_short());
                }
                None => break,
            },
            () = &mut deadline => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    report.still_waiting(visitors.len());
    visitors.abort_all();
    bar.finish_and_clear();
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&report.summary())?);
    } else {
        say!("{report}");
    }
    Ok(())
}

async fn rate_per_minute(client: &Client, door: &str, room: &str) -> Result<u32> {
    let facts = json(send(client.get(format!("{door}/.waiting-room/rooms/{room}")), "listen.door").await?).await?;
    let rate = facts.get("rate_per_minute").and_then(Value::as_u64).context("the door did not tell the room's rate")?;
    Ok(u32::try_from(rate)?)
}

fn progress(arguments: &SimulateArgs, rate: u32) -> ProgressBar {
    let bar = ProgressBar::new(arguments.visitors.into());
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    if rate > 0 && !arguments.json {
        let minutes = f64::from(arguments.visitors) * (1.0 - arguments.leave) / f64::from(rate);
        bar.println(format!("{} visitors at {rate} per minute: about {minutes:.1} min", arguments.visitors));
    }
    bar
}

/// Who comes when, and who leaves: the same seed gives the same crowd.
fn plans(arguments: &SimulateArgs) -> Vec<Plan> {
    let mut random = StdRng::seed_from_u64(arguments.seed);
    let over_ms = u64::from(arguments.over) * 1_000;
    (0..arguments.visitors)
        .map(|_| Plan {
            arrives_after: Duration::from_millis(random.random_range(0..=over_ms)),
            leaves: random.random_bool(arguments.leave).then(|| random.random_range(1..=3)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ArrivalsArg;

    #[test]
    fn the_same_seed_gives_the_same_crowd() {
        let arguments = |seed| SimulateArgs {
            visitors: 500,
            over: 10,
            leave: 0.2,
            room: "demo".to_owned(),
            url: None,
            path: "/".to_owned(),
            limit: 1,
            seed,
            json: false,
            offline: false,
            seeds: None,
            rate: 60,
            arrivals: ArrivalsArg::Spike,
            max_active: 0,
            stays: 60,
            plot: None,
        };
        let crowd = plans(&arguments(7));
        assert_eq!(crowd, plans(&arguments(7)));
        assert_ne!(crowd, plans(&arguments(8)));
        let leaving = crowd.iter().filter(|plan| plan.leaves.is_some()).count();
        assert!((50..150).contains(&leaving), "{leaving} of 500 leave at 0.2");
        assert!(crowd.iter().all(|plan| plan.arrives_after <= Duration::from_secs(10)));
    }
}
