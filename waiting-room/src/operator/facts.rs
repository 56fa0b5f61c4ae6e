//! A room as operators see it, for the API, the events and the first picture of the dashboard.

use serde::Serialize;

use super::change::time_said;
use super::page;
use crate::door::{Room, Steered, eta};
use crate::facade::Door;
use crate::line::{Health, Method, Phase, Ramp, RoomState, Snapshot};
use crate::settings::OnStoreLoss;
use crate::stock::Remaining;
use crate::visitor::page::Left;

/// One room with everything an operator steers by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Facts {
    room: String,
    title: String,
    state: &'static str,
    /// What the state and the schedule mean for visitors now, in words.
    state_why: String,
    phase: &'static str,
    method: &'static str,
    rate_per_minute: u32,
    burst: u32,
    /// Where the rate goes, if it is on its way.
    ramp: Option<Ramp>,
    max_active: u32,
    queue_max: u64,
    prequeue_at: Option<String>,
    prequeue_at_ms: Option<i64>,
    opens_at: Option<String>,
    opens_at_ms: Option<i64>,
    closes_at: Option<String>,
    closes_at_ms: Option<i64>,
    session_renewal: bool,
    /// Live sessions.
    active: u64,
    /// Near the front and seen lately.
    present: u64,
    drawn: u64,
    waiting: u64,
    issued: u64,
    cursor: u64,
    called: u64,
    admitted_total: u64,
    admitted_last_minute: u64,
    /// Expected wait of who joins now, in milliseconds; null while nobody is let in.
    eta_ms: Option<u64>,
    at_ms: i64,
    store: &'static str,
    store_ok: bool,
    /// Who goes in while the store is away: `hold`, `local`, `open`.
    on_store_loss: &'static str,
    /// Since when new people get provisional tickets, epoch milliseconds.
    store_away_since_ms: Option<i64>,
    /// What that means, in words; empty while all is well.
    store_why: String,
    /// People with a provisional ticket who asked this node a short while ago.
    provisional: usize,
    /// People this node let in without the store.
    let_in_without_store: u64,
    message: String,
    remaining: Option<Stock>,
    autopilot: Option<Autopilot>,
}

/// The autopilot: its bounds, and why the rate is what it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Autopilot {
    floor: u32,
    ceiling: u32,
    p95_ms: u32,
    why: String,
    health: Health,
}

impl From<Steered> for Autopilot {
    fn from(Steered { bounds, why, health }: Steered) -> Autopilot {
        Autopilot { floor: bounds.floor, ceiling: bounds.ceiling, p95_ms: bounds.p95_ms, why, health }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Stock {
    free: i64,
    held: i64,
    sold: i64,
}

impl From<Remaining> for Stock {
    fn from(remaining: Remaining) -> Stock {
        Stock { free: remaining.free, held: remaining.held, sold: remaining.sold }
    }
}

impl Facts {
    pub(super) fn of(door: &Door, room: &Room) -> Facts {
        let line = room.snapshot();
        let wait = eta(line.waiting(), &line, room.pace_per_minute());
        Facts {
            room: room.name().to_owned(),
            title: room.title().to_owned(),
            state: line.state.as_str(),
            state_why: if room.store_ok() { state_why(&line) } else { format!("As last seen: {}", state_why(&line)) },
            phase: line.phase.as_str(),
            method: line.method.as_str(),
            rate_per_minute: line.rate_per_minute,
            burst: line.burst,
            ramp: line.ramp,
            max_active: line.max_active,
            queue_max: line.queue_max,
            prequeue_at: line.prequeue_at_ms.map(time_said),
            prequeue_at_ms: line.prequeue_at_ms,
            opens_at: line.opens_at_ms.map(time_said),
            opens_at_ms: line.opens_at_ms,
            closes_at: line.closes_at_ms.map(time_said),
            closes_at_ms: line.closes_at_ms,
            session_renewal: line.session_renewal,
            active: line.active,
            present: line.present,
            drawn: line.drawn,
            waiting: line.waiting(),
            issued: line.issued,
            cursor: line.cursor,
            called: line.called_waiting,
            admitted_total: line.admitted,
            admitted_last_minute: line.admitted_last_minute,
            eta_ms: wait.map(|wait| u64::midpoint(wait.low_ms, wait.high_ms)),
            at_ms: line.at_ms,
            store: door.store_kind(),
            store_ok: room.store_ok(),
            on_store_loss: room.on_store_loss().as_str(),
            store_away_since_ms: room.away_since_ms(),
            store_why: store_why(room),
            provisional: room.provisional(),
            let_in_without_store: room.let_in_without_store(),
            message: line.message.clone(),
            remaining: door.stock().of(room.name()).map(Stock::from),
            autopilot: room.steered().map(Autopilot::from),
        }
    }

    pub(super) fn all(door: &Door) -> Vec<Facts> {
        door.gate().rooms.iter().map(|room| Facts::of(door, room)).collect()
    }

    /// The same for the dashboard's template.
    pub(super) fn into_view(self, changes: Vec<page::Change>) -> page::Room {
        let time = |at: Option<String>| at.unwrap_or_default();
        page::Room {
            state: self.state,
            state_why: self.state_why,
            method: self.method,
            max_active: self.max_active,
            queue_max: self.queue_max,
            prequeue_at: time(self.prequeue_at),
            opens_at: time(self.opens_at),
            closes_at: time(self.closes_at),
            changes,
            room: self.room,
            title: self.title,
            rate_per_minute: self.rate_per_minute,
            burst: self.burst,
            waiting: self.waiting,
            called: self.called,
            admitted_total: self.admitted_total,
            admitted_last_minute: self.admitted_last_minute,
            active: self.active,
            eta_ms: self.eta_ms.and_then(|ms| i64::try_from(ms).ok()),
            store: self.store.to_owned(),
            store_ok: self.store_ok,
            store_why: self.store_why,
            remaining: self.remaining.map(|left| Left { free: left.free, held: left.held }),
            message: self.message,
            autopilot: self.autopilot.map(|autopilot| autopilot.why),
        }
    }
}

/// What the store's absence means for visitors now; empty while it is there and nobody waits for a number.
fn store_why(room: &Room) -> String {
    let Some(since_ms) = room.away_since_ms() else { return String::new() };
    // To the second: it is for people.
    let (since, people) = (time_said(since_ms.div_euclid(1_000) * 1_000), room.provisional());
    if room.store_ok() {
        return format!(
            "The store is back. {people} people who came while it was away get their numbers, oldest first."
        );
    }
    let inside = room.let_in_without_store();
    let goes_in = match room.on_store_loss() {
        OnStoreLoss::Hold => "nobody goes in".to_owned(),
        OnStoreLoss::Local => format!("this node lets in its part of the rate, {inside} people so far"),
        OnStoreLoss::Open => format!("EVERYBODY GOES IN, as you chose: {inside} people so far"),
    };
    format!("The store is away since {since}: {goes_in}. {people} people on this node wait for their numbers.")
}

/// What the state and the schedule mean for visitors now.
fn state_why(line: &Snapshot) -> String {
    let at = |at_ms: Option<i64>| at_ms.map(time_said).unwrap_or_default();
    match (line.state, line.phase) {
        (RoomState::SoldOut, _) => "Sold out: nobody joins and nobody goes in; who is inside goes on.".to_owned(),
        (RoomState::Closed, _) => "Closed: nobody joins and nobody goes in; who is inside goes on.".to_owned(),
        (_, Phase::Over) => format!("Over since {}: nobody joins and nobody goes in.", at(line.closes_at_ms)),
        (_, Phase::Early) => format!("Nobody can join before {}.", at(line.prequeue_at_ms)),
        (_, Phase::Prequeue) => format!("People gather; the first are called at {}.", at(line.opens_at_ms)),
        (RoomState::Paused, Phase::Running) => "Paused: people may join, nobody is called.".to_owned(),
        (RoomState::Draining, Phase::Running) => "Draining: who is in line goes on, nobody new joins.".to_owned(),
        (RoomState::Open, Phase::Running) => match (line.method, line.max_active) {
            (Method::PassThrough, _) => "Open: everybody goes in at once and is only counted.".to_owned(),
            (Method::Fcfs | Method::Draw, 1..) if line.active >= u64::from(line.max_active) => {
                format!("Open, and full: {} of {} are inside; each who ends lets one in.", line.active, line.max_active)
            }
            (Method::Fcfs | Method::Draw, _) => "Open: people go in at the rate.".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_told_in_words() {
        for state in RoomState::ALL {
            for phase in Phase::ALL {
                for method in Method::ALL {
                    let line = Snapshot { state, phase, method, opens_at_ms: Some(0), ..Snapshot::default() };
                    assert!(state_why(&line).ends_with('.'), "{state:?} {phase:?}");
                }
            }
        }
        let full = Snapshot { active: 10, max_active: 10, ..Snapshot::default() };
        assert_eq!(state_why(&full), "Open, and full: 10 of 10 are inside; each who ends lets one in.");
    }
}
