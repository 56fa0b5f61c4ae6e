//! What every store does.

use super::world::{World, fast, sleep_ms};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use waiting_room::{
    line::{
        Claimed, Given, Identity, Joiner, LaneInitial, Method, Move, Phase, Proof, Ramp, Refused, Renewal, RoomChange,
        RoomInitial, RoomState, SCHEDULE_MS_MAX, Session, Snapshot, lane_of, numbered,
    },
    store::{GROUP_MAX, LineStore, StoreError},
};

/// The room's epoch, from a call that changes nothing.
async fn epoch(store: &Arc<dyn LineStore>, room: &str) -> u64 {
    store.leave(room, 0).await.expect("nobody left").epoch
}

async fn claim_one(store: &Arc<dyn LineStore>, room: &str, number: u64) -> Claimed {
    store.claim(room, epoch(store, room).await, &[number]).await.expect("claimed").0.remove(0)
}

fn session(claimed: Claimed) -> Session {
    match claimed {
        Claimed::Admitted(session) => session,
        Claimed::NotCalled | Claimed::NoBudget { .. } | Claimed::Spent | Claimed::Unknown => panic!("{claimed:?}"),
    }
}

/// Joins while the meter is empty, so that people wait; then calls the first ones.
async fn queue(world: &World, initial: &RoomInitial, people: u32) -> Arc<dyn LineStore> {
    let (store, _) = world.begun(&RoomInitial { state: RoomState::Paused, ..initial.clone() }).await;
    assert!(store.join(&world.room, &Joiner::many(people as usize)).await.expect("joined").admitted().is_empty());
    let open = RoomChange { state: Some(RoomState::Open), ..RoomChange::default() };
    store.change(&world.room, "test", &open).await.expect("opened");
    store.tick(&world.room).await.expect("ticked");
    store
}

pub(super) async fn a_room_begins_once(world: World) {
    let message = "We open at noon: \"caf\u{e9}\"\n".to_owned();
    let initial = RoomInitial { rate_per_minute: 120, message: message.clone(), ..RoomInitial::default() };
    let (store, begun) = world.begun(&initial).await;
    assert_eq!((begun.rate_per_minute, begun.burst, begun.state), (120, 2, RoomState::Open));
    assert_eq!((begun.version, begun.issued(), begun.lanes[0].cursor, begun.admitted), (1, 0, 0, 0));
    assert_eq!(begun.message, message);
    assert!(begun.epoch > 0 && begun.at_ms > 0);
    let other = RoomInitial { rate_per_minute: 999, session_ms: 5_000, ..RoomInitial::default() };
    let again = store.ensure(&world.room, &other).await.expect("ensured");
    assert_eq!((again.rate_per_minute, again.epoch, again.message), (120, begun.epoch, message));
    assert!(again.version > begun.version, "the length of sessions follows the settings");
}

pub(super) async fn numbers_follow_without_a_gap(world: World) {
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let (store, room) = (Arc::clone(&store), world.room.clone());
        tasks.spawn(async move {
            let mut numbers = Vec::new();
            for count in 1..=4 {
                let joined = store.join(&room, &Joiner::many(count)).await.expect("joined");
                numbers.extend(joined.numbers());
            }
            numbers
        });
    }
    let mut numbers: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=320).collect::<Vec<_>>());
    assert_eq!(store.tick(&world.room).await.expect("ticked").issued(), 320);
}

pub(super) async fn a_calm_room_admits_at_once(world: World) {
    let (store, _) = world.begun(&RoomInitial { rate_per_minute: 60_000, burst: 3, ..RoomInitial::default() }).await;
    sleep_ms(30).await;
    let joined = store.join(&world.room, &Joiner::many(5)).await.expect("joined");
    assert_eq!(joined.admitted().iter().map(|session| session.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((joined.snapshot.lanes[0].cursor, joined.snapshot.issued(), joined.snapshot.admitted), (3, 5, 3));
    let again = session(claim_one(&store, &world.room, 2).await);
    assert_eq!(again.id, joined.admitted()[1].id, "a lost answer is given again");
    assert!(again.expires_in_ms <= 900_000 && again.expires_in_ms > 890_000);
    sleep_ms(30).await;
    assert!(store.join(&world.room, &Joiner::many(1)).await.expect("joined").admitted().is_empty(), "people wait");
}

async fn one_of_200(store: Arc<dyn LineStore>, room: &str) {
    sleep_ms(50).await;
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (store, room) = (Arc::clone(&store), room.to_owned());
        tasks.spawn(async move { session(claim_one(&store, &room, 1).await).id });
    }
    let ids: BTreeSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(store.tick(room).await.expect("ticked").admitted, 1);
}

pub(super) async fn one_number_goes_in_once(world: World) {
    let store = queue(&world, &fast(), 10).await;
    one_of_200(store, &world.room).await;
}

pub(super) async fn one_number_goes_in_once_through_groups(world: World) {
    drop(queue(&world, &fast(), 10).await);
    let store = world.begun_in_groups(&fast()).await;
    one_of_200(store, &world.room).await;
}

/// W2, from outside: from before the first call to after the last one of any run of entries.
pub(super) async fn claims_stay_under_the_rate(world: World) {
    let (rate_per_minute, burst) = (1_800, 4);
    let initial = RoomInitial { rate_per_minute, burst, ..RoomInitial::default() };
    let store = queue(&world, &initial, 500).await;
    let end = Instant::now() + Duration::from_millis(1_500);
    let mut tasks = JoinSet::new();
    for worker in 0..8 {
        let (store, room) = (Arc::clone(&store), world.room.clone());
        tasks.spawn(async move {
            let mut entries: Vec<(u64, Instant, Instant)> = Vec::new();
            while Instant::now() < end {
                let numbers: Vec<u64> = (1..=500).filter(|number| number % 8 == worker).collect();
                let epoch = store.tick(&room).await.expect("ticked").epoch;
                let before = Instant::now();
                let answers = store.claim(&room, epoch, &numbers).await.expect("claimed").0;
                let after = Instant::now();
                for claimed in answers {
                    if let Claimed::Admitted(session) = claimed
                        && entries.iter().all(|(number, ..)| *number != session.number)
                    {
                        let starts_in = Duration::from_millis(session.starts_in_ms.unsigned_abs());
                        entries.push((session.number, before + starts_in, after + starts_in));
                    }
                }
                sleep_ms(3).await;
            }
            entries
        });
    }
    let mut entries: Vec<(u64, Instant, Instant)> = tasks.join_all().await.into_iter().flatten().collect();
    entries.sort_unstable_by_key(|(.., after)| *after);
    assert!(entries.len() > 20, "people did go in: {}", entries.len());
    for from in 0..entries.len() {
        let mut begin = entries[from].1;
        for (index, (_, before, after)) in entries[from..].iter().enumerate() {
            begin = begin.min(*before);
            // One millisecond more: the store counts whole ones.
            let window_ms = after.duration_since(begin).as_millis() as u64 + 2;
            let allowed = window_ms * u64::from(rate_per_minute) / 60_000 + u64::from(burst);
            assert!(index as u64 <= allowed, "{} in {window_ms} ms", index + 1);
        }
    }
}

pub(super) async fn groups_answer_when_the_session_begins(world: World) {
    let initial = RoomInitial { rate_per_minute: 600, burst: 1, ..RoomInitial::default() };
    drop(queue(&world, &initial, 10).await);
    let store = world.begun_in_groups(&initial).await;
    let epoch = epoch(&store, &world.room).await;
    let begin = Instant::now();
    let answers = store.claim(&world.room, epoch, &[1, 2, 3, 4, 5]).await.expect("claimed").0;
    assert!(begin.elapsed() >= Duration::from_millis(300), "four more at ten a second");
    assert!(answers.into_iter().all(|claimed| session(claimed).starts_in_ms == 0));
}

pub(super) async fn who_is_seen_is_counted_until_in(world: World) {
    let store = queue(&world, &fast(), 200).await;
    let seen = store.seen(&world.room, &[1, 2, 3, 3, 0, 201]).await.expect("seen");
    assert_eq!(seen.present(), 3);
    sleep_ms(20).await;
    session(claim_one(&store, &world.room, 1).await);
    assert_eq!(store.leave(&world.room, 2).await.expect("left").present(), 1);
    assert_eq!(store.seen(&world.room, &[1, 2]).await.expect("seen").present(), 1);
}

pub(super) async fn a_cap_holds_until_a_session_ends(world: World) {
    let initial = RoomInitial { max_active: 10, ..fast() };
    let store = queue(&world, &initial, 30).await;
    sleep_ms(50).await;
    let epoch = epoch(&store, &world.room).await;
    let everyone: Vec<u64> = (1..=30).collect();
    let (answers, snapshot) = store.claim(&world.room, epoch, &everyone).await.expect("claimed");
    assert_eq!((snapshot.active, snapshot.admitted, snapshot.max_active), (10, 10, 10));
    let ids: Vec<String> = answers.into_iter().take(10).map(|claimed| session(claimed).id).collect();
    for number in 11..=20 {
        store.leave(&world.room, number).await.expect("left");
    }
    assert_eq!(claim_one(&store, &world.room, 21).await, Claimed::NoBudget { retry_after_ms: 1_000 });
    assert_eq!(store.sessions(&world.room, &ids, &ids).await.expect("ended").1.active, 0);
    let (answers, after) = store.sessions(&world.room, &ids, &ids).await.expect("ended before");
    assert_eq!((after.active, &answers[..]), (0, &vec![Renewal::Over; ids.len()][..]));
    let (answers, snapshot) = store.claim(&world.room, epoch, &everyone[20..]).await.expect("claimed");
    assert_eq!(answers.into_iter().map(|claimed| session(claimed).number).collect::<Vec<_>>(), everyone[20..]);
    assert_eq!(snapshot.active, 10);
}

pub(super) async fn a_lost_room_comes_back_above_what_was_seen(world: World) {
    let store = queue(&world, &fast(), 50).await;
    let seen = store.tick(&world.room).await.expect("ticked");
    let elsewhere = format!("{}-lost", world.room);
    let back = store.restore(&elsewhere, &RoomInitial::default(), &seen).await.expect("restored");
    assert_eq!((back.epoch, back.issued(), back.lanes[0].cursor), (seen.epoch, 20_050, seen.lanes[0].cursor));
    assert_eq!((back.rate_per_minute, back.burst), (60_000, 100));
    let again = store.restore(&elsewhere, &RoomInitial::default(), &seen).await.expect("restored before");
    assert_eq!((again.version, again.issued()), (back.version, 20_050));
    assert_eq!(store.join(&elsewhere, &Joiner::many(1)).await.expect("joined").first(), 20_051);
}

pub(super) async fn who_was_inside_before_a_loss_is_counted_again(world: World) {
    let initial = RoomInitial { max_active: 3, session_renewal: true, ..fast() };
    let store = queue(&world, &initial, 5).await;
    sleep_ms(50).await;
    let epoch = epoch(&store, &world.room).await;
    let (answers, seen) = store.claim(&world.room, epoch, &[1, 2, 3]).await.expect("claimed");
    let ids: Vec<String> = answers.into_iter().map(|claimed| session(claimed).id).collect();
    let (told, _) = store.sessions(&world.room, &ids, &ids[..1]).await.expect("one ended");
    assert_eq!(told, [Renewal::GoesOn; 3]);
    let (told, _) = store.sessions(&world.room, &ids, &[]).await.expect("renewed");
    assert_eq!(told, [Renewal::Over, Renewal::GoesOn, Renewal::GoesOn]);
    let elsewhere = format!("{}-lost", world.room);
    let short = RoomInitial { session_ms: 1_000, ..initial };
    assert_eq!(store.restore(&elsewhere, &short, &seen).await.expect("restored").active, 3);
    for _ in 0..4 {
        sleep_ms(400).await;
        let (told, snapshot) = store.sessions(&elsewhere, &ids[1..], &[]).await.expect("renewed");
        assert_eq!((told, snapshot.lanes[0].cursor), (vec![Renewal::GoesOn; 2], seen.lanes[0].cursor));
    }
    let (told, after) = store.sessions(&elsewhere, &["0-1".to_owned()], &[]).await.expect("of another line");
    assert_eq!((told, after.active), (vec![Renewal::Unknown], 2), "who did not go on is out");
    let claimed = store.claim(&elsewhere, epoch, &[2]).await.expect("claimed").0.remove(0);
    assert_eq!(claimed, Claimed::Spent, "the number is used up again");
}

pub(super) async fn tickets_bring_a_line_back_that_was_lost_everywhere(mut world: World) {
    let (store, begun) = world.begun(&fast()).await;
    store.join(&world.room, &Joiner::many(2)).await.expect("joined");
    let old = begun.epoch - 60_000;
    let back = store.heal(&world.room, old, &[700]).await.expect("healed");
    assert_eq!((back.epoch, back.issued(), back.waiting()), (old, 1_000_700, 700));
    assert_eq!(store.join(&world.room, &Joiner::many(1)).await.expect("joined").first(), 1_000_701);
    let (answers, _) = store.claim(&world.room, old, &[700, 701]).await.expect("asked");
    assert_eq!(answers, [Claimed::NotCalled, Claimed::NotCalled]);
    let (answers, _) = store.claim(&world.room, begun.epoch, &[1]).await.expect("asked");
    assert_eq!(answers, [Claimed::Unknown], "who joined meanwhile joins anew");
    assert_eq!(store.heal(&world.room, old - 1, &[9]).await.expect("asked").epoch, old);
    assert!(matches!(store.heal(&world.room, old, &[]).await, Err(StoreError::Invalid(_))));
    drop(store);
    world.restart();
    let (store, _) = world.begun(&fast()).await;
    assert_eq!(store.tick(&world.room).await.expect("ticked").epoch, old);
}

pub(super) async fn a_proof_of_work_is_used_once_at_whichever_node(world: World) {
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let with = |byte| Joiner { proof: Some(Proof([byte; 16])), ..Joiner::default() };
    let joined = store.join(&world.room, &[with(1), with(2), with(1)]).await.expect("two joined");
    assert_eq!(joined.numbers().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(joined.given[2], Given::Refused(Refused::Proof));
    assert_eq!(store.join(&world.room, &[with(2)]).await, Err(StoreError::Proof));
    assert_eq!(store.join(&world.room, &[with(3), Joiner::default()]).await.expect("joined").first(), 3);
}

pub(super) async fn changes_are_kept_with_what_was_before(world: World) {
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let change = RoomChange { rate_per_minute: Some(90), state: Some(RoomState::Draining), ..RoomChange::default() };
    store.change(&world.room, "ann", &change).await.expect("changed");
    assert_eq!(store.join(&world.room, &Joiner::many(1)).await, Err(StoreError::Closed));
    let kept = store.changes(&world.room).await.expect("kept");
    assert_eq!((kept.len(), kept[0].who.as_str(), &kept[0].after), (1, "ann", &change));
    let undone = store.change(&world.room, "ann", &kept[0].before).await.expect("undone");
    assert_eq!((undone.rate_per_minute, undone.state), (60, RoomState::Open));
    let rate = |rate| RoomChange { rate_per_minute: Some(rate), ..RoomChange::default() };
    for step in 61..=64 {
        store.change(&world.room, "autopilot", &rate(step)).await.expect("steered");
    }
    let kept = store.changes(&world.room).await.expect("kept");
    assert_eq!((kept.len(), &kept[2].before, &kept[2].after), (3, &rate(60), &rate(64)), "its steps are one change");
}

/// Ticks four times a second, as nodes do, until the line is so.
async fn tick_until(store: &Arc<dyn LineStore>, room: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
    for _ in 0..40 {
        let snapshot = store.tick(room).await.expect("ticked");
        if is_so(&snapshot) {
            return snapshot;
        }
        sleep_ms(250).await;
    }
    panic!("ten seconds have passed")
}

async fn change(store: &Arc<dyn LineStore>, room: &str, change: RoomChange) -> Snapshot {
    store.change(room, "test", &change).await.expect("changed")
}

pub(super) async fn a_draw_gathers_people_and_opens_on_time(world: World) {
    let initial = RoomInitial { method: Method::Draw, opens_at_ms: Some(SCHEDULE_MS_MAX), ..fast() };
    let (store, begun) = world.begun(&initial).await;
    let room = &world.room;
    assert_eq!((begun.phase, begun.method, begun.opens_at_ms), (Phase::Prequeue, Method::Draw, Some(SCHEDULE_MS_MAX)));
    let first = store.join(room, &Joiner::many(5)).await.expect("joined").snapshot;
    let second = store.join(room, &Joiner::many(3)).await.expect("joined").snapshot;
    assert_eq!((first.lanes[0].digest.len(), second.lanes[0].digest.len()), (40, 40));
    assert_ne!(first.lanes[0].digest, second.lanes[0].digest, "each group is in the digest");
    assert_eq!(store.leave(room, 2).await.expect("no position yet").version, second.version);
    assert_eq!(claim_one(&store, room, 1).await, Claimed::NotCalled);
    let soon = RoomChange { opens_at_ms: Some(begun.at_ms + 500), ..RoomChange::default() };
    change(&store, room, soon).await;
    let opened = tick_until(&store, room, |snapshot| snapshot.phase == Phase::Running).await;
    assert_eq!((opened.drawn(), opened.issued(), &opened.lanes[0].digest), (8, 8, &second.lanes[0].digest));
    let late = store.join(room, &Joiner::many(2)).await.expect("joined").snapshot;
    assert_eq!(
        (late.drawn(), late.issued(), &late.lanes[0].digest),
        (8, 10, &second.lanes[0].digest),
        "who comes late goes behind"
    );
    assert_eq!(tick_until(&store, room, |snapshot| snapshot.lanes[0].cursor == 10).await.drawn(), 8);
    session(claim_one(&store, room, 1).await);
    let again = RoomChange { opens_at_ms: Some(SCHEDULE_MS_MAX), ..RoomChange::default() };
    let again = change(&store, room, again).await;
    assert_eq!((again.drawn(), again.phase), (8, Phase::Prequeue), "a draw that was made stands");
    let undone = store.changes(room).await.expect("kept").pop().expect("a change").before;
    assert_eq!(change(&store, room, undone).await.phase, Phase::Running);
}

pub(super) async fn a_full_queue_takes_nobody_until_somebody_went_in(world: World) {
    let store = queue(&world, &RoomInitial { queue_max: 10, ..fast() }, 10).await;
    assert_eq!(store.join(&world.room, &Joiner::many(1)).await, Err(StoreError::Full));
    sleep_ms(50).await;
    session(claim_one(&store, &world.room, 1).await);
    let joined = store.join(&world.room, &Joiner::many(3)).await.expect("a group is looked at once");
    assert_eq!((joined.first(), joined.snapshot.queue_max), (11, 10));
    assert_eq!(store.join(&world.room, &Joiner::many(1)).await, Err(StoreError::Full));
    change(&store, &world.room, RoomChange { queue_max: Some(0), ..RoomChange::default() }).await;
    assert_eq!(store.join(&world.room, &Joiner::many(1)).await.expect("no limit").first(), 14);
}

pub(super) async fn a_schedule_says_when_people_join_and_go_in(world: World) {
    let store = queue(&world, &fast(), 10).await;
    let room = &world.room;
    sleep_ms(50).await;
    let early = RoomChange { prequeue_at_ms: Some(SCHEDULE_MS_MAX), ..RoomChange::default() };
    assert_eq!(change(&store, room, early).await.phase, Phase::Early);
    assert_eq!(store.join(room, &Joiner::many(1)).await, Err(StoreError::Closed));
    assert_eq!(claim_one(&store, room, 1).await, Claimed::NoBudget { retry_after_ms: 1_000 });
    let over = RoomChange { prequeue_at_ms: Some(0), closes_at_ms: Some(1), ..RoomChange::default() };
    let over = change(&store, room, over).await;
    assert_eq!((over.phase, over.prequeue_at_ms, over.closes_at_ms), (Phase::Over, None, Some(1)));
    assert_eq!(store.join(room, &Joiner::many(1)).await, Err(StoreError::Closed));
    assert_eq!(claim_one(&store, room, 1).await, Claimed::NoBudget { retry_after_ms: 1_000 });
    let none = RoomChange { closes_at_ms: Some(0), ..RoomChange::default() };
    assert_eq!(change(&store, room, none).await.phase, Phase::Running);
    session(claim_one(&store, room, 1).await);
    assert_eq!(store.join(room, &Joiner::many(1)).await.expect("joined").first(), 11);
}

pub(super) async fn a_room_that_lets_everybody_pass_only_counts(world: World) {
    let slow = RoomInitial { rate_per_minute: 1, burst: 1, max_active: 1, ..RoomInitial::default() };
    let store = queue(&world, &slow, 3).await;
    let through = RoomChange { method: Some(Method::PassThrough), ..RoomChange::default() };
    change(&store, &world.room, through).await;
    let joined = store.join(&world.room, &Joiner::many(20)).await.expect("joined");
    assert!(joined.admitted().iter().all(|session| session.starts_in_ms == 0) && joined.admitted().len() == 20);
    let epoch = epoch(&store, &world.room).await;
    let (answers, snapshot) = store.claim(&world.room, epoch, &[1, 2, 3]).await.expect("claimed");
    assert_eq!(answers.into_iter().map(|claimed| session(claimed).number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((snapshot.active, snapshot.admitted, snapshot.method), (23, 23, Method::PassThrough));
    change(&store, &world.room, RoomChange { method: Some(Method::Fcfs), ..RoomChange::default() }).await;
    assert!(
        store.join(&world.room, &Joiner::many(1)).await.expect("joined").admitted().is_empty(),
        "the rate counts again"
    );
}

pub(super) async fn a_ramp_moves_the_rate_until_it_is_set(world: World) {
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let ramp = Ramp { to_per_minute: 60_060, over_ms: 60_000 };
    let begun = change(&store, &world.room, RoomChange { ramp: Some(ramp), ..RoomChange::default() }).await;
    assert_eq!((begun.rate_per_minute, begun.ramp), (60, Some(ramp)));
    let moved = tick_until(&store, &world.room, |snapshot| snapshot.rate_per_minute > 60).await;
    let left = moved.ramp.expect("on its way");
    assert_eq!((left.to_per_minute, i64::from(moved.rate_per_minute)), (60_060, 60 + (60_000 - left.over_ms)));
    let set = RoomChange { rate_per_minute: Some(90), ..RoomChange::default() };
    let set = change(&store, &world.room, set).await;
    assert_eq!((set.rate_per_minute, set.ramp), (90, None));
    let kept = store.changes(&world.room).await.expect("kept");
    assert_eq!(kept[0].before, RoomChange { rate_per_minute: Some(60), ..RoomChange::default() });
    let before = &kept[1].before;
    assert!(before.rate_per_minute.is_none() && before.ramp.is_some_and(|ramp| ramp.over_ms <= left.over_ms));
}

pub(super) async fn claims_of_another_epoch_spend_nothing(world: World) {
    let store = queue(&world, &fast(), 10).await;
    sleep_ms(20).await;
    let epoch = epoch(&store, &world.room).await;
    let (answers, snapshot) = store.claim(&world.room, epoch + 1, &[1, 2]).await.expect("claimed");
    assert_eq!((answers, snapshot.admitted), (vec![Claimed::Unknown; 2], 0));
    session(claim_one(&store, &world.room, 1).await);
}

pub(super) async fn claims_say_why_not(world: World) {
    let store = queue(&world, &RoomInitial { rate_per_minute: 60, ..RoomInitial::default() }, 50).await;
    let numbers = [3, 50, 51, 0, u64::MAX, 2, 1];
    let epoch = epoch(&store, &world.room).await;
    let (answers, snapshot) = store.claim(&world.room, epoch, &numbers).await.expect("claimed");
    assert!(matches!(answers[0], Claimed::NoBudget { retry_after_ms: 50..=1_000 }), "{:?}", answers[0]);
    assert_eq!(answers[1..5], [Claimed::NotCalled, Claimed::Unknown, Claimed::Unknown, Claimed::Unknown]);
    assert_eq!(session(answers[6].clone()).number, 1, "who stands in front is served first");
    assert!(snapshot.lanes[0].cursor >= 6 && snapshot.lanes[0].cursor < 50);
    assert_eq!(snapshot.called_waiting(), snapshot.lanes[0].cursor - snapshot.admitted);
    assert_eq!(snapshot.ahead_of(50), 50 - snapshot.lanes[0].cursor - 1);
}

pub(super) async fn a_restart_keeps_everything(mut world: World) {
    let store = queue(&world, &fast(), 200).await;
    sleep_ms(20).await;
    let entered = session(claim_one(&store, &world.room, 3).await);
    let change = RoomChange { rate_per_minute: Some(1_200), message: Some("soon".to_owned()), ..RoomChange::default() };
    store.change(&world.room, "test", &change).await.expect("changed");
    store.leave(&world.room, 4).await.expect("left");
    let before = store.join(&world.room, &Joiner::many(7)).await.expect("joined").snapshot;
    drop(store);
    for restart in [World::restart, World::restart_after_a_cut] {
        restart(&mut world);
        let (store, after) = world.begun(&fast()).await;
        assert_eq!((after.epoch, after.issued(), after.lanes[0].cursor), (before.epoch, 207, before.lanes[0].cursor));
        assert_eq!((after.admitted, after.rate_per_minute, after.burst), (1, 1_200, 100));
        assert_eq!((after.version, after.message.as_str()), (before.version, "soon"));
        let again = session(claim_one(&store, &world.room, 3).await);
        assert_eq!(again.id, entered.id);
        assert_eq!(claim_one(&store, &world.room, 4).await, Claimed::Spent);
    }
    let (store, _) = world.begun(&fast()).await;
    assert_eq!(store.join(&world.room, &Joiner::many(1)).await.expect("joined").first(), 208);
}

pub(super) async fn a_change_is_seen_by_other_handles(world: World) {
    let (one, begun) = world.begun(&RoomInitial::default()).await;
    let (other, _) = world.begun(&RoomInitial::default()).await;
    let change = RoomChange {
        rate_per_minute: Some(777),
        burst: Some(9),
        state: Some(RoomState::Paused),
        message: Some("Technical pause".to_owned()),
        ..RoomChange::default()
    };
    let changed = one.change(&world.room, "test", &change).await.expect("changed");
    assert!(changed.supersedes(&begun) && !begun.supersedes(&changed));
    let seen = other.tick(&world.room).await.expect("ticked");
    assert_eq!((seen.rate_per_minute, seen.burst, seen.state), (777, 9, RoomState::Paused));
    assert_eq!((seen.message.as_str(), seen.version), ("Technical pause", changed.version));
    let back = RoomChange { burst: Some(0), message: Some(String::new()), ..RoomChange::default() };
    let seen = other.change(&world.room, "test", &back).await.expect("changed");
    assert_eq!((seen.burst, seen.message.as_str(), seen.state), (12, "", RoomState::Paused));
}

pub(super) async fn a_paused_room_lets_nobody_in(world: World) {
    let store = queue(&world, &fast(), 200).await;
    let pause = RoomChange { state: Some(RoomState::Paused), ..RoomChange::default() };
    let paused = store.change(&world.room, "test", &pause).await.expect("paused");
    sleep_ms(20).await;
    assert_eq!(claim_one(&store, &world.room, 1).await, Claimed::NoBudget { retry_after_ms: 1_000 });
    store.join(&world.room, &Joiner::many(5)).await.expect("joined");
    let later = store.tick(&world.room).await.expect("ticked");
    assert_eq!((later.lanes[0].cursor, later.issued(), later.admitted), (paused.lanes[0].cursor, 205, 0));
}

pub(super) async fn who_leaves_cannot_come_back(world: World) {
    let store = queue(&world, &fast(), 20).await;
    let before = store.tick(&world.room).await.expect("ticked");
    let after = store.leave(&world.room, 5).await.expect("left");
    assert_eq!(after.called_waiting(), before.called_waiting() - 1);
    assert_eq!(store.leave(&world.room, 5).await.expect("left").called_waiting(), after.called_waiting());
    assert_eq!(store.leave(&world.room, 99).await.expect("never given out").version, after.version);
    sleep_ms(20).await;
    assert_eq!(claim_one(&store, &world.room, 5).await, Claimed::Spent);
    let entered = session(claim_one(&store, &world.room, 6).await);
    store.leave(&world.room, 6).await.expect("left");
    assert_eq!(session(claim_one(&store, &world.room, 6).await).id, entered.id, "a session goes on");
}

pub(super) async fn rooms_are_apart(world: World) {
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let other = format!("{}-b", world.room);
    store.ensure(&other, &RoomInitial { rate_per_minute: 5, ..RoomInitial::default() }).await.expect("ensured");
    store.join(&world.room, &Joiner::many(3)).await.expect("joined");
    let joined = store.join(&other, &Joiner::many(1)).await.expect("joined");
    assert_eq!((joined.first(), joined.snapshot.rate_per_minute), (1, 5));
}

pub(super) async fn wrong_calls_are_refused(world: World) {
    let (store, before) = world.begun(&RoomInitial::default()).await;
    let nowhere = format!("{}-nowhere", world.room);
    assert_eq!(store.join(&nowhere, &Joiner::many(1)).await, Err(StoreError::NoRoom(nowhere.clone())));
    assert_eq!(store.tick(&nowhere).await, Err(StoreError::NoRoom(nowhere.clone())));
    let too_many = GROUP_MAX + 1;
    for count in [0, too_many] {
        assert!(matches!(store.join(&world.room, &Joiner::many(count)).await, Err(StoreError::Invalid(_))));
        let numbers = vec![1; count];
        assert!(matches!(store.claim(&world.room, before.epoch, &numbers).await, Err(StoreError::Invalid(_))));
    }
    let zero = RoomChange { rate_per_minute: Some(0), ..RoomChange::default() };
    assert!(matches!(store.change(&world.room, "test", &zero).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.ensure("No Room", &RoomInitial::default()).await, Err(StoreError::Invalid(_))));
    assert_eq!(store.tick(&world.room).await.expect("ticked").version, before.version);
}

fn lane(index: u8, who: Option<u8>) -> Joiner {
    Joiner { lane: index, identity: who.map(|who| Identity([who; 16])), proof: None }
}

pub(super) async fn lanes_share_the_rate_and_are_never_lost(mut world: World) {
    let members = |weight| vec![LaneInitial { name: "members".to_owned(), weight }];
    let initial = RoomInitial { rate_per_minute: 600, lanes: members(3), ..RoomInitial::default() };
    let paused = RoomInitial { state: RoomState::Paused, ..initial.clone() };
    let (store, _) = world.begun(&paused).await;
    let room = world.room.clone();
    let joiners = [vec![lane(0, None); 100], vec![lane(1, None); 100]].concat();
    let joined = store.join(&room, &joiners).await.expect("joined");
    let wanted: Vec<u64> = (0..2).flat_map(|lane| (1..=100).map(move |n| numbered(lane, n))).collect();
    assert_eq!(joined.numbers().collect::<Vec<_>>(), wanted);
    assert_eq!(store.join(&room, &[lane(2, None)]).await, Err(StoreError::NoLane));
    change(&store, &room, RoomChange { state: Some(RoomState::Open), ..RoomChange::default() }).await;

    let epoch = epoch(&store, &room).await;
    let (mut open, mut order) = (wanted, Vec::new());
    let end = Instant::now() + Duration::from_secs(20);
    while order.len() < 48 {
        assert!(Instant::now() < end, "{order:?}");
        store.tick(&room).await.expect("ticked");
        let (answers, _) = store.claim(&room, epoch, &open).await.expect("claimed");
        let mut now: Vec<(i64, u64)> = Vec::new();
        for (claimed, &number) in answers.iter().zip(&open) {
            if let Claimed::Admitted(session) = claimed {
                now.push((session.starts_in_ms, number));
            }
        }
        now.sort_unstable();
        open.retain(|number| now.iter().all(|(_, admitted)| admitted != number));
        order.extend(now.into_iter().map(|(_, number)| number));
        sleep_ms(60).await;
    }
    let of = |lane: usize| order.iter().copied().filter(move |&number| lane_of(number) == lane).collect::<Vec<_>>();
    assert!(of(0).is_sorted() && of(1).is_sorted(), "in each lane in order: {order:?}");
    assert!(of(1).len().abs_diff(order.len() * 3 / 4) <= 2, "three of four: {order:?}");

    let weights =
        |weight| RoomChange { lane_weights: Some([("members".to_owned(), weight)].into()), ..RoomChange::default() };
    assert_eq!(change(&store, &room, weights(9)).await.lanes[1].weight, 9);
    let unknown = RoomChange { lane_weights: Some([("vip".to_owned(), 2)].into()), ..RoomChange::default() };
    let refused = store.change(&room, "test", &unknown).await.expect_err("there is no such lane").to_string();
    assert_eq!(refused, "lane_weights must be of lanes that the room has: general, members");
    drop(store);
    world.restart();
    let (store, after) = world.begun(&initial).await;
    assert_eq!((after.lanes[1].weight, after.lanes[1].issued, after.lanes.len()), (9, 100, 2));
    let more = [members(4), vec![LaneInitial { name: "press".to_owned(), weight: 2 }]].concat();
    let after = store.ensure(&room, &RoomInitial { lanes: more, ..initial }).await.expect("ensured");
    let seen: Vec<_> = after.lanes.iter().map(|lane| (lane.name.as_str(), lane.weight)).collect();
    assert_eq!(seen, [("general", 1), ("members", 4), ("press", 2)], "the settings say something else");
    // Another node, which was started with the settings of before.
    let other = world.handle().await;
    let old = RoomInitial { lanes: members(4), ..RoomInitial::default() };
    assert_eq!(other.ensure(&room, &old).await.expect("ensured").lanes.len(), 3);
    assert_eq!(store.join(&room, &[lane(2, None)]).await.expect("joined").first(), numbered(2, 1));
}

pub(super) async fn an_identity_has_one_place(mut world: World) {
    let initial = RoomInitial { state: RoomState::Paused, ..RoomInitial::default() };
    let (store, _) = world.begun(&initial).await;
    let room = world.room.clone();
    let joined = store.join(&room, &[lane(0, Some(1)), lane(0, None), lane(0, Some(1))]).await.expect("joined");
    assert_eq!((joined.given.len(), joined.snapshot.issued()), (3, 2));
    assert_eq!(joined.given[2], Given::Known { number: 1, used: false });
    drop(store);
    world.restart();
    let store = world.begun_in_groups(&initial).await;
    let known = store.join(&room, &[lane(0, Some(1))]).await.expect("known");
    assert_eq!((&known.given[..], known.snapshot.issued()), (&[Given::Known { number: 1, used: false }][..], 2));
    store.leave(&room, 1).await.expect("left");
    let used = store.join(&room, &[lane(0, Some(1))]).await.expect("known");
    assert_eq!(used.given, [Given::Known { number: 1, used: true }]);
    change(&store, &room, RoomChange { state: Some(RoomState::Closed), ..RoomChange::default() }).await;
    let (again, other, stranger) = ([lane(0, Some(1))], [lane(0, Some(2))], [lane(0, None)]);
    let (again, other, stranger) =
        tokio::join!(store.join(&room, &again), store.join(&room, &other), store.join(&room, &stranger));
    assert_eq!(again.expect("known, though the room is closed").given.len(), 1);
    assert_eq!((other.map(drop), stranger.map(drop)), (Err(StoreError::Closed), Err(StoreError::Closed)));
}

fn moving(number: u64, from: Option<u64>, to: u64) -> Move {
    Move { number, position: number, from, to }
}

pub(super) async fn a_place_goes_on_with_one_device(world: World) {
    let store = queue(&world, &fast(), 4).await;
    let other = world.handle().await;
    other.ensure(&world.room, &fast()).await.expect("ensured");
    let epoch = epoch(&store, &world.room).await;
    store.leave(&world.room, 4).await.expect("left");
    // Many devices with one code, at two nodes: one of them gets the place.
    let mut tasks = JoinSet::new();
    for to in 1..=20_u64 {
        let (store, room) = (Arc::clone(if to % 2 == 0 { &store } else { &other }), world.room.clone());
        tasks.spawn(async move {
            let (generations, _) = store.moves(&room, epoch, &[moving(2, Some(0), to)]).await.expect("moved");
            generations.get(&2) == Some(&to)
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|mine| *mine).count(), 1);
    let refused = [
        moving(4, Some(0), 9),
        moving(5, Some(0), 9),
        moving(0, Some(0), 9),
        moving(3, Some(1), 9),
        moving(3, None, 0),
    ];
    let (generations, snapshot) = store.moves(&world.room, epoch, &refused).await.expect("asked");
    assert_eq!((generations.len(), snapshot.moves), (1, 1), "left, never given out, of another generation");
    let (none, _) = store.moves(&world.room, epoch + 1, &[moving(3, Some(0), 9)]).await.expect("asked");
    assert_eq!(none.len(), 1, "of another line");
    sleep_ms(30).await;
    session(claim_one(&store, &world.room, 3).await);
    let (late, snapshot) = other.moves(&world.room, epoch, &[moving(3, Some(0), 9)]).await.expect("asked");
    assert_eq!((late.get(&3), snapshot.moves), (None, 1), "who is in does not move");
}

pub(super) async fn moves_outlive_a_restart_and_a_loss(mut world: World) {
    let store = queue(&world, &fast(), 4).await;
    let epoch = epoch(&store, &world.room).await;
    let (known, seen) = store.moves(&world.room, epoch, &[moving(2, Some(0), 7)]).await.expect("moved");
    drop(store);
    world.restart();
    let (store, _) = world.begun(&fast()).await;
    let (again, snapshot) = store.moves(&world.room, epoch, &[]).await.expect("asked");
    assert_eq!((&again, snapshot.moves), (&known, seen.moves));
    // A line that is brought back counts as no node has seen it, so that each asks, and tells what was lost.
    let highest = waiting_room::line::Snapshot { version: snapshot.version + 100, ..snapshot };
    let restored = store.restore(&world.room, &fast(), &highest).await.expect("restored");
    assert_eq!(restored.epoch, epoch);
    let told = Move { position: 0, from: None, ..moving(2, None, 7) };
    let (after, _) = store.moves(&world.room, epoch, &[told, Move { to: 6, ..told }]).await.expect("told");
    assert_eq!(after, known, "what is higher stays");
}
