//! Places that go on with another device. Sparse: only of numbers that did is anything kept. A ticket of an older
//! generation than its number's holds the place no more.

use super::{effect::Effect, machine::Line, number::within_lane};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers of one room that can go on with another device: bounds what each node keeps and fetches.
pub(crate) const MOVED_MAX: usize = 65_536;

/// One place that is to go on with another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The number of the ticket.
    pub number: u64,
    /// Where it stands; 0 while that is not known. Who went in or left does not move.
    pub position: u64,
    /// The generation that it must have now, so that two cannot go on with one code. `None`: any lower one, for a node
    /// that tells again what the store has lost.
    pub from: Option<u64>,
    /// The generation that it gets, above 0.
    pub to: u64,
}

/// The generations of all numbers that have gone on with another device.
pub type Generations = BTreeMap<u64, u64>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Grows with each change, and when the line is restored: nodes whose count is another one ask for the map.
    pub(super) count: u64,
    pub(super) generations: Generations,
}

impl Moved {
    /// After a loss the count is one that no node has seen.
    pub(super) fn restore(&mut self, count_seen: u64) {
        self.count = self.count.max(count_seen) + 1;
    }
}

impl Line {
    /// The moves that can be made, in their order; in another epoch none.
    pub(crate) fn decide_moves(&self, epoch: u64, moves: &[Move]) -> Option<Effect> {
        let mut places: Generations = BTreeMap::new();
        for one in moves.iter().filter(|_| epoch == self.epoch) {
            let known = places.get(&one.number).or_else(|| self.moved.generations.get(&one.number)).copied();
            let fresh = places.keys().filter(|number| !self.moved.generations.contains_key(number)).count();
            let fits = known.is_some() || self.moved.generations.len() + fresh < MOVED_MAX;
            let current = known.unwrap_or(0);
            let due = one.from.map_or(current < one.to, |from| current == from);
            if due && fits && one.to > 0 && self.holds(one) {
                places.insert(one.number, one.to);
            }
        }
        (!places.is_empty()).then(|| Effect::Moved { places: places.into_iter().collect() })
    }

    fn holds(&self, one: &Move) -> bool {
        let Some((lane, n)) = self.lane(one.number) else { return false };
        (1..=lane.issued).contains(&n) && !(one.position > 0 && lane.spent.contains(within_lane(one.position)))
    }

    pub(super) fn apply_moved(&mut self, places: &[(u64, u64)]) {
        self.moved.count += 1;
        self.moved.generations.extend(places.iter().copied());
    }

    pub(crate) fn generations(&self) -> Generations {
        self.moved.generations.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::RoomInitial;

    fn one(number: u64, from: Option<u64>, to: u64) -> Move {
        Move { number, position: number, from, to }
    }

    #[test]
    fn a_place_moves_from_the_generation_it_has_and_only_while_it_is_held() {
        let mut line = Line::begin(1_000, &RoomInitial::default());
        let epoch = line.snapshot().epoch;
        line.apply(&line.entry(Effect::Joined { count: 5, admitted: 0, nonce: 0 }));
        line.apply(&line.entry(Effect::Left { number: 2 }));
        let refused = [one(0, Some(0), 1), one(6, Some(0), 1), one(2, Some(0), 1), one(3, Some(1), 2), one(3, None, 0)];
        assert_eq!(line.decide_moves(epoch, &refused), None);
        assert_eq!(line.decide_moves(epoch + 1, &[one(3, Some(0), 1)]), None);
        // Of two who use one code the first goes on; what is told again after a loss only ever raises.
        let both = [one(3, Some(0), 7), one(3, Some(0), 9), one(4, None, 5), one(4, None, 4)];
        let effect = line.decide_moves(epoch, &both).expect("some move");
        assert_eq!(effect, Effect::Moved { places: vec![(3, 7), (4, 5)] });
        line.apply(&line.entry(effect));
        assert_eq!((line.generations(), line.snapshot().moves), (BTreeMap::from([(3, 7), (4, 5)]), 1));
        assert_eq!(line.decide_moves(epoch, &[one(3, Some(0), 9), one(3, None, 6)]), None);
        let text = serde_json::to_string(&line).expect("plain data");
        assert_eq!(serde_json::from_str::<Line>(&text).expect("the same"), line);
    }
}
