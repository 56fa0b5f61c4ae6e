//! The line as a whole: single stories, and the invariants for random ones.

use super::{rule::STEP_MS_MAX, *};
use proptest::prelude::*;

mod cap;
mod heal;
mod invariant;
mod lanes;
mod life;
mod progress;
mod recovery;

/// A line driven by hand: settle, decide, apply, answer, as the memory store does it. It is the model that the Lua
/// scripts are held against.
pub(crate) struct Model(pub(crate) Line);

impl Model {
    pub(crate) fn begin(now_ms: i64, initial: &RoomInitial) -> Model {
        Model(Line::begin(now_ms, initial))
    }

    fn settle(&mut self, now_ms: i64) {
        self.0.settle(now_ms);
        self.put(self.0.decide_open());
    }

    fn put(&mut self, effect: Option<Effect>) {
        if let Some(effect) = effect {
            self.0.apply(&self.0.entry(effect));
        }
    }

    pub(crate) fn ensure(&mut self, now_ms: i64, initial: &RoomInitial) -> Snapshot {
        self.settle(now_ms);
        self.put(self.0.decide_ensure(initial));
        self.0.snapshot()
    }

    pub(crate) fn join(&mut self, now_ms: i64, count: u32) -> Joined {
        self.try_join(now_ms, count).expect("the room takes people")
    }

    pub(crate) fn try_join(&mut self, now_ms: i64, count: u32) -> Result<Joined, Refused> {
        self.join_with(now_ms, &vec![Joiner::default(); count as usize], 7)
    }

    pub(crate) fn join_with(&mut self, now_ms: i64, joiners: &[Joiner], nonce: u64) -> Result<Joined, Refused> {
        self.settle(now_ms);
        let mut joining = self.0.decide_join(joiners, nonce);
        joining.refused().map_or(Ok(()), Err)?;
        self.put(joining.effect.take());
        Ok(self.0.joined(&joining))
    }

    pub(crate) fn claim(&mut self, now_ms: i64, numbers: &[u64]) -> (Vec<Claimed>, Snapshot) {
        self.claim_in(now_ms, self.0.epoch, numbers)
    }

    pub(crate) fn claim_in(&mut self, now_ms: i64, epoch: u64, numbers: &[u64]) -> (Vec<Claimed>, Snapshot) {
        self.settle(now_ms);
        self.0.note_asking(epoch, numbers);
        let verdicts = self.0.decide_claims(epoch, numbers);
        self.put(effect_of(numbers, &verdicts));
        self.0.note_asked(numbers, &verdicts);
        (self.0.claimed(numbers, &verdicts), self.0.snapshot())
    }

    pub(crate) fn tick(&mut self, now_ms: i64) -> Snapshot {
        self.settle(now_ms);
        self.put(self.0.decide_tick());
        self.0.snapshot()
    }

    pub(crate) fn change(&mut self, now_ms: i64, change: &RoomChange) -> Snapshot {
        self.change_by(now_ms, "test", change)
    }

    pub(crate) fn change_by(&mut self, now_ms: i64, who: &str, change: &RoomChange) -> Snapshot {
        self.settle(now_ms);
        self.put(self.0.decide_change(who, change));
        self.0.snapshot()
    }

    pub(crate) fn changes(&mut self, now_ms: i64) -> Vec<Audit> {
        self.settle(now_ms);
        self.0.changes()
    }

    /// The store is empty but for what operators changed, and somebody who knows nothing begins the room.
    pub(crate) fn lose(&mut self, now_ms: i64, initial: &RoomInitial) {
        let changes = std::mem::take(&mut self.0.changes);
        *self = Model(Line { changes, ..Line::begin(now_ms, initial) });
    }

    /// The same, or nothing but time if it names a lane that there is not.
    pub(crate) fn try_change_by(&mut self, now_ms: i64, who: &str, change: &RoomChange) -> Result<Snapshot, Invalid> {
        self.settle(now_ms);
        self.0.check_change(change)?;
        Ok(self.change_by(now_ms, who, change))
    }

    pub(crate) fn restore(&mut self, now_ms: i64, highest: &Snapshot) -> Snapshot {
        self.0.settle(now_ms);
        self.put(self.0.decide_restore(highest));
        self.0.snapshot()
    }

    pub(crate) fn sessions(&mut self, now_ms: i64, renew: &[String], end: &[String]) -> (Vec<Renewal>, Snapshot) {
        self.settle(now_ms);
        let sessions = self.0.decide_sessions(renew, end);
        self.put(sessions.effect);
        (sessions.answers, self.0.snapshot())
    }

    pub(crate) fn heal(&mut self, now_ms: i64, epoch: u64, numbers: &[u64]) -> Snapshot {
        self.settle(now_ms);
        self.put(self.0.decide_heal(epoch, numbers));
        self.0.snapshot()
    }

    pub(crate) fn seen(&mut self, now_ms: i64, positions: &[u64]) -> Snapshot {
        self.settle(now_ms);
        self.0.see(positions);
        self.0.snapshot()
    }

    pub(crate) fn moves(&mut self, now_ms: i64, epoch: u64, moves: &[Move]) -> (Generations, Snapshot) {
        self.settle(now_ms);
        self.put(self.0.decide_moves(epoch, moves));
        (self.0.generations(), self.0.snapshot())
    }

    pub(crate) fn leave(&mut self, now_ms: i64, number: u64) -> Snapshot {
        self.settle(now_ms);
        self.put(self.0.decide_leave(number));
        self.0.snapshot()
    }
}

const BEGIN_MS: i64 = 1_700_000_000_000;

fn initial(rate_per_minute: u32, burst: u32) -> RoomInitial {
    RoomInitial { rate_per_minute, burst, ..RoomInitial::default() }
}

fn claim_one(line: &mut Model, now_ms: i64, number: u64) -> Claimed {
    line.claim(now_ms, &[number]).0.remove(0)
}

#[test]
fn a_calm_room_admits_at_once_and_a_busy_one_queues() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 2));
    let early = line.join(BEGIN_MS, 1);
    assert_eq!((early.first(), early.admitted().len()), (1, 0), "the meter begins empty");
    line.tick(BEGIN_MS + 1_000);
    assert!(matches!(claim_one(&mut line, BEGIN_MS + 1_000, 1), Claimed::Admitted(_)));
    let calm = line.join(BEGIN_MS + 3_000, 5);
    assert_eq!((calm.first(), calm.admitted().len()), (2, 2));
    assert_eq!((calm.snapshot.issued(), calm.snapshot.lanes[0].cursor, calm.snapshot.waiting()), (6, 3, 3));
    assert!(line.join(BEGIN_MS + 5_000, 1).admitted().is_empty(), "people wait, so nobody overtakes them");
}

#[test]
fn the_called_go_in_at_the_rate_and_the_others_are_told_why_not() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 20);
    let now = BEGIN_MS + 1_000;
    let snapshot = line.tick(now);
    assert_eq!((snapshot.lanes[0].cursor, snapshot.called_waiting()), (16, 16));
    let (answers, after) = line.claim(now, &[3, 2, 1, 17, 99, 0, 1]);
    let session = |number, starts_in_ms| Session {
        number,
        id: format!("{:x}-{number:x}", snapshot.epoch),
        starts_in_ms,
        expires_in_ms: 900_000,
    };
    assert_eq!(answers[0], Claimed::NoBudget { retry_after_ms: 1_000 });
    assert_eq!(answers[1], Claimed::Admitted(session(2, 1_000)), "given ahead of its time");
    assert_eq!(answers[2], Claimed::Admitted(session(1, 0)), "who stands in front is served first");
    assert_eq!(answers[3..6], [Claimed::NotCalled, Claimed::Unknown, Claimed::Unknown]);
    assert_eq!(answers[6], answers[2], "twice in one group is one entry");
    assert_eq!((after.admitted, after.called_waiting()), (2, 14));
    assert_eq!(claim_one(&mut line, now + 400, 3), Claimed::NoBudget { retry_after_ms: 600 });
    assert_eq!(claim_one(&mut line, now + 400, 2), Claimed::Admitted(session(2, 600)), "a repeat waits the rest");
}

#[test]
fn a_claim_of_another_epoch_is_unknown_and_spends_nothing() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 1);
    let before = line.tick(BEGIN_MS + 1_000);
    assert_eq!(line.claim_in(BEGIN_MS + 1_000, before.epoch + 1, &[1]), (vec![Claimed::Unknown], before));
    assert!(matches!(claim_one(&mut line, BEGIN_MS + 1_000, 1), Claimed::Admitted(_)));
}

#[test]
fn a_repeat_gets_the_same_session_for_thirty_seconds_and_is_spent_later() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 1);
    line.tick(BEGIN_MS + 1_000);
    let Claimed::Admitted(first) = claim_one(&mut line, BEGIN_MS + 1_000, 1) else { panic!() };
    let mut now = BEGIN_MS + 1_000;
    while now < BEGIN_MS + 31_000 {
        now += 1_000;
        let Claimed::Admitted(again) = claim_one(&mut line, now, 1) else { panic!("at {now}") };
        assert_eq!((&again.id, again.expires_in_ms), (&first.id, 900_000 - (now - BEGIN_MS - 1_000)));
    }
    assert_eq!(claim_one(&mut line, now + 1, 1), Claimed::Spent);
    assert_eq!(line.tick(now).admitted, 1);
}

#[test]
fn people_who_do_not_come_are_passed_over_and_stay_called() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 100);
    let mut now = BEGIN_MS;
    let tick_for = |line: &mut Model, now: &mut i64, ms: i64| {
        (0..ms / 250)
            .map(|_| {
                *now += 250;
                line.tick(*now)
            })
            .last()
            .expect("a tick")
    };
    let first = tick_for(&mut line, &mut now, 1_000);
    assert_eq!(first.lanes[0].cursor, 16);
    assert_eq!(tick_for(&mut line, &mut now, 2_000).lanes[0].cursor, 16, "the called are still expected");
    assert!(tick_for(&mut line, &mut now, 1_500).lanes[0].cursor >= 28, "the next ones are called");
    assert!(matches!(claim_one(&mut line, now, 1), Claimed::Admitted(_)), "ahead of everyone not called");
}

#[test]
fn a_paused_room_gives_numbers_and_calls_nobody() {
    let mut line = Model::begin(BEGIN_MS, &initial(600, 5));
    line.join(BEGIN_MS, 5);
    line.tick(BEGIN_MS + 1_000);
    let pause = RoomChange { state: Some(RoomState::Paused), ..RoomChange::default() };
    line.change(BEGIN_MS + 1_000, &pause);
    assert_eq!(claim_one(&mut line, BEGIN_MS + 1_000, 1), Claimed::NoBudget { retry_after_ms: 1_000 });
    let joined = line.join(BEGIN_MS + 2_000, 50);
    assert_eq!((joined.first(), joined.admitted().len()), (6, 0));
    assert_eq!(line.tick(BEGIN_MS + 3_000).lanes[0].cursor, 5);
    let open = RoomChange { state: Some(RoomState::Open), ..RoomChange::default() };
    line.change(BEGIN_MS + 4_000, &open);
    assert!(line.tick(BEGIN_MS + 4_000).lanes[0].cursor > 5);
    assert!(matches!(claim_one(&mut line, BEGIN_MS + 4_000, 1), Claimed::Admitted(_)));
}

#[test]
fn who_leaves_holds_nobody_up_and_cannot_come_back() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 30);
    line.leave(BEGIN_MS, 2);
    let called = line.tick(BEGIN_MS);
    assert_eq!((called.lanes[0].cursor, called.called_waiting()), (13, 12), "2 left before it was called");
    assert_eq!(line.leave(BEGIN_MS, 1).called_waiting(), 11);
    let (again, unknown) = (line.leave(BEGIN_MS, 1), line.leave(BEGIN_MS, 31));
    assert_eq!((again.version, again.called_waiting()), (unknown.version, 11));
    assert_eq!(line.claim(BEGIN_MS + 1_000, &[1, 2]).0, [Claimed::Spent, Claimed::Spent]);
    assert_eq!(line.tick(BEGIN_MS + 1_000).lanes[0].cursor, 18);
}

#[test]
fn the_numbers_end_where_the_bitmap_ends() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.0.lanes[0].issued = number::NUMBER_MAX - 1;
    assert_eq!(line.try_join(BEGIN_MS, 2), Err(Refused::Full));
    assert_eq!(line.join(BEGIN_MS, 1).first(), number::NUMBER_MAX);
    assert_eq!(line.try_join(BEGIN_MS, 1), Err(Refused::Full));
}

#[test]
fn one_minute_of_ticks_lets_in_exactly_the_rate() {
    for rate in [1, 7, 60, 500, 1_000, 60_000] {
        for tick_ms in [1, 7, 10, 100, 250, 1_000] {
            let mut line = Model::begin(BEGIN_MS, &initial(rate, rate / 60 + 2));
            while line.0.snapshot().issued() < u64::from(rate) * 2 {
                line.join(BEGIN_MS, 1_024);
            }
            let (mut next, mut begun) = (1, 0);
            for at in (tick_ms..60_000).step_by(tick_ms as usize).chain([60_000]) {
                let cursor = line.tick(BEGIN_MS + at).lanes[0].cursor;
                let places = line.0.meter.places(rate);
                let group: Vec<u64> = (next..=cursor.min(next + places)).collect();
                for claimed in line.claim(BEGIN_MS + at, &group).0 {
                    if let Claimed::Admitted(session) = claimed {
                        next += 1;
                        begun += u32::from(at + session.starts_in_ms <= 60_000);
                    }
                }
            }
            assert_eq!(begun, rate, "tick {tick_ms} ms");
        }
    }
}

/// One step of a random story.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Join(Vec<Joiner>),
    Claim(Vec<u64>),
    Tick,
    Change(RoomChange),
    Leave(u64),
    Seen(Vec<u64>),
}

fn any_rate() -> impl Strategy<Value = u32> {
    prop_oneof![1..=120_u32, Just(6_000), Just(1_000_000)]
}

fn any_state() -> impl Strategy<Value = RoomState> {
    prop_oneof![6 => Just(RoomState::Open), 2 => prop::sample::select(&RoomState::ALL[..])]
}

/// Random steps; the numbers in claims are near the front, so that most of them exist.
pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let change =
        (prop::option::of(any_rate()), prop::option::of(0..20_u32), prop::option::of(any_state()), any::<bool>())
            .prop_map(|(rate_per_minute, burst, state, words)| {
                let message = words.then(|| "back in a moment: \"soon\" \u{fc}".to_owned());
                RoomChange { rate_per_minute, burst, state, message, ..RoomChange::default() }
            });
    any_step_of(change, (1..30_usize).prop_map(Joiner::many), 0..200_u64)
}

/// The same, with every change that an operator may ask for.
pub(crate) fn any_step_in_full() -> impl Strategy<Value = Step> {
    any_step_of(any_change_in_full(), any_joiners(), any_number())
}

/// People of up to four lanes, of which the room may have fewer; some have one of a few identities.
fn any_joiners() -> impl Strategy<Value = Vec<Joiner>> {
    let identity = prop::option::weighted(0.2, (0..40_u8).prop_map(|who| Identity([who; 16])));
    let one = (any_lane(), identity, 1..15_usize).prop_map(|(lane, identity, count)| {
        let count = if identity.is_some() { 1 } else { count };
        // Some of a few proofs of work, so that many are shown again.
        let proof = (count % 4 == 3 && identity.is_none()).then(|| Proof([count as u8 + lane; 16]));
        let late = (count == 1 && identity.is_none()).then_some(Identity([200 + lane; 16]));
        vec![Joiner { lane, identity, late, proof }; count]
    });
    prop::collection::vec(one, 1..5).prop_map(|groups| groups.concat())
}

fn any_lane() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0), 5 => Just(1), 3 => Just(2), 1 => Just(3)]
}

fn any_number() -> impl Strategy<Value = u64> + Clone {
    (prop_oneof![6 => Just(0), 5 => Just(1), 3 => Just(2), 1 => Just(3)], 0..120_u64)
        .prop_map(|(lane, n)| numbered(lane, n))
}

fn any_step_of(
    change: impl Strategy<Value = RoomChange>,
    joiners: impl Strategy<Value = Vec<Joiner>>,
    number: impl Strategy<Value = u64> + Clone,
) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => joiners.prop_map(Step::Join),
        5 => prop::collection::vec(number.clone(), 1..20).prop_map(Step::Claim),
        4 => Just(Step::Tick),
        1 => change.prop_map(Step::Change),
        1 => number.clone().prop_map(Step::Leave),
        2 => prop::collection::vec(number, 0..40).prop_map(Step::Seen),
    ]
}

/// Whatever an operator may change, mostly little at once.
pub(crate) fn any_change_in_full() -> impl Strategy<Value = RoomChange> {
    fn sometimes<T: std::fmt::Debug>(any: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
        prop::option::weighted(0.25, any)
    }
    let at_ms = || {
        let near = (-20_000..90_000_i64).prop_map(|ms| BEGIN_MS + ms);
        sometimes(prop_oneof![4 => near, 2 => Just(0), 1 => Just(SCHEDULE_MS_MAX)])
    };
    let ramp = (1..=2_000_u32, 1..60_000_i64).prop_map(|(to_per_minute, over_ms)| Ramp { to_per_minute, over_ms });
    let rate = prop_oneof![
        2 => Just((None, None)),
        1 => any_rate().prop_map(|rate| (Some(rate), None)),
        1 => ramp.prop_map(|ramp| (None, Some(ramp))),
    ];
    let limits = (sometimes(0..20_u32), sometimes(0..20_u32), sometimes(0..60_u64));
    let words = prop::sample::select(&["", "back in a moment: \"soon\" \u{fc}/\n\u{7f}"][..]).prop_map(str::to_owned);
    let manner = (sometimes(any_state()), sometimes(words), sometimes(prop::sample::select(&Method::ALL[..])));
    let rest = ((at_ms(), at_ms(), at_ms()), sometimes(any::<bool>()), sometimes(any_weights()));
    (rate, limits, manner, rest).prop_map(|(rate, limits, manner, (times, session_renewal, lane_weights))| RoomChange {
        rate_per_minute: rate.0,
        ramp: rate.1,
        burst: limits.0,
        max_active: limits.1,
        queue_max: limits.2,
        state: manner.0,
        message: manner.1,
        method: manner.2,
        prequeue_at_ms: times.0,
        opens_at_ms: times.1,
        closes_at_ms: times.2,
        session_renewal,
        lane_weights,
    })
}

/// Weights of lanes, most of which are those of [`any_lanes`].
fn any_weights() -> impl Strategy<Value = std::collections::BTreeMap<String, u32>> {
    let name = prop_oneof![4 => Just("general"), 4 => Just("members"), 2 => Just("press"), 1 => Just("nobody")];
    prop::collection::btree_map(name.prop_map(str::to_owned), 1..=7_u32, 0..3)
}

/// Lanes as settings name them.
pub(crate) fn any_lanes() -> impl Strategy<Value = Vec<LaneInitial>> {
    let lanes = prop::sample::subsequence(vec!["members", "press", "general"], 0..=3);
    (lanes, 1..=7_u32, 1..=7_u32).prop_map(|(names, one, other)| {
        let weights = [one, other, 3];
        names.iter().zip(weights).map(|(name, weight)| LaneInitial { name: (*name).to_owned(), weight }).collect()
    })
}

/// Milliseconds that pass, mostly short.
pub(crate) fn any_pause() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..300_i64, 3 => 300..2_500_i64, 1 => 2_500..40_000_i64]
}

/// How far the wall clock jumps back (below zero: ahead) before a step; mostly not at all.
pub(crate) fn any_jump_back() -> impl Strategy<Value = i64> {
    prop_oneof![18 => Just(0_i64), 1 => 1..7_200_000_i64, 1 => -7_200_000..-STEP_MS_MAX]
}
