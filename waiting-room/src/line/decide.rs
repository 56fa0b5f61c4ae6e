//! The rules: what each operation does to the line as it is now. Nothing changes here; `effect` puts it in force.

use super::{
    answer::{Claimed, Joined, Session},
    effect::Effect,
    machine::{Line, NUMBER_MAX},
    room::{RoomChange, RoomInitial, RoomState},
};
use std::collections::BTreeSet;

/// How far ahead people are called, in milliseconds of budget: long enough that the budget finds someone who is there
/// even when half of the called are not, short enough that the called do not wait long.
pub(crate) const COVER_MS: u64 = 6_000;
/// The soonest a called person is asked to come again, in milliseconds: bounds the calls of one impatient client.
pub(crate) const RETRY_MS_MIN: u64 = 50;
/// The latest, in milliseconds: being next should not feel like waiting.
pub(crate) const RETRY_MS_MAX: u64 = 1_000;

/// The verdict on one claim, before it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Admit,
    Again,
    NotCalled,
    NoBudget { retry_after_ms: u64 },
    Spent,
    Unknown,
}

impl Line {
    /// The next `count` numbers; the first ones go in at once if the room is calm. `None`: no numbers are left.
    pub(crate) fn decide_join(&self, count: u32) -> Option<Effect> {
        let count = u64::from(count);
        if count > NUMBER_MAX - self.issued.min(NUMBER_MAX) {
            return None;
        }
        let admitted = if self.is_calm() { self.meter.people().min(count) } else { 0 };
        Some(Effect::Joined { count, admitted })
    }

    /// Nobody waits: nobody is overtaken by someone who goes in at once.
    fn is_calm(&self) -> bool {
        self.state == RoomState::Open && self.cursor == self.issued && self.calls.expected() == 0
    }

    /// The answer to a join whose effect was just applied.
    pub(crate) fn joined(&self, effect: &Effect) -> Joined {
        let (count, admitted) = match *effect {
            Effect::Joined { count, admitted } => (count, admitted),
            Effect::Claimed { .. }
            | Effect::Called { .. }
            | Effect::Changed(_)
            | Effect::SessionMs(_)
            | Effect::Left { .. } => (0, 0),
        };
        let first = self.issued + 1 - count;
        let admitted = (first..first + admitted).map(|number| self.session(number, self.clock.line_ms)).collect();
        Joined { first, admitted, snapshot: self.snapshot() }
    }

    /// Verdicts in the order of `numbers`: who comes first in the group is served first.
    pub(crate) fn decide_claims(&self, epoch: u64, numbers: &[u64]) -> Vec<Verdict> {
        if epoch != self.epoch {
            return vec![Verdict::Unknown; numbers.len()];
        }
        let mut group = Group { budget: self.meter.people(), refused: 0, admitted: BTreeSet::new() };
        numbers.iter().map(|&number| self.decide_claim(&mut group, number)).collect()
    }

    fn decide_claim(&self, group: &mut Group, number: u64) -> Verdict {
        if number == 0 || number > self.issued {
            return Verdict::Unknown;
        }
        if group.admitted.contains(&number) || self.recent.entered_at(number, self.clock.line_ms).is_some() {
            return Verdict::Again;
        }
        if self.spent.contains(number) {
            return Verdict::Spent;
        }
        if number > self.cursor {
            return Verdict::NotCalled;
        }
        match self.state {
            RoomState::Paused | RoomState::Closed | RoomState::SoldOut => {
                Verdict::NoBudget { retry_after_ms: RETRY_MS_MAX }
            }
            RoomState::Open | RoomState::Draining if group.budget > 0 => {
                group.budget -= 1;
                group.admitted.insert(number);
                Verdict::Admit
            }
            RoomState::Open | RoomState::Draining => {
                group.refused += 1;
                let people = group.admitted.len() as u64 + group.refused;
                let wait_ms = self.meter.wait_ms(people, self.rate_per_minute);
                Verdict::NoBudget { retry_after_ms: wait_ms.clamp(RETRY_MS_MIN, RETRY_MS_MAX) }
            }
        }
    }

    /// The answers to claims whose effect, if any, was just applied.
    pub(crate) fn claimed(&self, numbers: &[u64], verdicts: &[Verdict]) -> Vec<Claimed> {
        let answer = |(&number, &verdict): (&u64, &Verdict)| match verdict {
            Verdict::Admit | Verdict::Again => self.recent_session(number).map_or(Claimed::Spent, Claimed::Admitted),
            Verdict::NotCalled => Claimed::NotCalled,
            Verdict::NoBudget { retry_after_ms } => {
                Claimed::NoBudget { retry_after_ms: i64::try_from(retry_after_ms).unwrap_or(i64::MAX) }
            }
            Verdict::Spent => Claimed::Spent,
            Verdict::Unknown => Claimed::Unknown,
        };
        numbers.iter().zip(verdicts).map(answer).collect()
    }

    fn recent_session(&self, number: u64) -> Option<Session> {
        let entered_at_ms = self.recent.entered_at(number, self.clock.line_ms)?;
        Some(self.session(number, entered_at_ms))
    }

    /// Calls the next people until those expected cover the next seconds of budget; never past `issued`, so no credit
    /// banks up against an empty line.
    pub(crate) fn decide_tick(&self) -> Option<Effect> {
        match self.state {
            RoomState::Paused | RoomState::Closed | RoomState::SoldOut => None,
            RoomState::Open | RoomState::Draining => {
                let cover = self.meter.people_within(COVER_MS, self.rate_per_minute).max(1);
                let missing = cover.saturating_sub(self.calls.expected()).min(self.issued - self.cursor);
                (missing > 0).then_some(Effect::Called { up_to: self.cursor + missing })
            }
        }
    }

    /// What an operator asked for, if it asks for anything.
    pub(crate) fn decide_change(&self, change: &RoomChange) -> Option<Effect> {
        (*change != RoomChange::default()).then(|| Effect::Changed(change.clone()))
    }

    /// What the settings may change in a room that exists.
    pub(crate) fn decide_ensure(&self, initial: &RoomInitial) -> Option<Effect> {
        (self.session_ms != initial.session_ms).then_some(Effect::SessionMs(initial.session_ms))
    }

    /// Gives the number up, unless it is used up already or was never given out.
    pub(crate) fn decide_leave(&self, number: u64) -> Option<Effect> {
        let held = (1..=self.issued).contains(&number) && !self.spent.contains(number);
        held.then_some(Effect::Left { number })
    }
}

/// What the verdicts of one group have used so far.
struct Group {
    budget: u64,
    refused: u64,
    admitted: BTreeSet<u64>,
}

/// The effect of these verdicts, if anyone goes in.
pub(crate) fn effect_of(numbers: &[u64], verdicts: &[Verdict]) -> Option<Effect> {
    let admitted = numbers.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Admit);
    let numbers: Vec<u64> = admitted.map(|(&number, _)| number).collect();
    (!numbers.is_empty()).then_some(Effect::Claimed { numbers })
}
