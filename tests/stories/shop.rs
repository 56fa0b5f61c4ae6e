//! The flash sale as load testers drive it: log in, look, choose, check out with a coupon, pay; and the customers that a
//! load test brings along.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{App, House, id, read, said, vestibule};

#[tokio::test(flavor = "multi_thread")]
async fn from_the_login_to_the_own_data_by_the_names_that_load_testers_use() {
    let house = House::new();
    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=60000"]);
    let mut app = App::new(&running.door);
    let ada = json!({ "email": "ada@example.test", "password": "correct horse" });
    assert_eq!(app.post("/register", &ada).await.0, StatusCode::CREATED);
    let (status, login) = app.post("/login", &ada).await;
    assert_eq!(status, StatusCode::OK, "{login}");
    app.customer = Some(id(&login, "token"));

    let (_, sale) = app.get("/flashsale").await;
    let product = id(&sale["products"][0], "id");
    app.join().await;
    app.enter().await;
    let (status, chosen) = app.get(&format!("/pilihproduk/{product}")).await;
    assert_eq!((status, &chosen), (StatusCode::OK, &sale["products"][0]));

    let (status, coupon) = app.post("/api/coupons/issue", &json!({ "campaign": "demo" })).await;
    assert_eq!(status, StatusCode::CREATED, "{coupon}");
    let wanted = json!({ "product_id": product, "quantity": 1, "coupon": id(&coupon, "code") });
    let (status, order) = app.post("/checkout", &wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let amount = |name: &str| order[name]["amount"].as_i64().expect("an amount");
    assert_eq!((amount("subtotal"), amount("discount"), amount("total")), (2_500, 500, 2_000));
    let pay = format!("/api/orders/{}/pay", id(&order, "order_id"));
    let (status, booked) = app.post(&pay, &json!({ "payment_method": "e_wallet" })).await;
    assert_eq!((status, &booked["state"]), (StatusCode::OK, &json!("booked")), "{booked}");

    // The stay ended with the booking.
    app.join().await;
    app.enter().await;
    let charge =
        json!({ "amount": 1000, "currency": "USD", "payment_method": "credit_card", "description": "Order #1234" });
    let (status, charge) = app.post("/charge_create", &charge).await;
    assert_eq!(status, StatusCode::CREATED, "{charge}");
    let (_, own) = app.get("/datapengguna").await;
    assert_eq!((&own["email"], &own["customer_id"]), (&ada["email"], &login["customer_id"]));
    let theirs: Vec<String> =
        own["transactions"].as_array().expect("a list").iter().map(|one| id(one, "transaction_id")).collect();
    assert_eq!(theirs, [id(&charge, "transaction_id"), id(&booked, "transaction_id")], "newest first");
    assert_eq!(own["transactions"][1]["amount"], 2_000, "what was left to pay");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_a_page_where_a_page_is_asked_for() {
    let house = House::new();
    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=60000"]);
    let app = App::admitted(&running.door).await;
    for (path, shows) in [
        ("/login?next=/flashsale", "value=\"/flashsale\""),
        ("/flashsale", "product-poster"),
        ("/pilihproduk/poster", "buy-button"),
        ("/datapengguna", "customer-id"),
    ] {
        let mut request = app.client.get(format!("{}{path}", app.door)).header("accept", "text/html");
        request = request.header("x-entry-token", app.entry.as_deref().unwrap_or_default());
        // Who is logged in is sent on by the login page.
        if !path.starts_with("/login") {
            request = request.bearer_auth(app.customer.as_deref().unwrap_or_default());
        }
        let page = request.send().await.expect("an answer");
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        let text = page.text().await.expect("a page");
        assert!(text.starts_with("<!doctype html>") && text.contains(shows), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_test_brings_customers_who_can_do_all_but_log_in() {
    let house = House::new();
    let made = vestibule(house.path(), &["customers", "--count", "3", "--out", "people"]);
    assert!(made.status.success(), "{}", said(&made));
    let again = vestibule(house.path(), &["customers", "--count", "3", "--out", "people"]);
    assert!(!again.status.success() && said(&again).contains("people"), "tokens are never written over others");
    let file = std::fs::read_to_string(house.path().join("people")).expect("the file");
    let people: Vec<(&str, &str)> = file.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(people.len(), 3);

    let running = house.start(&["waiting_room.rooms.demo.rate_per_minute=60000"]);
    let mut app = App::new(&running.door);
    for (customer, token) in people {
        app.customer = Some(token.to_owned());
        let (status, own) = app.get("/datapengguna").await;
        assert_eq!((status, &own["customer_id"]), (StatusCode::OK, &json!(customer)));
        let login = json!({ "email": own["email"], "password": "none" });
        let (status, refused) =
            read(app.client.post(format!("{}/login", app.door)).header("accept", "application/json").json(&login))
                .await;
        assert_eq!((status, &refused["code"]), (StatusCode::UNAUTHORIZED, &json!("wrong_login")));
    }
}
