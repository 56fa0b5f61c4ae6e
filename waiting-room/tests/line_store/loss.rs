//! What comes back after a loss, and by what.

use super::shared::{epoch, queue, session};
use super::world::{World, fast, sleep_ms};
use waiting_room::line::{Claimed, Joiner, Renewal, RoomInitial};
use waiting_room::store::StoreError;

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
