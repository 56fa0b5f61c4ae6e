//! How well this node's expected waits come true: what some of those who join are told first, held against their real
//! wait when they go in. A sample, bounded in memory; who goes in at another node, or never, is not judged.

use std::collections::HashMap;
use std::sync::Mutex;

use super::wait::Eta;

/// The most promises kept at a time: some 200 KiB a room.
const KEPT_MAX: usize = 4_096;
/// Of those who wait about so many are followed.
const FOLLOWED: u64 = 1_024;
/// Whoever has not gone in after so many times the longest wait promised went away.
const FORGET_TIMES: u64 = 4;

/// How a real wait stands to the range that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sooner,
    Inside,
    Later,
}

impl Outcome {
    /// The word for it on labels.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Outcome::Sooner => "sooner",
            Outcome::Inside => "inside",
            Outcome::Later => "later",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Promise {
    told_at_ms: i64,
    eta: Eta,
}

/// The promises of one room, by epoch and number.
#[derive(Debug, Default)]
pub(super) struct Promises(Mutex<HashMap<(u64, u64), Promise>>);

impl Promises {
    /// Somebody who joined was told this. `waiting`: people in line, which says how many are worth following.
    pub(super) fn told(&self, (epoch, number): (u64, u64), waiting: u64, eta: Eta, now_ms: i64) {
        if !number.is_multiple_of((waiting / FOLLOWED).max(1)) {
            return;
        }
        let Ok(mut kept) = self.0.lock() else { return };
        if kept.len() >= KEPT_MAX {
            let over = |promise: &Promise| since(promise, now_ms) > promise.eta.high_ms.saturating_mul(FORGET_TIMES);
            kept.retain(|_, promise| !over(promise));
        }
        if kept.len() < KEPT_MAX {
            kept.insert((epoch, number), Promise { told_at_ms: now_ms, eta });
        }
    }

    /// This number goes in; how its wait stands to what it was told, if this node told it.
    pub(super) fn came(&self, epoch: u64, number: u64, now_ms: i64) -> Option<Outcome> {
        let promise = self.0.lock().ok()?.remove(&(epoch, number))?;
        let waited_ms = since(&promise, now_ms);
        Some(match promise.eta {
            Eta { low_ms, .. } if waited_ms < low_ms => Outcome::Sooner,
            Eta { high_ms, .. } if waited_ms > high_ms => Outcome::Later,
            Eta { .. } => Outcome::Inside,
        })
    }
}

fn since(promise: &Promise, now_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(promise.told_at_ms)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETA: Eta = Eta { low_ms: 10_000, high_ms: 20_000 };

    #[test]
    fn a_wait_is_sooner_inside_or_later_and_judged_once() {
        let promises = Promises::default();
        for (number, waited_ms, outcome) in [
            (1, 9_999, Outcome::Sooner),
            (2, 10_000, Outcome::Inside),
            (3, 20_000, Outcome::Inside),
            (4, 20_001, Outcome::Later),
        ] {
            promises.told((7, number), 10, ETA, 1_000);
            assert_eq!(promises.came(7, number, 1_000 + waited_ms), Some(outcome), "{waited_ms}");
            assert_eq!(promises.came(7, number, 1_000 + waited_ms), None);
        }
        promises.told((7, 9), 10, ETA, 0);
        assert_eq!(promises.came(8, 9, 15_000), None, "another line");
    }

    #[test]
    fn of_a_crowd_some_are_followed_and_who_never_comes_is_forgotten() {
        let promises = Promises::default();
        (1..=100_000).for_each(|number| promises.told((1, number), 100_000, ETA, 0));
        let followed = |promises: &Promises| promises.0.lock().map(|kept| kept.len()).unwrap_or_default();
        assert!((1_000..=1_100).contains(&followed(&promises)), "{}", followed(&promises));
        (1..=10_000).for_each(|number| promises.told((2, number), 0, ETA, 0));
        assert_eq!(followed(&promises), KEPT_MAX);
        promises.told((3, 1), 0, ETA, 80_001);
        assert_eq!(followed(&promises), 1);
    }
}
