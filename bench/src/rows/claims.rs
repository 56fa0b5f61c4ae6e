//! A ticket that was copied a thousand times lets one in.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Finding;
use crate::http::Connection;
use crate::servers::Bench;
use crate::visitor::Visitor;

const CLONES: usize = 1_000;
const DOORS: usize = 3;

pub(super) async fn clones(bench: &Bench) -> Result<Finding> {
    let redis = bench.redis().await?;
    let folder = bench.folder("doors")?;
    let settings = [
        ("waiting_room.store", redis.url.clone()),
        ("waiting_room.rooms.demo.rate_per_minute", "6000".to_owned()),
        ("waiting_room.rooms.demo.burst", "1".to_owned()),
    ];
    let mut doors = Vec::new();
    for _ in 0..DOORS {
        doors.push(bench.door(&folder, &settings).await?);
    }
    sleep(Duration::from_secs(1)).await;
    let (mut runs, mut answered) = (Vec::new(), 0);
    for _ in 0..bench.runs(5, 1) {
        // The first has the calm room's place, so the second waits and is called.
        Visitor::join(doors[0].process.address).await?;
        let ticket = Visitor::join(doors[0].process.address).await?;
        if ticket.entry.is_none() {
            ticket.wait(Duration::from_secs(20)).await?;
        }
        let claim = ticket.call("POST", "entry");
        let mut claims = JoinSet::new();
        for clone in 0..CLONES {
            let (address, claim) = (doors[clone % DOORS].process.address, claim.clone());
            claims.spawn(async move {
                let mut connection = Connection::open(address).await?;
                Ok::<_, anyhow::Error>(connection.send(&claim).await?.json())
            });
        }
        let mut sessions = BTreeSet::new();
        for answer in claims.join_all().await {
            if let Some(token) = answer?["entry_token"].as_str() {
                sessions.insert(session_of(token)?);
                answered += 1;
            }
        }
        runs.push(sessions.len());
    }
    let most = runs.iter().max().copied().unwrap_or(0);
    let least = runs.iter().min().copied().unwrap_or(0);
    let measured = format!("{most} session (of {CLONES} claims over {DOORS} doors, {} runs)", runs.len());
    let note = format!("{answered} answers had the token of that session");
    Ok(Finding::new((least, most) == (1, 1), measured).note(note))
}

/// The session that a token is for.
fn session_of(token: &str) -> Result<String> {
    let claims = token.split('.').nth(1).context("a token has claims")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    claims["jti"].as_str().map(str::to_owned).context("a token names its session")
}
