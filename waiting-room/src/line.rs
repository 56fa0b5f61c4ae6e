//! The line: who is next, and how many may go in. Pure: `now` is an argument; no socket, clock, thread or file.
//!
//! Numbers start at 1 and are given out in order. `cursor` is the highest number that has been called, so a number
//! is called if `number <= cursor`, and `number - cursor - 1` people stand before one that is not. The meter alone
//! decides how many called people go in, and a bit per number makes every entry single-use.

mod answer;
mod clock;
mod decide;
mod effect;
mod machine;
mod meter;
mod presence;
mod room;
mod session;
mod spent;
mod tally;
#[cfg(test)]
pub(crate) mod tests;

pub use answer::{Claimed, Joined, Session, Snapshot};
pub(crate) use decide::effect_of;
pub(crate) use effect::{Effect, Entry};
pub(crate) use machine::Line;
pub use room::{
    BURST_MAX, Invalid, MESSAGE_BYTES_MAX, RATE_PER_MINUTE_MAX, ROOM_NAME_BYTES_MAX, RoomChange, RoomInitial,
    RoomState, SESSION_MS_MAX, burst_for, check_room_name,
};
