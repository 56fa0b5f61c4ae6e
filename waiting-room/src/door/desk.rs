//! What a room asks before it gives out a number: not too often from one network, and a proof of work. All of it is
//! this node's memory, and all of it is bounded.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use super::gate::Gate;
use super::room::Room;
use super::shut::Shut;
use super::verdict::line_unavailable;
use crate::credential::Challenge;
use crate::credential::proof::PROOF_MS;
use crate::line::Snapshot;
use crate::problem::{Code, Problem};
use crate::settings::{JoinLimit, ProofOfWork};
use crate::store::StoreError;

/// Networks that are remembered, about 10 MB; those seen least are forgotten first.
const NETWORKS_MAX: usize = 65_536;
/// Proofs that are remembered as used in one window; each stands for work that somebody did.
const USED_MAX: usize = 1_000_000;
/// Joins are counted over this time to choose the difficulty, in milliseconds.
const PACE_MS: i64 = 10_000;
/// So many joins in that time are nothing unusual, however slow the room is.
const PACE_CALM: u64 = 60;
/// The most that the difficulty grows.
const HARDER_MAX: u64 = 32;

/// When to try again to join a line that is full, in milliseconds.
const FULL_RETRY_MS: u64 = 20_000;

/// Somebody who wants a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comer<'a> {
    pub(crate) address: IpAddr,
    /// As it came in its header.
    pub(crate) proof: Option<&'a str>,
    /// An access code or a token, as it came.
    pub(crate) shown: Option<&'a str>,
    /// The index of the lane that somebody asks for; what they show may say another.
    pub(crate) lane: u8,
}

/// Why somebody got no number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotJoined {
    /// The line could not be asked.
    Line(StoreError),
    /// As many wait as may.
    Full,
    /// The room takes nobody new.
    Shut(Shut),
    /// Too many came from this network.
    TooMany { retry_after_ms: u64 },
    /// A proof of work is asked for, and none came that is good.
    Proof,
    /// The room asks who somebody is, and it is not known.
    NoIdentity,
    /// This identity went in before, or gave its place up.
    Used,
    /// The room asks for an access code or a token, and none came.
    AccessMissing,
    /// What came is no code and no token of this room.
    AccessWrong,
    /// Too many wrong codes came from this network.
    TooManyTries { retry_after_ms: u64 },
}

impl NotJoined {
    /// What the line answered, in a room as this node last saw it.
    pub(super) fn by(error: StoreError, snapshot: &Snapshot) -> NotJoined {
        match error {
            StoreError::Full => NotJoined::Full,
            StoreError::Proof => NotJoined::Proof,
            StoreError::Closed => NotJoined::Shut(Shut::of(snapshot, false).unwrap_or(Shut::Closed)),
            StoreError::Unreachable(_)
            | StoreError::Busy
            | StoreError::NoRoom(_)
            | StoreError::NoLane
            | StoreError::Invalid(_) => NotJoined::Line(error),
        }
    }

    /// The word for it on labels.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            NotJoined::Line(_) => "line",
            NotJoined::Full => "full",
            NotJoined::Shut(shut) => shut.as_str(),
            NotJoined::TooMany { .. } => "network",
            NotJoined::Proof => "proof",
            NotJoined::NoIdentity => "identity_missing",
            NotJoined::Used => "identity_used",
            NotJoined::AccessMissing | NotJoined::AccessWrong => "access",
            NotJoined::TooManyTries { .. } => "tries",
        }
    }

    /// What the visitor is told.
    pub(crate) fn problem(&self, room: &str) -> Problem {
        match self {
            NotJoined::Full => {
                Problem::new(Code::QueueFull, "As many people wait as can be served. Try again in a few minutes.")
                    .retry_after(FULL_RETRY_MS)
            }
            NotJoined::Shut(shut) => shut.problem(),
            NotJoined::Line(_) => line_unavailable("No numbers are given out at this moment; try again."),
            NotJoined::TooMany { retry_after_ms } => {
                let detail = "Many people have joined from your network just now. Try again in a moment.";
                Problem::new(Code::TooManyJoins, detail).retry_after(*retry_after_ms)
            }
            NotJoined::Proof => Problem::new(Code::ProofRequired, "Solve a challenge, and send the proof along.")
                .with("challenge", format!("/.waiting-room/rooms/{room}/challenge")),
            NotJoined::NoIdentity => {
                Problem::new(Code::IdentityRequired, "This room gives one place to each person, and asks who you are.")
            }
            NotJoined::Used => {
                Problem::new(Code::IdentityUsed, "This room gives one place to each person, and yours has been used.")
            }
            NotJoined::AccessMissing => Problem::new(
                Code::AccessRequired,
                "This line is for people with an access code or a token; send it as x-waiting-room-access when you join.",
            )
            .with("join", format!("/.waiting-room/rooms/{room}/tickets")),
            NotJoined::AccessWrong => {
                Problem::new(Code::AccessRefused, "We do not know this code or token. Check that it is whole and of today.")
            }
            NotJoined::TooManyTries { retry_after_ms } => {
                let detail = "Too many wrong codes came from your network. Try again in a moment.";
                Problem::new(Code::LoginThrottled, detail).retry_after(*retry_after_ms)
            }
        }
    }
}

/// Whether as many wait as may.
pub(super) fn is_full(snapshot: &Snapshot) -> bool {
    snapshot.queue_max > 0 && snapshot.waiting() >= snapshot.queue_max
}

/// The desk of one room.
pub(super) struct Desk {
    limit: Option<Limiter>,
    proof: Option<Proofs>,
}

impl Desk {
    pub(super) fn new(limit: JoinLimit, proof: ProofOfWork) -> Desk {
        Desk {
            limit: (limit.per_minute > 0).then(|| Limiter::new(limit)),
            proof: (proof.number_max > 0).then(|| Proofs::new(proof.number_max)),
        }
    }

    /// Counts one join of a network.
    ///
    /// # Errors
    /// When to come again, in milliseconds.
    pub(super) fn admit(&self, address: IpAddr, now_ms: i64) -> Result<(), u64> {
        self.limit.as_ref().map_or(Ok(()), |limit| limit.admit(address, now_ms))
    }

    /// The proofs that are asked for, if any.
    pub(super) fn proofs(&self) -> Option<&Proofs> {
        self.proof.as_ref()
    }
}

impl Gate {
    /// A challenge for somebody who wants to join, if the room asks for proofs.
    pub(crate) fn challenge(&self, room: &Room) -> Option<Challenge> {
        let now_ms = self.now_ms();
        let number_max = room.desk().proofs()?.next_number_max(room.snapshot().rate_per_minute, now_ms);
        Some(self.proofs.challenge(room.name(), number_max, now_ms))
    }
}

/// A rate per network by GCRA: one number each, the time at which its joins so far are paid for.
pub(super) struct Limiter {
    paid_at_us: Cache<u64, Arc<AtomicI64>>,
    interval_us: i64,
    slack_us: i64,
}

impl Limiter {
    pub(super) fn new(limit: JoinLimit) -> Limiter {
        let interval_us = 60_000_000 / i64::from(limit.per_minute.max(1));
        let burst = if limit.burst == 0 { limit.per_minute } else { limit.burst };
        let slack_us = interval_us.saturating_mul(i64::from(burst.max(1)) - 1);
        Limiter { paid_at_us: Cache::new(NETWORKS_MAX), interval_us, slack_us }
    }

    /// Whether one more would be admitted; counts nothing.
    pub(super) fn look(&self, address: IpAddr, now_ms: i64) -> Result<(), u64> {
        let paid_at = self.paid_at_us.get(&network(address)).map_or(0, |paid_at| paid_at.load(Ordering::Relaxed));
        let wait_us = paid_at - now_ms.saturating_mul(1_000) - self.slack_us;
        if wait_us <= 0 { Ok(()) } else { Err(u64::try_from(wait_us).unwrap_or(0).div_ceil(1_000)) }
    }

    pub(super) fn admit(&self, address: IpAddr, now_ms: i64) -> Result<(), u64> {
        let now_us = now_ms.saturating_mul(1_000);
        let network = network(address);
        let paid_at_us = match self.paid_at_us.get(&network) {
            Some(known) => known,
            None => {
                let fresh = Arc::new(AtomicI64::new(now_us));
                self.paid_at_us.get_or_insert_with(&network, || Ok::<_, ()>(Arc::clone(&fresh))).unwrap_or(fresh)
            }
        };
        let pay = |paid_at: i64| {
            let paid_at = paid_at.max(now_us);
            (paid_at - now_us <= self.slack_us).then_some(paid_at + self.interval_us)
        };
        paid_at_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).map(drop).map_err(|paid_at| {
            let wait_us = (paid_at - now_us - self.slack_us).max(1_000);
            u64::try_from(wait_us).unwrap_or(0).div_ceil(1_000)
        })
    }
}

/// What one customer of a provider usually has: an IPv4 /24, an IPv6 /48.
fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        // The high bit keeps the two kinds apart; 48 bits fit below it.
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 80).unwrap_or(0) | 1 << 63,
    }
}

/// Which proofs were used, and how hard the next ones are.
pub(super) struct Proofs {
    number_max: u32,
    // A std mutex: never held across an `.await`.
    book: Mutex<Book>,
}

/// Two windows that take turns: a proof is remembered for longer than it holds.
#[derive(Default)]
struct Book {
    window: i64,
    used: [HashSet<[u8; 16]>; 2],
    pace: i64,
    joins: [u64; 2],
}

impl Book {
    /// The joins of the time before last are forgotten.
    fn keep_pace(&mut self, now_ms: i64) {
        let pace = now_ms.div_euclid(PACE_MS);
        if pace > self.pace {
            self.joins = if pace == self.pace + 1 { [0, self.joins[0]] } else { [0, 0] };
            self.pace = pace;
        }
    }
}

impl Proofs {
    fn new(number_max: u32) -> Proofs {
        Proofs { number_max, book: Mutex::default() }
    }

    /// Whether this is the proof's first use.
    pub(super) fn first_use(&self, name: [u8; 16], now_ms: i64) -> bool {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let window = now_ms.div_euclid(PROOF_MS);
        if window > book.window {
            let older = if window == book.window + 1 { std::mem::take(&mut book.used[0]) } else { HashSet::new() };
            book.used = [HashSet::new(), older];
            book.window = window;
        }
        let [current, older] = &mut book.used;
        // Full: refusing is safe, forgetting is not.
        let first = !older.contains(&name) && current.len() < USED_MAX && current.insert(name);
        if first {
            book.keep_pace(now_ms);
            book.joins[0] = book.joins[0].saturating_add(1);
        }
        first
    }

    /// How hard the next challenge is, by how many joined lately with a proof against what the room lets in. Asking for
    /// challenges costs nothing, and therefore counts for nothing.
    pub(super) fn next_number_max(&self, rate_per_minute: u32, now_ms: i64) -> u32 {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.keep_pace(now_ms);
        let joined = book.joins[0].max(book.joins[1]);
        let usual = (u64::from(rate_per_minute) * PACE_MS.unsigned_abs() / 60_000).max(PACE_CALM);
        let harder = (joined / usual).clamp(1, HARDER_MAX);
        u32::try_from(u64::from(self.number_max) * harder).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LaneSnapshot;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_is_full_when_as_many_wait_as_may() {
        let line = |issued, queue_max| {
            let lanes = vec![LaneSnapshot { issued, cursor: 3, ..LaneSnapshot::default() }];
            Snapshot { lanes, queue_max, ..Snapshot::default() }
        };
        assert!(is_full(&line(5, 2)) && is_full(&line(6, 2)));
        assert!(!is_full(&line(4, 2)) && !is_full(&line(1_000, 0)));
        let problem = NotJoined::by(StoreError::Full, &line(5, 2)).problem("demo");
        assert_eq!((problem.code(), problem.comes_back_ms()), (Code::QueueFull, Some(FULL_RETRY_MS)));
    }

    #[test]
    fn a_network_has_its_rate_and_its_burst() {
        let limiter = Limiter::new(JoinLimit { per_minute: 6, burst: 3 });
        let join = |text: &str, now_ms| limiter.admit(address(text), now_ms);
        for host in 1..=3 {
            assert_eq!(join(&format!("192.0.2.{host}"), 0), Ok(()));
        }
        assert_eq!(join("192.0.2.9", 0), Err(10_000));
        assert_eq!(join("::ffff:192.0.2.9", 9_999), Err(1), "the same network");
        assert_eq!(join("192.0.3.1", 0), Ok(()), "another one");
        assert_eq!(join("192.0.2.9", 10_000), Ok(()));
        assert_eq!(join("192.0.2.9", 10_000), Err(10_000));
        for host in 1..=3 {
            assert_eq!(join(&format!("2001:db8:1:{host}::1"), 0), Ok(()));
        }
        assert!(join("2001:db8:1:ffff::1", 0).is_err() && join("2001:db8:2::1", 0).is_ok());
    }

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_holds() {
        let proofs = Proofs::new(100);
        assert!(proofs.first_use([1; 16], PROOF_MS - 1));
        for now_ms in [PROOF_MS - 1, PROOF_MS, 2 * PROOF_MS - 1] {
            assert!(!proofs.first_use([1; 16], now_ms), "{now_ms}");
        }
        assert!(proofs.first_use([1; 16], 4 * PROOF_MS), "forgotten, and long worth nothing");
    }

    #[test]
    fn many_joins_make_it_harder_and_calm_makes_it_easy_again() {
        let proofs = Proofs::new(100);
        let mut names = 0_u128..;
        let mut join = |count, now_ms| {
            names.by_ref().take(count).for_each(|name| assert!(proofs.first_use(name.to_be_bytes(), now_ms)));
            proofs.next_number_max(60, now_ms)
        };
        assert_eq!(join(60, 0), 100);
        assert_eq!(join(540, 5), 1_000);
        assert_eq!(join(10_000, 9), 3_200);
        assert_eq!(join(1, PACE_MS), 3_200, "not at once");
        assert_eq!(join(1, 2 * PACE_MS), 100);
    }

    #[test]
    fn who_only_asks_for_challenges_or_shows_one_proof_again_makes_it_no_harder() {
        let proofs = Proofs::new(100);
        for _ in 0..10_000 {
            proofs.first_use([7; 16], 5);
            assert_eq!(proofs.next_number_max(60, 5), 100);
        }
    }
}
