//! Whether the store can be reached, as one room of this node sees it, and who of those who came meanwhile gets a number
//! when. A pure machine:
//!
//! ```text
//! Here --failed--> Away --answered--> Back --settled--> Here
//!   ^                |  ^               |
//!   '---a blip-------'  '----failed-----'
//! ```
//!
//! In `Back` people who came while it was away get their numbers, oldest first. The sweep over their times of arrival takes
//! a while, so that nodes that do this at the same time take people of the same age at the same time.

/// A store that answers again so soon was not away, if nobody has a provisional ticket.
const BLIP_MS: i64 = 2_000;
/// After the return: until those who have a provisional ticket have asked again, also those of a node that died.
const GATHER_MS: i64 = 1_000;
/// The sweep takes this part of the time that the store was away ...
const SWEEP_PART: i64 = 4;
/// ... but at least so long, in milliseconds: the longest time between two polls of who has a provisional ticket ...
const SWEEP_MS_MIN: i64 = 2_000;
/// ... and at most so long.
const SWEEP_MS_MAX: i64 = 10_000;
/// The first who noticed that the store is away had waited so long for its answer.
const NOTICED_MS: i64 = 2_000;

/// How the store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    #[default]
    Here,
    Away {
        since_ms: i64,
    },
    /// It answers again since `at_ms`.
    Back {
        since_ms: i64,
        at_ms: i64,
    },
}

/// What a node notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Failed,
    /// `owing`: somebody was given a provisional ticket, or showed one.
    Answered {
        owing: bool,
    },
    /// The sweep is over, and everybody it was for has a number.
    Settled,
}

impl Reach {
    pub(super) fn on(self, event: Event, now_ms: i64) -> Reach {
        match (self, event) {
            (Reach::Here, Event::Failed) => Reach::Away { since_ms: now_ms },
            (Reach::Away { since_ms }, Event::Answered { owing }) if owing || now_ms - since_ms >= BLIP_MS => {
                Reach::Back { since_ms, at_ms: now_ms }
            }
            (Reach::Away { .. }, Event::Answered { .. }) => Reach::Here,
            // Those who came during the first absence still have no number: it goes on.
            (Reach::Back { since_ms, .. }, Event::Failed) => Reach::Away { since_ms },
            (Reach::Back { .. }, Event::Settled) => Reach::Here,
            // Told again, or too late: nothing changes.
            (Reach::Here, Event::Answered { .. } | Event::Settled)
            | (Reach::Away { .. }, Event::Failed | Event::Settled)
            | (Reach::Back { .. }, Event::Answered { .. }) => self,
        }
    }

    /// Since when nobody could be given a number.
    pub(crate) const fn away_since_ms(self) -> Option<i64> {
        match self {
            Reach::Here => None,
            Reach::Away { since_ms } | Reach::Back { since_ms, .. } => Some(since_ms),
        }
    }

    /// Up to which time of arrival people get their number now; none while nobody does.
    pub(super) fn due_up_to_ms(self, now_ms: i64) -> Option<i64> {
        match self {
            Reach::Here => Some(i64::MAX),
            Reach::Away { .. } => None,
            Reach::Back { since_ms, at_ms } => {
                let swept_ms = now_ms - at_ms - GATHER_MS;
                let (from_ms, sweep_ms) = (since_ms - NOTICED_MS, sweep_ms(since_ms, at_ms));
                match swept_ms {
                    ..0 => None,
                    _ if swept_ms >= sweep_ms => Some(i64::MAX),
                    _ => Some(from_ms + swept_ms.saturating_mul(at_ms - from_ms) / sweep_ms),
                }
            }
        }
    }

    /// In how many milliseconds who arrived at a time gets a number; not known while the store is away.
    pub(super) fn due_in_ms(self, arrived_at_ms: i64, now_ms: i64) -> Option<i64> {
        match self {
            Reach::Here => Some(0),
            Reach::Away { .. } => None,
            Reach::Back { since_ms, at_ms } => {
                let (from_ms, sweep_ms) = (since_ms - NOTICED_MS, sweep_ms(since_ms, at_ms));
                let age = (arrived_at_ms.clamp(from_ms, at_ms) - from_ms).saturating_mul(sweep_ms);
                Some((at_ms + GATHER_MS + age / (at_ms - from_ms).max(1) - now_ms).max(0))
            }
        }
    }
}

fn sweep_ms(since_ms: i64, at_ms: i64) -> i64 {
    ((at_ms - since_ms) / SWEEP_PART).clamp(SWEEP_MS_MIN, SWEEP_MS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_table() {
        let states = [Reach::Here, Reach::Away { since_ms: 10 }, Reach::Back { since_ms: 10, at_ms: 5_000 }];
        let events = [Event::Failed, Event::Answered { owing: false }, Event::Answered { owing: true }, Event::Settled];
        let mut table = String::new();
        for state in states {
            for event in events {
                table += &format!("{state:?} + {event:?} -> {:?}\n", state.on(event, 9_000));
            }
        }
        let (here, away) = ("Here", "Away { since_ms: 10 }");
        let (back, anew) = ("Back { since_ms: 10, at_ms: 5000 }", "Back { since_ms: 10, at_ms: 9000 }");
        let (no, yes) = ("Answered { owing: false }", "Answered { owing: true }");
        let wanted = format!(
            "{here} + Failed -> Away {{ since_ms: 9000 }}\n{here} + {no} -> {here}\n{here} + {yes} -> {here}\n\
             {here} + Settled -> {here}\n\
             {away} + Failed -> {away}\n{away} + {no} -> {anew}\n{away} + {yes} -> {anew}\n{away} + Settled -> {away}\n\
             {back} + Failed -> {away}\n{back} + {no} -> {back}\n{back} + {yes} -> {back}\n{back} + Settled -> {here}\n"
        );
        assert_eq!(table, wanted);
    }

    #[test]
    fn a_blip_that_nobody_noticed_is_none() {
        let away = Reach::Here.on(Event::Failed, 0);
        assert_eq!(away.on(Event::Answered { owing: false }, 1_999), Reach::Here);
        assert_eq!(away.on(Event::Answered { owing: true }, 1), Reach::Back { since_ms: 0, at_ms: 1 });
    }

    #[test]
    fn the_sweep_begins_after_the_gathering_and_ends() {
        let back = Reach::Back { since_ms: 10_000, at_ms: 50_000 };
        let due = [50_000, 50_999, 51_000, 56_000, 60_999, 61_000].map(|now_ms| back.due_up_to_ms(now_ms));
        assert_eq!(due, [None, None, Some(8_000), Some(29_000), Some(49_995), Some(i64::MAX)]);
        assert_eq!(Reach::Away { since_ms: 10_000 }.due_up_to_ms(i64::MAX / 2), None);
        // The first numbers come soon enough for the rate to be used again within five seconds.
        assert!(back.due_in_ms(10_000, 50_000).is_some_and(|ms| ms < 2_000));
    }

    proptest! {
        #[test]
        fn nobody_is_due_before_who_came_before(
            since_ms in 0i64..1_000_000, away_ms in 0i64..100_000_000, after_ms in 0i64..20_000,
            one in -10_000i64..1_000_000, later_ms in 0i64..1_000_000,
        ) {
            let back = Reach::Back { since_ms, at_ms: since_ms + away_ms };
            let now_ms = since_ms + away_ms + after_ms;
            let due = |at_ms| back.due_up_to_ms(now_ms).is_some_and(|up_to_ms| at_ms <= up_to_ms);
            prop_assert!(due(one) || !due(one + later_ms));
            prop_assert!(back.due_up_to_ms(now_ms) <= back.due_up_to_ms(now_ms + 1));
            let (in_ms, later_in_ms) = (back.due_in_ms(one, now_ms), back.due_in_ms(one + later_ms, now_ms));
            prop_assert!(in_ms <= later_in_ms);
            prop_assert!(in_ms.is_some_and(|ms| ms <= GATHER_MS + SWEEP_MS_MAX));
        }
    }
}
