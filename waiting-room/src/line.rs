//! The line: who is next, and how many may go in. Pure: `now` is an argument; no socket, clock, thread or file.
//!
//! A room has one lane or several. In each, numbers start at 1 and are given out in order. `cursor` is the highest number
//! that has been called, so a number is called if `number <= cursor`, and `number - cursor - 1` people stand before one
//! that is not. The meter, which the lanes share by their weights, alone decides how many called people go in, and a bit
//! per number makes every entry single-use.

mod answer;
mod autopilot;
mod clock;
mod decide;
mod draw;
mod effect;
mod heal;
mod identity;
mod lane;
mod late;
mod live;
mod machine;
mod meter;
mod moved;
mod number;
mod older;
mod presence;
mod proofs;
mod recovery;
mod room;
mod schedule;
mod session;
mod share;
mod spent;
mod tally;
#[cfg(test)]
pub(crate) mod tests;

pub use answer::{Claimed, Given, Joined, Joiner, LaneSnapshot, Refused, Renewal, Session, Snapshot};
pub use autopilot::{Autopilot, Orders};
pub(crate) use autopilot::{Decision, Health, Pilot};
pub(crate) use decide::effect_of;
pub(crate) use draw::final_seed;
pub use draw::{DRAW_ALGORITHM, Draw, DrawEvidence, Refuted};
pub(crate) use effect::{Effect, Entry};
pub(crate) use heal::HEAL_MS;
pub use identity::Identity;
pub use lane::{GENERAL, LANES_MAX, LaneInitial, WEIGHT_MAX};
pub(crate) use machine::Line;
pub use moved::{Generations, Move};
pub use number::{lane_of, numbered, within_lane};
pub(crate) use older::line as read_line;
pub use proofs::Proof;
pub(crate) use recovery::{AUTOPILOT, no_such_lane};

/// The rules' numbers, for a store that runs the rules elsewhere.
pub(crate) mod rule {
    pub(crate) use super::{
        answer::NEAR_MIN,
        clock::{STEADY_MS, STEP_MS_MAX},
        decide::{
            CALL_SCAN_MAX, CALLED_PER_MISSING, COVER_MIN, COVER_MS, RAISED_MS, RETRY_MS_MAX, RETRY_MS_MIN, STEEP,
        },
        heal::{GATHER_MS, HEAL_GAP, HEAL_MS},
        lane::LANES_MAX,
        late::LATE_WINDOW_MS,
        meter::{AHEAD_MS, UNITS_PER_PERSON},
        moved::MOVED_MAX,
        number::NUMBER_MAX,
        presence::{CALL_SLOT_MS, EXPECTED_MS, KEEN_MS, PRESENCE_MS},
        proofs::{PROOF_WINDOW_MS, PROOFS_MAX},
        recovery::{CHANGES_MAX, RESTORE_GAP},
        session::REPEAT_MS,
        share::{CREDIT_PLACES, HOLD_INSIDE_MS, HOLD_MS, TAKES_PART_MS},
        tally::SECONDS,
    };
}
pub use room::{
    Audit, BURST_MAX, Invalid, MAX_ACTIVE_MAX, MESSAGE_BYTES_MAX, Method, Phase, QUEUE_MAX_MAX, RAMP_MS_MAX,
    RATE_PER_MINUTE_MAX, ROOM_NAME_BYTES_MAX, Ramp, RoomChange, RoomInitial, RoomState, SCHEDULE_MS_MAX,
    SESSION_MS_MAX, burst_for, check_room_name,
};
