//! `Idempotency-Key`: one effect, the same bytes again.

use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::json;
use std::time::Duration;

use super::{Answer, Shop, json_request, page_request};
use crate::db::{in_tx, params};
use crate::testing::{World, on_every_database};

on_every_database!(
    the_same_bytes_again,
    a_refusal_is_repeated_too,
    double_clicks_are_one_request,
    a_crash_in_between_does_not_double_the_effect,
    a_form_carries_its_key_in_a_field,
);

async fn keyed(shop: &Shop<'_>, token: &str, key: &str, seats: &[&str]) -> Answer {
    let request = json_request("POST", "/screenings/s/holds", token).header("idempotency-key", key);
    shop.send(request.body(Body::from(json!({ "seats": seats }).to_string())).expect("a request")).await
}

async fn the_same_bytes_again(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let first = keyed(&shop, &token, "k1", &["A1"]).await;
    let second = keyed(&shop, &token, "k1", &["A1"]).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_eq!(first.header(header::CONTENT_TYPE), second.header(header::CONTENT_TYPE));
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", "true"));
    keyed(&shop, &token, "k1", &["A2"]).await.is_problem("idempotency_key_reused", 422);
    keyed(&shop, &token, "a key", &["A2"]).await.is_problem("idempotency_key_invalid", 422);
    keyed(&shop, &token, "", &["A2"]).await.is_problem("idempotency_key_invalid", 422);
    // A key belongs to its customer.
    let other = shop.token().await;
    assert_eq!(keyed(&shop, &other, "k1", &["A2"]).await.status, StatusCode::CREATED);
    shop.world.the_books_agree().await;
}

async fn a_refusal_is_repeated_too(world: &World) {
    let shop = Shop::open(world).await;
    let (a, b) = (shop.token().await, shop.token().await);
    let hold = shop.hold(&a, &["A1"]).await;
    let first = keyed(&shop, &b, "k", &["A1"]).await;
    first.is_problem("seats_taken", 409);
    let request = json_request("DELETE", &format!("/holds/{hold}"), &a).body(Body::empty()).expect("a request");
    shop.send(request).await;
    assert_eq!(keyed(&shop, &b, "k", &["A1"]).await.body, first.body);
    assert_eq!(keyed(&shop, &b, "another", &["A1"]).await.status, StatusCode::CREATED);
}

async fn double_clicks_are_one_request(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let answers = futures_util::future::join_all((0..6).map(|_| keyed(&shop, &token, "k", &["A1", "A2"]))).await;
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED);
    let bodies: std::collections::BTreeSet<_> = made.map(|answer| answer.body.clone()).collect();
    assert_eq!(bodies.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
        answer.is_problem("request_in_progress", 409);
        assert!(!answer.header(header::RETRY_AFTER).is_empty());
    }
    assert_eq!(shop.world.count("select count(*) from reservation").await, 1);
}

/// A process died after the effect and before the answer was stored: the next run finds the effect.
async fn a_crash_in_between_does_not_double_the_effect(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let first = keyed(&shop, &token, "k", &["A1"]).await.json();
    let forgotten: Result<u64, crate::DbError> = crate::db::in_tx!(shop.world.db, tx, {
        let lost = "update idempotency set state = 'running', status = null, headers = null, body = null, \
                    claimed_until = 1";
        tx.execute(lost, Vec::new()).await
    });
    assert_eq!(forgotten.expect("forgotten"), 1);
    let second = keyed(&shop, &token, "k", &["A1"]).await;
    assert_eq!(second.status, StatusCode::CREATED);
    assert_eq!(second.json()["hold_id"], first["hold_id"]);
    assert_eq!(shop.world.count("select count(*) from reservation").await, 1);
}

async fn a_form_carries_its_key_in_a_field(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let send = || {
        let request = page_request("POST", "/checkout", &token);
        let body = "product_id=p&quantity=2&idempotency_key=abc";
        shop.send(request.body(Body::from(body)).expect("a request"))
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert!(first.header(header::LOCATION).starts_with("/orders/order_"));
    assert_eq!(first.header(header::LOCATION), second.header(header::LOCATION));
    assert_eq!(shop.world.count("select held from stock").await, 2);
}

/// What became of a payment is seen before it is on the disk.
#[tokio::test]
async fn who_is_told_that_it_is_paid_is_told_after_the_disk_with_or_without_a_key() {
    let world = World::sqlite().await;
    let shop = Shop::open(&world).await;
    let token = shop.token().await;
    let body = json!({ "payment_method": "credit_card" }).to_string();
    for (key, seat) in [(None, "A1"), (Some("k"), "A3")] {
        let hold = shop.hold(&token, &[seat]).await;
        let order = shop.post(&format!("/holds/{hold}/checkout"), &token, &json!({})).await;
        let path = format!("/api/orders/{}/pay", order.json()["order_id"].as_str().expect("an id"));
        let mut request = json_request("POST", &path, &token);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let waits = shop.core.shared.db.waits();
        let pays = shop.send(request.body(Body::from(body.clone())).expect("a request"));
        let paid = async {
            while shop.world.count("select count(*) from reservation where state = 'paying'").await < 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            in_tx!(shop.world.db, tx, {
                tx.execute("update reservation set state = 'booked' where state = 'paying'", params![]).await
            })
        };
        let (told, paid) = tokio::join!(pays, paid);
        assert_eq!((told.status, paid.expect("the database answers")), (StatusCode::OK, 1), "{}", told.text());
        assert_eq!(shop.core.shared.db.waits() - waits, 1, "with a key: {key:?}");
    }
}
