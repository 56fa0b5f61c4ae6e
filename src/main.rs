//! The one binary: decides what runs, and holds no behaviour of the product.

mod cli;
mod clock;
mod commands;
mod config;
mod failure;
mod keys;
mod out;
mod serve;
mod telemetry;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use config::{Config, SettingsError};
use serve::Role;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            failure::exit_code(&error)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a program that could not go on")]
fn report(error: &anyhow::Error) {
    eprintln!("vestibule: {error:#}");
}

fn start(cli: Cli) -> Result<()> {
    if let Some(Command::Completions { shell }) = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "vestibule", &mut out::Out);
        return Ok(());
    }
    let config = Config::load(&cli.settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(cli.command, config))
}

async fn run(command: Option<Command>, mut config: Config) -> Result<()> {
    match command {
        None => serve::run(Role::All, config).await,
        Some(Command::WaitingRoom) => serve::run(Role::WaitingRoom, config).await,
        Some(Command::Core { services }) => {
            if !services.is_empty() {
                config.settings.core.services = services.try_into().map_err(SettingsError::new)?;
            }
            serve::run(Role::Core, config).await
        }
        Some(Command::Sandbox) => serve::run(Role::Sandbox, config).await,
        Some(Command::Validate) => commands::validate::run(&config),
        Some(Command::Seed(arguments)) => commands::seed::run(&arguments, config).await,
        Some(Command::Room(command)) => commands::room::run(command, &config).await,
        Some(Command::Orders(command)) => commands::orders::run(command, config).await,
        Some(Command::Outbox(command)) => {
            config.place_databases();
            commands::outbox::run(command, &config).await
        }
        Some(Command::Simulate(arguments)) => commands::simulate::run(&arguments, &config).await,
        Some(Command::VerifyDraw(arguments)) => commands::verify_draw::run(&arguments, &config).await,
        Some(Command::Codes(arguments)) => commands::codes::run(&arguments),
        Some(Command::Customers(arguments)) => commands::customers::run(&arguments, config).await,
        Some(Command::Doctor) => commands::doctor::run(&config).await,
        Some(Command::Healthcheck) => commands::healthcheck::run(&config).await,
        Some(Command::Completions { .. }) => Ok(()),
    }
}
