//! A room as operators see it, for the API, the events and the first picture of the dashboard.

use serde::Serialize;

use super::page;
use crate::door::{Room, Steered, eta};
use crate::facade::Door;
use crate::line::Health;
use crate::stock::Remaining;
use crate::visitor::page::Left;

/// One room with everything an operator steers by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Facts {
    room: String,
    title: String,
    state: &'static str,
    rate_per_minute: u32,
    burst: u32,
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
        let wait = eta(line.waiting(), &line);
        Facts {
            room: room.name().to_owned(),
            title: room.title().to_owned(),
            state: line.state.as_str(),
            rate_per_minute: line.rate_per_minute,
            burst: line.burst,
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
            message: line.message.clone(),
            remaining: door.stock().of(room.name()).map(Stock::from),
            autopilot: room.steered().map(Autopilot::from),
        }
    }

    pub(super) fn all(door: &Door) -> Vec<Facts> {
        door.gate().rooms.iter().map(|room| Facts::of(door, room)).collect()
    }

    /// The same for the dashboard's template.
    pub(super) fn into_view(self) -> page::Room {
        page::Room {
            paused: self.state == crate::line::RoomState::Paused.as_str(),
            room: self.room,
            title: self.title,
            rate_per_minute: self.rate_per_minute,
            burst: self.burst,
            waiting: self.waiting,
            called: self.called,
            admitted_total: self.admitted_total,
            admitted_last_minute: self.admitted_last_minute,
            sessions_live: None,
            eta_ms: self.eta_ms.and_then(|ms| i64::try_from(ms).ok()),
            store: self.store.to_owned(),
            store_ok: self.store_ok,
            remaining: self.remaining.map(|left| Left { free: left.free, held: left.held }),
            message: self.message,
            autopilot: self.autopilot.map(|autopilot| autopilot.why),
        }
    }
}
