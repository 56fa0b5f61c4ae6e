//! Measures the line and the core against what they promise, on servers of its own: Redis, nginx, MariaDB, doors and
//! cores as real processes on free ports of the loopback. Prints one row a promise and fails if one is missed.
//! `deploy/bench` builds and starts it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what it is for")]

mod core;
mod figure;
mod http;
mod load;
mod rows;
mod servers;
mod single;
mod story;
mod upstream;
mod visitor;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use rows::{Finding, Part, Row};
use servers::Bench;

#[derive(Debug, Parser)]
#[command(name = "vestibule-bench", max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the rows of the line
    Line(Choice),
    /// Measure the rows of the core
    Core(Choice),
    /// The peer of the row `joins`: a door whose every join is a call of its own
    #[command(hide = true)]
    SingleDoor(single::SingleDoor),
}

#[derive(Debug, clap::Args)]
struct Choice {
    /// Only these rows (see --list)
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    only: Vec<String>,
    /// Fewer and shorter runs: whether it works, not how well
    #[arg(long)]
    quick: bool,
    /// Print the table as the README has it
    #[arg(long)]
    markdown: bool,
    /// Say what each row measures, and stop
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let runtime = match &command {
        // One thread: the servers that are measured need the others.
        Command::Line(_) | Command::Core(_) => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        Command::SingleDoor(_) => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
    };
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(command)));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every row held.
async fn run(command: Command) -> Result<bool> {
    match command {
        Command::SingleDoor(door) => door.serve().await.map(|()| true),
        Command::Line(choice) => measured(Part::Line, choice).await,
        Command::Core(choice) => measured(Part::Core, choice).await,
    }
}

async fn measured(part: Part, choice: Choice) -> Result<bool> {
    if choice.list {
        for row in part.rows() {
            println!("{:<14} {}: {}", row.name(), row.what(), row.target());
        }
        return Ok(true);
    }
    let rows = chosen(part, &choice.only)?;
    let bench = Bench::new(choice.quick)?;
    // Dropped on a signal, everything that was started is stopped.
    tokio::select! {
        held = measure(&bench, part, &rows, choice.markdown) => Ok(held),
        signal = stopped() => { signal?; bail!("stopped by a signal") }
    }
}

fn chosen(part: Part, only: &[String]) -> Result<Vec<Row>> {
    let rows = part.rows().iter().copied();
    if only.is_empty() {
        return Ok(rows.collect());
    }
    if let Some(unknown) = only.iter().find(|name| !part.rows().iter().any(|row| row.name() == **name)) {
        bail!("there is no row `{unknown}`; see deploy/bench {} --list", part.name());
    }
    Ok(rows.filter(|row| only.iter().any(|name| name == row.name())).collect())
}

async fn measure(bench: &Bench, part: Part, rows: &[Row], markdown: bool) -> bool {
    let mut findings = Vec::new();
    for row in rows {
        eprintln!("== {}: {}", row.name(), row.what());
        // A row that could not be measured is a row that is missed.
        let finding =
            row.measure(bench).await.unwrap_or_else(|error| Finding::missed(format!("not measured: {error:#}")));
        eprintln!("   {} {}", if finding.holds { "held:" } else { "MISSED:" }, finding.measured);
        for note in &finding.notes {
            eprintln!("   {note}");
        }
        findings.push((*row, finding));
    }
    print(part, &findings, markdown);
    let missed = findings.iter().filter(|(_, finding)| !finding.holds).count();
    println!("{} held, {missed} missed", findings.len() - missed);
    missed == 0
}

fn print(part: Part, findings: &[(Row, Finding)], markdown: bool) {
    let part = part.name();
    if markdown {
        println!("| what | to reach | measured | `./deploy/bench {part} --only` |\n|---|---|---|---|");
    }
    for (row, Finding { measured, holds, .. }) in findings {
        let (what, target, name) = (row.what(), row.target(), row.name());
        if markdown {
            println!("| {what} | {target} | {}{measured} | `{name}` |", if *holds { "" } else { "**missed:** " });
        } else {
            let verdict = if *holds { "pass" } else { "FAIL" };
            println!("\n{verdict}  {what}\n      to reach  {target}\n      measured  {measured}");
            println!("      alone     ./deploy/bench {part} --only {name}");
        }
    }
    println!();
}

async fn stopped() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
