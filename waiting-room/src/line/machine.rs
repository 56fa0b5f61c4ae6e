//! The state of one line and the passing of its time. What may happen is in `decide`, what happened in `effect`.

use super::{
    answer::{Session, Snapshot},
    clock::LineClock,
    effect::{Effect, Entry},
    identity::Identities,
    lane::{self, Lane},
    late::LateComers,
    live::{Live, Unknown},
    meter::Meter,
    moved::Moved,
    number::{lane_of, within_lane},
    proofs::UsedProofs,
    room::{Audit, Method, Phase, RoomInitial, RoomState, burst_for},
    schedule::{Ramping, Schedule},
    session::Recent,
    share::{Shares, TAKES_PART_MS},
    tally::Tally,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(super) epoch: u64,
    pub(super) version: u64,
    pub(super) clock: LineClock,
    /// At least one, and at most [`lane::LANES_MAX`]; their order never changes.
    pub(super) lanes: Vec<Lane>,
    /// Since when a place is kept for lanes that are behind. See `share`.
    #[serde(default)]
    pub(super) held_since_ms: Option<i64>,
    #[serde(default)]
    pub(super) identities: Identities,
    #[serde(default)]
    pub(super) late: LateComers,
    #[serde(default)]
    pub(super) proofs: UsedProofs,
    pub(super) rate_per_minute: u32,
    /// As set; 0 follows the rate.
    pub(super) burst: u32,
    pub(super) session_ms: i64,
    pub(super) state: RoomState,
    pub(super) message: String,
    pub(super) meter: Meter,
    pub(super) tally: Tally,
    pub(super) recent: Recent,
    #[serde(default)]
    pub(super) live: Live,
    #[serde(default)]
    pub(super) unknown: Unknown,
    #[serde(default)]
    pub(super) max_active: u32,
    #[serde(default)]
    pub(super) session_renewal: bool,
    #[serde(default)]
    pub(super) queue_max: u64,
    #[serde(default)]
    pub(super) method: Method,
    #[serde(default)]
    pub(super) schedule: Schedule,
    #[serde(default)]
    pub(super) ramp: Option<Ramping>,
    #[serde(default)]
    pub(super) changes: VecDeque<Audit>,
    #[serde(default)]
    pub(super) moved: Moved,
    /// After a steep raise, until those who wait have heard of it.
    #[serde(default)]
    pub(super) raised_until_ms: i64,
    /// After a line of old went on, until it is known how long it was.
    #[serde(default)]
    pub(super) gather_until_ms: i64,
}

impl Line {
    /// A line that begins now, with nobody in it and an empty meter.
    pub(crate) fn begin(now_ms: i64, initial: &RoomInitial) -> Line {
        let mut line = Line {
            epoch: now_ms.max(1).unsigned_abs(),
            version: 1,
            clock: LineClock::begin(now_ms),
            lanes: lane::begin(&initial.lanes),
            held_since_ms: None,
            identities: Identities::default(),
            late: LateComers::default(),
            proofs: UsedProofs::default(),
            rate_per_minute: initial.rate_per_minute,
            burst: initial.burst,
            session_ms: initial.session_ms,
            state: initial.state,
            message: initial.message.clone(),
            meter: Meter::begin(now_ms),
            tally: Tally::default(),
            recent: Recent::default(),
            live: Live::default(),
            unknown: Unknown::default(),
            max_active: initial.max_active,
            session_renewal: initial.session_renewal,
            queue_max: initial.queue_max,
            method: initial.method,
            schedule: Schedule::begin(initial),
            ramp: None,
            changes: VecDeque::new(),
            moved: Moved::default(),
            raised_until_ms: 0,
            gather_until_ms: 0,
        };
        line.pass_time();
        line
    }

    /// Brings the line up to `now_ms`, epoch milliseconds. To be called before every decision; harmless at any time.
    pub(crate) fn settle(&mut self, now_ms: i64) {
        self.clock = self.clock.step(now_ms);
        self.pass_time();
    }

    /// What time alone does. Two steps do the same as one long one, so a journal need not record ticks that changed
    /// nothing.
    pub(super) fn pass_time(&mut self) {
        let (line_ms, before) = (self.clock.line_ms, self.rate_per_minute);
        if let Some(ramp) = self.ramp {
            let (rate_per_minute, over) = ramp.rate(line_ms);
            self.rate_per_minute = rate_per_minute;
            self.ramp = (!over).then_some(ramp);
        }
        let rate_per_minute = match self.state {
            // On a ramp the lower end of the step: the budget never runs ahead of the rate.
            RoomState::Open | RoomState::Draining => before.min(self.rate_per_minute),
            RoomState::Paused | RoomState::Closed | RoomState::SoldOut => 0,
        };
        self.meter.fill(line_ms, rate_per_minute, self.burst_in_force());
        self.meter.reprice(before, self.rate_per_minute);
        self.lanes.iter_mut().for_each(|lane| lane.forget(line_ms));
        self.recent.rotate(line_ms);
        self.late.rotate(line_ms);
        self.proofs.rotate(line_ms);
        self.live.forget(line_ms);
        self.unknown.forget(line_ms);
        self.tally.forget(line_ms);
    }

    /// Nodes report, once a second, who of the people up to [`super::LaneSnapshot::near`] of each lane was heard of. A
    /// line that is begun again from its journal waits for new reports.
    pub(crate) fn see(&mut self, positions: &[u64]) {
        let (line_ms, rate) = (self.clock.line_ms, self.rate_per_minute);
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.see(line_ms, rate, positions.iter().copied().filter(|&position| lane_of(position) == index));
        }
    }

    /// The lane of a number, and the number within it.
    pub(super) fn lane(&self, number: u64) -> Option<(&Lane, u64)> {
        self.lanes.get(lane_of(number)).map(|lane| (lane, within_lane(number)))
    }

    pub(super) fn lane_mut(&mut self, number: u64) -> Option<(&mut Lane, u64)> {
        self.lanes.get_mut(lane_of(number)).map(|lane| (lane, within_lane(number)))
    }

    /// How the lanes share the meter now.
    pub(super) fn shares(&self) -> Shares {
        let mut shares = Shares::default();
        for (index, lane) in self.lanes.iter().enumerate().take(lane::LANES_MAX) {
            let asked = lane.asked_at_ms.is_some_and(|at_ms| self.clock.line_ms - at_ms <= TAKES_PART_MS);
            shares.weight[index] = i64::from(lane.weight);
            shares.credit[index] = lane.credit;
            shares.takes_part[index] = asked && lane.waiting() > 0;
            shares.asks[index] = lane.keen.people() > 0;
        }
        shares
    }

    /// People of all lanes who have not gone in, of whom it is not known that they are away.
    pub(super) fn waiting(&self) -> u64 {
        self.lanes.iter().map(Lane::waiting).sum()
    }

    /// People inside now.
    pub(super) fn active(&self) -> u64 {
        self.live.people() + self.unknown.people
    }

    pub(super) fn burst_in_force(&self) -> u32 {
        if self.burst == 0 { burst_for(self.rate_per_minute) } else { self.burst }
    }

    pub(super) fn phase(&self) -> Phase {
        self.schedule.phase(self.clock.day_ms)
    }

    /// Whether people join now.
    pub(super) fn takes(&self) -> bool {
        let by_state = match self.state {
            RoomState::Open | RoomState::Paused => true,
            RoomState::Draining | RoomState::Closed | RoomState::SoldOut => false,
        };
        by_state && matches!(self.phase(), Phase::Prequeue | Phase::Running)
    }

    /// Whether people are called and go in now.
    pub(super) fn admits(&self) -> bool {
        let by_state = match self.state {
            RoomState::Open | RoomState::Draining => true,
            RoomState::Paused | RoomState::Closed | RoomState::SoldOut => false,
        };
        by_state && self.phase() == Phase::Running && self.clock.line_ms >= self.gather_until_ms
    }

    /// How many more may be inside at the same time.
    pub(super) fn room_inside(&self) -> u64 {
        if self.max_active == 0 || self.method == Method::PassThrough {
            u64::MAX
        } else {
            u64::from(self.max_active).saturating_sub(self.active())
        }
    }

    /// The effect with the clock it belongs to.
    pub(crate) fn entry(&self, effect: Effect) -> Entry {
        Entry { wall_ms: self.clock.wall_ms, line_ms: self.clock.line_ms, effect }
    }

    pub(super) fn session(&self, number: u64, entered_at_ms: i64) -> Session {
        let ends_at_ms = self.live.ends_at(number).unwrap_or(entered_at_ms);
        Session::derive(self.epoch, number, self.clock.line_ms - entered_at_ms, ends_at_ms - entered_at_ms)
    }

    /// What is kept for all who wait, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lanes.iter().map(Lane::bytes).sum::<usize>() + size_of::<Line>()
    }

    /// The line as it is at the last [`Line::settle`].
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            version: self.version,
            epoch: self.epoch,
            lanes: self.lanes.iter().map(Lane::snapshot).collect(),
            admitted: self.tally.total,
            admitted_last_minute: self.tally.last_minute(),
            rate_per_minute: self.rate_per_minute,
            burst: self.burst_in_force(),
            state: self.state,
            message: self.message.clone(),
            at_ms: self.clock.wall_ms,
            max_active: self.max_active,
            session_renewal: self.session_renewal,
            queue_max: self.queue_max,
            method: self.method,
            prequeue_at_ms: self.schedule.prequeue_at_ms,
            opens_at_ms: self.schedule.opens_at_ms,
            closes_at_ms: self.schedule.closes_at_ms,
            phase: self.phase(),
            ramp: self.ramp.map(|ramp| ramp.left(self.clock.line_ms)),
            active: self.active(),
            moves: self.moved.count,
        }
    }
}
