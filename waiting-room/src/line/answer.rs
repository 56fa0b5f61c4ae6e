//! What the line answers: plain values that the door turns into words. No decisions.

use serde::{Deserialize, Serialize};

use super::{
    identity::Identity,
    number::{lane_of, within_lane},
    proofs::Proof,
    room::{Method, Phase, Ramp, RoomState},
};

/// The line as one moment sees it. Nodes keep the last one and answer polls from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Grows with every change of the line; the passing of time alone does not change it.
    pub version: u64,
    /// When this line began, epoch milliseconds. A line begun anew, after its store was lost, has another epoch, so
    /// that an old ticket is never taken for a new one with the same number.
    pub epoch: u64,
    /// The lanes, always in the same order; the first is the general one.
    pub lanes: Vec<LaneSnapshot>,
    /// People who went in since the line began.
    pub admitted: u64,
    /// People who went in during the last 60 s.
    pub admitted_last_minute: u64,
    /// People per minute, of now: during a ramp it moves.
    pub rate_per_minute: u32,
    /// People that may go in at the same instant (never 0: the one in force).
    pub burst: u32,
    /// What the room does with the people who come; [`Snapshot::phase`] may say no where it says yes.
    pub state: RoomState,
    /// Words of the operator for the queue page; may be empty.
    pub message: String,
    /// Live sessions allowed at the same time; 0 = no cap.
    pub max_active: u32,
    /// People who may wait; 0 = no limit.
    pub queue_max: u64,
    /// How places are given.
    pub method: Method,
    /// When people may begin to join, epoch milliseconds.
    pub prequeue_at_ms: Option<i64>,
    /// When the first are called, epoch milliseconds.
    pub opens_at_ms: Option<i64>,
    /// When nobody joins or goes in any more, epoch milliseconds.
    pub closes_at_ms: Option<i64>,
    /// Where the room stands in its schedule, by the store's clock.
    pub phase: Phase,
    /// What is left of a ramp.
    pub ramp: Option<Ramp>,
    /// Whether a session that is used goes on.
    pub session_renewal: bool,
    /// Live sessions: went in, not ended, not over.
    pub active: u64,
    /// Grows when places go on with another device; who has seen another count asks which.
    pub moves: u64,
    /// The store's clock at this answer, epoch milliseconds. For display only.
    pub at_ms: i64,
}

impl Snapshot {
    /// Whether this one replaces `other`: replies may overtake each other on the way. Of another line it always does:
    /// which of two is kept is the store's to say.
    pub fn supersedes(&self, other: &Snapshot) -> bool {
        self.epoch != other.epoch || self.version >= other.version
    }

    /// The lane of this index, if the room has it.
    pub fn lane(&self, lane: usize) -> Option<&LaneSnapshot> {
        self.lanes.get(lane)
    }

    /// The lane of this name and its index.
    pub fn lane_named(&self, name: &str) -> Option<(usize, &LaneSnapshot)> {
        self.lanes.iter().enumerate().find(|(_, lane)| lane.name == name)
    }

    /// Numbers given out in all lanes.
    pub fn issued(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.issued).sum()
    }

    /// People called in all lanes who have not gone in and ask to, or were called a moment ago. The others are still
    /// called, not counted.
    pub fn called_waiting(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.called_waiting).fold(0, u64::saturating_add)
    }

    /// People of all lanes called or near the front who were seen lately and have not gone in.
    pub fn present(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.present).sum()
    }

    /// Numbers of all lanes that have their positions by lot.
    pub fn drawn(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.drawn).sum()
    }

    /// People of all lanes not called yet and people called a short while ago who have not gone in.
    pub fn waiting(&self) -> u64 {
        self.lanes.iter().map(LaneSnapshot::waiting).fold(0, u64::saturating_add)
    }

    /// What part of the rate a lane has while it has people: its weight, and the weights of all lanes with people.
    pub fn share_of(&self, lane: usize) -> (u64, u64) {
        let counts = |(index, other): &(usize, &LaneSnapshot)| *index == lane || other.waiting() > 0;
        let sum: u64 = self.lanes.iter().enumerate().filter(counts).map(|(_, other)| u64::from(other.weight)).sum();
        let weight = self.lane(lane).map_or(1, |lane| u64::from(lane.weight));
        (weight.max(1), sum.max(weight).max(1))
    }

    /// Whether this number may claim.
    pub fn is_called(&self, number: u64) -> bool {
        self.lane(lane_of(number)).is_some_and(|lane| within_lane(number) <= lane.cursor)
    }

    /// How many people of its lane stand before this number; 0 when it is called. Never grows (invariant W7).
    pub fn ahead_of(&self, number: u64) -> u64 {
        let (lane, position) = (self.lane(lane_of(number)), within_lane(number));
        lane.map_or(position.saturating_sub(1), |lane| lane.ahead_of(position))
    }
}

/// One lane as one moment sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneSnapshot {
    /// Its name; the first lane's is `general`.
    pub name: String,
    /// Its share of the rate against those of the others.
    pub weight: u32,
    /// The highest number given out; 0 = none.
    pub issued: u64,
    /// The highest number called; never above `issued`.
    pub cursor: u64,
    /// People called who have not gone in and ask to, or were called a moment ago.
    pub called_waiting: u64,
    /// People called or near the front who were seen lately and have not gone in.
    pub present: u64,
    /// The numbers 1 ..= `drawn` have their positions by lot; 0 = no draw was made.
    pub drawn: u64,
    /// Digest of the registrations before the opening, hexadecimal; empty before the first one.
    pub digest: String,
    /// Numbers not called yet that nobody holds, from first to last: they were left out when the line was restored.
    pub skipped: Vec<(u64, u64)>,
}

impl LaneSnapshot {
    /// People not called yet and people called a short while ago who have not gone in.
    pub fn waiting(&self) -> u64 {
        let uncalled = self.issued.saturating_sub(self.cursor);
        uncalled.saturating_sub(self.nobody_up_to(self.issued)).saturating_add(self.called_waiting)
    }

    /// The positions of this lane up to this one are near the front: nodes report which of them they heard of.
    pub fn near(&self, rate_per_minute: u32) -> u64 {
        near(self.cursor, rate_per_minute)
    }

    /// How many people stand before this position, which is one within the lane; 0 when it is called.
    pub fn ahead_of(&self, position: u64) -> u64 {
        let before = position.saturating_sub(1);
        before.saturating_sub(self.cursor).saturating_sub(self.nobody_up_to(before))
    }

    /// How many of the numbers not called yet, up to this one, nobody holds.
    fn nobody_up_to(&self, last: u64) -> u64 {
        let nobody =
            |&(first, end): &(u64, u64)| end.min(last).saturating_sub(self.cursor.max(first.saturating_sub(1)));
        self.skipped.iter().map(nobody).sum()
    }
}

/// How far from the front people are reported on: those of the next minute, or more where that is only a few. They ask
/// at least every six seconds.
pub(super) fn near(cursor: u64, rate_per_minute: u32) -> u64 {
    cursor.saturating_add(u64::from(rate_per_minute.max(NEAR_MIN)))
}

/// The fewest people who are near the front: in a slow room many in a row may be away, and are passed over at once only
/// where that is known.
pub(crate) const NEAR_MIN: u32 = 256;

/// A way in that was given to one number, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The number that went in.
    pub number: u64,
    /// Unique within the room: derived from epoch and number, so a repeated claim has the same one (the token's `jti`).
    pub id: String,
    /// How long until it begins, milliseconds, at most one second: the meter gave its place ahead of time, so that
    /// none is lost between two claims. `GroupedStore` waits that long with the answer, and whoever asks it sees 0.
    pub starts_in_ms: i64,
    /// How long it lasts from its beginning, milliseconds: a duration, so that clocks need not agree. A repeated claim
    /// gets what is left.
    pub expires_in_ms: i64,
}

/// What the line says of a session that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is inside, and counted.
    GoesOn,
    /// It ended before: nobody may use it any more.
    Over,
    /// It is none of this line: of another one, or of nobody's number. Nothing is known of its end.
    Unknown,
}

/// Somebody who wants a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joiner {
    /// The index of the lane.
    pub lane: u8,
    /// In rooms with one place per identity: whose place it is.
    pub identity: Option<Identity>,
    /// Whose promise of a number this is: all copies of one get the same number, for as long as promises hold.
    pub late: Option<Identity>,
    /// In rooms that ask for a proof of work: the one that this joiner has shown, if it has shown no identity.
    pub proof: Option<Proof>,
}

/// What a joiner got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The next number of the lane, and a session if it went in at once because the room was calm.
    New {
        /// The number, with its lane.
        number: u64,
        /// Set if it is in.
        session: Option<Session>,
    },
    /// The number that this identity has had before.
    Known {
        /// The number, with its lane: perhaps another one than was asked for.
        number: u64,
        /// It went in, or was given up.
        used: bool,
    },
    /// Nothing, although others of the group got something.
    Refused(Refused),
}

/// Why nobody may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may, or no numbers are left.
    Full,
    /// The state or the schedule says no.
    Closed,
    /// The room has no such lane.
    NoLane,
    /// The proof of work was used before.
    Proof,
}

/// What a group of joiners got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// In the order of the joiners.
    pub given: Vec<Given>,
    /// The line after it.
    pub snapshot: Snapshot,
}

impl Joiner {
    /// Whether nothing is known of this joiner but the lane.
    pub(crate) const fn is_plain(&self) -> bool {
        self.identity.is_none() && self.late.is_none() && self.proof.is_none()
    }

    /// So many people of the first lane, without an identity.
    pub fn many(count: usize) -> Vec<Joiner> {
        vec![Joiner::default(); count]
    }
}

impl Joined {
    /// The new numbers, in the order of the joiners.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.given.iter().filter_map(|given| match given {
            Given::New { number, .. } => Some(*number),
            Given::Known { .. } | Given::Refused(_) => None,
        })
    }

    /// The first of them; 0 if there is none.
    pub fn first(&self) -> u64 {
        self.numbers().next().unwrap_or(0)
    }

    /// The sessions of those who went in at once, in the order of the joiners.
    pub fn admitted(&self) -> Vec<&Session> {
        let sessions = self.given.iter().filter_map(|given| match given {
            Given::New { session, .. } => session.as_ref(),
            Given::Known { .. } | Given::Refused(_) => None,
        });
        sessions.collect()
    }
}

/// The answer to one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// In. Also for a repeat within 30 s: the same session.
    Admitted(Session),
    /// The cursor has not reached this number.
    NotCalled,
    /// Called, but the meter is empty in this instant, or the room is paused ([`Snapshot::state`] tells): the place
    /// is kept.
    NoBudget {
        /// When it is worth asking again, milliseconds from now, at most one second.
        retry_after_ms: i64,
    },
    /// Went in before (more than 30 s ago), or left the line.
    Spent,
    /// This number was never given out in this epoch.
    Unknown,
}
