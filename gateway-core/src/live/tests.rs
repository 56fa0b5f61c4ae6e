//! Listeners of one screening, on every database.

use super::*;
use crate::base::ReservationId;
use crate::reservation::{HoldSeats, SeatsOutcome, cancel, hold_seats};
use crate::testing::{World, on_every_database};

on_every_database!(
    everybody_hears_of_a_hold_and_of_its_end,
    two_processes_tell_the_same,
    who_comes_back_hears_what_was_missed,
    listeners_are_counted_and_streams_end,
);

async fn hold(world: &World, seat: &str) -> ReservationId {
    let (id, customer) = (ReservationId::derived(rand::random()), world.customer().await);
    let ask = HoldSeats { id, customer, screening: String::from("s"), seats: vec![seat.to_owned()] };
    assert!(matches!(hold_seats(&world.db, &ask).await, Ok(SeatsOutcome::Held(_))));
    id
}

/// The id and the data of the next event.
async fn next(stream: &mut mpsc::Receiver<Bytes>) -> (String, serde_json::Value) {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(10), stream.recv()).await.expect("an event in time");
        let text = String::from_utf8(message.expect("no end").to_vec()).expect("text");
        let Some(event) = text.strip_prefix("id: ") else { continue };
        let (id, rest) = event.split_once("\nevent: seats\ndata: ").expect("an event");
        return (id.to_owned(), serde_json::from_str(rest.trim_end()).expect("JSON"));
    }
}

fn listen(feeds: &Feeds, last: Option<&str>) -> mpsc::Receiver<Bytes> {
    feeds.listen("s", last.map(str::to_owned)).expect("a place")
}

async fn everybody_hears_of_a_hold_and_of_its_end(world: &World) {
    world.sale(60_000, 60_000).await;
    let feeds = Feeds::on(world.db.clone());
    let (mut one, mut two) = (listen(&feeds, None), listen(&feeds, None));
    let (version, map) = next(&mut one).await;
    assert_eq!((map["whole"].as_bool(), map["seats"].as_array().map(Vec::len)), (Some(true), Some(20)));
    assert_eq!(map["version"], version);
    assert_eq!(version, version_of(&catalogue::seats(&world.db, "s", None).await.expect("the seats")));
    next(&mut two).await;
    assert_eq!(feeds.watched(), 1, "they share a reader");
    let id = hold(world, "A3").await;
    for stream in [&mut one, &mut two] {
        let (_, change) = next(stream).await;
        assert_eq!((change["whole"].as_bool(), &change["seats"]), (Some(false), &serde_json::json!([["A3", "held"]])));
    }
    let owner = crate::reservation::after::any(&world.db, id).await.expect("a read").expect("a hold").customer_id;
    cancel(&world.db, id, owner).await.expect("given back");
    let (back, change) = next(&mut one).await;
    assert_eq!(change["seats"], serde_json::json!([["A3", "free"]]));
    assert_eq!(back, version, "the same map has the same version");
    drop((one, two));
    let until_unwatched = async {
        while feeds.watched() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until_unwatched).await.expect("nobody reads for nobody");
}

async fn two_processes_tell_the_same(world: &World) {
    world.sale(60_000, 60_000).await;
    let feeds = [Feeds::on(world.db.clone()), Feeds::on(world.db.clone())];
    let mut streams = feeds.each_ref().map(|feeds| listen(feeds, None));
    let first = [next(&mut streams[0]).await, next(&mut streams[1]).await];
    assert_eq!(first[0], first[1]);
    hold(world, "B1").await;
    assert_eq!(next(&mut streams[0]).await, next(&mut streams[1]).await);
}

async fn who_comes_back_hears_what_was_missed(world: &World) {
    world.sale(60_000, 60_000).await;
    let feeds = Feeds::on(world.db.clone());
    let mut stays = listen(&feeds, None);
    let (start, _) = next(&mut stays).await;
    hold(world, "A1").await;
    next(&mut stays).await;
    hold(world, "A2").await;
    let (now, _) = next(&mut stays).await;
    let (version, missed) = next(&mut listen(&feeds, Some(&start))).await;
    assert_eq!(version, now);
    assert_eq!(missed["seats"], serde_json::json!([["A1", "held"], ["A2", "held"]]));
    let (_, unknown) = next(&mut listen(&feeds, Some("another"))).await;
    assert_eq!(unknown["whole"], true, "who saw something else hears everything");
    let mut knows = listen(&feeds, Some(&now));
    hold(world, "A3").await;
    assert_eq!(next(&mut knows).await.1["seats"], serde_json::json!([["A3", "held"]]), "nothing twice");
}

async fn listeners_are_counted_and_streams_end(world: &World) {
    world.sale(60_000, 60_000).await;
    let feeds = Feeds::with(world.db.clone(), 1);
    let mut only = listen(&feeds, None);
    assert!(feeds.listen("s", None).is_none());
    let stop = CancellationToken::new();
    feeds.end_with(stop.clone());
    next(&mut only).await;
    stop.cancel();
    let end = async { while only.recv().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), end).await.expect("it ends with the process");
    assert!(feeds.listen("s", None).is_none(), "and none begins");
}
