//! Somebody in line at one door, asking when told to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use crate::http::{Connection, request};

pub(crate) struct Visitor {
    door: SocketAddr,
    pub(crate) number: u64,
    pub(crate) ticket: String,
    /// Inside, with this token.
    pub(crate) entry: Option<String>,
}

impl Visitor {
    /// Takes a place.
    pub(crate) async fn join(door: SocketAddr) -> Result<Visitor> {
        let mut connection = Connection::open(door).await?;
        let facts = connection.send(&request("POST", "/.waiting-room/rooms/demo/tickets", &[])).await?.json();
        let ticket = facts["ticket"].as_str().with_context(|| format!("no ticket in {facts}"))?.to_owned();
        let number = facts["number"].as_u64().with_context(|| format!("no number in {facts}"))?;
        Ok(Visitor { door, number, ticket, entry: facts["entry_token"].as_str().map(str::to_owned) })
    }

    /// The bytes of a call with the ticket.
    pub(crate) fn call(&self, method: &str, call: &str) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.ticket);
        let headers = [("authorization", bearer.as_str()), ("accept", "application/json")];
        request(method, &format!("/.waiting-room/rooms/demo/{call}"), &headers)
    }

    async fn ask(&self, method: &str, call: &str) -> Result<Value> {
        Ok(Connection::open(self.door).await?.send(&self.call(method, call)).await?.json())
    }

    /// Polls as told until it is called.
    pub(crate) async fn wait(&self, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        loop {
            let facts = self.ask("GET", "ticket").await?;
            if facts["state"] == "called" {
                return Ok(());
            }
            ensure!(Instant::now() < end, "number {} was not called: {facts}", self.number);
            sleep(Duration::from_millis(facts["poll_after_ms"].as_u64().unwrap_or(500))).await;
        }
    }

    /// Waits for the turn as told, and goes in.
    pub(crate) async fn enter(&mut self, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        while self.entry.is_none() {
            ensure!(Instant::now() < end, "number {} was not let in", self.number);
            self.wait(within).await?;
            let facts = self.ask("POST", "entry").await?;
            self.entry = facts["entry_token"].as_str().map(str::to_owned);
            if self.entry.is_none() {
                sleep(Duration::from_millis(facts["poll_after_ms"].as_u64().unwrap_or(500))).await;
            }
        }
        Ok(())
    }

    /// Uses the entry once, at what stands behind the door; the status.
    pub(crate) async fn order(&self) -> Result<u16> {
        let entry = self.entry.as_deref().context("nobody orders from outside")?;
        let buy = request("GET", "/buy", &[("x-entry-token", entry)]);
        Ok(Connection::open(self.door).await?.send(&buy).await?.status)
    }
}
