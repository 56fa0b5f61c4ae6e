//! Beginning, joining, changing and coming back after a restart.

use super::shared::{change, claim_one, queue, session};
use super::world::{World, fast, sleep_ms};
use std::sync::Arc;
use tokio::task::JoinSet;
use waiting_room::line::{Claimed, Given, Identity, Joiner, Proof, Refused, RoomChange, RoomInitial, RoomState};
use waiting_room::store::{GROUP_MAX, StoreError};

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

pub(super) async fn a_proof_of_work_is_used_once_at_whichever_node(world: World) {
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let with = |byte| Joiner { proof: Some(Proof([byte; 16])), ..Joiner::default() };
    let joined = store.join(&world.room, &[with(1), with(2), with(1)]).await.expect("two joined");
    assert_eq!(joined.numbers().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(joined.given[2], Given::Refused(Refused::Proof));
    assert_eq!(store.join(&world.room, &[with(2)]).await, Err(StoreError::Proof));
    assert_eq!(store.join(&world.room, &[with(3), Joiner::default()]).await.expect("joined").first(), 3);
}

pub(super) async fn copies_of_a_promise_get_one_number(mut world: World) {
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let with = |byte| Joiner { late: Some(Identity([byte; 16])), ..Joiner::default() };
    let joined = store.join(&world.room, &[with(1), with(2), with(1)]).await.expect("joined");
    assert_eq!(joined.numbers().collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(joined.given[2], Given::Known { number: 1, .. }), "{joined:?}");
    drop(store);
    world.restart();
    let (store, _) = world.begun(&RoomInitial::default()).await;
    let again = store.join(&world.room, &[with(2), with(3)]).await.expect("joined");
    assert!(matches!(again.given[0], Given::Known { number: 2, .. }), "{again:?}");
    assert_eq!(again.first(), 3);
}
