//! The line's own time: it follows the wall clock's steps but never its jumps. It reads no clock.

use serde::{Deserialize, Serialize};

/// The longest step the line's time takes at once, in milliseconds. It is stepped by every operation and by the tick
/// four times a second, so a longer gap means that the store was down or that the wall clock jumped ahead; neither may
/// bank budget or make called people look absent.
pub(crate) const STEP_MS_MAX: i64 = 2_000;

/// A wall-clock reading and the line's time at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineClock {
    pub(crate) wall_ms: i64,
    pub(crate) line_ms: i64,
}

impl LineClock {
    pub(crate) const fn begin(now_ms: i64) -> LineClock {
        LineClock { wall_ms: now_ms, line_ms: now_ms }
    }

    /// The next reading. A wall clock that went back is simply followed from there: the line's time stands still for
    /// this one step and then goes on at its pace (invariant W8).
    pub(crate) fn step(self, now_ms: i64) -> LineClock {
        let elapsed_ms = now_ms.saturating_sub(self.wall_ms).clamp(0, STEP_MS_MAX);
        LineClock { wall_ms: now_ms, line_ms: self.line_ms.saturating_add(elapsed_ms) }
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
        assert_eq!(back.step(i64::MAX).line_ms, 1_000_250 + STEP_MS_MAX);
    }
}
