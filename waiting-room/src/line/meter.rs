//! The meter: how many may go in now (invariant W2). Exact integers; it knows neither numbers nor people.
//!
//! The generic cell rate algorithm in its dual form, a budget that fills with time: a person costs 60,000 units and a
//! rate of r per minute brings exactly r units per millisecond, so nothing is ever rounded, at any rate or tick length.
//! The budget never exceeds the burst; therefore any window w admits at most `rate * w + burst`.

use serde::{Deserialize, Serialize};

/// What one person costs: the milliseconds of a minute.
pub(crate) const UNITS_PER_PERSON: u64 = 60_000;

/// Unspent budget and when it was last filled. It begins empty: a line whose store was lost must not burst again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meter {
    pub(crate) units: u64,
    pub(crate) filled_at_ms: i64,
}

impl Meter {
    pub(crate) const fn begin(line_ms: i64) -> Meter {
        Meter { units: 0, filled_at_ms: line_ms }
    }

    /// Fills up to the line's time at this rate (0 while paused). Must run before the rate or the burst changes.
    pub(crate) fn fill(&mut self, line_ms: i64, rate_per_minute: u32, burst: u32) {
        let elapsed_ms = line_ms.saturating_sub(self.filled_at_ms).max(0).unsigned_abs();
        self.units = self.units.saturating_add(elapsed_ms.saturating_mul(u64::from(rate_per_minute)));
        self.filled_at_ms = self.filled_at_ms.max(line_ms);
        self.limit(burst);
    }

    /// Drops what is above the burst.
    pub(crate) fn limit(&mut self, burst: u32) {
        self.units = self.units.min(u64::from(burst) * UNITS_PER_PERSON);
    }

    /// How many may go in now.
    pub(crate) const fn people(&self) -> u64 {
        self.units / UNITS_PER_PERSON
    }

    /// Spends the budget of `people`, who must not be more than [`Meter::people`].
    pub(crate) fn spend(&mut self, people: u64) {
        self.units = self.units.saturating_sub(people.saturating_mul(UNITS_PER_PERSON));
    }

    /// How many people the budget of now and of the next `ahead_ms` lets in.
    pub(crate) fn people_within(&self, ahead_ms: u64, rate_per_minute: u32) -> u64 {
        (self.units + ahead_ms * u64::from(rate_per_minute)) / UNITS_PER_PERSON
    }

    /// Milliseconds until `people` may go in.
    pub(crate) fn wait_ms(&self, people: u64, rate_per_minute: u32) -> u64 {
        let missing = people.saturating_mul(UNITS_PER_PERSON).saturating_sub(self.units);
        missing.div_ceil(u64::from(rate_per_minute.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_exactly_the_rate_at_any_tick_length() {
        for rate in [1, 7, 59, 60, 61, 100, 500, 999, 59_999, 333_333, 1_000_000] {
            for tick_ms in [1, 7, 10, 100, 250, 1_000] {
                let burst = rate / 60 + 2; // what one tick of a second brings, and the rest of the last one
                let mut meter = Meter::begin(0);
                let mut admitted = 0;
                for line_ms in (tick_ms..60_000).step_by(tick_ms as usize).chain([60_000]) {
                    meter.fill(line_ms, rate, burst);
                    admitted += meter.people();
                    meter.spend(meter.people());
                }
                assert_eq!(admitted, u64::from(rate), "rate {rate}, tick {tick_ms} ms");
            }
        }
    }

    #[test]
    fn the_budget_is_bounded_by_the_burst_and_time_never_runs_back() {
        let mut meter = Meter::begin(0);
        meter.fill(i64::MAX, 1_000_000, 3);
        assert_eq!(meter.people(), 3);
        meter.spend(3);
        meter.fill(0, 1_000_000, 3);
        assert_eq!(meter.people(), 0);
    }

    #[test]
    fn the_wait_ends_exactly_when_the_budget_is_there() {
        let mut meter = Meter::begin(0);
        let wait_ms = meter.wait_ms(2, 7) as i64;
        meter.fill(wait_ms - 1, 7, 5);
        assert_eq!(meter.people(), 1);
        meter.fill(wait_ms, 7, 5);
        assert_eq!(meter.people(), 2);
    }
}
