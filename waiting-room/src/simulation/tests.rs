//! Many stories, and lines that break a rule on purpose: the checker must catch each of them.

use super::{
    backing::{Backing, PureLine},
    *,
};
use crate::line::{Claimed, Given, Joined, Joiner, RoomChange, RoomState, Session, Snapshot};
use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// How many stories are told on every run.
const SEEDS: u64 = 1_000;

/// Plays stories on all cores; the first that breaks a rule is told.
fn play_all(seeds: Range<u64>) -> Vec<Outcome> {
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let mut outcomes = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return outcomes;
            }
            outcomes.push(run(&Scenario::random(seed)).unwrap_or_else(|violation| panic!("{violation}")));
        }
    };
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("no rule is broken")).collect()
    })
}

#[test]
fn the_invariants_hold_in_a_thousand_stories() {
    let outcomes = play_all(1..SEEDS + 1);
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    assert_eq!(outcomes.len() as u64, SEEDS);
    // The stories are about something.
    assert!(sum(|outcome| outcome.admitted) > 10 * SEEDS && sum(|outcome| outcome.gone) > 10 * SEEDS);
    assert!(sum(|outcome| outcome.polls) > 100 * SEEDS);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [3, 8] {
        let story = Scenario::random(seed);
        assert_eq!(run(&story), run(&story));
    }
    assert_ne!(run(&Scenario::random(3)), run(&Scenario::random(4)));
}

#[test]
fn everybody_who_stays_goes_in_at_the_rate() {
    let outcome = run(&Scenario { leave: 0.0, rate_per_minute: 600, ..Scenario::default() }).expect("the rules hold");
    assert_eq!((outcome.joined, outcome.admitted, outcome.waiting, outcome.gone), (300, 300, 0, 0));
    assert!((28_000..36_000).contains(&outcome.lasted_ms), "{} ms for 300 at 10 a second", outcome.lasted_ms);
    assert!(outcome.worst_minute <= 300 && outcome.waits.max_ms <= outcome.lasted_ms);
    assert!(outcome.places.iter().flatten().all(|&(_, place)| place <= 300));
}

#[test]
fn full_lanes_have_their_shares_in_a_story() {
    let story = Scenario {
        visitors: 4_000,
        over_ms: 1,
        rate_per_minute: 600,
        lanes: vec![3, 6],
        leave: 0.0,
        limit_ms: 200_000,
        ..Scenario::default()
    };
    let off = run(&story).expect("the rules hold").lanes_off.expect("some full minutes");
    assert!(off <= 2.0, "{off}");
    let unfair = Scenario { lanes: vec![3, 7], ..story.clone() };
    let violation = World::new(&story, PureLine::begin(&unfair.initial())).run().expect_err("other weights");
    assert_eq!(violation.rule, "shares", "{violation}");
}

#[test]
fn a_violation_names_the_seed_and_the_event() {
    let violation = Violation { rule: "W2", detail: "too many".to_owned(), seed: 7, event: 12, at_ms: 1_050 };
    assert_eq!(violation.to_string(), "W2 is broken at event 12, 1.050 s into seed 7: too many");
}

/// What a broken line does wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Tells of one person too many that they were called.
    CallsNobody,
    /// Gives a repeated claim another session.
    TwoSessions,
    /// Forgets that the room is paused.
    LetsInWhilePaused,
    /// Forgets one called person.
    LosesAPlace,
    /// Gives one number out twice.
    SameNumberTwice,
    /// Frees the place of a session that is not over.
    FreesTooMany,
    /// Does not hear that sessions end.
    KeepsPlaces,
    /// Has an older state after a restart, and says so.
    GoesBack,
    /// Does nothing wrong by itself: the meter was set up wrong.
    Nothing,
}

/// A line that breaks a rule.
struct BrokenLine {
    line: PureLine,
    fault: Fault,
    calls: u64,
    restarted: bool,
}

impl BrokenLine {
    fn spoil(&self, mut snapshot: Snapshot) -> Snapshot {
        let lane = &mut snapshot.lanes[0];
        let all_called = lane.issued > 50 && lane.cursor == lane.issued;
        if matches!(self.fault, Fault::CallsNobody) && all_called {
            lane.cursor += 1;
        }
        if matches!(self.fault, Fault::GoesBack) && self.restarted {
            lane.cursor = lane.cursor.saturating_sub(3);
        }
        snapshot
    }
}

impl Backing for BrokenLine {
    fn join(&mut self, wall_ms: i64, joiner: Joiner) -> Option<Joined> {
        let mut joined = self.line.join(wall_ms, joiner)?;
        if let [Given::New { number, .. }] = &mut joined.given[..]
            && matches!(self.fault, Fault::SameNumberTwice)
            && *number == 30
        {
            *number -= 1;
        }
        joined.snapshot = self.spoil(joined.snapshot);
        Some(joined)
    }

    fn claim(&mut self, wall_ms: i64, epoch: u64, number: u64) -> (Claimed, Snapshot) {
        self.calls += 1;
        let (mut answer, snapshot) = self.line.claim(wall_ms, epoch, number);
        match (self.fault, &mut answer) {
            (Fault::TwoSessions, Claimed::Admitted(Session { id, .. })) => *id = format!("{id}-{}", self.calls),
            (Fault::LosesAPlace, answer) if number == 17 => *answer = Claimed::Spent,
            (Fault::FreesTooMany, Claimed::Admitted(Session { id, .. })) if number == 30 => {
                self.line.end(wall_ms, id);
            }
            _ => {}
        }
        (answer, self.spoil(snapshot))
    }

    fn tick(&mut self, wall_ms: i64) -> Snapshot {
        let snapshot = self.line.tick(wall_ms);
        self.spoil(snapshot)
    }

    fn change(&mut self, wall_ms: i64, change: &RoomChange) -> Snapshot {
        let ignored = RoomChange::default();
        let change = if matches!(self.fault, Fault::LetsInWhilePaused) { &ignored } else { change };
        self.line.change(wall_ms, change)
    }

    fn leave(&mut self, wall_ms: i64, number: u64) -> Snapshot {
        let snapshot = self.line.leave(wall_ms, number);
        self.spoil(snapshot)
    }

    fn end(&mut self, wall_ms: i64, session: &str) -> Snapshot {
        if matches!(self.fault, Fault::KeepsPlaces) { self.tick(wall_ms) } else { self.line.end(wall_ms, session) }
    }

    fn seen(&mut self, wall_ms: i64, positions: &[u64]) {
        self.line.seen(wall_ms, positions);
    }

    fn restart(&mut self) {
        self.restarted = true;
        self.line.restart();
    }
}

#[test]
fn the_checker_catches_lines_that_break_the_rules() {
    let faults = vec![
        super::Fault { at_ms: 15_000, kind: FaultKind::StoreRestarts },
        super::Fault { at_ms: 20_000, kind: FaultKind::state(RoomState::Paused) },
        super::Fault { at_ms: 30_000, kind: FaultKind::state(RoomState::Open) },
    ];
    let story = Scenario { rate_per_minute: 600, burst: 5, leave: 0.0, clones: 0.3, faults, ..Scenario::default() };
    let verdict = |fault, rate_per_minute| {
        let initial = RoomInitial { rate_per_minute, ..story.initial() };
        let line = BrokenLine { line: PureLine::begin(&initial), fault, calls: 0, restarted: false };
        World::new(&story, line).run().map(|_| ()).map_err(|violation| violation.rule)
    };
    assert_eq!(verdict(Fault::Nothing, 600), Ok(()));
    assert_eq!(verdict(Fault::Nothing, 660), Err("W2"));
    assert_eq!(verdict(Fault::CallsNobody, 600), Err("W1"));
    assert_eq!(verdict(Fault::LosesAPlace, 600), Err("W1"));
    assert_eq!(verdict(Fault::SameNumberTwice, 600), Err("W1"));
    assert_eq!(verdict(Fault::TwoSessions, 600), Err("W4"));
    assert_eq!(verdict(Fault::LetsInWhilePaused, 600), Err("W5"));
    assert_eq!(verdict(Fault::GoesBack, 600), Err("W7"));
}

#[test]
fn the_checker_catches_lines_that_count_who_is_inside_wrongly() {
    let story = Scenario { rate_per_minute: 600, leave: 0.0, max_active: 25, stays_ms: 5_000, ..Scenario::default() };
    let verdict = |fault| {
        let line = BrokenLine { line: PureLine::begin(&story.initial()), fault, calls: 0, restarted: false };
        World::new(&story, line).run().map(|outcome| outcome.admitted).map_err(|violation| violation.rule)
    };
    assert_eq!(verdict(Fault::Nothing), Ok(300), "everybody has their turn");
    assert_eq!(verdict(Fault::FreesTooMany), Err("cap"));
    assert_eq!(verdict(Fault::KeepsPlaces), Err("W3"));
}

#[test]
fn a_meter_that_is_one_percent_too_generous_is_caught() {
    let story = Scenario { visitors: 1_500, rate_per_minute: 1_200, burst: 5, leave: 0.0, ..Scenario::default() };
    let initial = RoomInitial { rate_per_minute: 1_212, ..story.initial() };
    let violation = World::new(&story, PureLine::begin(&initial)).run().expect_err("one percent too much");
    assert_eq!(violation.rule, "W2", "{violation}");
    assert_eq!(run(&story).map(|outcome| outcome.admitted), Ok(1_500));
}
