//! Coupons over HTTP: had, used at checkout from an app and from a page, and every way in which they are refused.

use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::{Shop, page_request};
use crate::catalogue::{Campaign, Catalogue};
use crate::testing::{World, on_every_database, small};

on_every_database!(
    an_order_says_what_its_coupon_took_off,
    what_a_coupon_pays_wholly_is_booked_without_a_payment,
    a_refused_coupon_says_why_and_keeps_nothing,
    the_product_page_takes_a_coupon,
    the_product_page_gives_out_a_coupon,
);

/// The small sale, with a campaign that gives everything, one that has not begun, and one that is over.
async fn shop(world: &World) -> Shop<'_> {
    let shop = Shop::open(world).await;
    let now_ms = shop.world.db.now_ms().await.expect("the time");
    let campaign = |id: &str| Campaign { id: id.to_owned(), coupons: 9, amount_off: 700, ..Campaign::default() };
    let campaigns = vec![
        Campaign { percent_off_bp: 10_000, amount_off: 0, ..campaign("all") },
        Campaign { minimum_amount: 501, ..campaign("large") },
        Campaign { starts_at: Some(now_ms + 3_600_000), ..campaign("later") },
        Campaign { ends_at: Some(now_ms), ..campaign("over") },
    ];
    let mut catalogue = Catalogue { sales: small(60_000, 60_000).sales, ..Catalogue::default() };
    let sale = &mut catalogue.sales[0];
    (sale.screenings, sale.products, sale.campaigns) = (Vec::new(), Vec::new(), campaigns);
    assert_eq!(shop.core.seed(&catalogue).await.expect("seeded").campaigns, 4);
    shop
}

async fn coupon(shop: &Shop<'_>, token: &str, campaign: &str) -> String {
    let issued = shop.post("/api/coupons/issue", token, &json!({ "campaign": campaign })).await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text());
    issued.json()["code"].as_str().expect("a code").to_owned()
}

fn order(quantity: i64, coupon: &str) -> Value {
    json!({ "lines": [{ "product_id": "p", "quantity": quantity }], "coupon": coupon })
}

async fn an_order_says_what_its_coupon_took_off(world: &World) {
    let shop = shop(world).await;
    let token = shop.token().await;
    let code = coupon(&shop, &token, "c").await;
    let made = shop.post("/api/orders", &token, &order(3, &code)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    let euro = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    assert_eq!((&made["subtotal"], &made["discount"], &made["total"]), (&euro(1_500), &euro(187), &euro(1_313)));
    assert_eq!(made["coupon"], code);
    let path = format!("/api/orders/{}", made["order_id"].as_str().expect("an id"));
    let mut read = shop.get(&path, &token).await.json();
    read["pay_within_ms"] = made["pay_within_ms"].clone();
    assert_eq!(read, made);
    let plain = shop.post("/checkout", &token, &json!({ "product_id": "p", "quantity": 1 })).await.json();
    assert_eq!((&plain["subtotal"], &plain["discount"], plain.get("coupon")), (&euro(500), &euro(0), None));
    let used = shop.post("/checkout", &token, &json!({ "product_id": "p", "quantity": 1, "coupon": code })).await;
    used.is_problem("coupon_used", 409);
    assert_eq!(shop.post(&format!("{path}/cancel"), &token, &json!({})).await.status, StatusCode::OK);
    let again = shop.post("/checkout", &token, &json!({ "product_id": "p", "quantity": 1, "coupon": code })).await;
    assert_eq!(again.status, StatusCode::CREATED, "it came back: {}", again.text());
}

async fn what_a_coupon_pays_wholly_is_booked_without_a_payment(world: &World) {
    let shop = shop(world).await;
    let token = shop.token().await;
    let code = coupon(&shop, &token, "all").await;
    let made = shop.post("/api/orders", &token, &order(2, &code)).await.json();
    assert_eq!(made["total"]["amount"], 0);
    let path = format!("/api/orders/{}/pay", made["order_id"].as_str().expect("an id"));
    // No provider is there in this test.
    for _ in 0..2 {
        let paid = shop.post(&path, &token, &json!({ "payment_method": "credit_card" })).await;
        assert_eq!((paid.status, &paid.json()["state"]), (StatusCode::OK, &json!("booked")), "{}", paid.text());
        assert!(paid.json()["ticket_code"].is_string());
    }
    assert_eq!(shop.world.count("select count(*) from transactions").await, 0);
    assert_eq!(shop.world.count("select sold from stock").await, 2);
}

async fn a_refused_coupon_says_why_and_keeps_nothing(world: &World) {
    let shop = shop(world).await;
    let (token, other) = (shop.token().await, shop.token().await);
    let theirs = coupon(&shop, &other, "c").await;
    let large = coupon(&shop, &token, "large").await;
    for code in ["", "nonsense", "0000000000", &theirs] {
        shop.post("/api/orders", &token, &order(1, code)).await.is_problem("no_such_coupon", 422);
    }
    let problem = shop.post("/api/orders", &token, &order(1, &large)).await.is_problem("coupon_unfit", 422);
    assert_eq!(problem["minimum_amount"], 501);
    let number = json!({ "lines": [{ "product_id": "p", "quantity": 1 }], "coupon": 1 });
    shop.post("/api/orders", &token, &number).await.is_problem("invalid_body", 422);
    assert_eq!(shop.world.count("select count(*) from reservation").await, 0);
    assert_eq!(shop.world.count("select available from stock").await, 10);

    let early = shop.post("/api/coupons/issue", &token, &json!({ "campaign": "later" })).await;
    let problem = early.is_problem("campaign_not_started", 409);
    assert!((3_000_000..=3_600_000).contains(&problem["starts_in_ms"].as_i64().expect("a number")), "{problem}");
    let seconds: i64 = early.header(header::RETRY_AFTER).parse().expect("seconds");
    assert!((3_000..=3_600).contains(&seconds), "{seconds}");
    let late = shop.post("/api/coupons/issue", &token, &json!({ "campaign": "over" })).await;
    late.is_problem("campaign_ended", 409);
    let none = shop.post("/api/coupons/issue", &token, &json!({ "campaign": "nowhere" })).await;
    none.is_problem("no_such_campaign", 422);
}

async fn the_product_page_takes_a_coupon(world: &World) {
    let shop = shop(world).await;
    let token = shop.token().await;
    let code = coupon(&shop, &token, "large").await;
    let page = shop.send(page_request("GET", "/products/p", &token).body(Body::empty()).expect("a request")).await;
    assert!(page.text().contains("name=\"coupon\""), "{}", page.text());
    let post = async |body: String| {
        shop.send(page_request("POST", "/checkout", &token).body(Body::from(body)).expect("a request")).await
    };
    let refused = post(format!("product_id=p&quantity=1&coupon={code}")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("href=\"/products/p\""), "back to the product: {}", refused.text());
    let made = post(format!("product_id=p&quantity=2&coupon=+{}+", code.to_lowercase())).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let order = made.header(header::LOCATION).to_owned();
    let page = shop.send(page_request("GET", &order, &token).body(Body::empty()).expect("a request")).await.text();
    assert!(
        page.contains("−€7.00") && page.contains("€10.00") && page.contains("€3.00") && page.contains(&code),
        "{page}"
    );
    let empty = post(String::from("product_id=p&quantity=1&coupon=")).await;
    assert_eq!(empty.status, StatusCode::SEE_OTHER, "a field that was left empty is no coupon");
}

async fn the_product_page_gives_out_a_coupon(world: &World) {
    let shop = shop(world).await;
    let token = shop.token().await;
    let page = async |token: &str| {
        let request = page_request("GET", "/products/p", token).body(Body::empty()).expect("a request");
        shop.send(request).await.text()
    };
    let issue = async |token: &str, body: &'static str| {
        let request = page_request("POST", "/api/coupons/issue", token).body(Body::from(body)).expect("a request");
        shop.send(request).await
    };
    let offered = |page: &str| page.matches("data-testid=\"get-coupon\"").count();
    // Of the campaigns one has not begun, and one is over.
    assert_eq!((offered(&page("").await), offered(&page(&token).await)), (3, 3));
    let login = issue("", "campaign=large&next=%2Fproducts%2Fp").await;
    assert_eq!(login.header(header::LOCATION), "/login?next=/products/p");
    for _ in 0..2 {
        let issued = issue(&token, "campaign=large&next=%2Fproducts%2Fp").await;
        assert_eq!((issued.status, issued.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/products/p"));
    }
    assert_eq!(shop.world.count("select count(*) from coupon").await, 1);
    let shown = page(&token).await;
    let code = shown.split("Your coupon <code>").nth(1).and_then(|rest| rest.split('<').next()).expect("a code");
    assert!(shown.contains(&format!("value=\"{code}\"")), "it stands in the form: {shown}");
    assert_eq!((offered(&shown), page("").await.contains(code)), (2, false));
    assert_eq!(shop.post("/api/orders", &token, &order(2, code)).await.status, StatusCode::CREATED);
    assert!(!page(&token).await.contains(code), "an order has it");

    let elsewhere = issue(&token, "campaign=c&next=%2F%2Fevil.example").await;
    assert_eq!(elsewhere.header(header::LOCATION), "/flashsale");
    let over = issue(&token, "campaign=over&next=%2Fproducts%2Fp").await;
    assert_eq!(over.status, StatusCode::CONFLICT);
    assert!(over.text().contains("href=\"/products/p\""), "{}", over.text());
    let mut foreign = page_request("POST", "/api/coupons/issue", &token).body(Body::from("campaign=all")).expect("one");
    foreign.headers_mut().insert("sec-fetch-site", header::HeaderValue::from_static("cross-site"));
    let foreign = shop.send(foreign).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    shop.post("/api/coupons/issue", "", &json!({ "nonsense": 1 })).await.is_problem("login_required", 401);
    shop.post("/api/coupons/issue", &token, &json!({ "campaign": "all", "next": "/" }))
        .await
        .is_problem("invalid_body", 422);
}
