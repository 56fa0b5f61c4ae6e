//! Lanes and identities.

use super::shared::{change, epoch};
use super::world::{World, sleep_ms};
use std::time::{Duration, Instant};
use waiting_room::line::{
    Claimed, Given, Identity, Joiner, LaneInitial, RoomChange, RoomInitial, RoomState, lane_of, numbered,
};
use waiting_room::store::StoreError;

fn lane(index: u8, who: Option<u8>) -> Joiner {
    Joiner { lane: index, identity: who.map(|who| Identity([who; 16])), ..Joiner::default() }
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
