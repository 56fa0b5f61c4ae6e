//! Measures the line against what it promises, on servers of its own: Redis, nginx and doors as real processes on free
//! ports of the loopback. Prints one row a promise and fails if one is missed. `deploy/bench line` builds and starts it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what it is for")]

mod figure;
mod http;
mod load;
mod rows;
mod servers;
mod single;
mod upstream;
mod visitor;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use rows::{Finding, Row};
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
    Line {
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
    },
    /// The peer of the row `joins`: a door whose every join is a call of its own
    #[command(hide = true)]
    SingleDoor(single::SingleDoor),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let runtime = match &command {
        // One thread: the servers that are measured need the others.
        Command::Line { .. } => tokio::runtime::Builder::new_current_thread().enable_all().build(),
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
        Command::Line { list: true, .. } => {
            for row in Row::ALL {
                println!("{:<13} {}: {}", row.name(), row.what(), row.target());
            }
            Ok(true)
        }
        Command::Line { only, quick, markdown, .. } => {
            let rows = chosen(&only)?;
            let bench = Bench::new(quick)?;
            // Dropped on a signal, everything that was started is stopped.
            tokio::select! {
                held = measure(&bench, &rows, markdown) => Ok(held),
                signal = stopped() => { signal?; bail!("stopped by a signal") }
            }
        }
    }
}

fn chosen(only: &[String]) -> Result<Vec<Row>> {
    if only.is_empty() {
        return Ok(Row::ALL.to_vec());
    }
    if let Some(unknown) = only.iter().find(|name| !Row::ALL.iter().any(|row| row.name() == **name)) {
        bail!("there is no row `{unknown}`; see deploy/bench line --list");
    }
    Ok(Row::ALL.into_iter().filter(|row| only.iter().any(|name| name == row.name())).collect())
}

async fn measure(bench: &Bench, rows: &[Row], markdown: bool) -> bool {
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
    print(&findings, markdown);
    let missed = findings.iter().filter(|(_, finding)| !finding.holds).count();
    println!("{} held, {missed} missed", findings.len() - missed);
    missed == 0
}

fn print(findings: &[(Row, Finding)], markdown: bool) {
    if markdown {
        println!("| what | to reach | measured | `./deploy/bench line --only` |\n|---|---|---|---|");
    }
    for (row, Finding { measured, holds, .. }) in findings {
        let (what, target, name) = (row.what(), row.target(), row.name());
        if markdown {
            println!("| {what} | {target} | {}{measured} | `{name}` |", if *holds { "" } else { "**missed:** " });
        } else {
            let verdict = if *holds { "pass" } else { "FAIL" };
            println!("\n{verdict}  {what}\n      to reach  {target}\n      measured  {measured}");
            println!("      alone     ./deploy/bench line --only {name}");
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
