//! Who goes in by this node alone while the store is away, in a room whose operator chose that. Pure; bounded. It spends
//! the node's part of the rate and never more: it begins late by what the store's meter may have been ahead, and after
//! the store's return nobody goes in for as long as it may have been ahead itself. So W2 holds over the whole of it,
//! as long as no more nodes do this than were said, and as long as the store is away for all of them. The cap of live
//! sessions holds in the same way: of the places that were free each node has its part.

use std::collections::{BTreeMap, VecDeque};

use crate::credential::Arrival;

/// A store must be away for so long before anybody goes in without it: a hiccup opens nothing.
pub(super) const CONFIRM_MS: i64 = 3_000;
/// The store's meter gives places so long before their time.
const AHEAD_MS: i64 = 1_000;
/// Budget that nobody used in an instant may be used for so long, if the burst allows.
const SLACK_MS_MAX: i64 = 500;
/// Those who may go in within this time are told to ask; the others wait until they have.
const NEAR_MS: i64 = 2_000;
/// However high the rate, no more than these.
const NEAR_MAX: i64 = 1_024;
/// People that are ordered; those behind them wait for the front to move.
const ASKING_MAX: usize = 4_096;
/// People who went in that are remembered until the line knows. Once there are so many, nobody else goes in.
const LET_IN_MAX: usize = 65_536;
/// Who was told to ask again is expected so much later at the most, in milliseconds.
const LATE_MS: i64 = 1_500;

/// Who asks, in the order in which they go in: who has a place in line, then who came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Place { position: u64, number: u64 },
    Late(Arrival),
}

/// The part of the rate and of the cap that is this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) rate_per_minute: u32,
    pub(super) burst: u32,
    pub(super) nodes: u32,
    /// How many may be inside whom this node let in.
    pub(super) places: u64,
    /// How long they count.
    pub(super) lasts_ms: i64,
}

impl Share {
    /// Whether nodes that do not know of each other keep the ceiling: all may let somebody in at the same instant.
    pub(super) const fn is_safe(self) -> bool {
        self.nodes > 0 && self.burst >= self.nodes && self.rate_per_minute > 0
    }

    /// How long unused budget lasts: all nodes together must stay within the burst.
    fn slack_ms(self) -> i64 {
        let spare = i64::from(self.burst / self.nodes.max(1)) - 1;
        spare.max(0).saturating_mul(self.interval_ms()).min(SLACK_MS_MAX)
    }

    /// Between two people, in milliseconds; longer rather than shorter.
    fn interval_ms(self) -> i64 {
        let people_ms = 60_000 * u64::from(self.nodes.max(1));
        i64::try_from(people_ms.div_ceil(u64::from(self.rate_per_minute.max(1)))).unwrap_or(i64::MAX / 4)
    }

    /// From the store's going away to the first who goes in.
    fn begins_after_ms(self) -> i64 {
        let burst_ms = (60_000 * u64::from(self.burst)).div_ceil(u64::from(self.rate_per_minute.max(1)));
        let burst_ms = i64::try_from(burst_ms).unwrap_or(i64::MAX / 4);
        CONFIRM_MS + AHEAD_MS + burst_ms + self.interval_ms()
    }

    /// From the store's return to the first who goes in by it.
    pub(super) fn quiet_ms(self) -> i64 {
        self.interval_ms() + self.slack_ms()
    }

    fn near(self) -> usize {
        usize::try_from((NEAR_MS / self.interval_ms()).clamp(1, NEAR_MAX)).unwrap_or(1)
    }
}

/// One room's people on this node.
#[derive(Debug, Default)]
pub(super) struct StandIn {
    /// When the next one may go in.
    next_ms: i64,
    /// Who asked, and until when they are expected to ask again.
    asking: BTreeMap<Rank, i64>,
    let_in: BTreeMap<Rank, i64>,
    /// When those went in who count under the cap, oldest first.
    inside: VecDeque<i64>,
    /// Those of whom the line has not been told.
    untold: VecDeque<Rank>,
    /// People who went in without the store, in all.
    pub(super) count: u64,
    /// Until when nobody goes in by the line.
    pub(super) quiet_until_ms: i64,
}

impl StandIn {
    /// Whether it is this one's turn to ask. `again_ms`: when they will ask again if not.
    pub(super) fn is_near(&mut self, rank: Rank, share: Share, again_ms: u64, now_ms: i64) -> bool {
        let until_ms = now_ms + i64::try_from(again_ms).unwrap_or(i64::MAX / 2) + LATE_MS;
        self.asking.insert(rank, until_ms);
        if self.asking.len() > ASKING_MAX {
            self.asking.pop_last();
        }
        let (near, mut ahead, mut gone) = (share.near(), 0, Vec::new());
        for (&front, &until_ms) in self.asking.range(..rank) {
            if until_ms < now_ms {
                gone.push(front);
            } else {
                ahead += 1;
            }
            if ahead >= near {
                break;
            }
        }
        // Whoever does not come any more holds up nobody.
        for front in gone {
            self.asking.remove(&front);
        }
        ahead < near && self.asking.contains_key(&rank)
    }

    /// Lets this one in if it is near, and the meter has budget; since when the store is away says when the meter began.
    pub(super) fn claim(&mut self, rank: Rank, share: Share, since_ms: i64, now_ms: i64) -> bool {
        if self.let_in.contains_key(&rank) {
            return true;
        }
        if !share.is_safe() || !self.is_near(rank, share, 0, now_ms) || self.let_in.len() >= LET_IN_MAX {
            return false;
        }
        while self.inside.front().is_some_and(|at_ms| now_ms.saturating_sub(*at_ms) >= share.lasts_ms) {
            self.inside.pop_front();
        }
        if self.inside.len() as u64 >= share.places {
            return false;
        }
        let begins_ms = since_ms + share.begins_after_ms();
        let next_ms = self.next_ms.max(begins_ms);
        if now_ms < (next_ms - share.slack_ms()).max(begins_ms) {
            return false;
        }
        self.next_ms = next_ms.max(now_ms) + share.interval_ms();
        self.asking.remove(&rank);
        self.admit(rank, now_ms);
        true
    }

    /// Lets this one in whatever the rate is.
    pub(super) fn admit(&mut self, rank: Rank, now_ms: i64) {
        if self.let_in.contains_key(&rank) {
            return;
        }
        self.count += 1;
        if self.let_in.len() < LET_IN_MAX {
            self.let_in.insert(rank, now_ms);
            self.inside.push_back(now_ms);
            self.untold.push_back(rank);
        }
    }

    /// When this one went in without the store, if they did.
    pub(super) fn let_in_at_ms(&self, rank: Rank) -> Option<i64> {
        self.let_in.get(&rank).copied()
    }

    /// Of whom the line has to be told next.
    pub(super) fn untold(&self) -> Option<Rank> {
        self.untold.front().copied()
    }

    /// The line knows of this one.
    pub(super) fn told(&mut self, rank: Rank) {
        if self.untold.front() == Some(&rank) {
            self.untold.pop_front();
        }
    }

    /// Once the line knows of everybody, those whose entries are over are forgotten.
    pub(super) fn sweep(&mut self, lasts_ms: i64, now_ms: i64) {
        self.asking.retain(|_, until_ms| *until_ms >= now_ms);
        if self.untold.is_empty() {
            self.let_in.retain(|_, at_ms| now_ms - *at_ms <= lasts_ms);
            // The line counts them now.
            self.inside.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHARE: Share = Share { rate_per_minute: 600, burst: 10, nodes: 2, places: u64::MAX, lasts_ms: 900_000 };

    fn place(number: u64) -> Rank {
        Rank::Place { position: number, number }
    }

    /// Everybody asks every 20 ms; when each went in.
    fn play(people: u64, until_ms: i64, share: Share) -> Vec<(i64, u64)> {
        let (mut stand_in, mut entries) = (StandIn::default(), Vec::new());
        for now_ms in (0..until_ms).step_by(20) {
            for number in (1..=people).rev() {
                let rank = place(number);
                let was = stand_in.let_in_at_ms(rank).is_some();
                if !was && stand_in.claim(rank, share, 0, now_ms) {
                    entries.push((now_ms, number));
                }
            }
        }
        entries
    }

    #[test]
    fn the_share_is_used_in_order_and_never_more() {
        let entries = play(60, 14_000, SHARE);
        let begins_ms = SHARE.begins_after_ms();
        assert_eq!(entries[0].0, begins_ms.div_euclid(20) * 20 + if begins_ms % 20 == 0 { 0 } else { 20 });
        let share = (14_000 - begins_ms) / SHARE.interval_ms();
        let slack = SHARE.slack_ms() / SHARE.interval_ms() + 1;
        assert!((share..=share + 1 + slack).contains(&(entries.len() as i64)), "{} of {share}", entries.len());
        let worst = entries.iter().enumerate().map(|(index, (_, number))| number.abs_diff(index as u64 + 1)).max();
        assert!(worst <= Some(SHARE.near() as u64), "overtaken only among those who were told to ask: {worst:?}");
        let unsafe_share = Share { burst: 1, ..SHARE };
        assert_eq!(play(60, 14_000, unsafe_share), [], "two nodes may let in two at once, and one is allowed");
    }

    #[test]
    fn no_more_are_inside_than_its_part_of_the_cap() {
        let capped = Share { places: 3, ..SHARE };
        assert_eq!(play(60, 30_000, capped).len(), 3);
        assert_eq!(play(60, 30_000, Share { places: 0, ..SHARE }), []);
        let short = Share { lasts_ms: 5_000, ..capped };
        let entries = play(60, 30_000, short);
        assert!(entries.len() > 6, "{entries:?}");
        for window in entries.windows(4) {
            assert!(window[3].0 - window[0].0 >= 5_000, "{window:?}");
        }
    }

    #[test]
    fn who_has_a_place_goes_before_who_came_later_and_who_left_holds_up_nobody() {
        let slow = Share { rate_per_minute: 60, burst: 1, nodes: 1, ..SHARE };
        let mut stand_in = StandIn::default();
        let late = Rank::Late(Arrival::new(1, 1, 1, 0));
        assert!(stand_in.is_near(place(8), slow, 1_000, 0));
        assert!(stand_in.is_near(place(9), slow, 1_000, 0), "two a second are near");
        assert!(!stand_in.is_near(late, slow, 1_000, 0));
        assert!(!stand_in.is_near(late, slow, 1_000, 2_000));
        assert!(stand_in.is_near(late, slow, 1_000, 2_501), "the others do not come any more");
        assert!(!stand_in.claim(late, slow, 0, 2_501), "nobody yet");
        let begins_ms = slow.begins_after_ms();
        assert!(stand_in.claim(late, slow, 0, begins_ms) && stand_in.claim(late, slow, 0, begins_ms), "a repeat");
        assert!(!stand_in.claim(place(8), slow, 0, begins_ms + 1));
        assert_eq!((stand_in.count, stand_in.untold()), (1, Some(late)));
        stand_in.sweep(10, begins_ms + 11);
        assert!(stand_in.let_in_at_ms(late).is_some(), "the line must be told first");
        stand_in.told(late);
        stand_in.sweep(10, begins_ms + 11);
        assert_eq!((stand_in.untold(), stand_in.let_in_at_ms(late)), (None, None));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut stand_in = StandIn::default();
        for number in 0..2 * LET_IN_MAX as u64 {
            stand_in.admit(place(number), 0);
            stand_in.is_near(place(number), SHARE, 0, 0);
        }
        assert_eq!((stand_in.let_in.len(), stand_in.untold.len()), (LET_IN_MAX, LET_IN_MAX));
        assert!(stand_in.asking.len() <= ASKING_MAX);
        assert_eq!(stand_in.count, 2 * LET_IN_MAX as u64);
        assert!(!stand_in.claim(place(u64::MAX), SHARE, 0, 1_000_000), "what cannot be told does not go in");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// W2 over the whole outage: what the store gave before, what all nodes gave, what it gives after its return.
        #[test]
        fn the_ceiling_holds_across_the_outage(rate in 60u32..3_000, spare in 0u32..20, nodes in 1u32..4) {
            let burst = nodes + spare;
            let share = Share { rate_per_minute: rate, burst, nodes, ..SHARE };
            let away_ms = share.begins_after_ms() + 2_000;
            let mut entries: Vec<i64> = vec![0; burst as usize];
            for _ in 0..nodes {
                entries.extend(play(40, away_ms, share).into_iter().map(|(at_ms, _)| at_ms));
            }
            entries.extend(vec![away_ms + share.quiet_ms(); burst as usize]);
            entries.sort_unstable();
            for from in 0..entries.len() {
                for to in from..entries.len() {
                    let window_ms = entries[to] - entries[from];
                    let people = (to - from) as i64 + 1;
                    let allowed = window_ms * i64::from(rate) + i64::from(burst) * 60_000;
                    prop_assert!(people * 60_000 <= allowed, "{people} in {window_ms} ms");
                }
            }
        }
    }
}
