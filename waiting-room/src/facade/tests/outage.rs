//! The store is gone: pages and polls still answer, those inside go on, nobody gets in.

use http::{Method, StatusCode};

use super::harness::World;

const ROOM: &str = "/.waiting-room/rooms/demo";
const SEATS: &str = "/screenings/lighthouse-1900/seats";

#[tokio::test]
async fn nobody_gets_in_and_everybody_is_answered() {
    let world = World::new().await;
    let inside = world.entry().await;
    world.next_in_line().await;
    let waiting = world.get(SEATS, "").await.cookie();
    world.pass_ms(61_000).await;
    let called = world.json(Method::GET, &format!("{ROOM}/ticket"), &waiting).await;
    assert_eq!(called.json()["state"], "called");

    world.store.set_down(true);
    assert!(world.door.check().await.is_err());
    // New, waiting and called people: a page or facts, and no way in.
    for cookie in ["", waiting.as_str()] {
        let page = world.get(SEATS, cookie).await;
        assert_eq!(page.status, StatusCode::ACCEPTED);
        assert!(page.body.contains("data-state=\"one_moment\""), "{}", page.body);
        assert!(page.cookies().is_empty());
        let facts = world.json(Method::GET, SEATS, cookie).await;
        assert_eq!((facts.status, facts.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("one_moment")));
    }
    let poll = world.json(Method::GET, &format!("{ROOM}/ticket"), &waiting).await;
    assert_eq!((poll.status, poll.json()["position"].as_u64()), (StatusCode::OK, Some(3)));
    let entry = world.json(Method::POST, &format!("{ROOM}/entry"), &waiting).await;
    assert_eq!((entry.status, entry.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("one_moment")));
    let join = world.json(Method::POST, &format!("{ROOM}/tickets"), "").await;
    assert_eq!((join.status, join.code()), (StatusCode::SERVICE_UNAVAILABLE, "line_unavailable".to_owned()));
    let leave = world.json(Method::DELETE, &format!("{ROOM}/ticket"), &waiting).await;
    assert_eq!(leave.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.times_seen(), 0, "nobody got in");

    // Those inside go on.
    let shop = world.send(Method::GET, SEATS, &[("x-entry-token", &inside)], "").await;
    assert_eq!(shop.status, StatusCode::OK);

    world.store.set_down(false);
    world.door.check().await.unwrap();
    assert_eq!(world.get(SEATS, &waiting).await.body, "the shop", "the place was kept");
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_lets_nobody_in() {
    let world = World::new().await;
    world.busy().await;
    let waiting = world.get(SEATS, "").await.cookie();
    world.pass_ms(61_000).await;
    // This node still believes that all is well.
    world.store.set_down(true);
    let page = world.get(SEATS, &waiting).await;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert!(page.body.contains("one_moment"));
    assert_eq!(world.times_seen(), 0);
}
