//! What the stories of the contract begin with, and look at.

use super::world::{World, sleep_ms};
use std::sync::Arc;
use waiting_room::line::{Claimed, Joiner, RoomChange, RoomInitial, RoomState, Session, Snapshot};
use waiting_room::store::LineStore;

/// The room's epoch, from a call that changes nothing.
pub(super) async fn epoch(store: &Arc<dyn LineStore>, room: &str) -> u64 {
    store.leave(room, 0).await.expect("nobody left").epoch
}

pub(super) async fn claim_one(store: &Arc<dyn LineStore>, room: &str, number: u64) -> Claimed {
    store.claim(room, epoch(store, room).await, &[number]).await.expect("claimed").0.remove(0)
}

pub(super) fn session(claimed: Claimed) -> Session {
    match claimed {
        Claimed::Admitted(session) => session,
        Claimed::NotCalled | Claimed::NoBudget { .. } | Claimed::Spent | Claimed::Unknown => panic!("{claimed:?}"),
    }
}

/// Joins while the meter is empty, so that people wait; then calls the first ones.
pub(super) async fn queue(world: &World, initial: &RoomInitial, people: u32) -> Arc<dyn LineStore> {
    let (store, _) = world.begun(&RoomInitial { state: RoomState::Paused, ..initial.clone() }).await;
    assert!(store.join(&world.room, &Joiner::many(people as usize)).await.expect("joined").admitted().is_empty());
    let open = RoomChange { state: Some(RoomState::Open), ..RoomChange::default() };
    store.change(&world.room, "test", &open).await.expect("opened");
    store.tick(&world.room).await.expect("ticked");
    store
}

/// Ticks four times a second, as nodes do, until the line is so.
pub(super) async fn tick_until(store: &Arc<dyn LineStore>, room: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
    for _ in 0..40 {
        let snapshot = store.tick(room).await.expect("ticked");
        if is_so(&snapshot) {
            return snapshot;
        }
        sleep_ms(250).await;
    }
    panic!("ten seconds have passed")
}

pub(super) async fn change(store: &Arc<dyn LineStore>, room: &str, change: RoomChange) -> Snapshot {
    store.change(room, "test", &change).await.expect("changed")
}
