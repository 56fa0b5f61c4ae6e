//! What time alone changes: the phases of a room, the opening with its draw, and a rate that moves. It reads no clock.

use super::room::{Phase, Ramp, RoomChange, RoomInitial};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::{Deserialize, Serialize};

/// The times of a room, and whether it has opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Schedule {
    pub(crate) prequeue_at_ms: Option<i64>,
    pub(crate) opens_at_ms: Option<i64>,
    pub(crate) closes_at_ms: Option<i64>,
    /// `opens_at_ms` was reached once: the draw, if it was one, is made.
    pub(crate) opened: bool,
}

impl Schedule {
    pub(crate) fn begin(initial: &RoomInitial) -> Schedule {
        let [prequeue_at_ms, opens_at_ms, closes_at_ms] =
            [initial.prequeue_at_ms, initial.opens_at_ms, initial.closes_at_ms].map(time);
        Schedule { prequeue_at_ms, opens_at_ms, closes_at_ms, ..Schedule::default() }
    }

    pub(crate) fn change(&mut self, change: &RoomChange) {
        let changed = |old: Option<i64>, new: Option<i64>| if new.is_some() { time(new) } else { old };
        self.prequeue_at_ms = changed(self.prequeue_at_ms, change.prequeue_at_ms);
        self.opens_at_ms = changed(self.opens_at_ms, change.opens_at_ms);
        self.closes_at_ms = changed(self.closes_at_ms, change.closes_at_ms);
    }

    pub(crate) fn phase(&self, day_ms: i64) -> Phase {
        let before = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| day_ms < at_ms);
        if self.closes_at_ms.is_some_and(|at_ms| day_ms >= at_ms) {
            Phase::Over
        } else if before(self.prequeue_at_ms) {
            Phase::Early
        } else if before(self.opens_at_ms) {
            Phase::Prequeue
        } else {
            Phase::Running
        }
    }

    /// Whether those who join take part in the opening.
    pub(crate) fn registers(&self) -> bool {
        self.opens_at_ms.is_some() && !self.opened
    }
}

/// Adds a group of registrations to a lane's digest: SHA-1, hexadecimal, of the digest before, their number and a nonce.
pub(crate) fn register(before: &str, count: u64, nonce: u64) -> String {
    let text = format!("{before}:{count}:{nonce:016x}");
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A time as it is given: 0 is none.
fn time(at_ms: Option<i64>) -> Option<i64> {
    at_ms.filter(|&at_ms| at_ms > 0)
}

/// A rate on its way from one to another, in the line's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ramping {
    pub(crate) from_per_minute: u32,
    pub(crate) to_per_minute: u32,
    pub(crate) begin_ms: i64,
    pub(crate) over_ms: i64,
}

impl Ramping {
    /// The rate of now, and whether the way is over.
    pub(crate) fn rate(&self, line_ms: i64) -> (u32, bool) {
        let done_ms = line_ms.saturating_sub(self.begin_ms).clamp(0, self.over_ms);
        let way = i64::from(self.to_per_minute) - i64::from(self.from_per_minute);
        let rate = i64::from(self.from_per_minute) + (way * done_ms).div_euclid(self.over_ms.max(1));
        (u32::try_from(rate.max(1)).unwrap_or(u32::MAX), done_ms == self.over_ms)
    }

    pub(crate) fn left(&self, line_ms: i64) -> Ramp {
        let over_ms = self.begin_ms.saturating_add(self.over_ms).saturating_sub(line_ms).max(1);
        Ramp { to_per_minute: self.to_per_minute, over_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_the_times() {
        let schedule =
            Schedule { prequeue_at_ms: Some(10), opens_at_ms: Some(20), closes_at_ms: Some(30), ..Schedule::default() };
        let phases = [9, 10, 19, 20, 29, 30].map(|day_ms| schedule.phase(day_ms));
        let [early, prequeue, running, over] = Phase::ALL;
        assert_eq!(phases, [early, prequeue, prequeue, running, running, over]);
        assert_eq!(Schedule::default().phase(0), running);
    }

    #[test]
    fn the_digest_is_a_chain_that_anyone_can_follow() {
        let first = register("", 3, 0xabc);
        assert_eq!(first, "9105f57460ddd67f313c41b3b530895292d6eafc");
        assert_ne!(register(&first, 1, 7), first);
    }

    #[test]
    fn a_ramp_moves_evenly_either_way() {
        let ramping =
            |from_per_minute, to_per_minute| Ramping { from_per_minute, to_per_minute, begin_ms: 0, over_ms: 100 };
        let rates = |ramping: Ramping| [-5, 0, 1, 50, 99, 100, 900].map(|line_ms| ramping.rate(line_ms));
        let up = [(100, false), (100, false), (107, false), (450, false), (793, false), (800, true), (800, true)];
        assert_eq!(rates(ramping(100, 800)), up);
        let down = [(800, false), (800, false), (793, false), (450, false), (107, false), (100, true), (100, true)];
        assert_eq!(rates(ramping(800, 100)), down);
        assert_eq!(ramping(1, 2).left(40), Ramp { to_per_minute: 2, over_ms: 60 });
    }
}
