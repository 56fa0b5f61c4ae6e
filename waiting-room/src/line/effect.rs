//! What happened to the line: the outcome of a decision, small enough to be written down before it is answered.
//! Applying one decides nothing, so a journal stays readable when rules change.

use super::{
    answer::Snapshot,
    machine::Line,
    room::{Method, RoomChange},
    schedule::Ramping,
};
use serde::{Deserialize, Serialize};

/// One change of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// `count` people got the next numbers; the first `admitted` of them went in at once.
    Joined {
        count: u64,
        admitted: u64,
        #[serde(default)]
        nonce: u64,
    },
    /// The time of opening was reached; the first `drawn` numbers have their positions by lot.
    Opened { drawn: u64 },
    /// These called numbers went in.
    Claimed { numbers: Vec<u64> },
    /// The cursor moved; `expected` of those it passed may be here (all who had not left, if it is not told).
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
    Restored(Box<Snapshot>),
    /// Sessions last this long from now on.
    SessionMs(i64),
    /// These sessions last from now on anew, and these are over.
    Sessions { renewed: Vec<u64>, ended: Vec<u64> },
    /// This number was given up.
    Left { number: u64 },
    /// These numbers went on with another device: each with its new generation.
    Moved { places: Vec<(u64, u64)> },
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
            Effect::Joined { count, admitted, nonce } => self.apply_joined(*count, *admitted, *nonce),
            Effect::Opened { drawn } => {
                self.schedule.opened = true;
                self.schedule.drawn = *drawn;
                // A draw gives positions anew, so those that nobody holds are anywhere.
                if *drawn > 0 {
                    self.gaps.clear();
                }
            }
            Effect::Claimed { numbers } => {
                self.enter(numbers.iter().copied());
            }
            Effect::Called { up_to, expected } => self.apply_called(*up_to, *expected),
            Effect::Changed(change) => self.apply_changed(change),
            Effect::ChangedBy { who, change } => {
                self.note_change(who, change);
                self.apply_changed(change);
            }
            Effect::Restored(highest) => self.apply_restored(highest),
            Effect::SessionMs(session_ms) => self.session_ms = *session_ms,
            Effect::Sessions { renewed, ended } => {
                let ends_at_ms = self.clock.line_ms.saturating_add(self.session_ms);
                renewed.iter().for_each(|&number| self.live.last(number, ends_at_ms));
                ended.iter().for_each(|&number| self.live.end(number));
            }
            Effect::Moved { places } => self.apply_moved(places),
            Effect::Left { number } => {
                if self.spent.insert(*number) {
                    self.nobody_waits_for(*number);
                }
            }
        }
    }

    fn apply_joined(&mut self, count: u64, admitted: u64, nonce: u64) {
        if self.schedule.registers() {
            self.schedule.register(count, nonce);
        }
        let first = self.issued + 1;
        self.issued += count;
        if admitted > 0 {
            self.cursor = self.issued.min(first + admitted - 1);
            self.enter(first..first + admitted);
        }
    }

    fn apply_called(&mut self, up_to: u64, expected: Option<u64>) {
        let (first, last) = (self.cursor + 1, up_to.min(self.issued));
        if first <= last {
            let expected = expected.unwrap_or_else(|| last + 1 - first - self.spent.count(first, last));
            self.calls.call(self.clock.line_ms, first, last, expected);
            self.cursor = last;
            self.gaps.retain(|gap| *gap.end() > last);
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
        self.meter.reprice(old.0, self.rate_per_minute);
        self.meter.limit(self.burst_in_force());
    }

    /// This number went in or left.
    fn nobody_waits_for(&mut self, number: u64) {
        if !self.keen.done(number) {
            self.calls.done(number);
        }
        self.presence.done(number);
    }

    fn enter(&mut self, numbers: impl Iterator<Item = u64>) {
        let mut people = 0;
        for number in numbers {
            self.spent.insert(number);
            self.nobody_waits_for(number);
            let wait_ms = match self.method {
                Method::PassThrough => 0,
                Method::Fcfs | Method::Draw => self.meter.spend(self.rate_per_minute),
            };
            let begins_at_ms = self.clock.line_ms.saturating_add_unsigned(wait_ms);
            self.recent.enter(number, begins_at_ms);
            self.live.last(number, begins_at_ms.saturating_add(self.session_ms));
            people += 1;
        }
        self.tally.add(self.clock.line_ms, people);
    }
}
