//! What is looked at once a second, and who is there in each lane.

use super::{Event, World};
use crate::{
    line::{numbered, rule::NUMBER_MAX},
    simulation::{Sample, backing::Backing, checker::Broken},
};

impl<B: Backing> World<'_, B> {
    pub(super) fn second(&mut self) -> Result<(), Broken> {
        self.schedule(self.now_ms + 1_000, Event::Second);
        let (now_ms, rate) = (self.now_ms, self.checker.ceiling.rate_in_force());
        let there = self.there.len() as u64;
        // More than ten seconds of the rate are there and will stay, so that some of them are on their way at any time.
        let soon = u64::from(rate) / 6 + 1;
        let enough = self.staying > soon && now_ms > 60_000;
        self.checker.cap.second(now_ms, rate, enough)?;
        // Where the cap is what people wait for, the rate is not used, and lanes lend for longer.
        let uncapped = self.checker.cap.free(now_ms).is_none_or(|free| free > soon);
        let (at_ms, waiting) = (now_ms, self.waiting);
        self.trace.second(Sample { at_ms, waiting, there, admitted_last_minute: 0, rate_per_minute: rate });
        self.checker.progress.second(now_ms, rate, uncapped && enough)?;
        let full = uncapped && now_ms > 60_000 && self.every_lane_has_more_than(soon + 3);
        self.checker.shares.second(now_ms, full)
    }

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
