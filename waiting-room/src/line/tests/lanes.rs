//! Lanes: shares, lending, order within each, identities, and what settings and operators change.

use super::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

fn lanes(weights: &[(&str, u32)]) -> Vec<LaneInitial> {
    weights.iter().map(|&(name, weight)| LaneInitial { name: name.to_owned(), weight }).collect()
}

fn members(rate_per_minute: u32, weight: u32) -> RoomInitial {
    RoomInitial { lanes: lanes(&[("members", weight)]), ..initial(rate_per_minute, 0) }
}

fn group(lane: u8, count: usize) -> Vec<Joiner> {
    vec![Joiner { lane, ..Joiner::default() }; count]
}

fn somebody(lane: u8, who: u8) -> Joiner {
    Joiner { lane, identity: Some(Identity([who; 16])), ..Joiner::default() }
}

/// People of two lanes who ask once they are called, and again when they are told to.
struct Crowd {
    line: Model,
    now_ms: i64,
    asks: BinaryHeap<Reverse<(i64, u64)>>,
    cursors: [u64; 2],
    /// Who went in and when.
    entered: Vec<(i64, u64)>,
}

impl Crowd {
    fn new(initial: &RoomInitial) -> Crowd {
        let line = Model::begin(BEGIN_MS, initial);
        Crowd { line, now_ms: 0, asks: BinaryHeap::new(), cursors: [0; 2], entered: Vec::new() }
    }

    fn join(&mut self, lane: u8, count: usize) {
        for _ in 0..count.div_ceil(1_000) {
            let count = count.min(1_000);
            self.line.join_with(BEGIN_MS + self.now_ms, &group(lane, count), 7).expect("joined");
        }
    }

    /// Until `until_ms`; of each called person `comes` tells whether they ever ask.
    fn run(&mut self, until_ms: i64, comes: impl Fn(u64) -> bool) {
        while self.now_ms < until_ms {
            self.now_ms += 10;
            if self.now_ms % 250 == 0 {
                let snapshot = self.line.tick(BEGIN_MS + self.now_ms);
                for (index, lane) in snapshot.lanes.iter().enumerate() {
                    for n in self.cursors[index] + 1..=lane.cursor {
                        // They learn of it at their next poll.
                        let at_ms = self.now_ms + (n as i64 * 7_919 % 100) * 10;
                        if comes(numbered(index, n)) {
                            self.asks.push(Reverse((at_ms, numbered(index, n))));
                        }
                    }
                    self.cursors[index] = lane.cursor;
                }
            }
            while let Some(&Reverse((at_ms, number))) = self.asks.peek()
                && at_ms <= self.now_ms
            {
                self.asks.pop();
                match claim_one(&mut self.line, BEGIN_MS + self.now_ms, number) {
                    Claimed::Admitted(_) => self.entered.push((self.now_ms, number)),
                    Claimed::NoBudget { retry_after_ms } => {
                        self.asks.push(Reverse((self.now_ms + retry_after_ms.max(10), number)));
                    }
                    other @ (Claimed::NotCalled | Claimed::Spent | Claimed::Unknown) => panic!("{number}: {other:?}"),
                }
            }
        }
    }

    /// How many of each lane went in within these times.
    fn counts(&self, from_ms: i64, until_ms: i64) -> [u64; 2] {
        let within = self.entered.iter().filter(|(at_ms, _)| (from_ms..until_ms).contains(at_ms));
        within.fold([0; 2], |mut counts, (_, number)| {
            counts[lane_of(*number)] += 1;
            counts
        })
    }
}

/// Over every minute both lanes have their parts, to within two people, and together the whole rate (W3).
#[test]
fn full_lanes_share_by_their_weights() {
    for (rate, weight) in [(7, 3), (60, 3), (60, 1), (100, 9), (600, 3), (3_000, 50)] {
        let mut crowd = Crowd::new(&members(rate, weight));
        let people = rate as usize * 5;
        crowd.join(0, people);
        crowd.join(1, people);
        crowd.run(240_000, |_| true);
        for from_ms in (30_000..=180_000).step_by(7_000) {
            let [general, members] = crowd.counts(from_ms, from_ms + 60_000);
            let all = f64::from(rate);
            assert!(((general + members) as f64) >= all * 0.99 - 1.0, "{general} and {members} of {rate}");
            let part = all * f64::from(weight) / f64::from(weight + 1);
            assert!((members as f64 - part).abs() <= 2.0, "{members} of {part} at {rate}, {weight} to 1");
        }
    }
}

/// With seven of ten gone in both, the shares still hold, and nothing of the rate is lost.
#[test]
fn lanes_whose_people_left_keep_nothing_back() {
    let mut crowd = Crowd::new(&members(300, 3));
    crowd.join(0, 6_000);
    crowd.join(1, 6_000);
    crowd.run(180_000, |number| number % 10 >= 7);
    for from_ms in (60_000..=120_000).step_by(5_000) {
        let [general, members] = crowd.counts(from_ms, from_ms + 60_000);
        assert!(general + members >= 297, "{general} and {members} in a minute");
        assert!((members as i64 - 225).abs() <= 6, "{members} of 225");
    }
    // A lane of which nobody comes at all.
    let mut crowd = Crowd::new(&members(300, 100));
    crowd.join(0, 3_000);
    crowd.join(1, 3_000);
    crowd.run(180_000, |number| lane_of(number) == 0);
    let [general, _] = crowd.counts(60_000, 180_000);
    assert!(general >= 594, "{general} of 600");
}

#[test]
fn an_empty_lane_lends_all_and_claims_nothing_back() {
    let mut crowd = Crowd::new(&members(600, 3));
    crowd.join(0, 6_000);
    crowd.run(120_000, |_| true);
    let [general, _] = crowd.counts(60_000, 120_000);
    assert!((594..=601).contains(&general), "{general} of 600");
    crowd.join(1, 3_000);
    crowd.run(190_000, |_| true);
    let [general, members] = crowd.counts(125_000, 185_000);
    assert!((450_i64 - members as i64).abs() <= 3 && (150_i64 - general as i64).abs() <= 3, "{general} and {members}");
}

/// W1 in each lane, and strict shares: of people who all ask together, in every lane the one in front goes first.
#[test]
fn who_always_asks_goes_in_by_order_in_each_lane() {
    let mut line = Model::begin(BEGIN_MS, &members(600, 3));
    line.join_with(BEGIN_MS, &[group(0, 300), group(1, 300)].concat(), 7).expect("joined");
    let mut open: Vec<u64> = (1..=300).flat_map(|n| [numbered(0, n), numbered(1, n)]).collect();
    let mut order = Vec::new();
    for at in (1..=160).map(|tick| BEGIN_MS + tick * 250) {
        line.tick(at);
        let answers = line.claim(at, &open).0;
        let admitted = |index: &usize| matches!(answers[*index], Claimed::Admitted(_));
        // In the order in which they begin.
        let mut now: Vec<(i64, u64)> = Vec::new();
        for (answer, &number) in answers.iter().zip(&open) {
            if let Claimed::Admitted(session) = answer {
                now.push((session.starts_in_ms, number));
            }
        }
        now.sort_unstable();
        order.extend(now.into_iter().map(|(_, number)| number));
        open = (0..open.len()).filter(|index| !admitted(index)).map(|index| open[index]).collect();
    }
    assert!(order.len() >= 390, "{}", order.len());
    for lane in [0, 1] {
        let numbers: Vec<u64> = order.iter().copied().filter(|&number| lane_of(number) == lane).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    for window in order[..390].windows(40) {
        let members = window.iter().filter(|&&number| lane_of(number) == 1).count();
        assert!((29..=31).contains(&members), "{members} of 40");
    }
}

#[test]
fn with_a_cap_each_end_lets_in_whose_turn_it_is() {
    let capped = RoomInitial { max_active: 10, session_ms: 10_000, ..members(60_000, 3) };
    let mut crowd = Crowd::new(&capped);
    crowd.join(0, 1_000);
    crowd.join(1, 1_000);
    crowd.run(200_000, |_| true);
    let [general, members] = crowd.counts(60_000, 180_000);
    let part = (general + members) as f64 * 0.75;
    assert!(general + members > 90 && (members as f64 - part).abs() <= 4.0, "{general} and {members}");
}

#[test]
fn a_newcomer_goes_in_at_once_only_if_nobody_waits_in_any_lane() {
    let mut line = Model::begin(BEGIN_MS, &members(600, 3));
    let calm = line.join_with(BEGIN_MS + 2_000, &[group(1, 3), group(0, 20)].concat(), 7).expect("joined");
    assert_eq!(
        calm.admitted().iter().map(|session| session.number).collect::<Vec<_>>()[..4],
        [numbered(1, 1), numbered(1, 2), numbered(1, 3), 1]
    );
    assert_eq!(calm.admitted().len(), 10, "a burst of one second");
    let busy = line.join_with(BEGIN_MS + 5_000, &group(1, 1), 7).expect("joined");
    assert!(busy.admitted().is_empty(), "people of the other lane wait");
    assert_eq!(line.join_with(BEGIN_MS, &group(2, 1), 7), Err(Refused::NoLane));
    assert_eq!(line.claim(BEGIN_MS + 5_000, &[numbered(2, 1), numbered(7, 1), u64::MAX]).0, vec![Claimed::Unknown; 3]);
}

#[test]
fn an_identity_has_one_number() {
    let mut line = Model::begin(BEGIN_MS, &RoomInitial { queue_max: 4, ..members(600, 3) });
    let joiners = [somebody(1, 7), somebody(0, 8), somebody(0, 7), Joiner::default()];
    let joined = line.join_with(BEGIN_MS, &joiners, 7).expect("joined");
    let known = |number, used| Given::Known { number, used };
    assert_eq!(joined.numbers().collect::<Vec<_>>(), [numbered(1, 1), 1, 2]);
    assert_eq!(joined.given[2], known(numbered(1, 1), false), "twice in a group is one number");
    assert_eq!(joined.snapshot.issued(), 3);
    let kept = serde_json::to_string(&line.0).expect("plain data");
    line = Model(serde_json::from_str(&kept).expect("what was written"));
    let again = line.join_with(BEGIN_MS, &[somebody(0, 7)], 7).expect("known");
    assert_eq!(
        (&again.given[..], again.snapshot.version),
        (&[known(numbered(1, 1), false)][..], joined.snapshot.version)
    );
    line.join(BEGIN_MS, 1);
    let full = line.join_with(BEGIN_MS, &[somebody(0, 9), somebody(1, 8)], 7).expect("one of them is known");
    assert_eq!(full.given, [Given::Refused(Refused::Full), known(1, false)]);
    assert_eq!(line.join_with(BEGIN_MS, &[somebody(0, 9)], 7), Err(Refused::Full));
    line.leave(BEGIN_MS, 1);
    line.tick(BEGIN_MS + 2_000);
    line.claim(BEGIN_MS + 2_000, &[numbered(1, 1)]);
    let used = line.join_with(BEGIN_MS + 2_000, &[somebody(0, 7), somebody(0, 8)], 7).expect("known");
    assert_eq!(used.given, [known(numbered(1, 1), true), known(1, true)]);
}

#[test]
fn each_lane_is_drawn_on_its_own() {
    let opens_at_ms = Some(BEGIN_MS + 5_000);
    let mut line = Model::begin(BEGIN_MS, &RoomInitial { method: Method::Draw, opens_at_ms, ..members(600, 3) });
    let one = line.join_with(BEGIN_MS, &[group(0, 3), group(1, 2)].concat(), 9).expect("joined").snapshot;
    let two = line.join_with(BEGIN_MS, &group(1, 1), 10).expect("joined").snapshot;
    assert_eq!(one.lanes[0].digest, two.lanes[0].digest);
    assert_ne!(one.lanes[1].digest, two.lanes[1].digest);
    line.tick(BEGIN_MS + 2_000);
    line.tick(BEGIN_MS + 4_000);
    let drawn = line.join_with(BEGIN_MS + 5_000, &group(1, 1), 11).expect("joined").snapshot;
    assert_eq!(drawn.lanes.iter().map(|lane| lane.drawn).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn settings_add_lanes_and_operators_weigh_them() {
    let mut line = Model::begin(BEGIN_MS, &members(600, 3));
    let weights = |snapshot: &Snapshot| -> Vec<(String, u32)> {
        snapshot.lanes.iter().map(|lane| (lane.name.clone(), lane.weight)).collect()
    };
    let named = |all: &[(&str, u32)]| all.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect::<Vec<_>>();
    let change =
        RoomChange { lane_weights: Some(BTreeMap::from([("members".to_owned(), 9)])), ..RoomChange::default() };
    assert!(line.0.check_change(&change).is_ok());
    line.change_by(BEGIN_MS, "ann", &change);
    let more = RoomInitial { lanes: lanes(&[("press", 2), ("members", 3), ("general", 2)]), ..members(600, 3) };
    let ensured = line.ensure(BEGIN_MS, &more);
    assert_eq!(
        weights(&ensured),
        named(&[("general", 2), ("members", 9), ("press", 2)]),
        "the operator's weight stays"
    );
    assert_eq!(line.ensure(BEGIN_MS, &members(600, 3)).lanes.len(), 3, "no lane goes");
    assert_eq!(weights(&line.ensure(BEGIN_MS, &members(600, 4)))[1].1, 4, "the settings have changed");
    let [audit] = &line.0.changes()[..] else { panic!("one change") };
    assert_eq!(audit.before.lane_weights, Some(BTreeMap::from([("members".to_owned(), 3)])));
    let unknown = RoomChange { lane_weights: Some(BTreeMap::from([("vip".to_owned(), 9)])), ..RoomChange::default() };
    let refused = line.0.check_change(&unknown).map_err(|invalid| invalid.to_string());
    assert_eq!(refused, Err("lane_weights must be of lanes that the room has: general, members, press".to_owned()));
    for bad in [lanes(&[("a", 0)]), lanes(&[("a", 101)]), lanes(&[("A", 1)]), lanes(&[("a", 1), ("a", 1)])] {
        assert!(RoomInitial { lanes: bad, ..initial(60, 0) }.check().is_err());
    }
}

#[test]
fn lanes_come_back_after_a_loss_in_their_order() {
    let mut line = Model::begin(BEGIN_MS, &members(600, 3));
    line.join_with(BEGIN_MS, &[group(0, 5), group(1, 7)].concat(), 7).expect("joined");
    let seen = line.tick(BEGIN_MS + 1_000);
    let swapped = RoomInitial { lanes: lanes(&[("press", 1), ("members", 5)]), ..initial(600, 0) };
    let mut line = Model::begin(BEGIN_MS + 9_000, &swapped);
    let back = line.restore(BEGIN_MS + 9_000, &seen);
    let lanes: Vec<_> =
        back.lanes.iter().map(|lane| (lane.name.as_str(), lane.weight, lane.issued, lane.cursor)).collect();
    let cursor = |lane: usize| seen.lanes[lane].cursor;
    assert_eq!(lanes, [("general", 1, 20_005, cursor(0)), ("members", 3, 20_007, cursor(1)), ("press", 1, 0, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// W2, W4 and W7 in every lane of random stories, over restarts.
    #[test]
    fn the_invariants_hold_in_every_lane(
        rate in prop_oneof![1..=120_u32, Just(60_000)],
        weights in prop::collection::vec(1..=100_u32, 1..4),
        story in prop::collection::vec((0..2_500_i64, 0..4_u8, 1..40_u8, 0..4_u8, prop::bool::weighted(0.05)), 1..150),
    ) {
        let named: Vec<(String, u32)> = weights.iter().enumerate().map(|(at, &weight)| (format!("lane-{at}"), weight)).collect();
        let named = named.into_iter().map(|(name, weight)| LaneInitial { name, weight }).collect();
        let mut line = Model::begin(BEGIN_MS, &RoomInitial { lanes: named, ..initial(rate, 0) });
        let (mut now_ms, mut last) = (BEGIN_MS, line.0.snapshot());
        let (mut sessions, mut admitted, mut allowed) = (BTreeMap::new(), 0_u64, 0_u64);
        for (pause_ms, lane, count, what, restart) in story {
            // The longest step that the line's time takes.
            let pause_ms = pause_ms.min(clock::STEP_MS_MAX);
            now_ms += pause_ms;
            allowed += pause_ms.unsigned_abs() * u64::from(rate);
            if restart {
                let kept = serde_json::to_string(&line.0).expect("plain data");
                line = Model(serde_json::from_str(&kept).expect("what was written"));
            }
            let lane = usize::from(lane) % last.lanes.len();
            let mut fresh = Vec::new();
            let snapshot = match what {
                0 => {
                    let joined = line.join_with(now_ms, &group(lane as u8, count.into()), 7).expect("open");
                    prop_assert_eq!(joined.first(), numbered(lane, last.lanes[lane].issued + 1));
                    prop_assert!(joined.admitted().is_empty() || last.lanes.iter().all(|lane| lane.cursor == lane.issued));
                    fresh.extend(joined.admitted().into_iter().cloned());
                    joined.snapshot
                }
                1 => line.tick(now_ms),
                2 => line.seen(now_ms, &[numbered(lane, count.into())]),
                _ => {
                    // The people of every lane ask together.
                    let numbers: Vec<u64> = (0..last.lanes.len())
                        .flat_map(|lane| (1..=u64::from(count)).map(move |back| (lane, back)))
                        .map(|(lane, back)| numbered(lane, last.lanes[lane].cursor.saturating_sub(back) + 1))
                        .collect();
                    let (answers, snapshot) = line.claim(now_ms, &numbers);
                    for (&number, answer) in numbers.iter().zip(answers) {
                        if let Claimed::Admitted(session) = answer {
                            prop_assert!(session.number == number && last.is_called(number), "only the called go in");
                            fresh.push(session);
                        }
                    }
                    snapshot
                }
            };
            for session in fresh {
                let known = sessions.insert(session.number, session.id.clone());
                prop_assert!(known.as_ref().is_none_or(|known| *known == session.id), "W4");
                admitted += u64::from(known.is_none());
            }
            for (now, before) in snapshot.lanes.iter().zip(&last.lanes) {
                prop_assert!(now.cursor <= now.issued && now.cursor >= before.cursor && now.issued >= before.issued, "W7");
            }
            let ahead = meter::AHEAD_MS * u64::from(rate);
            prop_assert!(admitted * 60_000 <= allowed + u64::from(burst_for(rate)) * 60_000 + ahead, "W2");
            prop_assert_eq!(snapshot.admitted, sessions.len() as u64);
            last = snapshot;
        }
    }
}
