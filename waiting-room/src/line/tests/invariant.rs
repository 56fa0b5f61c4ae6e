//! The invariants for random stories.

use super::*;

/// What an outside witness saw: who went in when, in true time, and what the operator allowed.
#[derive(Default)]
struct Witness {
    true_ms: i64,
    allowed_units: u64,
    /// (units allowed until then, people admitted then, burst and rate in force then)
    events: Vec<(u64, u64, u64, u32)>,
    sessions: std::collections::BTreeMap<u64, (String, i64)>,
}

impl Witness {
    fn pass(&mut self, ms: i64, before: &Snapshot) {
        self.true_ms += ms;
        if matches!(before.state, RoomState::Open | RoomState::Draining) {
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

    /// W2: in every window, admitted <= rate * w + burst, and what was given ahead of its time.
    fn check_every_window(&self) -> Result<(), TestCaseError> {
        for (from, &(units_before, ..)) in self.events.iter().enumerate() {
            let (mut admitted, mut burst, mut ahead) = (0, 0, 0);
            for &(units, people, burst_then, rate) in &self.events[from..] {
                admitted += people;
                burst = burst.max(burst_then);
                ahead = ahead.max(meter::AHEAD_MS * u64::from(rate));
                prop_assert!(
                    admitted * 60_000 <= units - units_before + burst * 60_000 + ahead,
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
                Step::Join(joiners) => {
                    let Ok(joined) = line.join_with(wall_ms, &joiners, 7) else { continue };
                    prop_assert_eq!(joined.first(), last.issued() + 1, "numbers follow without a gap");
                    prop_assert!(joined.admitted().is_empty() || last.lanes[0].cursor == last.issued(), "nobody is overtaken");
                    for (index, session) in joined.admitted().iter().enumerate() {
                        prop_assert_eq!(session.number, joined.first() + index as u64);
                        people += witness.admit(session)?;
                    }
                    joined.snapshot
                }
                Step::Claim(numbers) => {
                    let (answers, snapshot) = line.claim(wall_ms, &numbers);
                    prop_assert_eq!(answers.len(), numbers.len());
                    for (&number, answer) in numbers.iter().zip(&answers) {
                        if let Claimed::Admitted(session) = answer {
                            prop_assert!(number == session.number && number <= last.lanes[0].cursor, "only the called go in");
                            people += witness.admit(session)?;
                        }
                    }
                    snapshot
                }
                Step::Tick => line.tick(wall_ms),
                Step::Change(change) => line.change(wall_ms, &change),
                Step::Leave(number) => line.leave(wall_ms, number),
                Step::Seen(positions) => line.seen(wall_ms, &positions),
            };
            witness.events.push((witness.allowed_units, people, burst_before, last.rate_per_minute));
            prop_assert!(snapshot.lanes[0].cursor <= snapshot.issued());
            prop_assert!(snapshot.lanes[0].cursor >= last.lanes[0].cursor && snapshot.issued() >= last.issued(), "W7");
            prop_assert!(snapshot.version >= last.version && snapshot.supersedes(&last));
            prop_assert_eq!(snapshot.admitted, witness.sessions.len() as u64);
            prop_assert!(snapshot.called_waiting() <= snapshot.lanes[0].cursor && snapshot.present() <= snapshot.issued());
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
