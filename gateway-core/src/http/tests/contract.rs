//! The shapes of right answers.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;

use super::{Shop, json_request};
use crate::testing::{World, on_every_database};

on_every_database!(
    films_screenings_and_seats,
    from_a_hold_to_an_order_and_back,
    a_hold_is_given_back,
    the_flash_sale,
    accounts_and_coupons,
);

async fn films_screenings_and_seats(world: &World) {
    let shop = Shop::open(world).await;
    let films = shop.get("/films", "").await.json();
    assert_eq!(films["films"][0]["id"], "f");
    assert_eq!(films["films"][0]["minutes"], 90);
    let film = shop.get("/films/f", "").await.json();
    assert_eq!(film["screenings"][0]["id"], "s");
    let screenings = shop.get("/films/f/screenings", "").await.json();
    let screening = &screenings["screenings"][0];
    assert_eq!(screening["price_from"], json!({ "amount": 1250, "currency": "EUR" }));
    assert_eq!((&screening["seats_total"], &screening["seats_free"]), (&json!(20), &json!(20)));
    assert_eq!((&screening["seats_held"], &screening["state"]), (&json!(0), &json!("on_sale")));
    assert_eq!(&shop.get("/screenings/s", "").await.json(), screening);
    let map = shop.get("/screenings/s/seats", "").await.json();
    assert_eq!((&map["seats_max"], &map["hold_ms"]), (&json!(8), &json!(60_000)));
    assert_eq!(map["seats"].as_array().expect("seats").len(), 20);
    assert_eq!(map["seats"][0]["seat"], "A1");
    assert_eq!(map["seats"][0]["state"], "free");
    assert_eq!(map["seats"][0]["kind"], "standard");
}

async fn from_a_hold_to_an_order_and_back(world: &World) {
    let shop = Shop::open(world).await;
    let (token, other) = (shop.token().await, shop.token().await);
    let id = shop.hold(&token, &["A2", "A1"]).await;
    assert!(id.starts_with("hold_"), "{id}");
    let hold = shop.get(&format!("/holds/{id}"), &token).await.json();
    assert_eq!((&hold["state"], &hold["seats"]), (&json!("held"), &json!(["A1", "A2"])));
    assert_eq!(hold["total"], json!({ "amount": 2500, "currency": "EUR" }));
    assert!((1..=60_000).contains(&hold["expires_in_ms"].as_i64().expect("a number")));
    let mine = |map: &serde_json::Value| (map["seats"][0]["state"].clone(), map["seats"][0]["mine"].clone());
    assert_eq!(mine(&shop.get("/screenings/s/seats", &token).await.json()), (json!("held"), json!(true)));
    assert_eq!(mine(&shop.get("/screenings/s/seats", &other).await.json()), (json!("held"), json!(false)));

    let order = shop.post(&format!("/holds/{id}/checkout"), &token, &json!({})).await;
    assert_eq!(order.status, StatusCode::CREATED);
    let order = order.json();
    let order_id = order["order_id"].as_str().expect("an id");
    assert_eq!(order_id.strip_prefix("order_"), id.strip_prefix("hold_"), "the same under another name");
    assert_eq!(order["state"], "checkout");
    assert_eq!(order["lines"][0]["seat"], "A1");
    assert_eq!(shop.get(&format!("/api/orders/{order_id}"), &token).await.json()["state"], "checkout");
    let cancelled = shop.post(&format!("/api/orders/{order_id}/cancel"), &token, &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (StatusCode::OK, &json!("released")));
    assert!(cancelled.json()["reason"].as_str().expect("a reason").contains("cancelled"));
    assert_eq!(shop.get("/screenings/s", "").await.json()["seats_free"], 20);
}

async fn a_hold_is_given_back(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let id = shop.hold(&token, &["B1"]).await;
    let request = || json_request("DELETE", &format!("/holds/{id}"), &token).body(Body::empty()).expect("a request");
    assert_eq!(shop.send(request()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.send(request()).await.status, StatusCode::NO_CONTENT, "twice is no more than once");
    shop.hold(&token, &["B1"]).await;
}

async fn the_flash_sale(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let product = shop.get("/flashsale", "").await.json()["products"][0].clone();
    assert_eq!(product["price"], json!({ "amount": 500, "currency": "EUR" }));
    assert_eq!((&product["available"], &product["capacity"]), (&json!(10), &json!(10)));
    assert_eq!(shop.get("/pilihproduk/p", "").await.json(), product);
    let order = shop.post("/checkout", &token, &json!({ "product_id": "p", "quantity": 3 })).await;
    assert_eq!(order.status, StatusCode::CREATED);
    assert_eq!(order.json()["total"]["amount"], 1500);
    assert_eq!(order.json()["lines"][0]["product_id"], "p");
    let lines = json!({ "lines": [{ "product_id": "p", "quantity": 4 }] });
    assert_eq!(shop.post("/api/orders", &token, &lines).await.status, StatusCode::CREATED);
    let refused = shop.post("/api/orders", &token, &lines).await;
    let problem = refused.is_problem("all_held", 409);
    assert_eq!((&problem["product_id"], &problem["available"]), (&json!("p"), &json!(3)));
    assert_eq!(problem["lost"], json!([{ "product_id": "p", "available": 3 }]));
    let in_ms = problem["may_return_in_ms"].as_i64().expect("when some may come back");
    assert!((1..=60_000).contains(&in_ms), "{problem}");
    let seconds = ((in_ms + 999) / 1_000).to_string();
    assert_eq!((&problem["available"], refused.header("retry-after")), (&json!(3), seconds.as_str()));
    assert_eq!(shop.get("/products/p", "").await.json()["held"], 7);
}

async fn accounts_and_coupons(world: &World) {
    let shop = Shop::open(world).await;
    let ann = json!({ "email": "ann@example.org", "password": "correct horse" });
    let registered = shop.post("/register", "", &ann).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{}", registered.text());
    let again = shop.post("/register", "", &ann).await;
    assert_eq!(again.json()["customer_id"], registered.json()["customer_id"]);
    let login = shop.post("/login", "", &ann).await.json();
    assert_eq!(login["expires_in_ms"], 12 * 3_600_000);
    let token = login["token"].as_str().expect("a token");
    let coupon = shop.post("/api/coupons/issue", token, &json!({ "campaign": "c" })).await;
    assert_eq!((coupon.status, &coupon.json()["campaign"]), (StatusCode::CREATED, &json!("c")));
    let refused = shop.post("/api/coupons/issue", token, &json!({ "campaign": "c" })).await;
    assert_eq!(refused.is_problem("already_issued", 409)["coupon"], coupon.json()["code"]);
}
