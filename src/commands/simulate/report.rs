//! What a simulation came to: admitted against the rate, waits, drop-outs, failures. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::visitor::Fate;

/// The window in which admissions are held against the rate.
const WINDOW: Duration = Duration::from_secs(60);

/// Fates, added up.
pub(super) struct Report {
    rate_per_minute: u32,
    admitted_at: Vec<Duration>,
    waits: Vec<Duration>,
    pages: BTreeMap<u16, u32>,
    failures: BTreeMap<String, u32>,
    left: u32,
    still_waiting: usize,
}

impl Report {
    pub(super) const fn new(rate_per_minute: u32) -> Self {
        Self {
            rate_per_minute,
            admitted_at: Vec::new(),
            waits: Vec::new(),
            pages: BTreeMap::new(),
            failures: BTreeMap::new(),
            left: 0,
            still_waiting: 0,
        }
    }

    pub(super) fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Admitted { at, waited, page } => {
                self.admitted_at.push(at);
                self.waits.push(waited);
                *self.pages.entry(page).or_default() += 1;
            }
            Fate::Left => self.left += 1,
            Fate::Failed(said) => *self.failures.entry(said).or_default() += 1,
        }
    }

    pub(super) const fn still_waiting(&mut self, count: usize) {
        self.still_waiting = count;
    }

    /// For the progress bar.
    pub(super) fn in_short(&self) -> String {
        let failed: u32 = self.failures.values().sum();
        format!("in {}, left {}, failed {failed}", self.admitted_at.len(), self.left)
    }

    /// The most admissions in any window of a minute.
    fn worst_minute(&self) -> usize {
        let mut times = self.admitted_at.clone();
        times.sort_unstable();
        let mut first = 0;
        let mut worst = 0;
        for (last, at) in times.iter().enumerate() {
            while *at - times[first] >= WINDOW {
                first += 1;
            }
            worst = worst.max(last + 1 - first);
        }
        worst
    }

    /// The wait that this part of the admitted did not exceed.
    fn wait(&self, part: f64) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let rank = (part * waits.len() as f64).ceil() as usize;
        waits.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The summary for machines.
    pub(super) fn summary(&self) -> Value {
        let ms = |part| u64::try_from(self.wait(part).as_millis()).unwrap_or(u64::MAX);
        json!({
            "rate_per_minute": self.rate_per_minute,
            "admitted": self.admitted_at.len(),
            "admitted_worst_minute": self.worst_minute(),
            "wait_ms": { "p50": ms(0.5), "p95": ms(0.95), "max": ms(1.0) },
            "left": self.left,
            "still_waiting": self.still_waiting,
            "failed": self.failures,
            "page_status": self.pages.iter().map(|(status, count)| (status.to_string(), *count)).collect::<BTreeMap<_, _>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |part| self.wait(part).as_secs_f64();
        writeln!(f, "admitted       {}", self.admitted_at.len())?;
        writeln!(f, "rate           {} per minute; most in any 60 s: {}", self.rate_per_minute, self.worst_minute())?;
        writeln!(
            f,
            "waits          p50 {:.1} s, p95 {:.1} s, longest {:.1} s",
            seconds(0.5),
            seconds(0.95),
            seconds(1.0)
        )?;
        writeln!(f, "dropped out    {}", self.left)?;
        for (status, count) in &self.pages {
            writeln!(f, "page           {count} times {status}")?;
        }
        for (said, count) in &self.failures {
            writeln!(f, "failed         {count} times: {said}")?;
        }
        write!(f, "still waiting  {}", self.still_waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(at_s: u64, waited_s: u64) -> Fate {
        Fate::Admitted { at: Duration::from_secs(at_s), waited: Duration::from_secs(waited_s), page: 200 }
    }

    #[test]
    fn the_worst_minute_slides() {
        let mut report = Report::new(2);
        for at in [0, 50, 59, 60, 110, 300] {
            report.add(admitted(at, 1));
        }
        assert_eq!(report.worst_minute(), 3, "50, 59, 60 (and 0, 50, 59): a minute later is another minute");
    }

    #[test]
    fn waits_are_ranked_and_the_rest_is_counted() {
        let mut report = Report::new(60);
        for wait in 1..=100 {
            report.add(admitted(wait, wait));
        }
        report.add(Fate::Left);
        report.add(Fate::Failed("status 502".to_owned()));
        report.still_waiting(4);
        let summary = report.summary();
        assert_eq!(summary["wait_ms"]["p50"], 50_000);
        assert_eq!(summary["wait_ms"]["p95"], 95_000);
        assert_eq!(summary["wait_ms"]["max"], 100_000);
        assert_eq!((&summary["left"], &summary["still_waiting"]), (&json!(1), &json!(4)));
        assert!(report.to_string().contains("failed         1 times: status 502"));
    }

    #[test]
    fn nobody_admitted_is_a_report_too() {
        assert_eq!(Report::new(1).summary()["wait_ms"]["max"], 0);
    }
}
