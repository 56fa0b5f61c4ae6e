//! The line's own time: it follows the wall clock's steps but never its jumps. It reads no clock.

use serde::{Deserialize, Serialize};

/// The longest step that counts as time passed, in milliseconds. The line is stepped by every operation and by the tick
/// four times a second, so a longer gap means that the store was down or that the wall clock jumped ahead; neither may
/// bank budget, begin what was promised for later, or make called people look absent. A shorter jump cannot be told
/// from time that passed.
pub(crate) const STEP_MS_MAX: i64 = 2_000;

/// After the wall clock jumped, or was not read for long, schedules go by the line's time until it has been steady for
/// so long, in milliseconds.
pub(crate) const STEADY_MS: i64 = 10_000;

/// A wall-clock reading and the line's time at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineClock {
    pub(crate) wall_ms: i64,
    pub(crate) line_ms: i64,
    /// What schedules go by: the wall clock while it is steady, which the line's time may be behind of.
    #[serde(default)]
    pub(crate) day_ms: i64,
    /// The line's time from which on the wall clock counts as steady.
    #[serde(default)]
    pub(crate) steady_at_ms: i64,
}

impl LineClock {
    pub(crate) const fn begin(now_ms: i64) -> LineClock {
        LineClock { wall_ms: now_ms, line_ms: now_ms, day_ms: now_ms, steady_at_ms: now_ms }
    }

    /// The next reading. A wall clock that jumped is simply followed from there: the line's time stands still for this
    /// one step and then goes on at its pace (invariant W8).
    pub(crate) fn step(self, now_ms: i64) -> LineClock {
        let read_ms = now_ms.saturating_sub(self.wall_ms);
        let elapsed_ms = if (0..=STEP_MS_MAX).contains(&read_ms) { read_ms } else { 0 };
        let line_ms = self.line_ms.saturating_add(elapsed_ms);
        let steady_at_ms = if read_ms == elapsed_ms { self.steady_at_ms } else { line_ms.saturating_add(STEADY_MS) };
        let day_ms = if line_ms >= steady_at_ms { now_ms } else { self.day_ms.saturating_add(elapsed_ms) };
        LineClock { wall_ms: now_ms, line_ms, day_ms, steady_at_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_do_not_move_the_lines_time() {
        let clock = LineClock::begin(1_000_000).step(1_000_250);
        assert_eq!(clock.line_ms, 1_000_250);
        let back = clock.step(10);
        assert_eq!((back.wall_ms, back.line_ms), (10, 1_000_250));
        assert_eq!(back.step(260).line_ms, 1_000_500, "it goes on at its pace");
        assert_eq!(back.step(10 + STEP_MS_MAX).line_ms, 1_000_250 + STEP_MS_MAX);
        let ahead = back.step(11 + STEP_MS_MAX);
        assert_eq!((ahead.line_ms, ahead.day_ms), (1_000_250, 1_000_250), "it stands still for a jump ahead too");
        assert_eq!(ahead.steady_at_ms, 1_000_250 + STEADY_MS);
    }
}
