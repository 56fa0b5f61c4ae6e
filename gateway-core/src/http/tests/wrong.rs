//! Every wrong request gets a problem that says what to do.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;

use super::{Shop, json_request};
use crate::testing::{World, on_every_database};

on_every_database!(
    seats_that_cannot_be_held,
    bodies_that_cannot_be_read,
    routes_and_methods_that_are_not_there,
    customers_that_are_not_known,
    what_belongs_to_others_is_not_there,
    what_comes_too_late,
    another_site_cannot_speak_for_a_browser,
    quantities_that_are_not_possible,
);

async fn seats_that_cannot_be_held(world: &World) {
    let shop = Shop::open(world).await;
    let (a, b) = (shop.token().await, shop.token().await);
    shop.hold(&a, &["A1", "A2"]).await;
    let taken = shop.post("/screenings/s/holds", &b, &json!({ "seats": ["A2", "A3", "A1"] })).await;
    assert_eq!(taken.is_problem("seats_taken", 409)["seats"], json!(["A1", "A2"]));
    let unknown = shop.post("/screenings/s/holds", &b, &json!({ "seats": ["A3", "Q7", "é"] })).await;
    assert_eq!(unknown.is_problem("no_such_seat", 422)["seats"], json!(["Q7", "é"]));
    let nine: Vec<String> = (1..=9).map(|n| format!("B{n}")).collect();
    let many = shop.post("/screenings/s/holds", &b, &json!({ "seats": nine })).await;
    assert_eq!(many.is_problem("too_many_seats", 422)["seats_max"], 8);
    shop.post("/screenings/s/holds", &b, &json!({ "seats": [] })).await.is_problem("no_seats", 422);
    shop.post("/screenings/nowhere/holds", &b, &json!({ "seats": ["A1"] })).await.is_problem("not_found", 404);
}

async fn bodies_that_cannot_be_read(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let send = |kind: &'static str, body: Vec<u8>| {
        let request = json_request("POST", "/screenings/s/holds", &token);
        let mut request = request.body(Body::from(body)).expect("a request");
        request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().expect("a type"));
        shop.send(request)
    };
    let json = "application/json";
    assert_eq!(send(json, b"{\"seats\": [".to_vec()).await.is_problem("malformed_body", 400)["line"], 1);
    send(json, Vec::new()).await.is_problem("malformed_body", 400);
    send(json, vec![0xff, 0x00]).await.is_problem("malformed_body", 400);
    send(json, b"{\"seats\": 7}".to_vec()).await.is_problem("invalid_body", 422);
    send(json, b"{\"seats\": [], \"extra\": 1}".to_vec()).await.is_problem("invalid_body", 422);
    send(json, b"{}".to_vec()).await.is_problem("invalid_body", 422);
    send("text/plain", b"A1".to_vec()).await.is_problem("unsupported_body", 415);
    let huge = send(json, vec![b' '; 64 * 1024 + 1]).await;
    assert_eq!(huge.is_problem("body_too_large", 413)["bytes_max"], 64 * 1024);
}

async fn routes_and_methods_that_are_not_there(world: &World) {
    let shop = Shop::open(world).await;
    shop.get("/nothing/here", "").await.is_problem("not_found", 404);
    shop.get("/static/nothing.js", "").await.is_problem("not_found", 404);
    let wrong = shop.post("/films", "", &json!({})).await;
    wrong.is_problem("method_not_allowed", 405);
    assert!(wrong.header(header::ALLOW).contains("GET"), "{}", wrong.header(header::ALLOW));
    shop.get("/films/%ff", "").await.is_problem("malformed_request", 400);
    let request = json_request("GET", "/nothing", "").header("x-request-id", "abc-1").body(Body::empty());
    assert_eq!(shop.send(request.expect("a request")).await.json()["request_id"], "abc-1");
}

async fn customers_that_are_not_known(world: &World) {
    let shop = Shop::open(world).await;
    let seats = json!({ "seats": ["A1"] });
    let nobody = shop.post("/screenings/s/holds", "", &seats).await;
    nobody.is_problem("login_required", 401);
    assert_eq!(nobody.header(header::WWW_AUTHENTICATE), "Bearer");
    shop.post("/screenings/s/holds", "not.a.token", &seats).await.is_problem("token_invalid", 401);
    let expired = crate::auth::Tokens::new(super::KEY, 1_000).mint(shop.world.customer().await, 0).expect("a token").0;
    shop.post("/screenings/s/holds", &expired, &seats).await.is_problem("token_expired", 401);
    // Where no login is needed, a stale one is no obstacle.
    assert_eq!(shop.get("/screenings/s/seats", &expired).await.status, 200);
    shop.post("/login", "", &json!({ "email": "a@b.c", "password": "x" })).await.is_problem("wrong_login", 401);
    shop.post("/register", "", &json!({ "email": "a@b.c", "password": "short" }))
        .await
        .is_problem("invalid_registration", 422);
}

async fn what_belongs_to_others_is_not_there(world: &World) {
    let shop = Shop::open(world).await;
    let (a, b) = (shop.token().await, shop.token().await);
    let hold = shop.hold(&a, &["A1"]).await;
    let order = hold.replace("hold_", "order_");
    shop.get(&format!("/holds/{hold}"), &b).await.is_problem("not_found", 404);
    shop.post(&format!("/holds/{hold}/checkout"), &b, &json!({})).await.is_problem("not_found", 404);
    shop.get(&format!("/api/orders/{order}"), &a).await.is_problem("not_found", 404);
    shop.post(&format!("/holds/{hold}/checkout"), &a, &json!({})).await;
    assert_eq!(shop.get(&format!("/api/orders/{order}"), &a).await.status, 200);
    shop.get(&format!("/api/orders/{order}"), &b).await.is_problem("not_found", 404);
    shop.post(&format!("/api/orders/{order}/cancel"), &b, &json!({})).await.is_problem("not_found", 404);
    shop.get("/holds/hold_7", &a).await.is_problem("not_found", 404);
}

async fn what_comes_too_late(world: &World) {
    let shop = Shop::open_with(world, 50, 50).await;
    let token = shop.token().await;
    let hold = shop.hold(&token, &["A1"]).await;
    tokio::time::sleep(std::time::Duration::from_millis(80)).await;
    assert_eq!(shop.get(&format!("/holds/{hold}"), &token).await.json()["state"], "released");
    let late = shop.post(&format!("/holds/{hold}/checkout"), &token, &json!({})).await;
    late.is_problem("hold_expired", 409);
}

async fn another_site_cannot_speak_for_a_browser(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let request = Request::post("/screenings/s/holds")
        .header(header::COOKIE, format!("vestibule_customer={token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("sec-fetch-site", "cross-site")
        .body(Body::from("{\"seats\":[\"A1\"]}"));
    shop.send(request.expect("a request")).await.is_problem("cross_site", 403);
}

async fn quantities_that_are_not_possible(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let order = |product: &str, quantity: i64| json!({ "product_id": product, "quantity": quantity });
    let many = shop.post("/checkout", &token, &order("p", 5)).await;
    assert_eq!(many.is_problem("too_many", 422)["per_order_max"], 4);
    shop.post("/checkout", &token, &order("p", 0)).await.is_problem("no_lines", 422);
    shop.post("/checkout", &token, &order("p", -3)).await.is_problem("no_lines", 422);
    shop.post("/checkout", &token, &order("q", 1)).await.is_problem("no_such_product", 422);
    shop.post("/api/orders", &token, &json!({ "lines": [] })).await.is_problem("no_lines", 422);
    shop.post("/api/coupons/issue", &token, &json!({ "campaign": "z" })).await.is_problem("no_such_campaign", 422);
}
