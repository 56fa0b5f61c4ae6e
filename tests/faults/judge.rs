//! What the shop's list of arrivals says of the rate: never too many in any window, and nearly all of them used.

use std::time::{Duration, Instant};

/// The window that comes closest to what is allowed, or exceeds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worst {
    pub(crate) people: u64,
    pub(crate) allowed: u64,
    pub(crate) window_ms: u64,
}

impl Worst {
    /// How many too many.
    pub(crate) fn over(&self) -> u64 {
        self.people.saturating_sub(self.allowed)
    }
}

/// Over windows of every length up to `longest`. Of each person is known when they may have been let in at the earliest,
/// and when they came through; a person counts in windows that have both. In the order of coming through.
pub(crate) fn worst_window(
    people: &[(Instant, Instant)],
    rate_per_minute: u64,
    burst: u64,
    longest: Duration,
) -> Worst {
    let mut worst = Worst { people: 0, allowed: burst, window_ms: 0 };
    for from in 0..people.len() {
        let mut begin = people[from].0;
        for (to, (asked, came)) in people.iter().enumerate().skip(from) {
            begin = begin.min(*asked);
            let window = came.duration_since(begin);
            if window > longest {
                break;
            }
            // The line counts whole milliseconds, and the last arrival is inside of the window.
            let window_ms = window.as_millis() as u64 + 2;
            let allowed = window_ms * rate_per_minute / 60_000 + burst;
            let found = Worst { people: (to - from) as u64 + 1, allowed, window_ms };
            if found.people as i64 - allowed as i64 > worst.people as i64 - worst.allowed as i64 {
                worst = found;
            }
        }
    }
    worst
}

/// Most people in any window of this length.
pub(crate) fn fullest(arrivals: &[Instant], window: Duration) -> usize {
    let mut from = 0;
    let full = |(to, end): (usize, &Instant)| {
        while end.duration_since(arrivals[from]) >= window {
            from += 1;
        }
        to - from + 1
    };
    arrivals.iter().enumerate().map(full).max().unwrap_or(0)
}

/// The share of the rate that was used in the emptiest window of this length between two moments. A person is counted
/// as much as the part of a second that they stand for: windows are moved by quarters of a second.
pub(crate) fn least_share(
    arrivals: &[Instant],
    rate_per_minute: u64,
    span: (Instant, Instant),
    window: Duration,
) -> f64 {
    let mut begin = span.0;
    let mut least = f64::INFINITY;
    while begin + window <= span.1 {
        let people = arrivals.iter().filter(|at| (begin..begin + window).contains(*at)).count();
        least = least.min(people as f64 / (window.as_secs_f64() * rate_per_minute as f64 / 60.0));
        begin += Duration::from_millis(250);
    }
    least
}

#[test]
fn windows_are_judged_by_rate_and_burst() {
    let begin = Instant::now();
    let at = |ms: &[u64]| ms.iter().map(|ms| begin + Duration::from_millis(*ms)).collect::<Vec<_>>();
    // One a second, a burst of two.
    let longest = Duration::from_secs(60);
    let over = |people: &[(Instant, Instant)]| worst_window(people, 60, 2, longest).over();
    let twice = |at: Vec<Instant>| at.into_iter().map(|at| (at, at)).collect::<Vec<_>>();
    assert_eq!(over(&twice(at(&[0, 0, 1_000, 2_000]))), 0);
    assert_eq!(over(&twice(at(&[0, 0, 0, 2_000]))), 1);
    // One of them may have been let in a second before.
    let mut late = twice(at(&[1_000, 1_000, 1_000]));
    late[2].0 = begin;
    assert_eq!(over(&late), 0);
    assert_eq!(fullest(&at(&[0, 500, 900, 1_600]), Duration::from_secs(1)), 3);
    let share = least_share(&at(&[0, 1_000, 2_000, 3_000]), 60, (begin, begin + longest), Duration::from_secs(4));
    assert!(share < 0.01, "nobody after the first four");
}
