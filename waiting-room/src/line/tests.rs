//! The line as a whole: single stories, and the invariants for random ones.

use super::*;
use proptest::prelude::*;

/// A line driven by hand: settle, decide, apply, answer, as the memory store does it. It is the model that the Lua
/// scripts are held against.
pub(crate) struct Model(pub(crate) Line);

impl Model {
    pub(crate) fn begin(now_ms: i64, initial: &RoomInitial) -> Model {
        Model(Line::begin(now_ms, initial))
    }

    fn put(&mut self, effect: Option<Effect>) {
        if let Some(effect) = effect {
            self.0.apply(&self.0.entry(effect));
        }
    }

    pub(crate) fn ensure(&mut self, now_ms: i64, initial: &RoomInitial) -> Snapshot {
        self.0.settle(now_ms);
        self.put(self.0.decide_ensure(initial));
        self.0.snapshot()
    }

    pub(crate) fn join(&mut self, now_ms: i64, count: u32) -> Joined {
        self.0.settle(now_ms);
        let effect = self.0.decide_join(count).expect("numbers left");
        self.put(Some(effect.clone()));
        self.0.joined(&effect)
    }

    pub(crate) fn claim(&mut self, now_ms: i64, numbers: &[u64]) -> (Vec<Claimed>, Snapshot) {
        self.claim_in(now_ms, self.0.epoch, numbers)
    }

    pub(crate) fn claim_in(&mut self, now_ms: i64, epoch: u64, numbers: &[u64]) -> (Vec<Claimed>, Snapshot) {
        self.0.settle(now_ms);
        let verdicts = self.0.decide_claims(epoch, numbers);
        self.put(effect_of(numbers, &verdicts));
        (self.0.claimed(numbers, &verdicts), self.0.snapshot())
    }

    pub(crate) fn tick(&mut self, now_ms: i64) -> Snapshot {
        self.0.settle(now_ms);
        self.put(self.0.decide_tick());
        self.0.snapshot()
    }

    pub(crate) fn change(&mut self, now_ms: i64, change: &RoomChange) -> Snapshot {
        self.0.settle(now_ms);
        self.put(self.0.decide_change(change));
        self.0.snapshot()
    }

    pub(crate) fn leave(&mut self, now_ms: i64, number: u64) -> Snapshot {
        self.0.settle(now_ms);
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
    assert_eq!((early.first, early.admitted.len()), (1, 0), "the meter begins empty");
    line.tick(BEGIN_MS + 1_000);
    assert!(matches!(claim_one(&mut line, BEGIN_MS + 1_000, 1), Claimed::Admitted(_)));
    let calm = line.join(BEGIN_MS + 3_000, 5);
    assert_eq!((calm.first, calm.admitted.len()), (2, 2));
    assert_eq!((calm.snapshot.issued, calm.snapshot.cursor, calm.snapshot.waiting()), (6, 3, 3));
    assert!(line.join(BEGIN_MS + 5_000, 1).admitted.is_empty(), "people wait, so nobody overtakes them");
}

#[test]
fn the_called_go_in_at_the_rate_and_the_others_are_told_why_not() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 20);
    let now = BEGIN_MS + 1_000;
    let snapshot = line.tick(now);
    assert_eq!((snapshot.cursor, snapshot.called_waiting), (7, 7));
    let (answers, after) = line.claim(now, &[1, 2, 3, 8, 99, 0, 1]);
    let Claimed::Admitted(session) = &answers[0] else { panic!("{answers:?}") };
    assert_eq!((session.number, session.expires_in_ms), (1, 900_000));
    assert_eq!(answers[1], Claimed::NoBudget { retry_after_ms: 1_000 });
    assert_eq!(answers[2], Claimed::NoBudget { retry_after_ms: 1_000 });
    assert_eq!(answers[3..6], [Claimed::NotCalled, Claimed::Unknown, Claimed::Unknown]);
    assert_eq!(answers[6], answers[0], "twice in one group is one entry");
    assert_eq!((after.admitted, after.called_waiting), (1, 6));
    assert_eq!(claim_one(&mut line, now + 400, 2), Claimed::NoBudget { retry_after_ms: 600 });
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
    assert_eq!(first.cursor, 7);
    assert_eq!(tick_for(&mut line, &mut now, 4_500).cursor, 7, "the called are still expected");
    assert!(tick_for(&mut line, &mut now, 1_500).cursor >= 12, "the next ones are called");
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
    assert_eq!((joined.first, joined.admitted.len()), (6, 0));
    assert_eq!(line.tick(BEGIN_MS + 3_000).cursor, 5);
    let open = RoomChange { state: Some(RoomState::Open), ..RoomChange::default() };
    line.change(BEGIN_MS + 4_000, &open);
    assert!(line.tick(BEGIN_MS + 4_000).cursor > 5);
    assert!(matches!(claim_one(&mut line, BEGIN_MS + 4_000, 1), Claimed::Admitted(_)));
}

#[test]
fn who_leaves_holds_nobody_up_and_cannot_come_back() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 10);
    line.leave(BEGIN_MS, 2);
    let called = line.tick(BEGIN_MS);
    assert_eq!((called.cursor, called.called_waiting), (6, 5), "2 left before it was called");
    assert_eq!(line.leave(BEGIN_MS, 1).called_waiting, 4);
    let (again, unknown) = (line.leave(BEGIN_MS, 1), line.leave(BEGIN_MS, 11));
    assert_eq!((again.version, again.called_waiting), (unknown.version, 4));
    assert_eq!(line.claim(BEGIN_MS + 1_000, &[1, 2]).0, [Claimed::Spent, Claimed::Spent]);
    assert_eq!(line.tick(BEGIN_MS + 1_000).cursor, 9);
}

#[test]
fn the_numbers_end_where_the_bitmap_ends() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.0.issued = machine::NUMBER_MAX - 1;
    assert!(line.0.decide_join(2).is_none());
    assert_eq!(line.join(BEGIN_MS, 1).first, machine::NUMBER_MAX);
    assert!(line.0.decide_join(1).is_none());
}

#[test]
fn one_minute_of_ticks_lets_in_exactly_the_rate() {
    for rate in [1, 7, 60, 500, 1_000, 60_000] {
        for tick_ms in [1, 7, 10, 100, 250, 1_000] {
            let mut line = Model::begin(BEGIN_MS, &initial(rate, rate / 60 + 2));
            while line.0.issued < u64::from(rate) * 2 {
                line.join(BEGIN_MS, 1_024);
            }
            let mut next = 1;
            for at in (tick_ms..60_000).step_by(tick_ms as usize).chain([60_000]) {
                let cursor = line.tick(BEGIN_MS + at).cursor;
                let budget = line.0.meter.people();
                let group: Vec<u64> = (next..=cursor.min(next + budget)).collect();
                let answers = line.claim(BEGIN_MS + at, &group).0;
                next += answers.iter().filter(|answer| matches!(answer, Claimed::Admitted(_))).count() as u64;
            }
            assert_eq!(line.0.snapshot().admitted, u64::from(rate), "rate {rate}, tick {tick_ms} ms");
        }
    }
}

/// One step of a random story.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Join(u32),
    Claim(Vec<u64>),
    Tick,
    Change(RoomChange),
    Leave(u64),
}

/// Random steps; the numbers in claims are near the front, so that most of them exist.
pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let rate = prop_oneof![1..=120_u32, Just(6_000), Just(1_000_000)];
    let state = prop_oneof![3 => Just(RoomState::Open), 1 => Just(RoomState::Paused)];
    let change = (prop::option::of(rate), prop::option::of(0..20_u32), prop::option::of(state), any::<bool>())
        .prop_map(|(rate_per_minute, burst, state, words)| {
            let message = words.then(|| "back in a moment: \"soon\" \u{fc}".to_owned());
            RoomChange { rate_per_minute, burst, state, message, ..RoomChange::default() }
        });
    prop_oneof![
        3 => (1..30_u32).prop_map(Step::Join),
        5 => prop::collection::vec(0..200_u64, 1..20).prop_map(Step::Claim),
        4 => Just(Step::Tick),
        1 => change.prop_map(Step::Change),
        1 => (0..200_u64).prop_map(Step::Leave),
    ]
}

/// Milliseconds that pass, mostly short.
pub(crate) fn any_pause() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..300_i64, 3 => 300..2_500_i64, 1 => 2_500..40_000_i64]
}

/// How far the wall clock jumps back before a step; mostly not at all.
pub(crate) fn any_jump_back() -> impl Strategy<Value = i64> {
    prop_oneof![9 => Just(0_i64), 1 => 1..7_200_000_i64]
}

/// What an outside witness saw: who went in when, in true time, and what the operator allowed.
#[derive(Default)]
struct Witness {
    true_ms: i64,
    allowed_units: u64,
    /// (units allowed until then, people admitted then, burst in force then)
    events: Vec<(u64, u64, u64)>,
    sessions: std::collections::BTreeMap<u64, (String, i64)>,
}

impl Witness {
    fn pass(&mut self, ms: i64, before: &Snapshot) {
        self.true_ms += ms;
        if before.state == RoomState::Open {
            self.allowed_units += ms.unsigned_abs() * u64::from(before.rate_per_minute);
        }
    }

    /// W4: a number has one session, and never again after the repeat window.
    fn admit(&mut self, session: &Session) -> Result<u64, TestCaseError> {
        let known = self.sessions.get(&session.number);
        let fresh = known.is_none();
        if let Some((id, _)) = known {
            prop_assert_eq!(id, &session.id);
        } else {
            prop_assert!(self.sessions.values().all(|(id, _)| *id != session.id));
            self.sessions.insert(session.number, (session.id.clone(), self.true_ms));
        }
        Ok(u64::from(fresh))
    }

    /// W2: in every window, admitted <= rate * w + burst.
    fn check_every_window(&self) -> Result<(), TestCaseError> {
        for (from, &(units_before, ..)) in self.events.iter().enumerate() {
            let (mut admitted, mut burst) = (0, 0);
            for &(units, people, burst_then) in &self.events[from..] {
                admitted += people;
                burst = burst.max(burst_then);
                prop_assert!(
                    admitted * 60_000 <= units - units_before + burst * 60_000,
                    "{admitted} admitted, {} units, burst {burst}",
                    units - units_before
                );
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// W2, W4, W7, the cursor and the order, over restarts, rate changes and clocks that jump back.
    #[test]
    fn the_invariants_hold_in_every_story(
        rate in prop_oneof![1..=120_u32, Just(60_000), Just(1_000_000)],
        burst in 0..10_u32,
        story in prop::collection::vec((any_pause(), any_jump_back(), any_step(), prop::bool::weighted(0.05)), 1..150),
    ) {
        let mut line = Model::begin(BEGIN_MS, &initial(rate, burst));
        let (mut wall_ms, mut witness) = (BEGIN_MS, Witness::default());
        let mut last = line.0.snapshot();
        for (pause_ms, back_ms, step, restart) in story {
            wall_ms += pause_ms - back_ms;
            witness.pass(pause_ms, &last);
            if restart {
                let kept = serde_json::to_string(&line.0).expect("a line is plain data");
                line = Model(serde_json::from_str(&kept).expect("what was written"));
            }
            let mut people = 0;
            let burst_before = u64::from(last.burst);
            let snapshot = match step {
                Step::Join(count) => {
                    let joined = line.join(wall_ms, count);
                    prop_assert_eq!(joined.first, last.issued + 1, "numbers follow without a gap");
                    prop_assert!(joined.admitted.is_empty() || last.cursor == last.issued, "nobody is overtaken");
                    for (index, session) in joined.admitted.iter().enumerate() {
                        prop_assert_eq!(session.number, joined.first + index as u64);
                        people += witness.admit(session)?;
                    }
                    joined.snapshot
                }
                Step::Claim(numbers) => {
                    let (answers, snapshot) = line.claim(wall_ms, &numbers);
                    prop_assert_eq!(answers.len(), numbers.len());
                    for (&number, answer) in numbers.iter().zip(&answers) {
                        if let Claimed::Admitted(session) = answer {
                            prop_assert!(number == session.number && number <= last.cursor, "only the called go in");
                            people += witness.admit(session)?;
                        }
                    }
                    snapshot
                }
                Step::Tick => line.tick(wall_ms),
                Step::Change(change) => line.change(wall_ms, &change),
                Step::Leave(number) => line.leave(wall_ms, number),
            };
            witness.events.push((witness.allowed_units, people, burst_before));
            prop_assert!(snapshot.cursor <= snapshot.issued);
            prop_assert!(snapshot.cursor >= last.cursor && snapshot.issued >= last.issued, "W7");
            prop_assert!(snapshot.version >= last.version && snapshot.supersedes(&last));
            prop_assert_eq!(snapshot.admitted, witness.sessions.len() as u64);
            prop_assert!(snapshot.called_waiting <= snapshot.cursor);
            last = snapshot;
        }
        witness.check_every_window()?;
    }

    /// A wall clock that jumps ahead brings at most the budget of one longest step.
    #[test]
    fn a_jump_ahead_banks_no_budget(rate in 60..=60_000_u32, ahead_ms in 2_000..i64::MAX / 4) {
        let mut line = Model::begin(BEGIN_MS, &initial(rate, BURST_MAX));
        line.tick(BEGIN_MS + ahead_ms);
        prop_assert!(line.0.meter.people() <= u64::from(rate) * 2 / 60);
    }

    /// W1, simple form: of two people who both ask all the time, the later one goes in no earlier than one call after.
    #[test]
    fn who_always_asks_goes_in_by_order_of_calls(rate in 60..=6_000_u32, people in 2..300_u32) {
        let mut line = Model::begin(BEGIN_MS, &initial(rate, 0));
        line.join(BEGIN_MS, people);
        let mut open: Vec<u64> = (1..=u64::from(people)).collect();
        let mut order = Vec::new();
        for at in (0..).map(|tick| BEGIN_MS + tick * 250).take(40_000) {
            line.tick(at);
            let answers = line.claim(at, &open).0;
            let admitted = |index: usize| matches!(answers[index], Claimed::Admitted(_));
            order.extend((0..open.len()).filter(|&index| admitted(index)).map(|index| open[index]));
            open = (0..open.len()).filter(|&index| !admitted(index)).map(|index| open[index]).collect();
            if open.is_empty() { break; }
        }
        prop_assert_eq!(order, (1..=u64::from(people)).collect::<Vec<_>>());
    }
}
