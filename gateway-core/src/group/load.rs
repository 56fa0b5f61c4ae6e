//! How busy the writers are: how many wait or are being written, and how fast they are served.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Older groups count half as much after so many more.
const FORGET: f64 = 0.875;

/// What the writers have to do, and how fast they do it. `in_flight / per_second` is about how long a new one waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Queued or being written.
    pub in_flight: u64,
    /// Answered in a second while there was something to do; 0 until there was.
    pub per_second: u64,
}

/// Measures one set of writers.
#[derive(Default)]
pub(super) struct Meter(Mutex<Numbers>);

#[derive(Default)]
struct Numbers {
    in_flight: u64,
    /// Fading sums over the latest groups.
    served: f64,
    busy_seconds: f64,
    /// How long the latest groups took, fading faster: a stall shows at once, and is forgotten at once.
    group_time: Duration,
}

impl Meter {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queued(&self) {
        self.numbers().in_flight += 1;
    }

    /// These will get no answer.
    pub(super) fn forget(&self, members: usize) {
        let mut numbers = self.numbers();
        numbers.in_flight = numbers.in_flight.saturating_sub(u64::try_from(members).unwrap_or(u64::MAX));
    }

    /// A group that took so many from the queue and served so many of them.
    #[expect(clippy::cast_precision_loss, reason = "a group has at most 256")]
    pub(super) fn done(&self, queued: usize, served: usize, took: Duration) {
        self.forget(queued);
        if served == 0 {
            return;
        }
        let mut numbers = self.numbers();
        numbers.served = numbers.served * FORGET + served as f64;
        numbers.busy_seconds = numbers.busy_seconds * FORGET + took.as_secs_f64();
        numbers.group_time = (numbers.group_time + took) / 2;
    }

    pub(super) fn group_time(&self) -> Duration {
        self.numbers().group_time
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded and positive")]
    pub(super) fn load(&self) -> Load {
        let numbers = self.numbers();
        let per_second = if numbers.busy_seconds > 0.0 { numbers.served / numbers.busy_seconds } else { 0.0 };
        Load { in_flight: numbers.in_flight, per_second: per_second.round() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_busy_time_and_the_latest_groups_weigh_most() {
        let meter = Meter::default();
        assert_eq!(meter.load(), Load::default());
        for _ in 0..30 {
            meter.queued();
        }
        meter.done(10, 10, Duration::from_millis(10));
        assert_eq!(meter.load(), Load { in_flight: 20, per_second: 1_000 });
        for _ in 0..100 {
            meter.done(0, 100, Duration::from_millis(10));
        }
        let load = meter.load();
        assert!((9_990..=10_000).contains(&load.per_second), "{load:?}");
        meter.done(20, 0, Duration::from_millis(500));
        assert_eq!(meter.load(), Load { in_flight: 0, ..load }, "those who went away were not served");
    }

    #[test]
    fn a_stall_shows_at_once_and_is_soon_forgotten() {
        let meter = Meter::default();
        meter.done(1, 1, Duration::from_secs(12));
        assert_eq!(meter.group_time(), Duration::from_secs(6));
        for _ in 0..8 {
            meter.done(1, 1, Duration::from_millis(10));
        }
        assert!(meter.group_time() < Duration::from_millis(50));
    }
}
