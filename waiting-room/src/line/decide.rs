//! The rules: what each operation does to the line as it is now. Nothing changes here; `effect` puts it in force.

use super::{
    answer::{Claimed, Joined, Session},
    effect::Effect,
    machine::{Line, NUMBER_MAX},
    meter::AHEAD_MS,
    room::{Method, Phase, RoomChange, RoomInitial},
};
use std::collections::{BTreeMap, BTreeSet};

/// So much budget, in milliseconds, must find called people who ask for it: long enough that nothing of it is lost
/// until those called next have asked, short enough that the called do not wait long.
pub(crate) const COVER_MS: u64 = 3_000;
/// The fewest people who must ask.
pub(crate) const COVER_MIN: u64 = 2;
/// For each one missing so many are called, where it is known who is away and where it is not.
pub(crate) const CALLED_PER_MISSING: [u64; 2] = [2, 4];
/// The most positions one tick looks at: bounds its work. Enough for the fastest rate with seven of ten away.
pub(crate) const CALL_SCAN_MAX: u64 = 16_384;
/// The soonest a called person is asked to come again, in milliseconds: bounds the calls of one impatient client.
pub(crate) const RETRY_MS_MIN: u64 = 50;
/// The latest, in milliseconds: being next should not feel like waiting.
pub(crate) const RETRY_MS_MAX: u64 = 1_000;

/// Why nobody may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many wait as may, or no numbers are left.
    Full,
    /// The state or the schedule says no.
    Closed,
}

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
    /// What the schedule asks for. To be put in force before every other decision, so that who joins after the opening is
    /// not in the draw.
    pub(crate) fn decide_open(&self) -> Option<Effect> {
        let opens = self.schedule.registers() && matches!(self.phase(), Phase::Running | Phase::Over);
        let drawn = if self.method == Method::Draw && self.cursor == 0 { self.issued } else { 0 };
        opens.then_some(Effect::Opened { drawn })
    }

    /// The next `count` numbers; the first ones go in at once if the room is calm. The limit of people in line is looked
    /// at once for the whole group.
    pub(crate) fn decide_join(&self, count: u32, nonce: u64) -> Result<Effect, Refused> {
        let count = u64::from(count);
        if !self.takes() {
            return Err(Refused::Closed);
        }
        let admitted = match self.method {
            Method::PassThrough if self.admits() => count,
            Method::Fcfs | Method::Draw if self.is_calm() => self.meter.people().min(count).min(self.room_inside()),
            Method::PassThrough | Method::Fcfs | Method::Draw => 0,
        };
        let full = self.queue_max > 0 && admitted == 0 && self.waiting() >= self.queue_max;
        if full || count > NUMBER_MAX - self.issued.min(NUMBER_MAX) {
            return Err(Refused::Full);
        }
        Ok(Effect::Joined { count, admitted, nonce })
    }

    /// Nobody waits: nobody is overtaken by someone who goes in at once.
    fn is_calm(&self) -> bool {
        self.admits() && self.cursor == self.issued && self.called_waiting() == 0
    }

    /// The answer to a join whose effect was just applied.
    pub(crate) fn joined(&self, effect: &Effect) -> Joined {
        let (count, admitted) = match *effect {
            Effect::Joined { count, admitted, .. } => (count, admitted),
            Effect::Claimed { .. }
            | Effect::Called { .. }
            | Effect::Changed(_)
            | Effect::ChangedBy { .. }
            | Effect::Restored(_)
            | Effect::SessionMs(_)
            | Effect::Opened { .. }
            | Effect::Sessions { .. }
            | Effect::Moved { .. }
            | Effect::Left { .. } => (0, 0),
        };
        let first = self.issued + 1 - count;
        let admitted = (first..first + admitted).map(|number| self.session(number, self.clock.line_ms)).collect();
        Joined { first, admitted, snapshot: self.snapshot() }
    }

    /// Verdicts in the order of `numbers`; who stands in front is served first.
    pub(crate) fn decide_claims(&self, epoch: u64, numbers: &[u64]) -> Vec<Verdict> {
        if epoch != self.epoch {
            return vec![Verdict::Unknown; numbers.len()];
        }
        let places = match self.method {
            Method::PassThrough => u64::MAX,
            Method::Fcfs | Method::Draw => self.meter.places(self.rate_per_minute),
        };
        let inside = self.room_inside();
        let mut group = Group { places: places.min(inside), inside, refused: 0, admitted: BTreeSet::new() };
        let in_order: BTreeSet<u64> = numbers.iter().copied().collect();
        let verdicts: BTreeMap<u64, Verdict> =
            in_order.into_iter().map(|number| (number, self.decide_claim(&mut group, number))).collect();
        numbers.iter().map(|number| verdicts.get(number).copied().unwrap_or(Verdict::Unknown)).collect()
    }

    fn decide_claim(&self, group: &mut Group, number: u64) -> Verdict {
        if number == 0 || number > self.issued {
            return Verdict::Unknown;
        }
        let live = self.live.ends_at(number).is_some();
        if live && self.recent.entered_at(number, self.clock.line_ms).is_some() {
            return Verdict::Again;
        }
        if self.spent.contains(number) {
            return Verdict::Spent;
        }
        if number > self.cursor {
            return Verdict::NotCalled;
        }
        if !self.admits() || group.inside <= group.admitted.len() as u64 {
            return Verdict::NoBudget { retry_after_ms: RETRY_MS_MAX };
        }
        if group.places > 0 {
            group.places -= 1;
            group.admitted.insert(number);
            return Verdict::Admit;
        }
        group.refused += 1;
        // Of those who ask in vain at least so many were called earlier; their turn is first, so a later one asks later.
        let earlier = self.keen.people().saturating_sub(self.cursor - number);
        let people = group.admitted.len() as u64 + group.refused.max(earlier);
        let wait_ms = self.meter.wait_ms(people, self.rate_per_minute).saturating_sub(AHEAD_MS);
        Verdict::NoBudget { retry_after_ms: wait_ms.clamp(RETRY_MS_MIN, RETRY_MS_MAX) }
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

    /// Calls the next people until those who ask cover the next seconds of budget, and passes over who is away; never
    /// past `issued`, so no credit banks up against an empty line.
    pub(crate) fn decide_tick(&self) -> Option<Effect> {
        if !self.admits() {
            return None;
        }
        if self.method == Method::PassThrough {
            return self.call_next(u64::MAX);
        }
        let cover = self.meter.people_within(COVER_MS, self.rate_per_minute);
        let cover = cover.max(COVER_MIN).min(self.room_inside().max(1));
        let [known, unknown] = CALLED_PER_MISSING;
        let each = if self.presence.knows(self.clock.line_ms, self.cursor + 1) { known } else { unknown };
        let called = cover.saturating_sub(self.keen.people()) * each;
        self.call_next(called.saturating_sub(self.calls.expected()))
    }

    /// The cursor moves until it has passed `people` who may be here, and over numbers that nobody holds at once.
    fn call_next(&self, people: u64) -> Option<Effect> {
        let last = self.issued.min(self.cursor + CALL_SCAN_MAX);
        let (mut up_to, mut expected, mut gaps) = (self.cursor, 0, self.gaps.iter().peekable());
        while expected < people && up_to < last {
            if let Some(gap) = gaps.next_if(|gap| *gap.start() <= up_to + 1) {
                up_to = up_to.max(*gap.end());
                continue;
            }
            up_to += 1;
            let here = !self.spent.contains(up_to) && !self.presence.is_away(self.clock.line_ms, up_to);
            expected += u64::from(here);
        }
        (up_to > self.cursor).then_some(Effect::Called { up_to, expected: Some(expected) })
    }

    /// Notes who asked in vain, after the effect of the verdicts is in force. Not journalled: it is soon forgotten.
    pub(crate) fn note_asked(&mut self, numbers: &[u64], verdicts: &[Verdict]) {
        for (&number, verdict) in numbers.iter().zip(verdicts) {
            if matches!(verdict, Verdict::NoBudget { .. }) {
                self.ask_again(number);
            }
        }
    }

    /// What an operator asked for, if it asks for anything.
    pub(crate) fn decide_change(&self, who: &str, change: &RoomChange) -> Option<Effect> {
        let asks = *change != RoomChange::default();
        asks.then(|| Effect::ChangedBy { who: who.to_owned(), change: change.clone() })
    }

    /// What the settings may change in a room that exists.
    pub(crate) fn decide_ensure(&self, initial: &RoomInitial) -> Option<Effect> {
        (self.session_ms != initial.session_ms).then_some(Effect::SessionMs(initial.session_ms))
    }

    /// Sessions, by their ids, that were used and that are over. Only live ones count, and a used one only where
    /// sessions go on.
    pub(crate) fn decide_sessions(&self, renew: &[String], end: &[String]) -> Option<Effect> {
        let live = |ids: &[String]| -> Vec<u64> {
            let numbers: BTreeSet<u64> = ids.iter().filter_map(|id| Session::number_of(self.epoch, id)).collect();
            numbers.into_iter().filter(|&number| self.live.ends_at(number).is_some()).collect()
        };
        let renewed = if self.session_renewal { live(renew) } else { Vec::new() };
        let ended = live(end);
        (!renewed.is_empty() || !ended.is_empty()).then_some(Effect::Sessions { renewed, ended })
    }

    /// Gives the number up, unless it is used up already or was never given out.
    pub(crate) fn decide_leave(&self, number: u64) -> Option<Effect> {
        // Before a draw nobody has a position to give up.
        let waits_for_draw = self.method == Method::Draw && self.schedule.registers();
        let held = !waits_for_draw && (1..=self.issued).contains(&number) && !self.spent.contains(number);
        held.then_some(Effect::Left { number })
    }
}

/// What the verdicts of one group have used so far.
struct Group {
    places: u64,
    /// How many more the cap allowed before the group.
    inside: u64,
    refused: u64,
    admitted: BTreeSet<u64>,
}

/// The effect of these verdicts, if anyone goes in.
pub(crate) fn effect_of(numbers: &[u64], verdicts: &[Verdict]) -> Option<Effect> {
    let admitted = numbers.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Admit);
    // In order, each once: who stands in front begins first.
    let numbers: BTreeSet<u64> = admitted.map(|(&number, _)| number).collect();
    (!numbers.is_empty()).then(|| Effect::Claimed { numbers: numbers.into_iter().collect() })
}
