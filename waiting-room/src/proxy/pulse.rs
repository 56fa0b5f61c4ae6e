//! The upstream's pulse as this node feels it: the latest answers in a bounded ring, and the requests that have none
//! yet. Judges nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::line::Health;

/// The answers that are kept: enough for a p95, little enough to be sorted once a second.
const ANSWERS_MAX: usize = 2_048;

#[derive(Clone, Copy)]
struct Answer {
    at: Instant,
    took_ms: u64,
    failed: bool,
}

/// What came back from the upstream lately.
#[derive(Default)]
pub(crate) struct Pulse {
    answers: Mutex<VecDeque<Answer>>,
    in_flight: AtomicU32,
}

/// One request that is under way. Dropped without an outcome (the visitor left), it counts no more.
pub(super) struct Beat<'a> {
    pulse: &'a Pulse,
    began: Instant,
}

impl Pulse {
    /// A request goes out.
    pub(super) fn begin(&self, now: Instant) -> Beat<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Beat { pulse: self, began: now }
    }

    /// The health over the last so many milliseconds, or over the time that the ring covers if it is shorter.
    pub(crate) fn health(&self, now: Instant, over_ms: u64) -> Health {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = Duration::from_millis(over_ms);
        let recent: Vec<Answer> = answers.iter().rev().take_while(|answer| now - answer.at < lately).copied().collect();
        let full = recent.len() == ANSWERS_MAX;
        drop(answers);
        let mut took_ms: Vec<u64> = recent.iter().map(|answer| answer.took_ms).collect();
        took_ms.sort_unstable();
        let covered = recent.last().filter(|_| full).map_or(lately, |oldest| now - oldest.at);
        Health {
            over_ms: u64::try_from(covered.as_millis()).unwrap_or(over_ms),
            answers: count(recent.len()),
            failed: count(recent.iter().filter(|answer| answer.failed).count()),
            p95_ms: took_ms.get((took_ms.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            orders: None,
        }
    }
}

fn count(answers: usize) -> u32 {
    u32::try_from(answers).unwrap_or(u32::MAX)
}

impl Beat<'_> {
    /// The outcome: the upstream answered, or failed to.
    pub(super) fn end(self, now: Instant, failed: bool) -> Duration {
        let took = now - self.began;
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut answers = self.pulse.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() == ANSWERS_MAX {
            answers.pop_front();
        }
        answers.push_back(Answer { at: now, took_ms, failed });
        took
    }
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.pulse.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets_and_the_ring_is_bounded() {
        let pulse = Pulse::default();
        let mut now = Instant::now();
        let nothing = Health { over_ms: 10_000, ..Health::default() };
        assert_eq!(pulse.health(now, 10_000), nothing);
        for number in 0..20 {
            let beat = pulse.begin(now);
            now += Duration::from_millis(if number == 19 { 900 } else { 10 });
            beat.end(now, number == 0);
        }
        let under_way = pulse.begin(now);
        let health = pulse.health(now, 10_000);
        assert_eq!((health.answers, health.failed, health.p95_ms, health.in_flight), (20, 1, 10, 1));
        drop(under_way);
        now += Duration::from_secs(9);
        assert_eq!(pulse.health(now, 10_000).answers, 11, "nine are older than ten seconds");
        now += Duration::from_secs(2);
        assert_eq!(pulse.health(now, 10_000), nothing);
        for _ in 0..5_000 {
            pulse.begin(now).end(now, false);
        }
        let health = pulse.health(now + Duration::from_millis(500), 10_000);
        assert_eq!((health.answers, health.over_ms), (2_048, 500), "what is told is what the ring covers");
    }
}
