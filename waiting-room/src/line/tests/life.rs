//! The life of a room: states, schedule, opening, method, limits, ramps.

use super::*;

const OPENS_MS: i64 = BEGIN_MS + 5_000;

fn state(line: &mut Model, now_ms: i64, state: RoomState) -> Snapshot {
    line.change(now_ms, &RoomChange { state: Some(state), ..RoomChange::default() })
}

/// Ticks four times a second, as nodes do.
fn pass(line: &mut Model, from_ms: i64, to_ms: i64) -> Snapshot {
    (from_ms..=to_ms).step_by(250).map(|now_ms| line.tick(now_ms)).last().expect("a tick")
}

#[test]
fn each_state_says_who_joins_and_who_goes_in() {
    for (word, joins, enters) in [
        (RoomState::Open, true, true),
        (RoomState::Paused, true, false),
        (RoomState::Draining, false, true),
        (RoomState::Closed, false, false),
        (RoomState::SoldOut, false, false),
    ] {
        let mut line = Model::begin(BEGIN_MS, &initial(600, 5));
        line.join(BEGIN_MS, 9);
        line.tick(BEGIN_MS + 1_000);
        state(&mut line, BEGIN_MS + 1_000, word);
        assert_eq!(line.try_join(BEGIN_MS + 1_000, 1).is_ok(), joins, "{word:?}");
        let claimed = claim_one(&mut line, BEGIN_MS + 1_000, 1);
        assert_eq!(matches!(claimed, Claimed::Admitted(_)), enters, "{word:?}");
        assert!(enters || claimed == Claimed::NoBudget { retry_after_ms: 1_000 });
    }
}

#[test]
fn a_draw_gathers_people_opens_on_time_and_records_how_many_take_part() {
    let scheduled = RoomInitial {
        method: Method::Draw,
        prequeue_at_ms: Some(BEGIN_MS + 2_000),
        opens_at_ms: Some(OPENS_MS),
        closes_at_ms: Some(OPENS_MS + 4_000),
        ..initial(600, 5)
    };
    let mut line = Model::begin(BEGIN_MS, &scheduled);
    assert_eq!(line.try_join(BEGIN_MS, 1), Err(Refused::Closed));
    assert_eq!(pass(&mut line, BEGIN_MS, BEGIN_MS + 2_000).phase, Phase::Prequeue);
    let joined = line.join(BEGIN_MS + 2_000, 40);
    assert!(joined.admitted().is_empty() && joined.snapshot.lanes[0].digest.len() == 40);
    assert_eq!(line.leave(BEGIN_MS + 2_000, 3).version, joined.snapshot.version, "nobody has a position yet");
    let last = pass(&mut line, BEGIN_MS + 2_000, OPENS_MS - 1);
    assert_eq!((last.lanes[0].cursor, last.drawn(), last.phase), (0, 0, Phase::Prequeue));
    let late = line.join(OPENS_MS, 2).snapshot;
    assert_eq!(
        (late.drawn(), late.phase, &late.lanes[0].digest),
        (40, Phase::Running, &last.lanes[0].digest),
        "who comes late goes behind"
    );
    assert!(line.tick(OPENS_MS).lanes[0].cursor > 0);
    let postponed = RoomChange { opens_at_ms: Some(OPENS_MS + 3_000), ..RoomChange::default() };
    let again = line.change(OPENS_MS + 250, &postponed);
    assert_eq!((again.drawn(), again.phase), (40, Phase::Prequeue), "a draw that was made stands");
    assert_eq!(claim_one(&mut line, OPENS_MS + 250, 1), Claimed::NoBudget { retry_after_ms: 1_000 });
    assert_eq!(pass(&mut line, OPENS_MS + 250, OPENS_MS + 4_000).phase, Phase::Over);
    assert_eq!(line.try_join(OPENS_MS + 4_000, 1), Err(Refused::Closed));
    let none = RoomChange { closes_at_ms: Some(0), opens_at_ms: Some(0), ..RoomChange::default() };
    assert_eq!(line.change(OPENS_MS + 4_250, &none).phase, Phase::Running);
}

/// W1: a place that somebody gave up before it was drawn is a place like any other.
#[test]
fn who_leaves_before_a_draw_that_was_chosen_late_takes_no_place_from_others() {
    let mut line = Model::begin(BEGIN_MS, &RoomInitial { opens_at_ms: Some(OPENS_MS), ..initial(600, 9) });
    line.join(BEGIN_MS, 3);
    line.seen(BEGIN_MS, &[2, 3]);
    line.leave(BEGIN_MS, 2);
    line.change(BEGIN_MS, &RoomChange { method: Some(Method::Draw), ..RoomChange::default() });
    pass(&mut line, BEGIN_MS, OPENS_MS - 250);
    let opened = pass(&mut line, OPENS_MS, OPENS_MS + 2_000);
    assert_eq!((opened.drawn(), opened.present()), (3, 0), "nobody was heard of at the place they have now");
    let (claimed, _) = line.claim(OPENS_MS + 2_000, &[1, 2, 3]);
    assert!(claimed.iter().all(|claimed| matches!(claimed, Claimed::Admitted(_))), "{claimed:?}");
}

#[test]
fn a_jump_of_the_wall_clock_opens_nothing_and_an_outage_delays_nothing_for_long() {
    let scheduled = RoomInitial { opens_at_ms: Some(BEGIN_MS + 3_600_000), ..initial(600, 5) };
    let mut line = Model::begin(BEGIN_MS, &scheduled);
    line.join(BEGIN_MS, 3);
    pass(&mut line, BEGIN_MS, BEGIN_MS + 1_000);
    let ahead = BEGIN_MS + 7_200_000;
    assert_eq!(pass(&mut line, ahead, ahead + 5_000).phase, Phase::Prequeue, "W8");
    assert_eq!(pass(&mut line, BEGIN_MS + 6_000, BEGIN_MS + 30_000).phase, Phase::Prequeue);
    // The store was away for an hour: ten steady seconds later the room opens.
    let back = BEGIN_MS + 3_700_000;
    assert_eq!(pass(&mut line, back, back + 13_000).phase, Phase::Running);
}

#[test]
fn a_pass_through_room_only_counts() {
    let mut line = Model::begin(BEGIN_MS, &initial(1, 1));
    line.join(BEGIN_MS, 3);
    let through = RoomChange { method: Some(Method::PassThrough), ..RoomChange::default() };
    line.change(BEGIN_MS, &through);
    assert_eq!(line.join(BEGIN_MS, 1_000).admitted().len(), 1_000);
    let snapshot = line.tick(BEGIN_MS);
    assert_eq!((snapshot.lanes[0].cursor, snapshot.admitted, snapshot.active), (1_003, 1_000, 1_000));
    assert!(line.claim(BEGIN_MS, &[1, 2, 3]).0.iter().all(|claimed| matches!(claimed, Claimed::Admitted(_))));
    let back = RoomChange { method: Some(Method::Fcfs), ..RoomChange::default() };
    line.change(BEGIN_MS, &back);
    assert!(line.join(BEGIN_MS, 1).admitted().is_empty(), "the meter counts again, from empty");
}

#[test]
fn a_full_queue_takes_nobody_until_somebody_is_gone() {
    let mut line = Model::begin(BEGIN_MS, &RoomInitial { queue_max: 50, ..initial(60_000, 100) });
    line.join(BEGIN_MS, 50);
    assert_eq!(line.try_join(BEGIN_MS, 1), Err(Refused::Full));
    line.tick(BEGIN_MS + 1_000);
    line.claim(BEGIN_MS + 1_000, &[1, 2]);
    assert!(line.try_join(BEGIN_MS + 1_000, 1).is_ok());
}

#[test]
fn a_ramp_moves_the_rate_of_now_and_a_rate_ends_it() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 0));
    let ramp = Ramp { to_per_minute: 660, over_ms: 60_000 };
    let begun = line.change(BEGIN_MS, &RoomChange { ramp: Some(ramp), ..RoomChange::default() });
    assert_eq!((begun.rate_per_minute, begun.ramp), (60, Some(ramp)));
    let half = pass(&mut line, BEGIN_MS, BEGIN_MS + 30_000);
    assert_eq!((half.rate_per_minute, half.burst), (360, 6));
    assert_eq!(half.ramp, Some(Ramp { to_per_minute: 660, over_ms: 30_000 }));
    let done = pass(&mut line, BEGIN_MS + 30_000, BEGIN_MS + 61_000);
    assert_eq!((done.rate_per_minute, done.ramp), (660, None));
    let down = Ramp { to_per_minute: 1, over_ms: 10_000 };
    line.change(BEGIN_MS + 61_000, &RoomChange { ramp: Some(down), ..RoomChange::default() });
    let set = RoomChange { rate_per_minute: Some(90), ..RoomChange::default() };
    let set = line.change(BEGIN_MS + 62_000, &set);
    assert_eq!((set.rate_per_minute, set.ramp), (90, None));
}
