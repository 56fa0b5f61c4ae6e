//! How fast the cursor has moved lately: faster than people go in where many of the line are gone, which makes the waits
//! of the others shorter than the rate says.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::line::Snapshot;

/// The time looked back on, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// Samples are this far apart, in milliseconds: bounds their number.
const EVERY_MS: i64 = 2_000;
/// Less than this tells nothing, in milliseconds.
const LEAST_MS: i64 = 10_000;

/// The pace of one room, as this node sees it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    past: Mutex<Past>,
    per_minute: AtomicU64,
}

impl Pace {
    /// A tick's answer.
    pub(super) fn follow(&self, line: &Snapshot) {
        if let Ok(mut past) = self.past.lock() {
            self.per_minute.store(past.step(line.at_ms, line.cursor), Ordering::Relaxed);
        }
    }

    /// Positions that the cursor passed per minute lately; 0 while that is not known.
    pub(super) fn per_minute(&self) -> u64 {
        self.per_minute.load(Ordering::Relaxed)
    }
}

/// Where the cursor was, and when by the store's clock; oldest first.
#[derive(Debug, Default)]
struct Past(VecDeque<(i64, u64)>);

impl Past {
    /// The cursor at a time; answers its pace.
    fn step(&mut self, at_ms: i64, cursor: u64) -> u64 {
        // A clock that jumped, or a line that began anew, has another past.
        if self.0.back().is_some_and(|&(last_ms, last)| at_ms < last_ms || at_ms > last_ms + WINDOW_MS || cursor < last)
        {
            self.0.clear();
        }
        while self.0.front().is_some_and(|&(first_ms, _)| first_ms < at_ms - WINDOW_MS) {
            self.0.pop_front();
        }
        if self.0.back().is_none_or(|&(last_ms, _)| at_ms >= last_ms + EVERY_MS) {
            self.0.push_back((at_ms, cursor));
        }
        let Some(&(first_ms, first)) = self.0.front() else { return 0 };
        let span_ms = u64::try_from(at_ms - first_ms).unwrap_or(0);
        if at_ms - first_ms < LEAST_MS { 0 } else { (cursor - first).saturating_mul(60_000) / span_ms.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_way_of_the_cursor_over_the_last_minute() {
        let mut pace = Past::default();
        let per_minute: Vec<u64> = (0..=1_200).map(|tick| pace.step(tick * 250, tick.unsigned_abs() * 2)).collect();
        assert_eq!((per_minute[0], per_minute[39]), (0, 0), "too short to tell");
        assert!(per_minute[40..].iter().all(|&pace| pace == 480), "{per_minute:?}");
        assert!(pace.0.len() <= 32);
        let slower = (1..=240).map(|tick| pace.step(300_000 + tick * 250, 2_400)).last();
        assert_eq!(slower, Some(0), "it stands still since a minute");
    }

    #[test]
    fn a_jumped_clock_and_a_new_line_begin_anew() {
        for (at_ms, cursor) in [(1_000, 500), (9_000_000, 500), (30_500, 3)] {
            let mut pace = Past::default();
            assert_eq!((0..=120).map(|tick| pace.step(tick * 250, 400)).last(), Some(0));
            assert_eq!(pace.step(at_ms, cursor), 0);
        }
    }
}
