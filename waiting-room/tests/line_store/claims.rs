//! Going in: once, at the rate, under the cap.

use super::shared::{claim_one, epoch, queue, session};
use super::world::{World, fast, sleep_ms};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use waiting_room::line::{Claimed, Renewal, RoomInitial};
use waiting_room::store::LineStore;

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
