//! The cap of live sessions: both limits together.

use super::*;

fn ids(line: &Model, numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|number| Session::derive(line.0.epoch, number, 0, 1).id).collect()
}

fn admitted(line: &mut Model, now_ms: i64, numbers: std::ops::RangeInclusive<u64>) -> usize {
    let answers = line.claim(now_ms, &numbers.collect::<Vec<_>>()).0;
    answers.iter().filter(|answer| matches!(answer, Claimed::Admitted(_))).count()
}

fn capped(max_active: u32, session_renewal: bool) -> Model {
    let initial = RoomInitial { max_active, session_renewal, ..initial(60_000, 100) };
    let mut line = Model::begin(BEGIN_MS, &initial);
    line.join(BEGIN_MS, 30);
    line.tick(BEGIN_MS + 1_000);
    line
}

#[test]
fn when_ten_leave_the_line_the_next_ten_come_in_at_once() {
    let mut line = capped(10, false);
    let now = BEGIN_MS + 1_000;
    assert_eq!(admitted(&mut line, now, 1..=30), 10);
    assert_eq!(line.0.snapshot().active, 10);
    assert_eq!(claim_one(&mut line, now, 11), Claimed::NoBudget { retry_after_ms: 1_000 });
    (11..=20).for_each(|number| drop(line.leave(now, number)));
    let ended = ids(&line, 1..=10);
    assert_eq!(line.sessions(now, &[], &ended).1.active, 0);
    line.tick(now);
    assert_eq!(admitted(&mut line, now, 21..=30), 10);
    assert_eq!(line.0.snapshot().waiting(), 0);
}

#[test]
fn a_session_that_ended_or_was_made_up_is_ignored_and_is_not_given_again() {
    let mut line = capped(10, true);
    let now = BEGIN_MS + 1_000;
    assert_eq!(admitted(&mut line, now, 1..=3), 3);
    let before = line.0.snapshot();
    let wrong = ["", "1", "0-1", "zz-1", "18bcfe56800-1f", "18bcfe56800--1"].map(str::to_owned);
    assert_eq!(line.sessions(now, &wrong, &wrong), (vec![Renewal::Unknown; wrong.len()], before.clone()));
    let one = ids(&line, 1..=1);
    let (answers, after) = line.sessions(now, &one, &one);
    assert_eq!((answers, after.active), (vec![Renewal::GoesOn], 2));
    let (answers, again) = line.sessions(now, &one, &one);
    assert_eq!(answers, [Renewal::Over], "whoever renews it at another node hears of it");
    assert_eq!((again.active, again.version), (2, before.version + 1), "once");
    assert_eq!(claim_one(&mut line, now, 1), Claimed::Spent);
}

#[test]
fn sessions_are_fixed_or_go_on_while_they_are_used() {
    for session_renewal in [false, true] {
        let mut line = capped(10, session_renewal);
        let mut now = BEGIN_MS + 1_000;
        assert_eq!(admitted(&mut line, now, 1..=2), 2);
        let one = ids(&line, 1..=1);
        for _ in 0..500 {
            now += 2_000;
            line.sessions(now, &one, &[]);
        }
        assert_eq!(line.0.snapshot().active, u64::from(session_renewal), "after 1,000 s of sessions of 900 s");
        let Claimed::Spent = claim_one(&mut line, now, 1) else { panic!("nobody goes in twice") };
    }
}

#[test]
fn a_calm_room_keeps_to_the_cap_too_and_a_cap_of_zero_is_none() {
    let initial = RoomInitial { max_active: 2, ..initial(60_000, 100) };
    let mut line = Model::begin(BEGIN_MS, &initial);
    line.tick(BEGIN_MS + 1_000);
    assert_eq!(line.join(BEGIN_MS + 1_000, 5).admitted().len(), 2);
    let none = RoomChange { max_active: Some(0), ..RoomChange::default() };
    assert_eq!(line.change(BEGIN_MS + 1_000, &none).max_active, 0);
    line.tick(BEGIN_MS + 1_000);
    assert_eq!(admitted(&mut line, BEGIN_MS + 1_000, 3..=5), 3);
}

proptest! {
    /// Never more live sessions than the cap, whatever is renewed, ended and left.
    #[test]
    fn the_cap_holds_in_every_story(
        max_active in 1..20_u32,
        session_renewal: bool,
        story in prop::collection::vec((0..2_500_i64, any_step(), prop::collection::vec(1..60_u64, 0..6)), 1..120),
    ) {
        let begun = RoomInitial { max_active, session_renewal, session_ms: 20_000, ..initial(6_000, 10) };
        let mut line = Model::begin(BEGIN_MS, &begun);
        let mut now = BEGIN_MS;
        for (pause_ms, step, numbers) in story {
            now += pause_ms;
            let ids: Vec<String> = numbers.iter().flat_map(|&number| ids(&line, number..=number)).collect();
            // Doors tell of tokens that they have verified: of numbers that went in, or of nobody's.
            let went_in = |id: &String| {
                let number = Session::number_of(line.0.epoch, id).unwrap_or(0);
                line.0.lane(number).is_none_or(|(lane, n)| n > lane.issued || lane.spent.contains(n))
            };
            let ids: Vec<String> = ids.into_iter().filter(went_in).collect();
            let (renew, end) = ids.split_at(ids.len() / 2);
            line.sessions(now, renew, end);
            match step {
                Step::Join(joiners) => drop(line.join_with(now, &joiners, 7)),
                Step::Claim(numbers) => drop(line.claim(now, &numbers)),
                Step::Leave(number) => drop(line.leave(now, number)),
                Step::Seen(positions) => drop(line.seen(now, &positions)),
                Step::Tick | Step::Change(_) => drop(line.tick(now)),
            }
            prop_assert!(line.0.snapshot().active <= u64::from(max_active));
        }
    }
}
