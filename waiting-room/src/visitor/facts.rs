//! A standing in words: as JSON for apps and scripts, as the queue page's fields for browsers. The same facts in both.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::Visit;
use super::page::{Before, CountdownPage, Left, Lot, QueuePage, QueueState, Wait};
use crate::credential::Ticket;
use crate::door::{Eta, Grant, Room, Shut, Standing, Status, eta};
use crate::line::{LaneSnapshot, Method, Snapshot};
use crate::stock::Remaining;

/// What the API answers about a place in line.
#[derive(Debug, Serialize)]
pub(super) struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    room: &'a str,
    state: &'static str,
    /// The lane that the number and the position are of, in rooms with more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<String>,
    /// In the order of joining; a draw gives it another position.
    number: Option<u64>,
    position: Option<u64>,
    ahead: Option<u64>,
    /// To be sent back with the next poll: no node then shows a worse place.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a str>,
    eta: Option<Eta>,
    rate_per_minute: u32,
    poll_after_ms: u64,
    updated_at_ms: i64,
    server_now_ms: i64,
    #[serde(flatten)]
    opening: Option<Opening>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    remaining: Option<FreeAndHeld>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<i64>,
}

/// What is left to sell, as the page compares it with the people ahead.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct FreeAndHeld {
    free: i64,
    held: i64,
}

impl From<Remaining> for FreeAndHeld {
    fn from(remaining: Remaining) -> FreeAndHeld {
        FreeAndHeld { free: remaining.free, held: remaining.held }
    }
}

/// What is waited for before the opening.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Opening {
    /// When the phase ends, epoch milliseconds by the store's clock.
    next_at_ms: i64,
    next_in_ms: u64,
    registered: u64,
}

impl Opening {
    fn of(standing: &Standing) -> Option<Opening> {
        let next = standing.next?;
        Some(Opening { next_at_ms: next.at_ms, next_in_ms: next.left_ms, registered: standing.snapshot.issued() })
    }
}

impl<'a> Facts<'a> {
    pub(super) fn of(visit: Visit<'_>, room: &'a Room, standing: &'a Standing, grant: &'a Grant) -> Facts<'a> {
        Facts {
            ticket: grant.ticket.as_deref(),
            room: room.name(),
            state: if grant.entry.is_some() { "admitted" } else { word(standing.status) },
            lane: standing.ticket.as_ref().and_then(|ticket| lane_name(ticket, &standing.snapshot)),
            number: standing.ticket.as_ref().map(|ticket| ticket.number),
            position: standing.place.map(|place| place.number),
            ahead: standing.place.map(|place| place.ahead),
            seen: None,
            eta: standing.eta,
            rate_per_minute: standing.snapshot.rate_per_minute,
            poll_after_ms: standing.poll_after_ms,
            updated_at_ms: standing.snapshot.at_ms,
            server_now_ms: standing.now_ms,
            opening: Opening::of(standing),
            message: &standing.snapshot.message,
            remaining: visit.stock.of(room.name()).map(FreeAndHeld::from),
            entry_token: grant.entry.as_ref().map(|entry| entry.token.as_str()),
            expires_in_ms: grant.entry.as_ref().map(|entry| entry.expires_in_ms),
        }
    }

    /// Names what somebody would see change: not the time, nor when to ask again.
    pub(super) fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.state, self.position, self.ahead, self.rate_per_minute, self.message).hash(&mut hasher);
        self.eta.map(|eta| (eta.low_ms, eta.high_ms)).hash(&mut hasher);
        self.remaining.map(|left| (left.free, left.held)).hash(&mut hasher);
        self.opening.map(|opening| (opening.next_at_ms, opening.registered)).hash(&mut hasher);
        format!("W/\"{:016x}\"", hasher.finish())
    }

    pub(super) fn seen(self, seen: Option<&'a str>) -> Facts<'a> {
        Facts { seen, ..self }
    }

    /// The same facts of somebody who is inside.
    pub(super) fn admitted(self) -> Facts<'a> {
        Facts { state: "admitted", ..self }
    }
}

/// What the API answers about a room to anybody.
#[derive(Debug, Serialize)]
pub(super) struct RoomFacts<'a> {
    room: &'a str,
    title: &'a str,
    state: &'static str,
    phase: &'static str,
    method: &'static str,
    prequeue_at_ms: Option<i64>,
    opens_at_ms: Option<i64>,
    closes_at_ms: Option<i64>,
    #[serde(flatten)]
    opening: Option<Opening>,
    /// Of the room's draw, whether or not it will be made.
    commitment: String,
    waiting: u64,
    rate_per_minute: u32,
    lanes: Vec<LaneFacts<'a>>,
    /// For somebody who joins now, in the first lane.
    eta: Option<Eta>,
    poll_after_ms: u64,
    updated_at_ms: i64,
    server_now_ms: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    remaining: Option<FreeAndHeld>,
}

/// What anybody may know of a lane.
#[derive(Debug, Serialize)]
struct LaneFacts<'a> {
    lane: &'a str,
    weight: u32,
    waiting: u64,
    /// For somebody who joins it now.
    eta: Option<Eta>,
}

impl<'a> LaneFacts<'a> {
    fn all(standing: &'a Standing, room: &Room) -> Vec<LaneFacts<'a>> {
        let line = &standing.snapshot;
        let seen = standing.status != Status::OneMoment && standing.next.is_none();
        let facts = |(index, lane): (usize, &'a LaneSnapshot)| LaneFacts {
            lane: &lane.name,
            weight: lane.weight,
            waiting: lane.waiting(),
            eta: eta(lane.waiting(), index, line, room.pace_per_minute(index)).filter(|_| seen),
        };
        line.lanes.iter().enumerate().map(facts).collect()
    }
}

impl<'a> RoomFacts<'a> {
    pub(super) fn of(visit: Visit<'_>, room: &'a Room, standing: &'a Standing) -> RoomFacts<'a> {
        let line = &standing.snapshot;
        RoomFacts {
            room: room.name(),
            title: room.title(),
            state: if standing.status == Status::OneMoment { "one_moment" } else { line.state.as_str() },
            phase: line.phase.as_str(),
            method: line.method.as_str(),
            prequeue_at_ms: line.prequeue_at_ms,
            opens_at_ms: line.opens_at_ms,
            closes_at_ms: line.closes_at_ms,
            opening: Opening::of(standing),
            commitment: room.commitment(),
            waiting: line.waiting(),
            rate_per_minute: line.rate_per_minute,
            lanes: LaneFacts::all(standing, room),
            eta: standing.eta,
            poll_after_ms: standing.poll_after_ms,
            updated_at_ms: line.at_ms,
            server_now_ms: standing.now_ms,
            message: &line.message,
            remaining: visit.stock.of(room.name()).map(FreeAndHeld::from),
        }
    }
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Early => "early",
        Status::Prequeue => "prequeue",
        Status::Waiting => "waiting",
        Status::Called => "called",
        Status::Paused => "paused",
        Status::Moved => "moved",
        Status::Shut(Shut::SoldOut) => "sold_out",
        Status::Shut(_) => "closed",
        Status::OneMoment => "one_moment",
        Status::Provisional => "provisional",
    }
}

/// Fills the queue page.
pub(super) fn queue_page(visit: Visit<'_>, room: &Room, standing: &Standing) -> QueuePage {
    let line = &standing.snapshot;
    QueuePage {
        room: room.name().to_owned(),
        title: room.title().to_owned(),
        state: match standing.status {
            Status::Waiting => QueueState::Waiting,
            Status::Called => QueueState::Called,
            // Somebody who waits on the page of a room that was shut a moment ago is told so at the next look.
            Status::Paused | Status::Shut(_) => QueueState::Paused,
            // What has a page of its own is not shown on this one.
            Status::Provisional => QueueState::Provisional,
            Status::OneMoment | Status::Early | Status::Prequeue | Status::Moved => QueueState::OneMoment,
        },
        lot: lot(standing),
        lane: standing.ticket.as_ref().and_then(|ticket| lane_name(ticket, line)),
        position: standing.place.map_or(0, |place| place.number),
        ahead: standing.place.map_or(0, |place| place.ahead),
        eta: standing.eta.map(|eta| Wait { low_ms: signed(eta.low_ms), high_ms: signed(eta.high_ms) }),
        waited_ms: standing
            .ticket
            .as_ref()
            .map_or(0, |ticket| standing.now_ms.saturating_sub(ticket.issued_at_ms))
            .max(0),
        rate_per_minute: line.rate_per_minute,
        poll_after_ms: signed(standing.poll_after_ms),
        updated_at_ms: line.at_ms,
        server_now_ms: standing.now_ms,
        message: Some(line.message.clone()).filter(|message| !message.is_empty()),
        remaining: visit.stock.of(room.name()).map(|left| Left { free: left.free, held: left.held }),
        session_ms: room.session_ms(),
        code_onward: room
            .takes_codes()
            .then(|| visit.path.map_or_else(|| "/".to_owned(), crate::path::CanonicalPath::with_query)),
    }
}

/// The number that somebody drew their place with.
fn lot(standing: &Standing) -> Option<Lot> {
    let ticket = standing.ticket.as_ref()?;
    let lane = standing.snapshot.lane(ticket.lane.into())?;
    let lot = Lot {
        number: ticket.number,
        drawn: lane.drawn,
        epoch: standing.snapshot.epoch,
        lane: if ticket.lane == 0 { String::new() } else { lane.name.clone() },
    };
    (standing.place.is_some() && ticket.number <= lane.drawn).then_some(lot)
}

/// The name of a ticket's lane, in rooms that have more than one.
fn lane_name(ticket: &Ticket, line: &Snapshot) -> Option<String> {
    line.lane(ticket.lane.into()).filter(|_| line.lanes.len() > 1).map(|lane| lane.name.clone())
}

/// Fills the page before the opening, if the room has not opened.
pub(super) fn countdown_page(room: &Room, standing: &Standing) -> Option<CountdownPage> {
    let (line, next) = (&standing.snapshot, standing.next?);
    let draws =
        standing.place.is_none() && line.method == Method::Draw && line.lanes.iter().all(|lane| lane.cursor == 0);
    Some(CountdownPage {
        room: room.name().to_owned(),
        title: room.title().to_owned(),
        state: match (standing.status == Status::Early, draws) {
            (true, _) => Before::Joining,
            (false, true) => Before::Draw,
            (false, false) => Before::Opening,
        },
        at_ms: next.at_ms,
        left_ms: next.left_ms,
        number: standing.ticket.as_ref().map_or(0, |ticket| ticket.number),
        registered: line.issued(),
        poll_after_ms: standing.poll_after_ms,
        message: Some(line.message.clone()).filter(|message| !message.is_empty()),
        commitment: draws.then(|| room.commitment()),
        epoch: line.epoch,
    })
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
