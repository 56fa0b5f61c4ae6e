//! `vestibule simulate --virtual`: the line itself in virtual time, without a server; a plot, and the rules checked.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;
use waiting_room::line::burst_for;
use waiting_room::simulation::{self, Arrivals, Outcome, Scenario};

use super::plot;
use crate::cli::{ArrivalsArg, SimulateArgs};
use crate::out::say;

/// Plays what was asked for, and prints what came of it.
pub(super) fn run(arguments: &SimulateArgs) -> Result<()> {
    match arguments.seeds {
        Some(seeds) => stories(arguments, seeds),
        None => one(arguments),
    }
}

fn scenario(arguments: &SimulateArgs) -> Scenario {
    Scenario {
        seed: arguments.seed,
        visitors: arguments.visitors,
        arrivals: match arguments.arrivals {
            ArrivalsArg::Spike => Arrivals::Spike,
            ArrivalsArg::Poisson => Arrivals::Poisson,
            ArrivalsArg::Flat => Arrivals::Flat,
        },
        over_ms: i64::from(arguments.over) * 1_000,
        rate_per_minute: arguments.rate,
        leave: arguments.leave,
        max_active: arguments.max_active,
        stays_ms: i64::from(arguments.stays) * 1_000,
        ..Scenario::default()
    }
}

/// One crowd, with a plot if asked for.
fn one(arguments: &SimulateArgs) -> Result<()> {
    let scenario = scenario(arguments);
    let started = Instant::now();
    let outcome = simulation::run(&scenario)?;
    let took_s = started.elapsed().as_secs_f64();
    if let Some(file) = &arguments.plot {
        fs::write(file, plot::svg(&outcome)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let bound = u64::from(scenario.rate_per_minute) + u64::from(burst_for(scenario.rate_per_minute));
    let speed = outcome.lasted_ms as f64 / 1_000.0 / took_s.max(1e-6);
    if arguments.json {
        let summary = json!({
            "seed": scenario.seed,
            "joined": outcome.joined,
            "admitted": outcome.admitted,
            "gone": outcome.gone,
            "still_waiting": outcome.waiting,
            "rate_per_minute": scenario.rate_per_minute,
            "admitted_worst_minute": outcome.worst_minute,
            "bound": bound,
            "share_used": outcome.share_used,
            "max_active": scenario.max_active,
            "most_inside": outcome.most_inside,
            "wait_ms": { "p50": outcome.waits.p50_ms, "p95": outcome.waits.p95_ms, "max": outcome.waits.max_ms },
            "polls": outcome.polls,
            "events": outcome.events,
            "virtual_ms": outcome.lasted_ms,
            "times_real_time": speed,
        });
        say!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        say!("{}", in_words(&scenario, &outcome, bound));
        say!("virtual time   {:.0} s in {took_s:.2} s: {speed:.0} times real time", seconds(outcome.lasted_ms));
    }
    Ok(())
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn in_words(scenario: &Scenario, outcome: &Outcome, bound: u64) -> String {
    let Outcome { joined, admitted, gone, waiting, worst_minute, most_inside, waits, polls, events, .. } = outcome;
    let share = outcome.share_used.map_or("no full minute to judge by".to_owned(), |share| {
        format!("{:.1} % of it in the worst minute in which people who were there waited", share * 100.0)
    });
    let cap = if scenario.max_active > 0 { format!(" (bound {})", scenario.max_active) } else { String::new() };
    let minutes = seconds(outcome.lasted_ms) / 60.0;
    format!(
        "admitted       {admitted} of {joined} who joined; {gone} went away, {waiting} still waiting\n\
         rate           {} per minute; {:.1} on average, most in any 60 s: {worst_minute} (bound {bound})\n\
         rate used      {share}\n\
         inside         {most_inside} at most{cap}\n\
         waits          p50 {:.1} s, p95 {:.1} s, longest {:.1} s\n\
         rules          W1 to W8 and the cap held after each of {events} events, {polls} polls among them",
        scenario.rate_per_minute,
        *admitted as f64 / minutes.max(1e-9),
        seconds(waits.p50_ms),
        seconds(waits.p95_ms),
        seconds(waits.max_ms),
    )
}

/// Random stories with faults, each of another seed; the first that breaks a rule ends it.
fn stories(arguments: &SimulateArgs, seeds: u32) -> Result<()> {
    let started = Instant::now();
    let (mut virtual_ms, mut events, mut admitted) = (0, 0, 0);
    for seed in arguments.seed..arguments.seed.saturating_add(seeds.into()) {
        match simulation::run(&Scenario::random(seed)) {
            Ok(outcome) => {
                virtual_ms += outcome.lasted_ms;
                events += outcome.events;
                admitted += outcome.admitted;
            }
            Err(violation) => {
                bail!("{violation}. To see it again: vestibule simulate --virtual --seeds 1 --seed {seed}")
            }
        }
    }
    let took_s = started.elapsed().as_secs_f64();
    let speed = seconds(virtual_ms) / took_s.max(1e-6);
    if arguments.json {
        let summary = json!({ "stories": seeds, "events": events, "admitted": admitted, "virtual_ms": virtual_ms,
            "took_s": took_s, "times_real_time": speed });
        say!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        say!("stories        {seeds}, {events} events, {admitted} people admitted; no rule was broken");
        say!("virtual time   {:.0} s in {took_s:.2} s: {speed:.0} times real time", seconds(virtual_ms));
    }
    Ok(())
}
