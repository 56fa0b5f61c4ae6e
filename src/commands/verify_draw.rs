//! `vestibule verify-draw`: computes a room's draw again from what is published about it, and says what it found.

use std::fs;

use anyhow::{Context, Result, bail};
use waiting_room::TicketClaims;
use waiting_room::line::{Draw, DrawEvidence};

use super::{client, json, send};
use crate::cli::VerifyDrawArgs;
use crate::config::Config;
use crate::out::say;

/// Fetches or reads the evidence, checks it, and prints the place that was asked for.
pub(crate) async fn run(arguments: &VerifyDrawArgs, config: &Config) -> Result<()> {
    let evidence = match &arguments.file {
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is not a draw's evidence", file.display()))?
        }
        None => fetch(arguments, config).await?,
    };
    say!("room        {}", evidence.room);
    if !evidence.lane.is_empty() {
        say!("lane        {}", evidence.lane);
    }
    say!("commitment  {}", evidence.commitment);
    if let Some(noted) = &arguments.commitment {
        if !noted.trim().eq_ignore_ascii_case(&evidence.commitment) {
            bail!("the commitment is NOT the one that you noted");
        }
        say!("            is the one that you noted");
    }
    let draw = evidence.check()?;
    say!("            matches the seed that was published");
    say!(
        "order       computed again for {} registrations, digest {}, {}",
        draw.count(),
        evidence.digest,
        if evidence.beacon.is_empty() { "no beacon".to_owned() } else { format!("beacon {:?}", evidence.beacon) }
    );
    if let Some(number) = number(arguments, &evidence)? {
        say!("number {number:<5}{}", said(&draw, number));
    }
    Ok(())
}

async fn fetch(arguments: &VerifyDrawArgs, config: &Config) -> Result<DrawEvidence> {
    let default = || format!("http://{}/.waiting-room/rooms/demo/draw", config.settings.listen.door);
    let url = arguments.url.clone().unwrap_or_else(default);
    let answer = json(send(client()?.get(&url), "listen.door").await?).await?;
    serde_json::from_value(answer).with_context(|| format!("{url} does not answer with a draw's evidence"))
}

/// The number that was asked for, by itself or in a ticket of the same line.
fn number(arguments: &VerifyDrawArgs, evidence: &DrawEvidence) -> Result<Option<u64>> {
    let Some(text) = &arguments.ticket else { return Ok(arguments.number) };
    let ticket = TicketClaims::read(text.trim()).context("the ticket cannot be read")?;
    if (&ticket.room, ticket.epoch) != (&evidence.room, evidence.epoch) {
        bail!("the ticket is of another line: room {}, epoch {}", ticket.room, ticket.epoch);
    }
    if ticket.lane != evidence.lane_index {
        bail!("the ticket is of another lane of the room: ask for its evidence with ?lane=NAME");
    }
    Ok(Some(ticket.number))
}

fn said(draw: &Draw, number: u64) -> String {
    match draw.place_of(number) {
        Some(place) => format!("place {place}"),
        None if number == 0 => "is no number".to_owned(),
        None => format!("place {number}: came after the draw, first come, first served"),
    }
}
