//! What operators changed, and how a line comes back after its store was lost: the highest values that any node has
//! seen, numbers that skip ahead, and an empty meter.

use super::{
    answer::{LaneSnapshot, Snapshot},
    effect::Effect,
    lane::{LANES_MAX, Lane},
    machine::Line,
    meter::Meter,
    room::{Audit, Invalid, Phase, RoomChange, RoomInitial, burst_for},
    schedule::Ramping,
};

/// So many numbers are left out after a loss: those given out since the youngest snapshot that a node has seen. It is
/// 250 ms old, or older if the node was held up: two seconds of 10,000 joins each.
pub(crate) const RESTORE_GAP: u64 = 20_000;
/// Who the history says it was when no operator changed the rate.
pub(crate) const AUTOPILOT: &str = "autopilot";
/// The changes that are kept.
pub(crate) const CHANGES_MAX: usize = 500;

impl Line {
    /// Takes over what a node has seen, if this line is older, or is another one that is not longer: it began while the
    /// store knew nothing of the one that was seen. To be decided before an opening that is due, which must not make an
    /// older line look young.
    pub(crate) fn decide_restore(&self, highest: &Snapshot) -> Option<Effect> {
        let older = self.epoch == highest.epoch && self.version < highest.version;
        let shorter = self.epoch != highest.epoch && self.snapshot().issued() <= highest.issued();
        (older || shorter).then(|| Effect::Restored(Box::new(highest.clone())))
    }

    pub(super) fn apply_restored(&mut self, highest: &Snapshot) {
        if self.epoch != highest.epoch {
            self.begin_again();
        }
        self.epoch = highest.epoch;
        self.version = self.version.max(highest.version.saturating_add(1));
        self.tally.total = self.tally.total.max(highest.admitted);
        self.restore_lanes(&highest.lanes);
        self.take_settings(highest);
        let was_open = highest.opens_at_ms.is_some() && matches!(highest.phase, Phase::Running | Phase::Over);
        self.schedule.opened |= was_open || highest.drawn() > 0;
        let missing = highest.active.saturating_sub(self.active());
        self.unknown.people += missing;
        self.unknown.until_ms = self.clock.line_ms.saturating_add(self.session_ms);
        self.moved.restore(highest.moves);
        self.meter = Meter::begin_owing(self.clock.line_ms, self.rate_per_minute);
    }

    /// Nothing is left of another line but what operators changed, and which lanes there are.
    pub(super) fn begin_again(&mut self) {
        let initial = RoomInitial { session_ms: self.session_ms, ..RoomInitial::default() };
        let changes = std::mem::take(&mut self.changes);
        let lanes = self.lanes.iter().map(Lane::begin_again).collect();
        *self = Line { changes, lanes, ..Line::begin(self.clock.wall_ms, &initial) };
    }

    pub(super) fn take_settings(&mut self, highest: &Snapshot) {
        self.rate_per_minute = highest.rate_per_minute;
        self.burst = if highest.burst == burst_for(highest.rate_per_minute) { 0 } else { highest.burst };
        self.state = highest.state;
        self.message.clone_from(&highest.message);
        self.max_active = highest.max_active;
        self.queue_max = highest.queue_max;
        self.method = highest.method;
        self.session_renewal = highest.session_renewal;
        self.ramp = highest.ramp.map(|ramp| Ramping {
            from_per_minute: highest.rate_per_minute,
            to_per_minute: ramp.to_per_minute,
            begin_ms: self.clock.line_ms,
            over_ms: ramp.over_ms,
        });
        self.schedule.prequeue_at_ms = highest.prequeue_at_ms;
        self.schedule.opens_at_ms = highest.opens_at_ms;
        self.schedule.closes_at_ms = highest.closes_at_ms;
    }

    /// The lanes of the line that was lost, in their order, because numbers tell lanes by it; then those of this one that
    /// it did not have yet, in which nobody has a number.
    fn restore_lanes(&mut self, seen: &[LaneSnapshot]) {
        let mine = std::mem::take(&mut self.lanes);
        for seen in seen.iter().take(LANES_MAX) {
            let mut lane = mine.iter().find(|lane| lane.name == seen.name).cloned().unwrap_or_default();
            lane.restore(seen);
            self.lanes.push(lane);
        }
        for lane in mine {
            let is_new = self.lanes.iter().all(|other| other.name != lane.name);
            if is_new && self.lanes.len() < LANES_MAX {
                self.lanes.push(lane);
            }
        }
    }

    /// Keeps who changed what. The autopilot's steps in a row are one change, or they would drive the operators' out.
    pub(super) fn note_change(&mut self, who: &str, change: &RoomChange) {
        if who == AUTOPILOT
            && let Some(last) = self.changes.back_mut().filter(|last| last.who == AUTOPILOT)
        {
            (last.at_ms, last.after) = (self.clock.wall_ms, change.clone());
            return;
        }
        let before = self.values_of(change);
        self.changes.push_back(Audit { at_ms: self.clock.wall_ms, who: who.to_owned(), before, after: change.clone() });
        while self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
    }

    /// The values of now of whatever `change` would change.
    fn values_of(&self, change: &RoomChange) -> RoomChange {
        let moves = change.rate_per_minute.is_some() || change.ramp.is_some();
        let ramp = self.ramp.filter(|_| moves).map(|ramp| ramp.left(self.clock.line_ms));
        let time = |asked: Option<i64>, now: Option<i64>| asked.map(|_| now.unwrap_or(0));
        RoomChange {
            rate_per_minute: (moves && ramp.is_none()).then_some(self.rate_per_minute),
            ramp,
            burst: change.burst.map(|_| self.burst),
            state: change.state.map(|_| self.state),
            message: change.message.as_ref().map(|_| self.message.clone()),
            max_active: change.max_active.map(|_| self.max_active),
            queue_max: change.queue_max.map(|_| self.queue_max),
            method: change.method.map(|_| self.method),
            session_renewal: change.session_renewal.map(|_| self.session_renewal),
            lane_weights: change.lane_weights.as_ref().map(|weights| {
                let named = self.lanes.iter().filter(|lane| weights.contains_key(&lane.name));
                named.map(|lane| (lane.name.clone(), lane.weight)).collect()
            }),
            prequeue_at_ms: time(change.prequeue_at_ms, self.schedule.prequeue_at_ms),
            opens_at_ms: time(change.opens_at_ms, self.schedule.opens_at_ms),
            closes_at_ms: time(change.closes_at_ms, self.schedule.closes_at_ms),
        }
    }

    /// Whether the change names lanes that there are.
    pub(crate) fn check_change(&self, change: &RoomChange) -> Result<(), Invalid> {
        let mut named = change.lane_weights.iter().flat_map(|weights| weights.keys());
        let is_known = |name: &&String| self.lanes.iter().any(|lane| lane.name == **name);
        if named.all(|name| is_known(&name)) {
            return Ok(());
        }
        let names: Vec<&str> = self.lanes.iter().map(|lane| lane.name.as_str()).collect();
        Err(no_such_lane(&names.join(", ")))
    }

    /// The last changes, oldest first.
    pub(crate) fn changes(&self) -> Vec<Audit> {
        self.changes.iter().cloned().collect()
    }
}

/// A change names a lane that is not one of these.
pub(crate) fn no_such_lane(names: &str) -> Invalid {
    Invalid { field: "lane_weights", range: format!("of lanes that the room has: {names}") }
}
