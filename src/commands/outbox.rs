//! `vestibule outbox …`: what the core's parts tell each other, from the core's own database. Works whether or not a core runs.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use gateway_core::DbError;
use gateway_core::base::{MessageId, rfc3339};
use gateway_core::letters::{Letter, Letters};

use crate::cli::OutboxCommand;
use crate::clock;
use crate::config::{Config, without_password};
use crate::failure::Down;
use crate::out::say;

/// Does what was asked, and prints what became of it.
pub(crate) async fn run(command: OutboxCommand, config: &Config) -> Result<()> {
    let url = &config.settings.core.database_url;
    // Connecting would make the file.
    if url.strip_prefix("sqlite://").is_some_and(|path| !Path::new(path).exists()) {
        return Err(Down(format!("there is no database at {url}. Has a core run there? (core.database_url)")).into());
    }
    let letters = Letters::open(&config.settings.core, clock::start()).await.map_err(|error| told(error, url))?;
    let done = match command {
        OutboxCommand::List { state, limit } => list(&letters, &state, limit).await,
        OutboxCommand::Show { id } => return show(&letters, &parsed(&id)?, url).await,
        OutboxCommand::Replay { id: Some(id), .. } => return replay(&letters, &parsed(&id)?, url).await,
        OutboxCommand::Replay { id: None, .. } => replay_all(&letters).await,
        OutboxCommand::Drop { id } => return drop(&letters, &parsed(&id)?, url).await,
    };
    done.map_err(|error| told(error, url))
}

fn told(error: DbError, url: &str) -> anyhow::Error {
    let url = without_password(url);
    let is_down = matches!(error, DbError::Unreachable(_) | DbError::Busy(_));
    let said = format!("{url}: {:#}. Has a core run there? (core.database_url)", anyhow::Error::new(error));
    if is_down { Down(said).into() } else { anyhow!(said) }
}

fn parsed(id: &str) -> Result<MessageId> {
    MessageId::parse(id).ok_or_else(|| anyhow!("{id} is no message's id: those look like msg_ and 32 hex digits"))
}

async fn list(letters: &Letters, state: &str, limit: i64) -> Result<(), DbError> {
    let found = letters.list(state, limit).await?;
    if found.is_empty() {
        say!("no message is {state}");
        return Ok(());
    }
    say!("{:<37} {:<18} {:<8} {:<24} {:>5}  LAST ERROR", "MESSAGE", "KIND", "TO", "WRITTEN", "TRIES");
    for Letter { id, kind, to, created_at, tries, last_error, .. } in found {
        let error = last_error.unwrap_or_default();
        say!("{:<37} {kind:<18} {to:<8} {:<24} {tries:>5}  {error}", id.to_string(), rfc3339(created_at));
    }
    Ok(())
}

async fn show(letters: &Letters, id: &MessageId, url: &str) -> Result<()> {
    let Some(letter) = letters.show(*id).await.map_err(|error| told(error, url))? else {
        bail!("there is no message {id}");
    };
    let rows = [
        ("message", letter.id.to_string()),
        ("order", letter.order.to_string()),
        ("kind", letter.kind),
        ("to", letter.to),
        ("state", letter.state),
        ("written", rfc3339(letter.created_at)),
        ("tries", letter.tries.to_string()),
        ("due", rfc3339(letter.due_at)),
        ("last_error", letter.last_error.unwrap_or_default()),
        ("payload", letter.payload),
    ];
    for (name, value) in rows {
        say!("{name:<12} {value}");
    }
    Ok(())
}

async fn replay(letters: &Letters, id: &MessageId, url: &str) -> Result<()> {
    if !letters.replay(*id).await.map_err(|error| told(error, url))? {
        bail!("{id} is not dead: nothing was done");
    }
    say!("{id} is tried again");
    Ok(())
}

async fn replay_all(letters: &Letters) -> Result<(), DbError> {
    let mut replayed = 0;
    for letter in letters.list("dead", i64::MAX).await? {
        replayed += usize::from(letters.replay(letter.id).await?);
    }
    say!("{replayed} messages are tried again");
    Ok(())
}

async fn drop(letters: &Letters, id: &MessageId, url: &str) -> Result<()> {
    if !letters.drop(*id).await.map_err(|error| told(error, url))? {
        bail!("{id} is not dead: nothing was done");
    }
    say!("{id} is given up");
    Ok(())
}
