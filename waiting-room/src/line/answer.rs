//! What the line answers: plain values that the door turns into words. No decisions.

use serde::{Deserialize, Serialize};

use super::room::{Method, Phase, Ramp, RoomState};

/// The line as one moment sees it. Nodes keep the last one and answer polls from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Grows with every change of the line; the passing of time alone does not change it.
    pub version: u64,
    /// When this line began, epoch milliseconds. A line begun anew, after its store was lost, has another epoch, so
    /// that an old ticket is never taken for a new one with the same number.
    pub epoch: u64,
    /// The highest number given out; 0 = none.
    pub issued: u64,
    /// The highest number called; never above `issued`.
    pub cursor: u64,
    /// People called who have not gone in and ask to, or were called a moment ago. The others are still called, not
    /// counted.
    pub called_waiting: u64,
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
    /// The numbers 1 ..= `drawn` have their positions by lot; 0 = no draw was made.
    pub drawn: u64,
    /// Digest of the registrations before the opening, hexadecimal; empty before the first one.
    pub digest: String,
    /// People called or near the front who were seen lately and have not gone in.
    pub present: u64,
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

    /// People not called yet and people called a short while ago who have not gone in.
    pub fn waiting(&self) -> u64 {
        self.issued.saturating_sub(self.cursor).saturating_add(self.called_waiting)
    }

    /// The positions up to this one are near the front: nodes report which of them they heard of.
    pub fn near(&self) -> u64 {
        near(self.cursor, self.rate_per_minute)
    }

    /// Whether this number may claim.
    pub fn is_called(&self, number: u64) -> bool {
        number <= self.cursor
    }

    /// How many people stand before this number; 0 when it is called. Never grows (invariant W7).
    pub fn ahead_of(&self, number: u64) -> u64 {
        number.saturating_sub(self.cursor).saturating_sub(1)
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

/// The numbers given to a group of arrivals: `first .. first + count`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The first number; the others follow without a gap.
    pub first: u64,
    /// Sessions of the first `admitted.len()` numbers: they went in at once because the room was calm.
    pub admitted: Vec<Session>,
    /// The line after it.
    pub snapshot: Snapshot,
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
