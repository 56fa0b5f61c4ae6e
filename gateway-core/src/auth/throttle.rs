//! Slows down guessing: after some wrong passwords an address has to wait. Pure; remembers a bounded number of addresses.

use std::collections::HashMap;

/// Wrong passwords before an address has to wait.
const FAILURES_MAX: u32 = 10;

/// How long the failures of an address are counted together, and so the longest wait.
const WINDOW_MS: i64 = 60_000;

/// Addresses remembered. When full, those whose window is over go first, then the oldest.
const ADDRESSES_MAX: usize = 10_000;

/// Failures by address.
#[derive(Default)]
pub(super) struct Throttle {
    failures: HashMap<String, Failures>,
}

struct Failures {
    count: u32,
    since_ms: i64,
}

impl Throttle {
    /// Whether another try is allowed; if not, in how many milliseconds.
    pub(super) fn check(&self, address: &str, now_ms: i64) -> Result<(), i64> {
        match self.failures.get(address) {
            Some(failures) if failures.count >= FAILURES_MAX => {
                let wait = failures.since_ms.saturating_add(WINDOW_MS).saturating_sub(now_ms);
                if wait > 0 { Err(wait) } else { Ok(()) }
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn failed(&mut self, address: &str, now_ms: i64) {
        if self.failures.len() >= ADDRESSES_MAX && !self.failures.contains_key(address) {
            self.make_room(now_ms);
        }
        let failures = self.failures.entry(address.to_owned()).or_insert(Failures { count: 0, since_ms: now_ms });
        if now_ms.saturating_sub(failures.since_ms) >= WINDOW_MS {
            *failures = Failures { count: 0, since_ms: now_ms };
        }
        failures.count = failures.count.saturating_add(1);
    }

    pub(super) fn succeeded(&mut self, address: &str) {
        self.failures.remove(address);
    }

    fn make_room(&mut self, now_ms: i64) {
        self.failures.retain(|_, failures| now_ms.saturating_sub(failures.since_ms) < WINDOW_MS);
        if self.failures.len() >= ADDRESSES_MAX
            && let Some(oldest) =
                self.failures.iter().min_by_key(|(_, f)| f.since_ms).map(|(address, _)| address.clone())
        {
            self.failures.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_then_a_wait_then_again() {
        let mut throttle = Throttle::default();
        for n in 0..i64::from(FAILURES_MAX) {
            assert_eq!(throttle.check("a@b", n), Ok(()));
            throttle.failed("a@b", n);
        }
        assert_eq!(throttle.check("a@b", 10), Err(WINDOW_MS - 10));
        assert_eq!(throttle.check("other@b", 10), Ok(()));
        assert_eq!(throttle.check("a@b", WINDOW_MS), Ok(()));
    }

    #[test]
    fn success_forgets_failures() {
        let mut throttle = Throttle::default();
        (0..20).for_each(|n| throttle.failed("a@b", n));
        throttle.succeeded("a@b");
        assert_eq!(throttle.check("a@b", 20), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        (0..ADDRESSES_MAX + 50).for_each(|n| throttle.failed(&n.to_string(), 5));
        assert_eq!(throttle.failures.len(), ADDRESSES_MAX);
    }
}
