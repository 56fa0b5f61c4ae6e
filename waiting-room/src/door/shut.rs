//! Why a room takes nobody in: what its state and schedule say to who has a place, and to who wants one.

use crate::line::{Phase, RoomState, Snapshot};
use crate::problem::{Code, Problem};

/// When to look again at a room that is shut, in milliseconds.
const LOOK_AGAIN_MS: u64 = 30_000;

/// Why nobody joins, or nobody goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shut {
    Closed,
    SoldOut,
    /// Those in line go on; nobody new joins.
    Draining,
    /// Nobody joins yet.
    Early,
}

impl Shut {
    /// Why the room is shut for somebody with or without a place, if it is.
    pub(crate) fn of(snapshot: &Snapshot, has_place: bool) -> Option<Shut> {
        match (snapshot.state, snapshot.phase) {
            (RoomState::SoldOut, _) => Some(Shut::SoldOut),
            (RoomState::Closed, _) | (_, Phase::Over) => Some(Shut::Closed),
            (RoomState::Draining, _) if !has_place => Some(Shut::Draining),
            (_, Phase::Early) if !has_place => Some(Shut::Early),
            (RoomState::Open | RoomState::Paused | RoomState::Draining, _) => None,
        }
    }

    /// The word for it on labels.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Shut::Closed => "closed",
            Shut::SoldOut => "sold_out",
            Shut::Draining => "draining",
            Shut::Early => "early",
        }
    }

    /// What the visitor is told.
    pub(crate) fn problem(self) -> Problem {
        let (code, detail) = match self {
            Shut::Closed => (Code::RoomClosed, "Nobody is let in any more. Who is inside goes on."),
            Shut::SoldOut => (Code::SoldOut, "Everything is sold. Thank you for coming."),
            Shut::Draining => (Code::RoomClosed, "Nobody new can join; those who are in line still go in."),
            Shut::Early => (Code::RoomClosed, "It is too early to join. Come back a little later."),
        };
        let problem = Problem::new(code, detail);
        if self == Shut::SoldOut { problem } else { problem.retry_after(LOOK_AGAIN_MS) }
    }
}
