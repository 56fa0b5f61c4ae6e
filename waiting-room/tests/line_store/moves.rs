//! Places that go on with another device.

use super::shared::{claim_one, epoch, queue, session};
use super::world::{World, fast, sleep_ms};
use std::sync::Arc;
use tokio::task::JoinSet;
use waiting_room::line::Move;

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
