//! The seat map as a versioned snapshot and as a stream.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Answer, Shop, json_request};
use crate::testing::{World, on_every_database};

on_every_database!(the_map_is_sent_again_only_if_it_changed, the_map_as_a_stream_ends_with_the_process,);

async fn seats(shop: &Shop<'_>, token: &str, etag: &str) -> Answer {
    let request = json_request("GET", "/screenings/s/seats", token).header(header::IF_NONE_MATCH, etag);
    shop.send(request.body(Body::empty()).expect("a request")).await
}

async fn the_map_is_sent_again_only_if_it_changed(world: &World) {
    let shop = Shop::open(world).await;
    let (a, b) = (shop.token().await, shop.token().await);
    let first = seats(&shop, &a, "W/\"none\"").await;
    assert_eq!((first.status, first.header(header::CACHE_CONTROL)), (StatusCode::OK, "private, no-cache"));
    let etag = first.header(header::ETAG).to_owned();
    let again = seats(&shop, &a, &etag).await;
    assert_eq!(
        (again.status, again.body.len(), again.header(header::ETAG)),
        (StatusCode::NOT_MODIFIED, 0, etag.as_str())
    );
    shop.hold(&a, &["A1"]).await;
    let (mine, theirs) = (seats(&shop, &a, &etag).await, seats(&shop, &b, &etag).await);
    assert_eq!((mine.status, theirs.status), (StatusCode::OK, StatusCode::OK));
    assert_ne!(mine.header(header::ETAG), theirs.header(header::ETAG), "whose a seat is is part of it");
    assert_eq!(mine.json()["version"], theirs.json()["version"], "and no part of the version");
}

async fn the_map_as_a_stream_ends_with_the_process(world: &World) {
    let shop = Shop::open(world).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (core, stop) = (shop.core.clone(), stop.clone());
        async move { core.run(stop).await }
    });
    let request = Request::get("/screenings/s/seats").header(header::ACCEPT, "text/event-stream");
    let response =
        shop.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let mut body = response.into_body();
    let mut heard = String::new();
    while !heard.contains("\"whole\":true") {
        let frame = body.frame().await.expect("no end").expect("no failure");
        heard.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
    }
    assert!(heard.starts_with("retry: "), "{heard}");
    let token = shop.token().await;
    shop.hold(&token, &["B2"]).await;
    while !heard.contains("[[\"B2\",\"held\"]]") {
        let frame = body.frame().await.expect("no end").expect("no failure");
        heard.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
    }
    stop.cancel();
    running.await.expect("it stops");
    let rest = tokio::time::timeout(std::time::Duration::from_secs(5), body.collect()).await.expect("the stream ends");
    rest.expect("without a failure");
    let refused = Request::get("/screenings/s/seats").header(header::ACCEPT, "text/event-stream");
    let refused = shop.send(refused.body(Body::empty()).expect("a request")).await;
    assert_eq!(refused.is_problem("busy", 503)["retry"], "safe");
    let nowhere = Request::get("/screenings/x/seats").header(header::ACCEPT, "text/event-stream");
    shop.send(nowhere.body(Body::empty()).expect("a request")).await.is_problem("not_found", 404);
}
