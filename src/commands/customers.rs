//! `vestibule customers`: makes customers for a load test. Registering ten thousand would test nothing but password hashes.
//!
//! No open door: it writes to the database that the settings name, and signs with the key in the data folder. Who can
//! read those is in already.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use gateway_core::{Office, OpenError};

use crate::cli::CustomersArgs;
use crate::clock;
use crate::config::Config;
use crate::failure::Down;
use crate::keys::KeyFolder;
use crate::out::say;

/// Makes them, and writes down their tokens.
pub(crate) async fn run(arguments: &CustomersArgs, mut config: Config) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&arguments.out);
    let file = file.with_context(|| format!("cannot write {}", arguments.out.display()))?;
    config.place_databases();
    let keys = KeyFolder::open(config.data_dir())?;
    let (settings, secrets, clock) = (&config.settings.core, keys.of_the_core()?, clock::start());
    let office = match Office::open(settings, clock.clone()).await {
        Ok(office) => office,
        Err(OpenError::Unreachable(reason)) => {
            return Err(Down(format!("core.database_url: {:#}", anyhow::Error::new(reason))).into());
        }
        Err(error) => return Err(error.into()),
    };
    let customers = office.make_customers(arguments.count, settings, &secrets, clock).await?;
    let mut out = BufWriter::new(file);
    for (id, token) in customers {
        writeln!(out, "{id} {token}")?;
    }
    out.flush()?;
    say!("{} customers, their tokens in {}", arguments.count, arguments.out.display());
    Ok(())
}
