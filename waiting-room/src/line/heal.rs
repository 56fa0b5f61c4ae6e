//! Tickets that come back prove what a line no longer knows. After the store and all nodes were lost together a new line
//! begins, and nobody tells it of the one before; but whoever waited in that one shows a ticket, which the door signed.
//! By the highest number of each lane the line of old goes on: nobody gets a number twice, and the order stays.

use super::{
    effect::Effect,
    machine::Line,
    meter::Meter,
    number::{NUMBER_MAX, lane_of, within_lane},
    room::Method,
};
use serde::{Deserialize, Serialize};

/// A line gives way to an older one only so long after its beginning, in milliseconds: who waited asks at least once a
/// minute, and a room that was begun anew on purpose stays new.
pub(crate) const HEAL_MS: i64 = 300_000;
/// So many numbers above the highest ticket are left out, because a ticket with a higher one may come yet.
pub(crate) const HEAL_GAP: u64 = 1_000_000;
/// After that nobody is called for so long, in milliseconds: until those near the front, who ask every two seconds, have
/// shown how long the line was.
pub(crate) const GATHER_MS: i64 = 5_000;

/// Numbers that tickets prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Healed {
    pub(crate) epoch: u64,
    /// The highest of each lane, with its lane.
    pub(crate) numbers: Vec<u64>,
}

impl Line {
    /// What these numbers of verified tickets of one epoch tell that the line does not know. Of an older line it goes on
    /// as that one, if it is young itself and no longer than that one was. A draw cannot be brought back: what it was
    /// made from is lost.
    pub(crate) fn decide_heal(&self, epoch: u64, numbers: &[u64]) -> Option<Effect> {
        let numbers: Vec<u64> = numbers.iter().copied().filter(|&number| self.is_news(epoch, number)).collect();
        let (age_ms, highest) = (self.clock.wall_ms.saturating_sub_unsigned(self.epoch), numbers.iter().copied());
        let gives_way = epoch < self.epoch
            && (0..HEAL_MS).contains(&age_ms)
            && self.method != Method::Draw
            && self.snapshot().issued() <= highest.map(within_lane).sum();
        let heals = !numbers.is_empty() && (epoch == self.epoch || gives_way);
        heals.then_some(Effect::Healed(Healed { epoch, numbers }))
    }

    fn is_news(&self, epoch: u64, number: u64) -> bool {
        let n = within_lane(number);
        self.lanes.get(lane_of(number)).is_some_and(|lane| {
            let unknown = epoch != self.epoch || n > lane.issued || lane.is_skipped(n);
            n > 0 && n <= NUMBER_MAX - HEAL_GAP && unknown
        })
    }

    pub(super) fn apply_healed(&mut self, healed: &Healed) {
        if healed.epoch != self.epoch {
            let (begun, opened) = (self.snapshot(), self.schedule.opened);
            self.begin_again();
            self.epoch = healed.epoch;
            self.version = begun.version;
            self.take_settings(&begun);
            self.schedule.opened = opened;
            self.unknown.until_ms = self.clock.line_ms.saturating_add(self.session_ms);
            self.meter = Meter::begin_owing(self.clock.line_ms, self.rate_per_minute);
            self.gather_until_ms = self.clock.line_ms.saturating_add(GATHER_MS);
        }
        for &number in &healed.numbers {
            if let Some((lane, n)) = self.lane_mut(number) {
                lane.prove(n);
            }
        }
    }
}
