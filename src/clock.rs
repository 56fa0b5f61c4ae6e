//! The one clock of the program: epoch milliseconds that never go backwards and never jump.
//!
//! The wall clock is read once, at start; from then on time is what the monotonic clock adds to it, so that a
//! wall-clock jump while the program runs changes neither a rate nor an order (invariant W8).

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Epoch milliseconds, as the libraries want their clock.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Starts the clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub(crate) fn start() -> Clock {
    let origin_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| as_ms(since.as_millis()));
    let origin = Instant::now();
    Arc::new(move || origin_ms.saturating_add(as_ms(origin.elapsed().as_millis())))
}

fn as_ms(ms: u128) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_never_goes_backwards() {
        let clock = super::start();
        let readings: Vec<i64> = (0..1_000).map(|_| clock()).collect();
        assert!(readings.is_sorted());
        assert!(readings[0] > 1_700_000_000_000, "epoch milliseconds");
    }
}
