//! Which promises became which numbers: people who came while the store was away join by the name of their promise, so that
//! all its copies get one number. Two windows that take turns, each longer than a promise holds.

use super::identity::Identity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A number is remembered for at least so long, in milliseconds: longer than a provisional ticket holds.
pub(crate) const LATE_WINDOW_MS: i64 = 13 * 60 * 60 * 1_000;

/// The promises of the last one to two windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LateComers {
    window: i64,
    numbers: [BTreeMap<Identity, u64>; 2],
}

impl LateComers {
    /// Forgets the window that is over.
    pub(crate) fn rotate(&mut self, line_ms: i64) {
        let window = line_ms.div_euclid(LATE_WINDOW_MS);
        if window > self.window + 1 {
            self.numbers = Default::default();
        } else if window > self.window {
            self.numbers[half(window)].clear();
        }
        self.window = self.window.max(window);
    }

    pub(crate) fn number_of(&self, name: Identity) -> Option<u64> {
        self.numbers.iter().find_map(|numbers| numbers.get(&name)).copied()
    }

    pub(crate) fn keep(&mut self, name: Identity, number: u64) {
        self.numbers[half(self.window)].insert(name, number);
    }
}

fn half(window: i64) -> usize {
    usize::from(window.rem_euclid(2) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_remembered_for_longer_than_it_holds_and_not_for_ever() {
        for begin_ms in [0, LATE_WINDOW_MS - 1, LATE_WINDOW_MS + 7] {
            let (mut late, name) = (LateComers::default(), Identity([7; 16]));
            late.rotate(begin_ms);
            late.keep(name, 9);
            late.rotate(begin_ms + crate::credential::PROVISIONAL_MS);
            assert_eq!((late.number_of(name), late.number_of(Identity([8; 16]))), (Some(9), None));
            late.rotate(begin_ms + 2 * LATE_WINDOW_MS);
            assert!(late.number_of(name).is_none() && late.numbers.iter().all(BTreeMap::is_empty), "nothing is kept");
        }
    }
}
