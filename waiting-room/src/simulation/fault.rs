//! What goes wrong in a story, and what an operator does in it.

use crate::line::{RoomChange, RoomState};

/// One fault, and when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From the beginning of the story, in milliseconds.
    pub at_ms: i64,
    /// What happens.
    pub kind: FaultKind,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A node is killed and comes back with nothing in memory.
    NodeGone {
        /// Which of the nodes.
        node: u8,
        /// For how long, in milliseconds.
        for_ms: i64,
    },
    /// The store answers nobody, and then goes on where it was.
    StoreAway {
        /// For how long, in milliseconds.
        for_ms: i64,
    },
    /// The store does what it is asked, but its replies are lost.
    RepliesLost {
        /// For how long, in milliseconds.
        for_ms: i64,
    },
    /// The store is killed and started again from what it had written down.
    StoreRestarts,
    /// The wall clock jumps.
    ClockJumps {
        /// How far, in milliseconds; back if negative.
        by_ms: i64,
    },
    /// An operator changes something.
    Changed(RoomChange),
}

impl FaultKind {
    /// A change of the rate.
    pub fn rate(rate_per_minute: u32) -> FaultKind {
        FaultKind::Changed(RoomChange { rate_per_minute: Some(rate_per_minute), ..RoomChange::default() })
    }

    /// A change of the state.
    pub fn state(state: RoomState) -> FaultKind {
        FaultKind::Changed(RoomChange { state: Some(state), ..RoomChange::default() })
    }
}
