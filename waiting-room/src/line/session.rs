//! Who went in a moment ago, so that a repeated claim (its answer was lost) gets the same session. Short-lived: two
//! windows of 30 s that take turns; no list of sessions.

use super::answer::Session;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a repeated claim is answered again, in milliseconds.
pub(crate) const REPEAT_MS: i64 = 30_000;

/// When each number of the last one to two windows went in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recent {
    window: i64,
    entered_at_ms: [BTreeMap<u64, i64>; 2],
}

impl Recent {
    /// Forgets the window that is over.
    pub(crate) fn rotate(&mut self, line_ms: i64) {
        let window = line_ms.div_euclid(REPEAT_MS);
        if window > self.window + 1 {
            self.entered_at_ms = Default::default();
        } else if window > self.window {
            self.entered_at_ms[half(window)].clear();
        }
        self.window = self.window.max(window);
    }

    /// This number goes in now.
    pub(crate) fn enter(&mut self, number: u64, line_ms: i64) {
        self.entered_at_ms[half(self.window)].insert(number, line_ms);
    }

    /// When this number went in, if that is at most [`REPEAT_MS`] ago.
    pub(crate) fn entered_at(&self, number: u64, line_ms: i64) -> Option<i64> {
        let entered_at_ms = self.entered_at_ms.iter().find_map(|window| window.get(&number)).copied()?;
        (line_ms - entered_at_ms <= REPEAT_MS).then_some(entered_at_ms)
    }
}

fn half(window: i64) -> usize {
    usize::from(window.rem_euclid(2) == 1)
}

impl Session {
    /// The number of a session of this epoch, from its id.
    pub(crate) fn number_of(epoch: u64, id: &str) -> Option<u64> {
        let (of, number) = id.split_once('-')?;
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let hex = |text: &str| plain(text).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        (hex(of)? == epoch).then(|| hex(number)).flatten()
    }

    /// The session of a number that went in `age_ms` ago; negative: goes in so much later.
    pub(crate) fn derive(epoch: u64, number: u64, age_ms: i64, session_ms: i64) -> Session {
        Session {
            number,
            id: format!("{epoch:x}-{number:x}"),
            starts_in_ms: (-age_ms).max(0),
            expires_in_ms: (session_ms - age_ms.max(0)).max(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_for_exactly_thirty_seconds() {
        for begin_ms in [0, 1, 29_999, 30_000, 45_000] {
            let mut recent = Recent::default();
            recent.rotate(begin_ms);
            recent.enter(7, begin_ms);
            for line_ms in [begin_ms, begin_ms + 12_345, begin_ms + REPEAT_MS] {
                recent.rotate(line_ms);
                assert_eq!(recent.entered_at(7, line_ms), Some(begin_ms), "{begin_ms} {line_ms}");
            }
            recent.rotate(begin_ms + REPEAT_MS + 1);
            assert_eq!(recent.entered_at(7, begin_ms + REPEAT_MS + 1), None);
            recent.rotate(begin_ms + 3 * REPEAT_MS);
            assert!(recent.entered_at_ms.iter().all(BTreeMap::is_empty), "nothing is kept");
        }
    }
}
