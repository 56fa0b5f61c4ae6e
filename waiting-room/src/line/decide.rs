//! The rules: what each operation does to the line as it is now. Nothing changes here; `effect` puts it in force.

use super::{
    answer::{Claimed, Given, Joined, Joiner, Refused, Session},
    effect::{Effect, LaneJoined},
    lane,
    machine::Line,
    meter::AHEAD_MS,
    number::{NUMBER_MAX, lane_of, numbered},
    proofs::Proof,
    room::{Method, Phase, RoomChange, RoomInitial},
    share::{HOLD_INSIDE_MS, HOLD_MS, Shares},
};
use std::collections::{BTreeMap, BTreeSet};

/// So much budget, in milliseconds, must find called people who ask for it: long enough that nothing of it is lost
/// until those called next have asked, short enough that the called do not wait long.
pub(crate) const COVER_MS: u64 = 3_000;
/// The fewest people who must ask.
pub(crate) const COVER_MIN: u64 = 2;
/// For each one missing so many are called, where it is known who is away and where it is not.
pub(crate) const CALLED_PER_MISSING: [u64; 2] = [2, 4];
/// A rate that rises to more than so many times what it was is a steep raise.
pub(crate) const STEEP: u32 = 2;
/// For so long after one, in milliseconds, people come as they were told before it, far ones once a minute: who was not
/// heard of may well be there, and calling several for each one missing would make the line a race.
pub(crate) const RAISED_MS: i64 = 60_000;
/// The most positions one tick looks at: bounds its work. Enough for the fastest rate with seven of ten away.
pub(crate) const CALL_SCAN_MAX: u64 = 16_384;
/// The soonest a called person is asked to come again, in milliseconds: bounds the calls of one impatient client.
pub(crate) const RETRY_MS_MIN: u64 = 50;
/// The latest, in milliseconds: being next should not feel like waiting.
pub(crate) const RETRY_MS_MAX: u64 = 1_000;

/// The verdict on one claim, before it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As the so-manieth of its group: who stands in front begins first.
    Admit {
        nth: usize,
    },
    Again,
    NotCalled,
    NoBudget {
        retry_after_ms: u64,
    },
    /// There is budget, and it is kept for lanes that are behind.
    Held {
        retry_after_ms: u64,
    },
    Spent,
    Unknown,
}

impl Line {
    /// What the schedule asks for. To be put in force before every other decision, so that who joins after the opening is
    /// not in the draw.
    pub(crate) fn decide_open(&self) -> Option<Effect> {
        let opens = self.schedule.registers() && matches!(self.phase(), Phase::Running | Phase::Over);
        let of = |lane: &lane::Lane| if self.method == Method::Draw && lane.cursor == 0 { lane.issued } else { 0 };
        opens.then(|| Effect::Opened { drawn: self.lanes.iter().map(of).collect() })
    }

    /// The next number of its lane for each joiner that has none yet; the first ones go in at once if the room is calm.
    /// The limit of people in line is looked at once for the whole group.
    pub(crate) fn decide_join(&self, joiners: &[Joiner], nonce: u64) -> Joining {
        let (mut lanes, mut known, mut fresh) = (vec![LaneJoined::default(); self.lanes.len()], BTreeMap::new(), 0);
        let (mut proofs, mut late) = (Vec::<Proof>::new(), BTreeMap::new());
        let refused = self.refuses(joiners.len() as u64);
        let mut places = self.places_at_once();
        let mut join_one = |joiner: &Joiner| {
            let had = joiner.identity.and_then(|identity| self.identities.number_of(identity));
            let had = had.or_else(|| known.get(&joiner.identity?).copied());
            let was_late = || self.late.number_of(joiner.late?).or_else(|| late.get(&joiner.late?).copied());
            if let Some(number) = had.or_else(was_late) {
                return Ok((number, false));
            }
            let lane = usize::from(joiner.lane);
            let joined = lanes.get_mut(lane).ok_or(Refused::NoLane)?;
            refused.map_or(Ok(()), Err)?;
            if let Some(proof) = joiner.proof.filter(|_| joiner.identity.is_none() && joiner.late.is_none()) {
                if self.proofs.refuses(proof, proofs.len()) || proofs.contains(&proof) {
                    return Err(Refused::Proof);
                }
                proofs.push(proof);
            }
            let number = numbered(lane, self.lanes[lane].issued + joined.count + 1);
            joined.count += 1;
            if places > 0 {
                (places, joined.admitted) = (places - 1, joined.admitted + 1);
            }
            if let Some(identity) = joiner.identity {
                known.insert(identity, number);
            } else if let Some(name) = joiner.late {
                late.insert(name, number);
            }
            fresh += 1;
            Ok((number, true))
        };
        let given = joiners.iter().map(&mut join_one).collect();
        let effect = Effect::JoinedLanes {
            lanes,
            nonce,
            identities: known.into_iter().collect(),
            late: late.into_iter().collect(),
            proofs,
        };
        Joining { given, effect: (fresh > 0).then_some(effect) }
    }

    /// Why a group of so many gets no numbers, if it gets none.
    fn refuses(&self, count: u64) -> Option<Refused> {
        let waiting = self.waiting();
        let full = self.queue_max > 0 && self.places_at_once() == 0 && waiting >= self.queue_max;
        let spent = self.lanes.iter().any(|lane| count > NUMBER_MAX - lane.issued.min(NUMBER_MAX));
        match (self.takes(), full || spent) {
            (false, _) => Some(Refused::Closed),
            (true, true) => Some(Refused::Full),
            (true, false) => None,
        }
    }

    /// How many of those who join now go in at once.
    fn places_at_once(&self) -> u64 {
        match self.method {
            Method::PassThrough if self.admits() => u64::MAX,
            Method::Fcfs | Method::Draw if self.is_calm() => self.meter.people().min(self.room_inside()),
            Method::PassThrough | Method::Fcfs | Method::Draw => 0,
        }
    }

    /// Nobody waits in any lane: nobody is overtaken by someone who goes in at once.
    fn is_calm(&self) -> bool {
        let nobody = |lane: &lane::Lane| lane.cursor == lane.issued && lane.called_waiting() == 0;
        self.admits() && self.lanes.iter().all(nobody)
    }

    /// The answer to joiners whose effect, if any, was just applied.
    pub(crate) fn joined(&self, joining: &Joining) -> Joined {
        let used = |number: u64| self.lane(number).is_some_and(|(lane, n)| lane.spent.contains(n));
        let give = |given: &Result<(u64, bool), Refused>| match *given {
            Ok((number, true)) => {
                let session = used(number).then(|| self.session(number, self.clock.line_ms));
                Given::New { number, session }
            }
            Ok((number, false)) => Given::Known { number, used: used(number) },
            Err(refused) => Given::Refused(refused),
        };
        Joined { given: joining.given.iter().map(give).collect(), snapshot: self.snapshot() }
    }

    /// Notes whose lanes are asked for, before the verdicts. Not journalled: it is soon forgotten.
    pub(crate) fn note_asking(&mut self, epoch: u64, numbers: &[u64]) {
        let (line_ms, same) = (self.clock.line_ms, epoch == self.epoch);
        for &number in numbers.iter().filter(|_| same) {
            if let Some((lane, n)) = self.lane_mut(number)
                && n <= lane.cursor
                && lane.holds(n)
            {
                lane.asked_at_ms = Some(line_ms);
            }
        }
    }

    /// Verdicts in the order of `numbers`. Within a lane who stands in front is served first; between lanes whose turn it
    /// is.
    pub(crate) fn decide_claims(&self, epoch: u64, numbers: &[u64]) -> Vec<Verdict> {
        if epoch != self.epoch {
            return vec![Verdict::Unknown; numbers.len()];
        }
        let places = match self.method {
            Method::PassThrough => u64::MAX,
            Method::Fcfs | Method::Draw => self.meter.places(self.rate_per_minute),
        };
        let inside = self.room_inside();
        let mut group = Group { places: places.min(inside), inside, refused: 0, admitted: 0, shares: self.shares() };
        let mut in_order = BTreeMap::<usize, BTreeSet<u64>>::new();
        for &number in numbers {
            in_order.entry(lane_of(number)).or_default().insert(number);
        }
        let mut verdicts = BTreeMap::new();
        while let Some(lane) = group.next_of(in_order.keys().copied()) {
            let first = in_order.get_mut(&lane).and_then(BTreeSet::pop_first);
            match first {
                Some(number) => drop(verdicts.insert(number, self.decide_claim(&mut group, number))),
                None => drop(in_order.remove(&lane)),
            }
        }
        numbers.iter().map(|number| verdicts.get(number).copied().unwrap_or(Verdict::Unknown)).collect()
    }

    fn decide_claim(&self, group: &mut Group, number: u64) -> Verdict {
        let Some((lane, n)) = self.lane(number).filter(|(lane, n)| (1..=lane.issued).contains(n)) else {
            return Verdict::Unknown;
        };
        let live = self.live.ends_at(number).is_some();
        if live && self.recent.entered_at(number, self.clock.line_ms).is_some() {
            return Verdict::Again;
        }
        if lane.spent.contains(n) {
            return Verdict::Spent;
        }
        if n > lane.cursor {
            return Verdict::NotCalled;
        }
        if !self.admits() || group.inside <= group.admitted {
            return Verdict::NoBudget { retry_after_ms: RETRY_MS_MAX };
        }
        if group.places > 0 {
            return self.take_place(group, lane_of(number));
        }
        group.refused += 1;
        // Of those of the lane who ask in vain at least so many were called earlier; their turn is first, so a later one
        // asks later.
        let earlier = lane.keen.people().saturating_sub(lane.cursor - n);
        let people = group.admitted + group.refused.max(earlier);
        let wait_ms = self.meter.wait_ms(people, self.rate_per_minute).saturating_sub(AHEAD_MS);
        Verdict::NoBudget { retry_after_ms: wait_ms.clamp(RETRY_MS_MIN, RETRY_MS_MAX) }
    }

    /// There is a place: it is this lane's if the lane is due, or if those who are have let it lie.
    fn take_place(&self, group: &mut Group, lane: usize) -> Verdict {
        let hold_ms = if self.waits_for_ends() { HOLD_INSIDE_MS } else { HOLD_MS };
        let held_ms = self.held_since_ms.map_or(0, |since_ms| self.clock.line_ms - since_ms);
        let free = self.method == Method::PassThrough || group.shares.is_due(lane) || held_ms >= hold_ms;
        if !free {
            let retry_after_ms = (hold_ms - held_ms).unsigned_abs().clamp(RETRY_MS_MIN, RETRY_MS_MAX);
            return Verdict::Held { retry_after_ms };
        }
        group.shares.admit(lane);
        group.places -= 1;
        group.admitted += 1;
        let nth = usize::try_from(group.admitted).unwrap_or(usize::MAX);
        Verdict::Admit { nth }
    }

    /// The cap, and not the meter, is what people wait for.
    fn waits_for_ends(&self) -> bool {
        self.room_inside() < self.meter.places(self.rate_per_minute)
    }

    /// The answers to claims whose effect, if any, was just applied.
    pub(crate) fn claimed(&self, numbers: &[u64], verdicts: &[Verdict]) -> Vec<Claimed> {
        let answer = |(&number, &verdict): (&u64, &Verdict)| match verdict {
            Verdict::Admit { .. } | Verdict::Again => {
                self.recent_session(number).map_or(Claimed::Spent, Claimed::Admitted)
            }
            Verdict::NotCalled => Claimed::NotCalled,
            Verdict::NoBudget { retry_after_ms } | Verdict::Held { retry_after_ms } => {
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

    /// Calls the next people until those who ask cover the next seconds of budget, each lane its part of it, and passes
    /// over who is away; never past `issued`, so no credit banks up against an empty lane.
    pub(crate) fn decide_tick(&self) -> Option<Effect> {
        if !self.admits() {
            return None;
        }
        let cover = self.meter.people_within(COVER_MS, self.rate_per_minute);
        let cover = cover.max(COVER_MIN).min(self.room_inside().max(1));
        let (line_ms, shares) = (self.clock.line_ms, self.shares());
        let with_people = self.lanes.iter().filter(|lane| lane.cursor < lane.issued).count() as u64;
        let scan = CALL_SCAN_MAX / with_people.max(1);
        let raised = line_ms < self.raised_until_ms;
        let call = |(index, lane): (usize, &lane::Lane)| {
            let [known, unknown] = CALLED_PER_MISSING;
            let each = match lane.presence.knows(line_ms, lane.cursor + 1) {
                _ if raised => 1,
                true => known,
                false => unknown,
            };
            let part = shares.part_of(cover, index).max(COVER_MIN.min(cover));
            let called = part.saturating_sub(lane.keen.people()) * each;
            let people = match self.method {
                Method::PassThrough => u64::MAX,
                Method::Fcfs | Method::Draw => called.saturating_sub(lane.calls.expected()),
            };
            let (up_to, expected) = lane.next(line_ms, people, scan, raised);
            (up_to > lane.cursor).then_some((numbered(index, up_to), expected))
        };
        let called: Vec<(u64, u64)> = self.lanes.iter().enumerate().filter_map(call).collect();
        (!called.is_empty()).then_some(Effect::CalledLanes(called))
    }

    /// Notes who asked in vain, after the effect of the verdicts is in force. Not journalled: it is soon forgotten.
    pub(crate) fn note_asked(&mut self, numbers: &[u64], verdicts: &[Verdict]) {
        let line_ms = self.clock.line_ms;
        for (&number, verdict) in numbers.iter().zip(verdicts) {
            let held = matches!(verdict, Verdict::Held { .. });
            if held {
                self.held_since_ms.get_or_insert(line_ms);
            }
            if (held || matches!(verdict, Verdict::NoBudget { .. }))
                && let Some((lane, n)) = self.lane_mut(number)
            {
                lane.ask_again(n);
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
        let lanes_change = lane::follow(&mut self.lanes.clone(), &initial.lanes);
        if lanes_change {
            return Some(Effect::Settings { session_ms: initial.session_ms, lanes: initial.lanes.clone() });
        }
        (self.session_ms != initial.session_ms).then_some(Effect::SessionMs(initial.session_ms))
    }

    /// Gives the number up, unless it is used up already or was never given out.
    pub(crate) fn decide_leave(&self, number: u64) -> Option<Effect> {
        // Before a draw nobody has a position to give up.
        let waits_for_draw = self.method == Method::Draw && self.schedule.registers();
        let held = !waits_for_draw && self.lane(number).is_some_and(|(lane, n)| lane.holds(n));
        held.then_some(Effect::Left { number })
    }
}

/// What joiners get, before it is in force.
pub(crate) struct Joining {
    /// The number of each, and whether it is a new one.
    pub(crate) given: Vec<Result<(u64, bool), Refused>>,
    pub(crate) effect: Option<Effect>,
}

impl Joining {
    /// Why nobody of them gets anything, if nobody does.
    pub(crate) fn refused(&self) -> Option<Refused> {
        let first = self.given.first().and_then(|given| given.err());
        first.filter(|_| self.given.iter().all(Result::is_err))
    }
}

/// What the verdicts of one group have used so far.
struct Group {
    places: u64,
    /// How many more the cap allowed before the group.
    inside: u64,
    refused: u64,
    admitted: u64,
    shares: Shares,
}

impl Group {
    /// Whose turn it is of these lanes, the first ones first; lanes that the room does not have come first of all.
    fn next_of(&self, lanes: impl Iterator<Item = usize>) -> Option<usize> {
        let rank = |lane: usize| if lane < lane::LANES_MAX { self.shares.rank(lane) } else { i64::MAX };
        lanes.max_by_key(|&lane| (rank(lane), usize::MAX - lane))
    }
}

/// The effect of these verdicts, if anyone goes in.
pub(crate) fn effect_of(numbers: &[u64], verdicts: &[Verdict]) -> Option<Effect> {
    let admitted = numbers.iter().zip(verdicts).filter_map(|(&number, verdict)| match verdict {
        Verdict::Admit { nth } => Some((*nth, number)),
        Verdict::Again
        | Verdict::NotCalled
        | Verdict::NoBudget { .. }
        | Verdict::Held { .. }
        | Verdict::Spent
        | Verdict::Unknown => None,
    });
    // In order, each once.
    let in_order: BTreeMap<usize, u64> = admitted.collect();
    (!in_order.is_empty()).then(|| Effect::Claimed { numbers: in_order.into_values().collect() })
}
