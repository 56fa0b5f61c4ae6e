//! The meter: how many may go in now (invariant W2). Exact integers; it knows neither numbers nor people.
//!
//! The generic cell rate algorithm in its dual form, a budget that fills with time: a person costs 60,000 units and a
//! rate of r per minute brings exactly r units per millisecond, so nothing is ever rounded, at any rate or tick length.
//! The budget never exceeds the burst; therefore any window w admits at most `rate * w + burst`.
//!
//! A place may be given up to [`AHEAD_MS`] before its time, with the time at which it begins: then no millisecond of a
//! full meter is lost between two claims, even at a burst of one. Beginnings obey the bound exactly.

use serde::{Deserialize, Serialize};

/// What one person costs: the milliseconds of a minute.
pub(crate) const UNITS_PER_PERSON: u64 = 60_000;

/// How long before its time a place is given, in milliseconds: longer than the called wait between two claims.
pub(crate) const AHEAD_MS: u64 = 1_000;

/// Unspent budget and when it was last filled. It begins empty: a line whose store was lost must not burst again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meter {
    /// Negative: owed for places given ahead of time.
    pub(crate) units: i64,
    pub(crate) filled_at_ms: i64,
}

impl Meter {
    pub(crate) const fn begin(line_ms: i64) -> Meter {
        Meter { units: 0, filled_at_ms: line_ms }
    }

    /// After a loss: empty, and all is owed that may have been given ahead before it.
    pub(crate) fn begin_owing(line_ms: i64, rate_per_minute: u32) -> Meter {
        Meter { units: -signed(AHEAD_MS * u64::from(rate_per_minute)), filled_at_ms: line_ms }
    }

    /// Fills up to the line's time at this rate (0 while paused). Must run before the rate or the burst changes.
    pub(crate) fn fill(&mut self, line_ms: i64, rate_per_minute: u32, burst: u32) {
        let elapsed_ms = line_ms.saturating_sub(self.filled_at_ms).max(0).unsigned_abs();
        self.units = self.units.saturating_add(signed(elapsed_ms.saturating_mul(u64::from(rate_per_minute))));
        self.filled_at_ms = self.filled_at_ms.max(line_ms);
        self.limit(burst);
    }

    /// Drops what is above the burst.
    pub(crate) fn limit(&mut self, burst: u32) {
        self.units = self.units.min(signed(u64::from(burst) * UNITS_PER_PERSON));
    }

    /// The rate changes. What is owed is time: the places given ahead begin when they were promised, and the next one
    /// follows the last of them at the new rate, whether that is lower or higher.
    pub(crate) fn reprice(&mut self, from_per_minute: u32, to_per_minute: u32) {
        if self.units < 0 {
            let owed = self.units.saturating_mul(i64::from(to_per_minute));
            self.units = owed.div_euclid(i64::from(from_per_minute.max(1)));
        }
    }

    /// How many may go in now.
    pub(crate) fn people(&self) -> u64 {
        self.units.max(0).unsigned_abs() / UNITS_PER_PERSON
    }

    /// How many may be given a place now: those who may go in within [`AHEAD_MS`].
    pub(crate) fn places(&self, rate_per_minute: u32) -> u64 {
        self.people_within(AHEAD_MS, rate_per_minute)
    }

    /// Spends the budget of one person; answers in how many milliseconds it is theirs.
    pub(crate) fn spend(&mut self, rate_per_minute: u32) -> u64 {
        let wait_ms = self.wait_ms(1, rate_per_minute);
        self.units = self.units.saturating_sub(signed(UNITS_PER_PERSON));
        wait_ms
    }

    /// How many people the budget of now and of the next `ahead_ms` lets in.
    pub(crate) fn people_within(&self, ahead_ms: u64, rate_per_minute: u32) -> u64 {
        let units = self.units.saturating_add(signed(ahead_ms * u64::from(rate_per_minute)));
        units.max(0).unsigned_abs() / UNITS_PER_PERSON
    }

    /// Milliseconds until `people` may go in.
    pub(crate) fn wait_ms(&self, people: u64, rate_per_minute: u32) -> u64 {
        let missing = signed(people.saturating_mul(UNITS_PER_PERSON)).saturating_sub(self.units);
        missing.max(0).unsigned_abs().div_ceil(u64::from(rate_per_minute.max(1)))
    }
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
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
                    while meter.people() > 0 {
                        admitted += 1;
                        meter.spend(rate);
                    }
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
        assert_eq!([(); 3].map(|()| meter.spend(1_000_000)), [0; 3]);
        meter.fill(0, 1_000_000, 3);
        assert_eq!(meter.people(), 0);
    }

    /// W2 and W3 at a burst of one: places are given by whoever asks, at odd times, and begin exactly at the rate.
    #[test]
    fn places_given_ahead_begin_exactly_at_the_rate() {
        for rate in [1, 7, 60, 1_000, 60_000] {
            let (mut meter, mut begins) = (Meter::begin(0), Vec::new());
            for line_ms in (0..=300_000).step_by(870) {
                meter.fill(line_ms, rate, 1);
                while meter.places(rate) > 0 {
                    begins.push(line_ms.unsigned_abs() + meter.spend(rate));
                }
            }
            for (index, begin_ms) in begins.iter().enumerate() {
                let exact = ((index as u64 + 1) * UNITS_PER_PERSON).div_ceil(u64::from(rate));
                assert_eq!(*begin_ms, exact, "rate {rate}, person {index}");
            }
            assert!(begins.len() as u64 >= 300_000 * u64::from(rate) / UNITS_PER_PERSON);
        }
    }

    /// W2 over a change: who comes after it begins after all who were given a place before it.
    #[test]
    fn what_is_owed_is_time_whatever_becomes_of_the_rate() {
        let mut meter = Meter::begin(0);
        let last = std::iter::from_fn(|| (meter.places(30_000) > 0).then(|| meter.spend(30_000))).last();
        assert_eq!(last, Some(1_000));
        meter.reprice(30_000, 60);
        assert_eq!(meter.wait_ms(1, 60), 2_000, "the next one, a second after the last");
        meter.fill(400, 60, 1);
        meter.reprice(60, 30_000);
        assert_eq!(meter.wait_ms(1, 30_000), 602, "it rose again within the same second");
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
