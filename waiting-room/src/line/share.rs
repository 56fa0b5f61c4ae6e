//! How lanes share one meter by their weights, in exact integers.
//!
//! Each place that is given raises the credit of every lane that takes part by its weight, and lowers that of the lane
//! that got it by the sum of them: credits of lanes that are always asked for never drift, so over any time their shares
//! are those of the weights, to within a person or two. A lane that is further ahead than half a person stands back
//! while others ask. Credit is bounded, and gone once a lane has nobody: what was lent is never claimed back later.

use super::lane::LANES_MAX;

/// A lane takes part if somebody of it asked within this time, in milliseconds: longer than a called person needs to
/// come. A lane of people who all left holds nothing back.
pub(crate) const TAKES_PART_MS: i64 = 5_000;
/// So long a place is kept for lanes that are behind, in milliseconds; then whoever asks may have it. Shorter than
/// places are given ahead of their time, so no budget is lost.
pub(crate) const HOLD_MS: i64 = 500;
/// The same where the cap is what people wait for, who then ask once a second.
pub(crate) const HOLD_INSIDE_MS: i64 = 1_500;
/// The bound of credit, in places.
pub(crate) const CREDIT_PLACES: i64 = 2;

/// The lanes at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shares {
    pub(super) weight: [i64; LANES_MAX],
    pub(super) credit: [i64; LANES_MAX],
    /// Has people, of whom somebody asked lately.
    pub(super) takes_part: [bool; LANES_MAX],
    /// Has people who asked a moment ago and found no budget.
    pub(super) asks: [bool; LANES_MAX],
}

impl Shares {
    /// The weights of the lanes that take part, and of this one.
    fn sum(&self, lane: usize) -> i64 {
        (0..LANES_MAX).filter(|&other| other == lane || self.takes_part[other]).map(|other| self.weight[other]).sum()
    }

    /// Whether no lane that asks is further behind than half a place.
    pub(super) fn is_due(&self, lane: usize) -> bool {
        let twice = 2 * self.rank(lane) + self.sum(lane);
        (0..LANES_MAX).all(|other| other == lane || !self.asks[other] || 2 * self.rank(other) <= twice)
    }

    /// The next place is first of all the one's of the highest rank.
    pub(super) fn rank(&self, lane: usize) -> i64 {
        self.credit[lane] + self.weight[lane]
    }

    /// A person of this lane goes in.
    pub(super) fn admit(&mut self, lane: usize) {
        let sum = self.sum(lane);
        let alone = (0..LANES_MAX).all(|other| other == lane || !self.takes_part[other]);
        for other in 0..LANES_MAX {
            let part = !alone && (other == lane || self.takes_part[other]);
            let paid = if other == lane { sum } else { 0 };
            let credit = self.credit[other] + self.weight[other] - paid;
            self.credit[other] = if part { credit.clamp(-CREDIT_PLACES * sum, CREDIT_PLACES * sum) } else { 0 };
        }
    }

    /// This lane's part of so many people, rounded up. A lane that does not use its own, and therefore falls behind,
    /// takes nothing from the others.
    pub(super) fn part_of(&self, people: u64, lane: usize) -> u64 {
        let whole = self.sum(lane);
        let counts = |other: usize| other == lane || (self.takes_part[other] && self.credit[other] <= whole);
        let sum: i64 = (0..LANES_MAX).filter(|&other| counts(other)).map(|other| self.weight[other]).sum();
        let [weight, sum] = [self.weight[lane], sum].map(|weight| u128::from(weight.max(1).unsigned_abs()));
        u64::try_from((u128::from(people) * weight).div_ceil(sum)).unwrap_or(people).min(people)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full(weights: &[u32]) -> Shares {
        let mut shares = Shares::default();
        for (lane, &weight) in weights.iter().enumerate() {
            (shares.weight[lane], shares.takes_part[lane], shares.asks[lane]) = (weight.into(), true, true);
        }
        shares
    }

    proptest! {
        /// Whoever of those who are due asks first: in every stretch each lane has its share, to within a person or two.
        #[test]
        fn shares_are_those_of_the_weights_over_every_stretch(
            weights in prop::collection::vec(1..=100_u32, 2..=4),
            askers in prop::collection::vec(0..4_usize, 1_200),
        ) {
            let (mut shares, sum) = (full(&weights), weights.iter().sum::<u32>());
            let mut given = vec![vec![0_i64; weights.len()]];
            for asker in askers {
                let lane = asker % weights.len();
                if shares.is_due(lane) {
                    shares.admit(lane);
                    let mut now = given[given.len() - 1].clone();
                    now[lane] += 1;
                    given.push(now);
                }
            }
            let people = given.len() - 1;
            prop_assert!(people > 0);
            for from in (0..people).step_by(7) {
                for lane in 0..weights.len() {
                    let got = given[people][lane] - given[from][lane];
                    let due = (people - from) as f64 * f64::from(weights[lane]) / f64::from(sum);
                    prop_assert!((got as f64 - due).abs() <= 2.5, "{got} of {due} in {weights:?}");
                }
            }
        }

        /// In strict order of rank it is the smooth weighted round robin: never a whole person off.
        #[test]
        fn in_the_order_of_rank_nobody_is_a_person_off(weights in prop::collection::vec(1..=100_u32, 1..=8)) {
            let (mut shares, sum) = (full(&weights), weights.iter().sum::<u32>());
            let mut given = vec![0_u32; weights.len()];
            for people in 1..=2 * sum {
                let lane = (0..weights.len()).max_by_key(|&lane| (shares.rank(lane), usize::MAX - lane)).unwrap_or(0);
                prop_assert!(shares.is_due(lane));
                shares.admit(lane);
                given[lane] += 1;
                if people % sum == 0 {
                    let exact: Vec<u32> = weights.iter().map(|weight| weight * (people / sum)).collect();
                    prop_assert_eq!(&given, &exact, "after every round exactly");
                }
            }
        }
    }

    #[test]
    fn what_was_lent_is_not_claimed_back() {
        let mut shares = full(&[1, 3]);
        shares.asks[1] = false;
        (0..1_000).for_each(|_| shares.admit(0));
        shares.asks[1] = true;
        let in_a_row = (0..100).take_while(|_| {
            let due = shares.is_due(1) && !shares.is_due(0);
            shares.admit(1);
            due
        });
        assert!(in_a_row.count() <= 8, "two places at its rate, not a thousand");
        shares.takes_part[1] = false;
        shares.admit(0);
        assert_eq!(shares.credit, [0; LANES_MAX], "alone: nothing is kept");
    }

    #[test]
    fn people_are_divided_by_weight_among_lanes_that_use_their_part() {
        let mut shares = full(&[1, 3]);
        assert_eq!([shares.part_of(100, 0), shares.part_of(100, 1)], [25, 75]);
        assert_eq!(shares.part_of(u64::MAX, 1), u64::MAX / 4 * 3 + 3);
        shares.credit = [5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!([shares.part_of(100, 0), shares.part_of(100, 1)], [25, 100], "the first lane lends its part");
        shares.takes_part[1] = false;
        assert_eq!([shares.part_of(100, 0), shares.part_of(100, 1)], [100, 100]);
        assert_eq!(full(&[1]).part_of(7, 0), 7);
    }
}
