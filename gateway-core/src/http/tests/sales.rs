//! Sales with hours, limits and rules, from outside.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;

use super::{Shop, page_request};
use crate::base::rfc3339;
use crate::catalogue::OrphanRule;
use crate::testing::{World, on_every_database, small};

on_every_database!(
    the_best_seats_and_products_with_them,
    a_refusal_offers_what_is_near,
    what_is_in_baskets_says_when_it_may_come_back,
    before_and_after_a_sale,
    limits_rules_and_the_extension,
    a_booked_order_is_cancelled_until_its_time,
);

async fn the_best_seats_and_products_with_them(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let wish =
        json!({ "best": { "quantity": 2, "section": "Stalls" }, "products": [{ "product_id": "p", "quantity": 1 }] });
    let held = shop.post("/screenings/s/holds", &token, &wish).await;
    assert_eq!(held.status, StatusCode::CREATED, "{}", held.text());
    let hold = held.json();
    assert_eq!(hold["seats"].as_array().expect("seats").len(), 2);
    assert_eq!(hold["products"], json!([{ "product_id": "p", "quantity": 1 }]));
    assert_eq!(hold["total"]["amount"], 2 * 1250 + 500);
    let post = async |body: serde_json::Value| shop.post("/screenings/s/holds", &token, &body).await;
    let most = post(json!({ "best": { "quantity": 6 } })).await;
    assert_eq!(most.is_problem("not_together", 409)["together_max"], 5);
    post(json!({ "best": { "quantity": 9 } })).await.is_problem("too_many_seats", 422);
    post(json!({ "best": { "quantity": 0 } })).await.is_problem("no_seats", 422);
    post(json!({ "best": { "quantity": 1, "wheelchair": 2 } })).await.is_problem("invalid_body", 422);
    post(json!({ "best": { "quantity": 1 }, "seats": ["A1"] })).await.is_problem("invalid_body", 422);
    post(json!({ "best": { "quantity": -1 } })).await.is_problem("invalid_body", 422);
    let short = post(json!({ "seats": ["A1"], "products": [{ "product_id": "p", "quantity": 5 }] })).await;
    assert_eq!(short.is_problem("too_many", 422)["per_order_max"], 4);
    let page = page_request("POST", "/screenings/s/holds", &token).body(Body::from("best=3&idempotency_key=k"));
    let held = shop.send(page.expect("a request")).await;
    assert_eq!(held.status, StatusCode::SEE_OTHER, "{}", held.text());
}

async fn a_refusal_offers_what_is_near(world: &World) {
    let shop = Shop::open(world).await;
    let (a, b) = (shop.token().await, shop.token().await);
    shop.hold(&a, &["A1", "A2"]).await;
    let taken = shop.post("/screenings/s/holds", &b, &json!({ "seats": ["A2", "A3"] })).await;
    let problem = taken.is_problem("seats_taken", 409);
    assert_eq!(problem["seats"], json!(["A2"]));
    let offers = problem["alternatives"].as_array().expect("offers").clone();
    assert_eq!(offers.len(), 3);
    assert_eq!(shop.post("/screenings/s/holds", &b, &json!({ "seats": offers[0] })).await.status, StatusCode::CREATED);
    let form = page_request("POST", "/screenings/s/holds", &b).body(Body::from("seats=A1&idempotency_key=k"));
    let page = shop.send(form.expect("a request")).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text().contains("data-testid=\"offer\""), "{}", page.text());
}

async fn what_is_in_baskets_says_when_it_may_come_back(world: &World) {
    let shop = Shop::open(world).await;
    let (a, b) = (shop.token().await, shop.token().await);
    for quantity in [4, 4, 2] {
        let order = json!({ "product_id": "p", "quantity": quantity });
        assert_eq!(shop.post("/checkout", &a, &order).await.status, StatusCode::CREATED);
    }
    for row in ["A", "B"] {
        for seats in [1..=8, 9..=10] {
            let seats: Vec<String> = seats.map(|n| format!("{row}{n}")).collect();
            shop.hold(&a, &seats.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
    let refused = shop.post("/screenings/s/holds", &b, &json!({ "best": { "quantity": 1 } })).await;
    let problem = refused.is_problem("all_held", 409);
    assert!(matches!(problem["may_return_in_ms"].as_i64(), Some(1..=60_000)), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("runs out in ")), "{problem}");
    for path in ["/products/p", "/screenings/s/seats"] {
        let page = shop.send(page_request("GET", path, &b).body(Body::empty()).expect("a request")).await;
        assert!(page.text().contains("data-testid=\"may-return\""), "{path}: {}", page.text());
    }
}

async fn before_and_after_a_sale(world: &World) {
    let shop = Shop::open(world).await;
    let now_ms = shop.world.db.now_ms().await.expect("the time");
    let mut catalogue = small(60_000, 60_000);
    let sale = &mut catalogue.sales[0];
    for (n, (name, times)) in
        [("early", (Some(now_ms + 3_600_000), None)), ("late", (None, Some(now_ms - 1_000)))].into_iter().enumerate()
    {
        sale.id = name.to_owned();
        (sale.starts_at, sale.ends_at) = times;
        sale.screenings[0].id = format!("s-{name}");
        sale.products[0].id = format!("p-{name}");
        sale.campaigns[0].id = format!("c-{n}");
        shop.world.sale_of(&crate::catalogue::Catalogue { sales: vec![sale.clone()], ..small(1, 1) }).await;
    }
    let token = shop.token().await;
    let early = shop.post("/screenings/s-early/holds", &token, &json!({ "seats": ["A1"] })).await;
    assert_eq!(early.is_problem("sale_not_started", 409)["starts_at"], rfc3339(now_ms + 3_600_000));
    let order = json!({ "product_id": "p-early", "quantity": 1 });
    shop.post("/checkout", &token, &order).await.is_problem("sale_not_started", 409);
    let late = shop.post("/screenings/s-late/holds", &token, &json!({ "seats": ["A1"] })).await;
    assert_eq!(late.is_problem("sale_ended", 409)["ended_at"], rfc3339(now_ms - 1_000));
    let shown = shop.get("/screenings/s-early", "").await.json();
    assert_eq!(
        (&shown["state"], &shown["sale_starts_at"]),
        (&json!("not_started"), &json!(rfc3339(now_ms + 3_600_000)))
    );
    assert_eq!(shop.get("/products/p-late", &token).await.json()["state"], "ended");
    for (path, text) in [
        ("/screenings/s-early", "The sale begins on"),
        ("/screenings/s-early/seats", "The sale begins on"),
        ("/screenings/s-late", "The sale is over"),
        ("/products/p-early", "Not on sale yet"),
        ("/flashsale", "The sale is over"),
    ] {
        let request = page_request("GET", path, &token).body(Body::empty()).expect("a request");
        let page = shop.send(request).await;
        assert!(page.text().contains(text), "{path}: {}", page.text());
    }
}

async fn limits_rules_and_the_extension(world: &World) {
    let shop = Shop::open(world).await;
    let mut catalogue = small(60_000, 60_000);
    let sale = &mut catalogue.sales[0];
    (sale.id, sale.extend_ms, sale.seats_per_customer_max) = (String::from("strict"), 30_000, Some(2));
    (sale.orphans, sale.screenings[0].id) = (OrphanRule::Deny, String::from("t"));
    (sale.products[0].id, sale.products[0].per_customer_max) = (String::from("q"), Some(1));
    sale.campaigns.clear();
    shop.world.sale_of(&catalogue).await;
    let token = shop.token().await;
    let post = async |path: &str, body: serde_json::Value| shop.post(path, &token, &body).await;
    let alone = post("/screenings/t/holds", json!({ "seats": ["A2"] })).await.is_problem("seats_left_alone", 409);
    assert_eq!(alone["seats"], json!(["A1"]));
    assert!(!alone["alternatives"].as_array().expect("offers").is_empty());
    let form = page_request("POST", "/screenings/t/holds", &token).body(Body::from("seats=A2&idempotency_key=k"));
    let page = shop.send(form.expect("a request")).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text().contains("Seat A1 would stay alone"), "{}", page.text());
    let hold = post("/screenings/t/holds", json!({ "seats": ["A1"] })).await.json();
    assert_eq!(hold["extendable_ms"], 30_000);
    let path = format!("/holds/{}/extend", hold["hold_id"].as_str().expect("an id"));
    let longer = post(&path, json!({})).await;
    assert_eq!((longer.status, &longer.json()["extendable_ms"]), (StatusCode::OK, &json!(0)));
    assert!(longer.json()["expires_in_ms"].as_i64() > Some(60_000), "{}", longer.text());
    post(&path, json!({})).await.is_problem("extended_already", 409);
    let over = post("/screenings/t/holds", json!({ "seats": ["B1", "B2"] })).await.is_problem("customer_limit", 409);
    assert_eq!((&over["had"], &over["per_customer_max"]), (&json!(1), &json!(2)));
    let over = post("/checkout", json!({ "product_id": "q", "quantity": 2 })).await;
    assert_eq!(over.is_problem("customer_limit", 409)["product_id"], "q");
    let other = shop.hold(&token, &["A1"]).await;
    post(&format!("/holds/{other}/extend"), json!({})).await.is_problem("not_extendable", 409);
    post("/holds/hold_00000000000000000000000000000000/extend", json!({})).await.is_problem("not_found", 404);
}

async fn a_booked_order_is_cancelled_until_its_time(world: &World) {
    let shop = Shop::open(world).await;
    let now_ms = shop.world.db.now_ms().await.expect("the time");
    let mut catalogue = small(60_000, 60_000);
    let sale = &mut catalogue.sales[0];
    (sale.id, sale.screenings[0].id) = (String::from("kind"), String::from("t"));
    sale.cancel_until = Some(now_ms + 3_600_000);
    (sale.products, sale.campaigns) = (Vec::new(), Vec::new());
    shop.world.sale_of(&catalogue).await;
    let token = shop.token().await;
    let mut orders = Vec::new();
    for screening in ["s", "t"] {
        let held = shop.post(&format!("/screenings/{screening}/holds"), &token, &json!({ "seats": ["A1"] })).await;
        let hold = held.json()["hold_id"].as_str().expect("an id").to_owned();
        let order = shop.post(&format!("/holds/{hold}/checkout"), &token, &json!({})).await.json();
        orders.push(order["order_id"].as_str().expect("an id").to_owned());
    }
    for order in &orders {
        let id = crate::base::ReservationId::parse(order).expect("an id");
        let paid: Result<_, crate::DbError> = crate::db::in_tx!(shop.world.db, tx, {
            crate::reservation::step::paid(tx, &mut crate::reservation::step::Locked::default(), id).await
        });
        paid.expect("booked");
    }
    let cancel = async |order: &str| shop.post(&format!("/api/orders/{order}/cancel"), &token, &json!({})).await;
    let never = cancel(&orders[0]).await.is_problem("cancel_too_late", 409);
    assert_eq!(never.get("cancel_until"), None);
    let page = page_request("GET", &format!("/orders/{}", orders[1]), &token).body(Body::empty());
    assert!(shop.send(page.expect("a request")).await.text().contains("call-off-button"));
    let cancelled = cancel(&orders[1]).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (StatusCode::OK, &json!("cancelled")));
    assert_eq!(cancelled.json().get("ticket_code"), None, "the ticket is void");
    assert!(cancelled.json()["reason"].as_str().expect("a reason").contains("goes back to you"));
    assert_eq!(cancel(&orders[1]).await.json()["state"], "cancelled", "twice is no more than once");
    let request = page_request("GET", &format!("/orders/{}", orders[1]), &token).body(Body::empty());
    assert!(shop.send(request.expect("a request")).await.text().contains("Cancelled and paid back"));
    assert_eq!(shop.get("/screenings/t", "").await.json()["seats_free"], 20);
}
