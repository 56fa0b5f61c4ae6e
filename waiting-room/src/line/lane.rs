//! One lane of a line: its numbers, its cursor and who of its people is here. What lanes share, the meter above all, is
//! the line's; how they share it is in `share`.

use super::{
    answer::{LaneSnapshot, near},
    heal::HEAL_GAP,
    number::{NUMBER_MAX, within_lane},
    presence::{Calls, Keen, Presence},
    recovery::RESTORE_GAP,
    room::{Invalid, check_room_name},
    spent::Spent,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
};

/// The lane that every room has, the first one.
pub const GENERAL: &str = "general";
/// The most lanes of a room.
pub const LANES_MAX: usize = 8;
/// The largest weight of a lane.
pub const WEIGHT_MAX: u32 = 100;

/// A lane as settings name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneInitial {
    /// As room names are.
    pub name: String,
    /// Its share of the rate against those of the others, 1 ..= [`WEIGHT_MAX`].
    pub weight: u32,
}

/// Whether a room can have these lanes.
pub(super) fn check(lanes: &[LaneInitial]) -> Result<(), Invalid> {
    let further = lanes.iter().filter(|lane| lane.name != GENERAL).count();
    let twice = |(index, lane): (usize, &LaneInitial)| lanes[..index].iter().any(|other| other.name == lane.name);
    if further >= LANES_MAX || lanes.iter().enumerate().any(twice) {
        let range = format!("at most {} different lanes besides \"{GENERAL}\"", LANES_MAX - 1);
        return Err(Invalid { field: "lanes", range });
    }
    if let Some(invalid) = lanes.iter().find_map(|lane| check_room_name(&lane.name).err()) {
        return Err(Invalid { field: "lanes", range: format!("named with {}", invalid.range) });
    }
    lanes.iter().try_for_each(|lane| check_weight("lanes", lane.weight))
}

/// Whether lanes can have these weights.
pub(super) fn check_weights(weights: &BTreeMap<String, u32>) -> Result<(), Invalid> {
    weights.values().try_for_each(|&weight| check_weight("lane_weights", weight))
}

fn check_weight(field: &'static str, weight: u32) -> Result<(), Invalid> {
    if (1..=WEIGHT_MAX).contains(&weight) {
        Ok(())
    } else {
        Err(Invalid { field, range: format!("given with weights of 1 to {WEIGHT_MAX}") })
    }
}

/// A lane and the people in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(super) name: String,
    pub(super) weight: u32,
    /// What the settings said last: only when they say something else do they overrule the operator.
    pub(super) weight_set: u32,
    /// The highest number given out.
    pub(super) issued: u64,
    /// The highest number called.
    pub(super) cursor: u64,
    pub(super) calls: Calls,
    #[serde(default)]
    pub(super) keen: Keen,
    #[serde(default)]
    pub(super) presence: Presence,
    pub(super) spent: Spent,
    /// Numbers that were skipped when the line was restored and that nobody holds, as far as the cursor has not passed
    /// them.
    #[serde(default)]
    pub(super) gaps: VecDeque<RangeInclusive<u64>>,
    /// The numbers 1 ..= `drawn` have their positions by lot.
    #[serde(default)]
    pub(super) drawn: u64,
    /// Of the registrations before the opening.
    #[serde(default)]
    pub(super) digest: String,
    /// See `share`.
    #[serde(default)]
    pub(super) credit: i64,
    /// When somebody of this lane last asked to go in, in the line's time.
    #[serde(default)]
    pub(super) asked_at_ms: Option<i64>,
}

impl Lane {
    pub(super) fn begin(initial: &LaneInitial) -> Lane {
        let (name, weight) = (initial.name.clone(), initial.weight);
        Lane { name, weight, weight_set: weight, ..Lane::default() }
    }

    /// The same lane with nobody in it.
    pub(super) fn begin_again(&self) -> Lane {
        let Lane { ref name, weight, weight_set, .. } = *self;
        Lane { name: name.clone(), weight, weight_set, ..Lane::default() }
    }

    pub(super) fn forget(&mut self, line_ms: i64) {
        self.calls.forget(line_ms);
        self.keen.forget(line_ms);
        self.presence.forget(line_ms);
    }

    /// People called who are here, or were called too short a while ago to tell.
    pub(super) fn called_waiting(&self) -> u64 {
        self.calls.expected() + self.keen.people()
    }

    /// People who have not gone in, of whom it is not known that they are away.
    pub(super) fn waiting(&self) -> u64 {
        let nobody = |gap: &RangeInclusive<u64>| gap.end().saturating_sub(self.cursor.max(gap.start() - 1));
        self.issued - self.cursor - self.gaps.iter().map(nobody).sum::<u64>() + self.called_waiting()
    }

    /// Whether this number, within the lane, was given out and has not been used up.
    pub(super) fn holds(&self, n: u64) -> bool {
        (1..=self.issued).contains(&n) && !self.spent.contains(n)
    }

    /// A node reports who of the people up to [`LaneSnapshot::near`] was heard of.
    pub(super) fn see(&mut self, line_ms: i64, rate_per_minute: u32, positions: impl Iterator<Item = u64>) {
        self.presence.report(line_ms, near(self.cursor, rate_per_minute).min(self.issued));
        for n in positions.map(within_lane) {
            if self.holds(n) {
                self.presence.mark(n);
            }
        }
    }

    /// Asked to go in and found no budget: is here.
    pub(super) fn ask_again(&mut self, n: u64) {
        if self.keen.ask(n) {
            self.calls.done(n);
        }
    }

    /// Went in or left.
    pub(super) fn nobody_waits_for(&mut self, n: u64) {
        if !self.keen.done(n) {
            self.calls.done(n);
        }
        self.presence.done(n);
    }

    /// The cursor moves; `expected` of those it passes may be here (all who have not left, if it is not told).
    pub(super) fn call(&mut self, line_ms: i64, up_to: u64, expected: Option<u64>) {
        let (first, last) = (self.cursor + 1, up_to.min(self.issued));
        if first <= last {
            let expected = expected.unwrap_or_else(|| last + 1 - first - self.spent.count(first, last));
            self.calls.call(line_ms, first, last, expected);
            self.cursor = last;
            self.gaps.retain(|gap| *gap.end() > last);
        }
    }

    /// The opening; the first `drawn` have their positions by lot.
    pub(super) fn open(&mut self, drawn: u64) {
        self.drawn = drawn;
        // A draw gives positions anew, so what was known of one tells nothing about who has it now.
        if drawn > 0 {
            self.gaps.clear();
            self.spent = Spent::default();
            self.presence.begin_again();
        }
    }

    /// Where the cursor stands once it has passed `people` who may be here, and how many it then passed; it looks at
    /// `scan` positions at most. Numbers that nobody holds it passes at once. After a steep raise everybody may be here.
    pub(super) fn next(&self, line_ms: i64, people: u64, scan: u64, raised: bool) -> (u64, u64) {
        let mut last = self.issued.min(self.cursor + scan);
        let (mut up_to, mut expected, mut gaps) = (self.cursor, 0, self.gaps.iter().peekable());
        while expected < people && up_to < last {
            if let Some(gap) = gaps.next_if(|gap| *gap.start() <= up_to + 1) {
                let end = up_to.max(*gap.end());
                last = self.issued.min(last + end - up_to);
                up_to = end;
                continue;
            }
            up_to += 1;
            expected += u64::from(!self.spent.contains(up_to) && (raised || !self.presence.is_away(line_ms, up_to)));
        }
        (up_to, expected)
    }

    /// Comes back after a loss: what is higher stays, and numbers that nobody knows of are left out.
    pub(super) fn restore(&mut self, seen: &LaneSnapshot) {
        self.name.clone_from(&seen.name);
        self.weight = seen.weight;
        let first = self.issued.max(seen.issued) + 1;
        self.issued = self.issued.max(seen.issued.saturating_add(RESTORE_GAP).min(NUMBER_MAX));
        if first <= self.issued {
            self.gaps.push_back(first..=self.issued);
        }
        self.calls = Calls::default();
        self.cursor = self.cursor.max(seen.cursor).min(self.issued);
        self.drawn = self.drawn.max(seen.drawn);
        self.digest.clone_from(&seen.digest);
    }

    /// Whether this number was left out and the cursor has not passed it.
    pub(super) fn is_skipped(&self, n: u64) -> bool {
        n > self.cursor && self.gaps.iter().any(|gap| gap.contains(&n))
    }

    /// Somebody holds this number, and so may others hold those below it.
    pub(super) fn prove(&mut self, n: u64) {
        if n > self.issued {
            self.issued = n.saturating_add(HEAL_GAP).min(NUMBER_MAX);
            self.gaps.clear();
            self.gaps.push_back(n + 1..=self.issued);
        } else if self.is_skipped(n) {
            let rest = |gap: RangeInclusive<u64>| (n + 1).max(*gap.start())..=*gap.end();
            self.gaps = self.gaps.drain(..).map(rest).filter(|gap| !gap.is_empty()).collect();
        }
    }

    /// What is kept for all who wait, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.spent.bytes() + self.presence.bytes() + size_of::<Lane>()
    }

    pub(super) fn snapshot(&self) -> LaneSnapshot {
        LaneSnapshot {
            name: self.name.clone(),
            weight: self.weight,
            issued: self.issued,
            cursor: self.cursor,
            called_waiting: self.called_waiting(),
            present: self.presence.people(),
            drawn: self.drawn,
            digest: self.digest.clone(),
            skipped: self.skipped(),
        }
    }

    /// The gaps that the cursor has not passed, from first to last.
    fn skipped(&self) -> Vec<(u64, u64)> {
        self.gaps.iter().filter(|gap| *gap.end() > self.cursor).map(|gap| gap.clone().into_inner()).collect()
    }
}

/// The lanes that a room begins with: the general one first, whatever the settings name besides.
pub(super) fn begin(initial: &[LaneInitial]) -> Vec<Lane> {
    let mut lanes = vec![Lane::begin(&LaneInitial { name: GENERAL.to_owned(), weight: 1 })];
    follow(&mut lanes, initial);
    lanes
}

/// Takes over what settings say: lanes named for the first time come last, weights follow where the settings changed
/// them, and no lane ever goes, because people may hold numbers of it. Whether anything changed.
pub(super) fn follow(lanes: &mut Vec<Lane>, initial: &[LaneInitial]) -> bool {
    let mut changed = false;
    for LaneInitial { name, weight } in initial {
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.name == *name) {
            if lane.weight_set != *weight {
                (lane.weight, lane.weight_set, changed) = (*weight, *weight, true);
            }
        } else if lanes.len() < LANES_MAX {
            lanes.push(Lane::begin(&LaneInitial { name: name.clone(), weight: *weight }));
            changed = true;
        }
    }
    changed
}
