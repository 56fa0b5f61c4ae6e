//! Who of the called is still expected: those called a short while ago who have not gone in. It decides how many more
//! to call, never who may go in: people passed over here stay called.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How long a called person holds others up, in milliseconds. One who is there asks within two seconds of the call;
/// one who does not is passed over, and may still go in ahead of everyone not yet called.
pub(crate) const EXPECTED_MS: i64 = 6_000;
/// Calls within this time count as one, in milliseconds: bounds the list to `EXPECTED_MS / CALL_SLOT_MS + 1` entries.
pub(crate) const CALL_SLOT_MS: i64 = 250;

/// One call: the numbers `first ..= last`, of whom `expected` have not gone in.
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

    /// The numbers `first ..= last` are called now; `expected` of them have not left the line before.
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

    /// This called number went in or left: nobody waits for it any more.
    pub(crate) fn done(&mut self, number: u64) {
        let at = self.0.partition_point(|call| call.last < number);
        if let Some(call) = self.0.get_mut(at)
            && call.first <= number
        {
            call.expected = call.expected.saturating_sub(1);
        }
    }

    /// People called a short while ago who have not gone in.
    pub(crate) fn expected(&self) -> u64 {
        self.0.iter().map(|call| call.expected).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_called_count_until_they_go_in_or_are_passed_over() {
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
}
