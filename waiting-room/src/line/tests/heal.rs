//! A line that was lost everywhere goes on by the tickets that come back.

use super::*;
use crate::line::rule::{GATHER_MS, HEAL_GAP, HEAL_MS};

/// A line of old with so many people, and the new one that begins a minute later.
fn lost(people: u32) -> (Model, Snapshot, i64) {
    let mut old = Model::begin(BEGIN_MS, &initial(600, 5));
    let seen = old.join(BEGIN_MS, people).snapshot;
    let now = BEGIN_MS + 60_000;
    (Model::begin(now, &initial(60, 0)), seen, now)
}

#[test]
fn tickets_bring_the_line_of_old_back_and_nobody_gets_a_number_twice() {
    let (mut line, seen, now) = lost(500);
    let newcomers = line.join(now, 3);
    let back = line.heal(now + 250, seen.epoch, &[40]);
    assert_eq!((back.epoch, back.issued(), back.lanes[0].cursor), (seen.epoch, 40 + HEAL_GAP, 0));
    assert_eq!((back.rate_per_minute, back.waiting()), (60, 40), "as the operator has it now");
    assert!(back.supersedes(&newcomers.snapshot) && back.version > newcomers.snapshot.version);
    // Higher ones come back, and stand where they stood.
    let further = line.heal(now + 500, seen.epoch, &[500]);
    assert_eq!((further.issued(), further.waiting(), further.ahead_of(500)), (40 + HEAL_GAP, 500, 499));
    assert_eq!(line.heal(now + 500, seen.epoch, &[300]), further, "those below are known by then");
    assert_eq!(line.join(now + 500, 1).first(), 41 + HEAL_GAP);
    // Nobody is called before it is known how long the line was; then in the old order, and the meter begins empty.
    for at_ms in (now + 750..now + 250 + GATHER_MS).step_by(250) {
        assert_eq!(line.tick(at_ms).lanes[0].cursor, 0);
    }
    let called = line.tick(now + 250 + GATHER_MS);
    assert!((1..=20).contains(&called.lanes[0].cursor), "{called:?}");
    assert_eq!(claim_one(&mut line, now + 300 + GATHER_MS, 500), Claimed::NotCalled);
    assert!(matches!(claim_one(&mut line, now + 5_300 + GATHER_MS, 1), Claimed::Admitted(_)));
}

#[test]
fn a_ticket_above_all_numbers_of_the_line_raises_them() {
    let mut line = Model::begin(BEGIN_MS, &initial(600, 5));
    let seen = line.join(BEGIN_MS, 10).snapshot;
    let unknown = [numbered(3, 5), 0, 10];
    assert_eq!(line.heal(BEGIN_MS, seen.epoch, &unknown), seen, "a lane that there is not, none, and a known one");
    let raised = line.heal(BEGIN_MS, seen.epoch, &[25]);
    assert_eq!((raised.issued(), raised.waiting()), (25 + HEAL_GAP, 25));
    assert_eq!(claim_one(&mut line, BEGIN_MS, 25), Claimed::NotCalled, "and not unknown");
}

#[test]
fn a_line_that_is_longer_or_older_or_was_drawn_stays() {
    let stays = |line: &mut Model, now: i64, epoch: u64, number: u64| {
        let before = line.tick(now);
        let after = line.heal(now, epoch, &[number]);
        assert_eq!(after, before);
    };
    let (mut line, seen, now) = lost(500);
    line.join(now, 41);
    stays(&mut line, now, seen.epoch, 40);
    let (mut line, seen, now) = lost(500);
    stays(&mut line, now, seen.epoch + 120_000, 40);
    let (mut late, ..) = lost(500);
    (0..=HEAL_MS / 2_000).for_each(|step| drop(late.tick(now + step * 2_000)));
    stays(&mut late, now + HEAL_MS, seen.epoch, 40);
    let draw = RoomChange { method: Some(Method::Draw), opens_at_ms: Some(now + 60_000), ..RoomChange::default() };
    line.change(now, &draw);
    stays(&mut line, now, seen.epoch, 40);
}
