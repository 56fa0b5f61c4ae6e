//! W3: while people wait who are there, and nothing disturbs the room, the rate is used.

use super::{Broken, broken};
use std::collections::VecDeque;

/// Seconds in a window.
const WINDOW: usize = 60;

/// The last minute, by the second.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Progress {
    /// Whether the room promises anything with so many gone.
    judged: bool,
    admitted_now: u64,
    seconds: VecDeque<u64>,
    rate_per_minute: u32,
    calm_from_ms: i64,
    worst: Option<f64>,
}

impl Progress {
    pub(super) fn new(judged: bool) -> Progress {
        Progress { judged, ..Progress::default() }
    }

    pub(super) const fn admitted(&mut self) {
        self.admitted_now += 1;
    }

    /// Whatever happens until then is no fault of the line.
    pub(in crate::simulation) fn disturbed_until(&mut self, at_ms: i64) {
        self.calm_from_ms = self.calm_from_ms.max(at_ms);
    }

    /// A second is over. `enough`: more people are there than the next seconds can let in.
    ///
    /// # Errors
    /// Less than 99 % of the rate, by more than the one person whom the edge of a window may leave out.
    pub(in crate::simulation) fn second(
        &mut self,
        now_ms: i64,
        rate_per_minute: u32,
        enough: bool,
    ) -> Result<(), Broken> {
        let admitted = std::mem::take(&mut self.admitted_now);
        if !enough || now_ms <= self.calm_from_ms || rate_per_minute != self.rate_per_minute {
            self.rate_per_minute = rate_per_minute;
            self.seconds.clear();
            return Ok(());
        }
        self.seconds.push_back(admitted);
        if self.seconds.len() > WINDOW {
            self.seconds.pop_front();
        }
        if self.seconds.len() == WINDOW && rate_per_minute > 0 {
            let people = self.seconds.iter().sum::<u64>();
            let used = people as f64 / f64::from(rate_per_minute);
            self.worst = Some(self.worst.unwrap_or(f64::INFINITY).min(used));
            if self.judged && (people + 1) * 100 < u64::from(rate_per_minute) * 99 {
                return broken("W3", format!("{people} people went in within 60 s at {rate_per_minute} a minute"));
            }
        }
        Ok(())
    }

    /// The worst share of the rate in any minute that counts.
    pub(in crate::simulation) const fn worst(&self) -> Option<f64> {
        self.worst
    }
}
