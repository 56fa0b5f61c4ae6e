//! The operator's change reaches the visitors' side at once.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use tower::ServiceExt;

use super::harness::World;

#[tokio::test]
async fn a_change_is_in_force_for_the_next_poll() {
    let world = World::new().await;
    world.busy().await;
    let cookie = world.json(Method::POST, "/.waiting-room/rooms/demo/tickets", "").await.cookie();
    let request = Request::patch("/api/rooms/demo")
        .header("authorization", "Bearer secret")
        .body(Body::from(r#"{"state":"paused","message":"Back at <b>nine</b>"}"#))
        .unwrap();
    let response = world.door.operator("secret".to_owned()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    let facts = world.json(Method::GET, "/.waiting-room/rooms/demo/ticket", &cookie).await.json();
    assert_eq!((facts["state"].as_str(), facts["eta"].is_null()), (Some("paused"), true));
    assert_eq!(facts["message"], "Back at <b>nine</b>");
    let page = world.get("/buy", &cookie).await;
    assert!(page.body.contains("data-state=\"paused\""));
    assert!(page.body.contains("Back at &#60;b&#62;nine&#60;/b&#62;"), "{}", page.body);
    world.pass_ms(600_000).await;
    assert_eq!(world.get("/buy", &cookie).await.status, StatusCode::ACCEPTED, "a paused room lets nobody in");
}
