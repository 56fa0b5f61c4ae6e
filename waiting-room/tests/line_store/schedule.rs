//! Openings, draws, closing times, ramps, and rooms that only count.

use super::shared::{change, claim_one, epoch, queue, session, tick_until};
use super::world::{World, fast, sleep_ms};
use waiting_room::line::{Claimed, Joiner, Method, Phase, Ramp, RoomChange, RoomInitial, SCHEDULE_MS_MAX};
use waiting_room::store::StoreError;

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
