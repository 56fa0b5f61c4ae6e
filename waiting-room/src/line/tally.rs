//! How many went in: in all, and in the last minute. For people to read; decisions never look here.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The seconds that count as the last minute: also the bound of the list.
pub(crate) const SECONDS: i64 = 60;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) total: u64,
    /// (second, people), oldest first; seconds without people are left out.
    seconds: VecDeque<(i64, u64)>,
}

impl Tally {
    pub(crate) fn forget(&mut self, line_ms: i64) {
        while self.seconds.front().is_some_and(|&(second, _)| second + SECONDS <= line_ms.div_euclid(1_000)) {
            self.seconds.pop_front();
        }
    }

    pub(crate) fn add(&mut self, line_ms: i64, people: u64) {
        if people == 0 {
            return;
        }
        self.total += people;
        let now = line_ms.div_euclid(1_000);
        match self.seconds.back_mut() {
            Some((second, count)) if *second == now => *count += people,
            Some(_) | None => self.seconds.push_back((now, people)),
        }
    }

    pub(crate) fn last_minute(&self) -> u64 {
        self.seconds.iter().map(|(_, people)| people).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_the_last_sixty_seconds() {
        let mut tally = Tally::default();
        for line_ms in (0..120_000).step_by(500) {
            tally.forget(line_ms);
            tally.add(line_ms, 1);
        }
        assert_eq!((tally.total, tally.last_minute(), tally.seconds.len()), (240, 120, 60));
        tally.forget(179_000);
        assert_eq!(tally.last_minute(), 0);
    }
}
