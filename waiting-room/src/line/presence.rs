//! Who of the waiting is here: heard of a moment ago. It decides whom to call next and whom to pass over, never who
//! may go in: people passed over stay called, and go in when they come back.

use super::spent::Spent;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// Who was not heard of for this long (or up to twice as long) is away, in milliseconds. Pages of people who will go in
/// within a minute ask at least every six seconds.
pub(crate) const PRESENCE_MS: i64 = 10_000;
/// How long a called person who has not asked holds others up, in milliseconds. One who is there asks within two
/// seconds of the call.
pub(crate) const EXPECTED_MS: i64 = 3_000;
/// Calls within this time count as one, in milliseconds: bounds the list to `EXPECTED_MS / CALL_SLOT_MS + 1` entries.
pub(crate) const CALL_SLOT_MS: i64 = 250;
/// Who asked to go in and found no budget counts as here for this long (or up to twice as long), in milliseconds: they
/// are told to ask again within one second.
pub(crate) const KEEN_MS: i64 = 2_000;

/// Two windows that take turns: what was put into one is forgotten one to two windows later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window(i64);

impl Window {
    /// The halves that are over at `line_ms`, as the window moves there.
    fn advance(&mut self, line_ms: i64, window_ms: i64) -> [bool; 2] {
        let window = line_ms.div_euclid(window_ms);
        let over = window > self.0 + 1;
        let turned = window > self.0;
        self.0 = self.0.max(window);
        [0, 1].map(|half| over || (turned && half == self.half()))
    }

    fn half(self) -> usize {
        usize::from(self.0.rem_euclid(2) == 1)
    }
}

/// Two bits a person: heard of in this window, or in the one before (never both).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Presence {
    window: Window,
    bits: [Spent; 2],
    people: [u64; 2],
    /// The last report of any node.
    reported_at_ms: Option<i64>,
    /// The positions up to here have been reported on for at least [`PRESENCE_MS`]: whoever of them was not heard of is
    /// away. Of those behind nobody knows.
    known_to: u64,
    /// The positions up to here are reported on since `watch_at_ms`.
    watch_to: u64,
    watch_at_ms: i64,
}

impl Presence {
    pub(crate) fn forget(&mut self, line_ms: i64) {
        for (half, over) in self.window.advance(line_ms, PRESENCE_MS).into_iter().enumerate() {
            if over {
                self.bits[half] = Spent::default();
                self.people[half] = 0;
            }
        }
    }

    /// Nothing is known of anybody.
    pub(crate) fn begin_again(&mut self) {
        *self = Presence { window: self.window, ..Presence::default() };
    }

    /// A node reports, as every node does once a second, on the positions up to `near`.
    pub(crate) fn report(&mut self, line_ms: i64, near: u64) {
        if self.reported_at_ms.is_none_or(|at_ms| line_ms - at_ms > PRESENCE_MS) {
            (self.known_to, self.watch_to, self.watch_at_ms) = (0, near, line_ms);
        } else if line_ms - self.watch_at_ms >= PRESENCE_MS {
            (self.known_to, self.watch_to, self.watch_at_ms) = (self.watch_to, near, line_ms);
        }
        // The rate may have fallen, and with it the part of the line that is reported on.
        self.known_to = self.known_to.min(near);
        self.watch_to = self.watch_to.min(near);
        self.reported_at_ms = Some(line_ms);
    }

    /// The holder of this position was heard of.
    pub(crate) fn mark(&mut self, position: u64) {
        let now = self.window.half();
        if self.bits[1 - now].remove(position) {
            self.people[1 - now] -= 1;
        }
        if self.bits[now].insert(position) {
            self.people[now] += 1;
        }
    }

    /// The holder of this position went in or left.
    pub(crate) fn done(&mut self, position: u64) {
        for half in [0, 1] {
            if self.bits[half].remove(position) {
                self.people[half] -= 1;
            }
        }
    }

    /// Whether the holder of this position is known to be away: it was reported on long enough, and not heard of.
    pub(crate) fn is_away(&self, line_ms: i64, position: u64) -> bool {
        self.knows(line_ms, position) && self.bits.iter().all(|bits| !bits.contains(position))
    }

    /// Whether reports tell if the holder of this position is here.
    pub(crate) fn knows(&self, line_ms: i64, position: u64) -> bool {
        position <= self.known_to && self.reported_at_ms.is_some_and(|at_ms| line_ms - at_ms <= PRESENCE_MS)
    }

    /// People heard of lately.
    pub(crate) fn people(&self) -> u64 {
        self.people.iter().sum()
    }
}

/// Called people who asked to go in a moment ago and found no budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Keen {
    window: Window,
    numbers: [BTreeSet<u64>; 2],
}

impl Keen {
    pub(crate) fn forget(&mut self, line_ms: i64) {
        for (half, over) in self.window.advance(line_ms, KEEN_MS).into_iter().enumerate() {
            if over {
                self.numbers[half].clear();
            }
        }
    }

    /// Asked now; whether it was not keen before.
    pub(crate) fn ask(&mut self, number: u64) -> bool {
        let now = self.window.half();
        let known = self.numbers[1 - now].remove(&number);
        self.numbers[now].insert(number) && !known
    }

    /// Went in or left; whether it was keen.
    pub(crate) fn done(&mut self, number: u64) -> bool {
        let [one, other] = &mut self.numbers;
        one.remove(&number) || other.remove(&number)
    }

    pub(crate) fn people(&self) -> u64 {
        self.numbers.iter().map(|numbers| numbers.len() as u64).sum()
    }
}

/// One call: the numbers `first ..= last`, of whom `expected` have not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    slot: i64,
    first: u64,
    last: u64,
    expected: u64,
}

/// The calls of the last [`EXPECTED_MS`], oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Calls(VecDeque<Call>);

impl Calls {
    /// Passes over those called too long ago.
    pub(crate) fn forget(&mut self, line_ms: i64) {
        while self.0.front().is_some_and(|call| call.slot * CALL_SLOT_MS + EXPECTED_MS <= line_ms) {
            self.0.pop_front();
        }
    }

    /// The numbers `first ..= last` are called now; `expected` of them may be here.
    pub(crate) fn call(&mut self, line_ms: i64, first: u64, last: u64, expected: u64) {
        let slot = line_ms.div_euclid(CALL_SLOT_MS);
        match self.0.back_mut() {
            Some(call) if call.slot == slot => {
                call.last = last;
                call.expected += expected;
            }
            Some(_) | None => self.0.push_back(Call { slot, first, last, expected }),
        }
    }

    /// This called number asked, went in or left: nobody waits for it any more.
    pub(crate) fn done(&mut self, number: u64) {
        let at = self.0.partition_point(|call| call.last < number);
        if let Some(call) = self.0.get_mut(at)
            && call.first <= number
        {
            call.expected = call.expected.saturating_sub(1);
        }
    }

    /// People called a short while ago who have not asked.
    pub(crate) fn expected(&self) -> u64 {
        self.0.iter().map(|call| call.expected).sum()
    }
}

#[cfg(test)]
impl Presence {
    pub(crate) fn bytes(&self) -> usize {
        self.bits.iter().map(Spent::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_called_count_until_they_ask_or_are_passed_over() {
        let mut calls = Calls::default();
        calls.call(0, 1, 3, 3);
        calls.call(100, 4, 4, 1);
        calls.call(250, 6, 9, 4);
        assert_eq!((calls.0.len(), calls.expected()), (2, 8), "calls of one slot are one");
        calls.done(4);
        calls.done(5); // went in at once when the room was calm: never expected
        calls.done(9);
        assert_eq!(calls.expected(), 6);
        calls.forget(EXPECTED_MS - 1);
        assert_eq!(calls.expected(), 6);
        calls.forget(EXPECTED_MS);
        assert_eq!(calls.expected(), 3);
        calls.done(1);
        assert_eq!(calls.expected(), 3, "passed over already");
    }

    #[test]
    fn the_list_is_bounded() {
        let mut calls = Calls::default();
        for line_ms in 0..20_000 {
            calls.forget(line_ms);
            calls.call(line_ms, line_ms.unsigned_abs() + 1, line_ms.unsigned_abs() + 1, 1);
            assert!(calls.0.len() <= (EXPECTED_MS / CALL_SLOT_MS + 1) as usize);
        }
    }

    #[test]
    fn who_polls_is_never_away_and_who_does_not_is_once_it_is_known() {
        for poll_ms in [1_000, 6_000, 9_000] {
            let mut presence = Presence::default();
            for line_ms in (0..120_000).step_by(1_000) {
                presence.forget(line_ms);
                presence.report(line_ms, 100);
                if line_ms % poll_ms == 0 {
                    presence.mark(7);
                }
                assert!(!presence.is_away(line_ms, 7), "at {line_ms}, every {poll_ms}");
                assert!(!presence.is_away(line_ms, 101), "nobody reports on it");
                assert_eq!(presence.is_away(line_ms, 8), line_ms >= PRESENCE_MS);
                assert_eq!(presence.people(), 1);
            }
            assert!(!presence.is_away(129_001, 8), "without reports nobody is known to be away");
            presence.done(7);
            assert_eq!(presence.people(), 0);
        }
    }

    #[test]
    fn the_keen_are_counted_once_and_forgotten() {
        let mut keen = Keen::default();
        for line_ms in (0..10_000).step_by(500) {
            keen.forget(line_ms);
            assert_eq!(keen.ask(7), line_ms == 0);
            assert_eq!(keen.people(), 1);
        }
        keen.ask(8);
        keen.done(7);
        keen.forget(9_500 + KEEN_MS);
        assert_eq!(keen.people(), 1);
        keen.forget(9_500 + 2 * KEEN_MS);
        assert_eq!(keen.people(), 0);
    }
}
