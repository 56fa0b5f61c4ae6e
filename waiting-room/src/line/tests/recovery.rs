//! Coming back after a loss, and the operators' changes.

use super::*;

#[test]
fn a_lost_line_goes_on_above_the_highest_that_was_seen_with_an_empty_meter() {
    let mut line = Model::begin(BEGIN_MS, &initial(600, 5));
    line.join(BEGIN_MS, 500);
    line.tick(BEGIN_MS + 1_000);
    line.claim(BEGIN_MS + 1_000, &[1, 2, 3]);
    let seen = line.tick(BEGIN_MS + 1_000);
    let late = line.join(BEGIN_MS + 1_100, 20);
    let now = BEGIN_MS + 9_000;
    let mut line = Model::begin(now, &initial(60, 0));
    let back = line.restore(now, &seen);
    assert_eq!((back.epoch, back.issued(), back.lanes[0].cursor), (seen.epoch, 20_500, seen.lanes[0].cursor));
    assert_eq!((back.admitted, back.rate_per_minute, back.burst), (3, 600, 5));
    assert!(back.supersedes(&late.snapshot) || back.version > seen.version);
    assert!(back.issued() > late.snapshot.issued(), "numbers given out after the snapshot are not given out again");
    assert_eq!(line.restore(now, &seen), back, "once, whoever else asks for it");
    let lane = |issued, cursor| vec![LaneSnapshot { issued, cursor, ..seen.lanes[0].clone() }];
    let older = Snapshot { version: seen.version - 1, lanes: lane(99_999, 0), ..seen.clone() };
    assert_eq!(line.restore(now, &older), back);
    assert!(matches!(claim_one(&mut line, now, 4), Claimed::NoBudget { .. }), "what was given ahead is owed");
    line.tick(now + 1_100);
    assert!(matches!(claim_one(&mut line, now + 1_100, 4), Claimed::Admitted(_)));
    let newer = Snapshot { version: back.version + 50, lanes: lane(700, 400), ..seen.clone() };
    let merged = line.restore(now + 1_100, &newer);
    assert_eq!((merged.issued(), merged.lanes[0].cursor), (20_700, 400), "what is higher stays");
    assert!(merged.version > newer.version);
    let other = Snapshot { epoch: 1, version: 1_000_000, ..newer };
    assert_eq!(line.restore(now + 1_100, &other), merged, "people wait in this epoch");
}

/// A door ticks every 250 ms; half a second of 10,000 joins each is not in the youngest snapshot.
#[test]
fn no_number_is_given_twice_after_a_rush_that_nobody_saw() {
    let mut line = Model::begin(BEGIN_MS, &initial(600, 5));
    let seen = line.join(BEGIN_MS, 40).snapshot;
    let rush = (0..5).map(|_| line.join(BEGIN_MS + 100, 1_000).snapshot.issued()).last();
    let mut line = Model::begin(BEGIN_MS + 9_000, &initial(60, 0));
    line.restore(BEGIN_MS + 9_000, &seen);
    assert!(rush < Some(line.join(BEGIN_MS + 9_000, 1).first()), "{rush:?}");
}

#[test]
fn the_longer_of_two_lines_stays() {
    let mut line = Model::begin(BEGIN_MS, &initial(600, 5));
    line.join(BEGIN_MS, 30);
    let seen = line.tick(BEGIN_MS);
    for (joined, stays) in [(0, false), (29, false), (30, false), (31, true)] {
        let now = BEGIN_MS + 9_000;
        let mut line = Model::begin(now, &initial(60, 0));
        let other = if joined > 0 { line.join(now, joined).snapshot } else { line.tick(now) };
        line.leave(now, 1);
        let back = line.restore(now, &seen);
        let epoch = if stays { other.epoch } else { seen.epoch };
        assert_eq!(back.epoch, epoch, "{joined} joined the line that began without knowing");
        if !stays {
            let claimed = claim_one(&mut line, now, 1);
            assert!(matches!(claimed, Claimed::NoBudget { .. }), "nothing is left of the other line: {claimed:?}");
        }
    }
}

#[test]
fn skipped_numbers_hold_nobody_up_and_nobody_out() {
    let mut line = Model::begin(BEGIN_MS, &RoomInitial { queue_max: 50, ..initial(600, 5) });
    let seen = line.join(BEGIN_MS, 40).snapshot;
    let now = BEGIN_MS + 9_000;
    let mut line = Model::begin(now, &initial(60, 0));
    line.restore(now, &seen);
    assert_eq!(line.join(now, 20).first(), 20_041, "fewer than 50 wait");
    assert_eq!(line.try_join(now, 1), Err(Refused::Full));
    for number in 1..=40 {
        line.leave(now, number);
    }
    let called = line.tick(now);
    assert!(called.lanes[0].cursor > 20_040 && called.called_waiting() <= 20, "{called:?}");
}

#[test]
fn who_was_inside_counts_until_the_session_must_be_over() {
    let capped = RoomInitial { max_active: 10, session_ms: 5_000, ..initial(60_000, 100) };
    let mut line = Model::begin(BEGIN_MS, &capped);
    line.tick(BEGIN_MS + 1_000);
    let seen = line.join(BEGIN_MS + 1_000, 30).snapshot;
    assert_eq!(seen.active, 10);
    let now = BEGIN_MS + 9_000;
    let mut line = Model::begin(now, &capped);
    assert_eq!(line.restore(now, &seen).active, 10);
    for at in (now..now + 5_000).step_by(250) {
        line.tick(at);
        assert_eq!(line.claim(at, &[11, 12, 13]).1.active, 10);
    }
    assert_eq!(line.claim(now + 5_000, &[11, 12, 13]).1.active, 3);
}

/// Sessions that go on would otherwise be inside without being counted, once the time of a session is over.
#[test]
fn who_was_inside_and_goes_on_is_counted_anew_and_does_not_go_in_twice() {
    let capped = RoomInitial { max_active: 10, session_ms: 5_000, session_renewal: true, ..initial(60_000, 100) };
    let mut line = Model::begin(BEGIN_MS, &capped);
    line.tick(BEGIN_MS + 1_000);
    let seen = line.join(BEGIN_MS + 1_000, 30).snapshot;
    let now = BEGIN_MS + 9_000;
    let id = |number| vec![Session::derive(seen.epoch, number, 0, 0).id];
    let mut line = Model::begin(now, &capped);
    line.restore(now, &seen);
    for at in (now..now + 8_000).step_by(2_000) {
        let told = line.sessions(at, &[id(1), id(2)].concat(), &[]);
        assert_eq!(told.0, [Renewal::GoesOn; 2], "{at}");
    }
    assert_eq!(line.tick(now + 8_000).active, 2, "those who go on, and nobody else");
    assert_eq!(claim_one(&mut line, now + 8_000, 1), Claimed::Spent);
    // One that ends before it was heard of makes room at once, and stays ended when all that began before are over.
    let mut line = Model::begin(now, &capped);
    line.restore(now, &seen);
    assert_eq!(line.sessions(now, &[], &id(3)).1.active, 9);
    assert_eq!(line.sessions(now, &[], &id(3)).1.active, 9, "once");
    assert_eq!(line.sessions(now + 5_000, &id(3), &[]).0, [Renewal::GoesOn], "the line's time is behind");
    let mut line = Model::begin(now, &capped);
    line.restore(now, &seen);
    line.sessions(now, &[], &id(3));
    (1..=6).for_each(|second| drop(line.tick(now + second * 1_000)));
    assert_eq!(line.sessions(now + 6_000, &id(3), &[]).0, [Renewal::Over]);
}

#[test]
fn a_loss_before_the_opening_does_not_prevent_the_draw_and_an_opening_hides_no_loss() {
    let scheduled = RoomInitial { method: Method::Draw, opens_at_ms: Some(BEGIN_MS + 1_000), ..initial(600, 5) };
    let mut line = Model::begin(BEGIN_MS, &scheduled);
    let empty = line.tick(BEGIN_MS);
    let mut copy = Model(line.0.clone());
    let seen = line.join(BEGIN_MS, 30).snapshot;
    assert_eq!(
        copy.restore(BEGIN_MS + 1_000, &seen).issued(),
        20_030,
        "it is due, and does not make this line younger"
    );
    let opened = copy.tick(BEGIN_MS + 1_000);
    assert_eq!((opened.drawn(), &opened.lanes[0].digest), (20_030, &seen.lanes[0].digest));
    let mut line = Model::begin(1, &scheduled);
    line.restore(BEGIN_MS, &empty);
    assert_eq!(line.join(BEGIN_MS, 5).first(), 20_001);
    assert_eq!(line.tick(BEGIN_MS + 1_000).drawn(), 20_005);
    let after = line.tick(BEGIN_MS + 1_250);
    let mut line = Model::begin(1, &initial(60, 0));
    let back = line.restore(BEGIN_MS + 1_250, &after);
    assert_eq!((back.drawn(), back.method, back.opens_at_ms), (20_005, Method::Draw, after.opens_at_ms));
    assert_eq!(line.join(BEGIN_MS + 1_250, 1).snapshot.drawn(), 20_005, "it is not made again");
}

#[test]
fn the_steps_of_the_autopilot_do_not_drive_out_what_operators_did() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 0));
    let rate = |rate| RoomChange { rate_per_minute: Some(rate), ..RoomChange::default() };
    line.change_by(BEGIN_MS, "ann", &rate(100));
    for step in 1..=1_000 {
        line.change_by(BEGIN_MS + i64::from(step), AUTOPILOT, &rate(100 + step));
    }
    line.change_by(BEGIN_MS + 2_000, "bob", &rate(70));
    line.change_by(BEGIN_MS + 3_000, AUTOPILOT, &rate(80));
    let kept: Vec<_> = line.0.changes().into_iter().map(|audit| (audit.who, audit.before, audit.after)).collect();
    let change = |who: &str, before, after| (who.to_owned(), rate(before), rate(after));
    let steps = [change(AUTOPILOT, 100, 1_100), change("bob", 1_100, 70), change(AUTOPILOT, 70, 80)];
    assert_eq!(kept, [&[change("ann", 60, 100)], &steps[..]].concat());
}

#[test]
fn every_change_is_kept_and_can_be_undone() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 0));
    let begun = line.tick(BEGIN_MS);
    let change = RoomChange {
        rate_per_minute: Some(100),
        state: Some(RoomState::Paused),
        message: Some("Soon".to_owned()),
        max_active: Some(7),
        queue_max: Some(8),
        method: Some(Method::Draw),
        opens_at_ms: Some(BEGIN_MS + 9_000),
        session_renewal: Some(true),
        burst: Some(3),
        ..RoomChange::default()
    };
    line.change_by(BEGIN_MS, "ann", &change);
    let kept = line.0.changes();
    assert_eq!((kept.len(), kept[0].at_ms, kept[0].who.as_str(), &kept[0].after), (1, BEGIN_MS, "ann", &change));
    let undone = line.change_by(BEGIN_MS, "bob", &kept[0].before);
    assert_eq!(undone, Snapshot { version: undone.version, ..begun });
    assert_eq!(line.0.changes()[1].before, change, "and done again");
    let empty = line.change_by(BEGIN_MS, "cy", &RoomChange::default());
    assert_eq!((empty.version, line.0.changes().len()), (undone.version, 2));
    for rate in 1..=600 {
        line.change(BEGIN_MS, &RoomChange { rate_per_minute: Some(rate), ..RoomChange::default() });
    }
    let last = line.0.changes();
    assert_eq!(
        (last.len(), last[499].after.rate_per_minute, last[0].after.rate_per_minute),
        (500, Some(600), Some(101))
    );
}

/// Otherwise a limit of people in line would turn everybody away for as long as the gap is not passed, and whoever comes
/// after it would be told of a crowd that is not there.
#[test]
fn numbers_that_nobody_holds_neither_wait_nor_stand_in_front() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 9);
    let paused = RoomChange { state: Some(RoomState::Paused), queue_max: Some(20), ..RoomChange::default() };
    let seen = line.change(BEGIN_MS, &paused);
    line.lose(BEGIN_MS + 250, &initial(60, 1));
    let back = line.restore(BEGIN_MS + 500, &seen);
    assert_eq!((back.issued(), back.waiting()), (20_009, 9));
    let joined = line.join(BEGIN_MS + 750, 1);
    let (mut last, mut ahead) = (joined.snapshot.clone(), 9);
    assert_eq!((last.waiting(), last.ahead_of(joined.first()), last.ahead_of(9)), (10, 9, 8));
    line.change(BEGIN_MS + 750, &RoomChange { state: Some(RoomState::Open), ..RoomChange::default() });
    for now_ms in (BEGIN_MS + 1_000..BEGIN_MS + 60_000).step_by(250) {
        last = line.tick(now_ms);
        assert!(last.ahead_of(joined.first()) <= ahead, "W7");
        ahead = last.ahead_of(joined.first());
    }
    assert!(last.is_called(joined.first()));
}
