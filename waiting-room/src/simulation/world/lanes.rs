//! Who is there in each lane of a story.

use super::World;
use crate::{
    line::{numbered, rule::NUMBER_MAX},
    simulation::{backing::Backing, checker::Broken},
};

impl<B: Backing> World<'_, B> {
    /// The numbers of the people of a lane who keep their appointments.
    fn there_in(&self, lane: usize) -> impl DoubleEndedIterator<Item = u64> {
        self.there.range(numbered(lane, 0)..=numbered(lane, NUMBER_MAX)).copied()
    }

    /// So many are there in every lane, in a story with several: none of them lends.
    pub(super) fn every_lane_has_more_than(&self, people: u64) -> bool {
        let lanes = self.scenario.lanes.len();
        lanes > 0 && (0..=lanes).all(|lane| self.there_in(lane).count() as u64 > people)
    }

    /// This number went in without waiting: whom did it pass?
    pub(super) fn calm(&self, number: u64) -> Result<(), Broken> {
        let mut lanes = 0..=self.scenario.lanes.len();
        lanes.try_for_each(|lane| self.checker.calm(number, self.there_in(lane).next_back()))
    }
}
