//! What happened to the line: the outcome of a decision, small enough to be written down before it is answered.
//! Applying one decides nothing, so a journal stays readable when rules change.

use super::{
    answer::Snapshot,
    decide::{RAISED_MS, STEEP},
    heal::Healed,
    identity::Identity,
    lane::{self, LaneInitial},
    machine::Line,
    number::{lane_of, numbered},
    older,
    proofs::Proof,
    room::{Method, RoomChange},
    schedule::{Ramping, register},
};
use serde::{Deserialize, Serialize};

/// One change of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// `count` people got the next numbers; the first `admitted` of them went in at once. As journals had it before lanes.
    Joined {
        count: u64,
        admitted: u64,
        #[serde(default)]
        nonce: u64,
    },
    /// People got the next numbers of each lane, by its index, and these are those of them with an identity.
    JoinedLanes {
        lanes: Vec<LaneJoined>,
        nonce: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        identities: Vec<(Identity, u64)>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        late: Vec<(Identity, u64)>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        proofs: Vec<Proof>,
    },
    /// The time of opening was reached; the first `drawn` numbers of each lane have their positions by lot.
    Opened {
        #[serde(deserialize_with = "older::one_or_many")]
        drawn: Vec<u64>,
    },
    /// These called numbers went in.
    Claimed { numbers: Vec<u64> },
    /// The cursor of each of these numbers' lanes moved to it; so many of those it passed may be here.
    CalledLanes(Vec<(u64, u64)>),
    /// The cursor moved; `expected` of those it passed may be here (all who had not left, if it is not told). As journals
    /// had it before lanes.
    Called {
        up_to: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<u64>,
    },
    /// An operator changed something: as journals had it before changes were kept.
    Changed(RoomChange),
    /// This operator changed something.
    ChangedBy { who: String, change: RoomChange },
    /// The line came back after a loss.
    Restored(#[serde(deserialize_with = "older::snapshot")] Box<Snapshot>),
    /// Tickets proved numbers that the line did not know of.
    Healed(Healed),
    /// Sessions last this long from now on.
    SessionMs(i64),
    /// The settings say something else from now on.
    Settings { session_ms: i64, lanes: Vec<LaneInitial> },
    /// These sessions last from now on anew, these are inside of which the line did not know, and these are over.
    Sessions {
        renewed: Vec<u64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<u64>,
        ended: Vec<u64>,
    },
    /// This number was given up.
    Left { number: u64 },
    /// These numbers went on with another device: each with its new generation.
    Moved { places: Vec<(u64, u64)> },
}

/// What one lane gave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaneJoined {
    pub(crate) count: u64,
    /// The first of them, who went in at once.
    pub(crate) admitted: u64,
}

/// An effect and the clock at it: what a journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) wall_ms: i64,
    pub(crate) line_ms: i64,
    pub(crate) effect: Effect,
}

impl Line {
    /// Puts an effect in force: at once after its decision, or from a journal.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        self.clock.wall_ms = entry.wall_ms;
        self.clock.line_ms = self.clock.line_ms.max(entry.line_ms);
        if self.clock.line_ms >= self.clock.steady_at_ms {
            self.clock.day_ms = entry.wall_ms;
        }
        self.pass_time();
        self.version += 1;
        match &entry.effect {
            Effect::Joined { count, admitted, nonce } => {
                self.apply_joined(&[LaneJoined { count: *count, admitted: *admitted }], *nonce);
            }
            Effect::JoinedLanes { lanes, nonce, identities, late, proofs } => {
                self.apply_joined(lanes, *nonce);
                late.iter().for_each(|&(name, number)| self.late.keep(name, number));
                proofs.iter().for_each(|&proof| self.proofs.keep(proof));
                identities.iter().for_each(|&(identity, number)| self.identities.keep(identity, number));
            }
            Effect::Opened { drawn } => {
                self.schedule.opened = true;
                for (lane, &drawn) in self.lanes.iter_mut().zip(drawn) {
                    lane.open(drawn);
                }
            }
            Effect::Claimed { numbers } => self.apply_claimed(numbers),
            Effect::Called { up_to, expected } => self.apply_called(*up_to, *expected),
            Effect::CalledLanes(called) => {
                called.iter().for_each(|&(up_to, expected)| self.apply_called(up_to, Some(expected)));
            }
            Effect::Changed(change) => self.apply_changed(change),
            Effect::ChangedBy { who, change } => {
                self.note_change(who, change);
                self.apply_changed(change);
            }
            Effect::Restored(highest) => self.apply_restored(highest),
            Effect::Healed(healed) => self.apply_healed(healed),
            Effect::SessionMs(session_ms) => self.session_ms = *session_ms,
            Effect::Settings { session_ms, lanes } => {
                self.session_ms = *session_ms;
                lane::follow(&mut self.lanes, lanes);
            }
            Effect::Sessions { renewed, adopted, ended } => {
                let ends_at_ms = self.clock.line_ms.saturating_add(self.session_ms);
                adopted.iter().for_each(|&number| self.is_inside_after_all(number));
                renewed.iter().chain(adopted).for_each(|&number| self.live.last(number, ends_at_ms));
                for &number in ended {
                    if self.live.ends_at(number).is_none() {
                        self.is_inside_after_all(number);
                    }
                    self.live.end(number);
                }
            }
            Effect::Moved { places } => self.apply_moved(places),
            Effect::Left { number } => {
                if let Some((lane, n)) = self.lane_mut(*number)
                    && lane.spent.insert(n)
                {
                    lane.nobody_waits_for(n);
                }
            }
        }
    }

    /// The line did not know of this session: its number is used up, and it is one of those whose number alone was known.
    fn is_inside_after_all(&mut self, number: u64) {
        if let Some((lane, n)) = self.lane_mut(number) {
            lane.spent.insert(n);
            lane.nobody_waits_for(n);
        }
        self.unknown.people = self.unknown.people.saturating_sub(1);
    }

    fn apply_joined(&mut self, joined: &[LaneJoined], nonce: u64) {
        let registers = self.schedule.registers();
        let mut at_once = Vec::new();
        for (index, (lane, joined)) in self.lanes.iter_mut().zip(joined).enumerate().filter(|(_, (_, j))| j.count > 0) {
            if registers {
                lane.digest = register(&lane.digest, joined.count, nonce);
            }
            let first = lane.issued + 1;
            lane.issued += joined.count;
            if joined.admitted > 0 {
                lane.cursor = lane.issued.min(first + joined.admitted - 1);
                at_once.extend((first..first + joined.admitted).map(|n| numbered(index, n)));
            }
        }
        if !at_once.is_empty() {
            self.enter(&at_once);
        }
    }

    /// Called people go in, which their lanes pay for.
    fn apply_claimed(&mut self, numbers: &[u64]) {
        for &number in numbers {
            let line_ms = self.clock.line_ms;
            if let Some((lane, _)) = self.lane_mut(number) {
                lane.asked_at_ms = Some(line_ms);
            }
        }
        let mut shares = self.shares();
        for lane in numbers.iter().map(|&number| lane_of(number)).filter(|&lane| lane < self.lanes.len()) {
            if shares.is_due(lane) {
                self.held_since_ms = None;
            }
            shares.admit(lane);
        }
        self.lanes.iter_mut().zip(shares.credit).for_each(|(lane, credit)| lane.credit = credit);
        self.enter(numbers);
    }

    fn apply_called(&mut self, up_to: u64, expected: Option<u64>) {
        let line_ms = self.clock.line_ms;
        if let Some((lane, n)) = self.lane_mut(up_to) {
            lane.call(line_ms, n, expected);
        }
    }

    fn apply_changed(&mut self, change: &RoomChange) {
        let old = (self.rate_per_minute, self.burst, self.state, self.message.clone());
        self.rate_per_minute = change.rate_per_minute.unwrap_or(old.0);
        self.burst = change.burst.unwrap_or(old.1);
        self.state = change.state.unwrap_or(old.2);
        self.message = change.message.clone().unwrap_or(old.3);
        self.queue_max = change.queue_max.unwrap_or(self.queue_max);
        self.method = change.method.unwrap_or(self.method);
        for lane in &mut self.lanes {
            let weight = change.lane_weights.as_ref().and_then(|weights| weights.get(&lane.name));
            lane.weight = weight.copied().unwrap_or(lane.weight);
        }
        self.schedule.change(change);
        if change.rate_per_minute.is_some() {
            self.ramp = None;
        }
        if let Some(ramp) = change.ramp {
            self.ramp = Some(Ramping {
                from_per_minute: self.rate_per_minute,
                to_per_minute: ramp.to_per_minute,
                begin_ms: self.clock.line_ms,
                over_ms: ramp.over_ms,
            });
        }
        self.max_active = change.max_active.unwrap_or(self.max_active);
        self.session_renewal = change.session_renewal.unwrap_or(self.session_renewal);
        if self.admits() && self.rate_per_minute > old.0.saturating_mul(STEEP) {
            self.raised_until_ms = self.clock.line_ms + RAISED_MS;
        }
        self.meter.reprice(old.0, self.rate_per_minute);
        self.meter.limit(self.burst_in_force());
    }

    fn enter(&mut self, numbers: &[u64]) {
        for &number in numbers {
            if let Some((lane, n)) = self.lane_mut(number) {
                lane.spent.insert(n);
                lane.nobody_waits_for(n);
            }
            let wait_ms = match self.method {
                Method::PassThrough => 0,
                Method::Fcfs | Method::Draw => self.meter.spend(self.rate_per_minute),
            };
            let begins_at_ms = self.clock.line_ms.saturating_add_unsigned(wait_ms);
            self.recent.enter(number, begins_at_ms);
            self.live.last(number, begins_at_ms.saturating_add(self.session_ms));
        }
        self.tally.add(self.clock.line_ms, numbers.len() as u64);
    }
}
