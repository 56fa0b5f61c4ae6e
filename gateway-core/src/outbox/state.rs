//! The life of a message, pure:
//!
//! ```text
//! ready ──taken──▶ leased ──its effect is committed──▶ done
//!   ▲                │
//!   ├── later ◀──────┤ it failed, or the lease ran out
//!   │                └── too often ──▶ dead ──dropped──▶ dropped
//!   └───────────────── replayed ◀───────┘
//! ```
//!
//! A lease is a ready row with an owner, not due before the lease ends. Each taking raises the fence, and whatever an
//! owner writes names its fence: after its lease ran out and another took the message, it writes nothing.

/// How often a message may fail. With the pauses between, that is about two minutes.
pub(crate) const TRIES_MAX: i64 = 10;

/// How long a message belongs to whoever took it. A transaction over a group takes milliseconds; who needs longer stalls.
pub(crate) const LEASE_MS: i64 = 15_000;

/// The pause after the first failure; it doubles up to the maximum.
const PAUSE_MS: i64 = 200;

const PAUSE_MS_MAX: i64 = 60_000;

/// The pause when the database is at fault and not the message.
const PAUSE_FOR_DATABASE_MS: i64 = 1_000;

/// Why a message took no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be heard as it is.
    Message,
    /// It may be as good as any other: the database was busy or away.
    Database,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Tried again after a pause.
    Again { tries: i64, pause_ms: i64 },
    /// Somebody has to look.
    Dead { tries: i64 },
}

/// What becomes of a message that failed `tries` times before. `luck` is from 0 to 1: many that failed together do not
/// come back together.
pub(crate) fn after_failure(fault: Fault, tries: i64, luck: f64) -> Next {
    let tries = match fault {
        Fault::Database => return Next::Again { tries, pause_ms: spread(PAUSE_FOR_DATABASE_MS, luck) },
        Fault::Message => tries.saturating_add(1),
    };
    if is_spent(tries) {
        return Next::Dead { tries };
    }
    let doublings = u32::try_from(tries.clamp(1, 20) - 1).unwrap_or(0);
    Next::Again { tries, pause_ms: spread(PAUSE_MS.saturating_mul(1 << doublings).min(PAUSE_MS_MAX), luck) }
}

/// Whether it has failed too often, counting owners that vanished: what kills its worker must not kill the next for ever.
pub(crate) const fn is_spent(tries: i64) -> bool {
    tries >= TRIES_MAX
}

/// From half of the pause to all of it.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "at most a minute, rounded")]
fn spread(pause_ms: i64, luck: f64) -> i64 {
    let half = pause_ms / 2;
    half + (half as f64 * luck.clamp(0.0, 1.0)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bad_message_is_dead_in_the_end_and_a_bad_database_kills_none() {
        let (mut tries, mut waited) = (0, 0);
        let dead = loop {
            match after_failure(Fault::Message, tries, 1.0) {
                Next::Again { tries: more, pause_ms } => {
                    assert_eq!(more, tries + 1);
                    (tries, waited) = (more, waited + pause_ms);
                }
                Next::Dead { tries } => break tries,
            }
        };
        assert_eq!(dead, TRIES_MAX);
        assert!((60_000..180_000).contains(&waited), "{waited}");
        let patient = after_failure(Fault::Database, TRIES_MAX - 1, 0.0);
        assert_eq!(patient, Next::Again { tries: TRIES_MAX - 1, pause_ms: 500 });
    }

    proptest! {
        #[test]
        fn every_failure_leads_nearer_to_an_end(tries in 0_i64..1_000_000, luck in 0.0_f64..=1.0) {
            match after_failure(Fault::Message, tries, luck) {
                Next::Again { tries: more, pause_ms } => {
                    prop_assert!(more == tries + 1 && !is_spent(more));
                    prop_assert!((PAUSE_MS / 2..=PAUSE_MS_MAX).contains(&pause_ms));
                }
                Next::Dead { tries: more } => prop_assert!(is_spent(more)),
            }
        }
    }
}
