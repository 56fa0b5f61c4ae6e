//! The same addresses, asked for by a browser.

use axum::body::Body;
use axum::http::{StatusCode, header};

use super::{Answer, Shop, page_request};
use crate::testing::{World, on_every_database};

on_every_database!(
    every_page_renders_with_its_policy,
    picks_survive_the_way_through_the_login,
    nobody_is_sent_to_another_site,
    problems_are_pages,
    assets_are_kept_by_browsers,
);

async fn page(shop: &Shop<'_>, path: &str, token: &str) -> Answer {
    shop.send(page_request("GET", path, token).body(Body::empty()).expect("a request")).await
}

async fn form(shop: &Shop<'_>, path: &str, token: &str, fields: &'static str) -> Answer {
    shop.send(page_request("POST", path, token).body(Body::from(fields)).expect("a request")).await
}

async fn every_page_renders_with_its_policy(world: &World) {
    let shop = Shop::open(world).await;
    let token = shop.token().await;
    let hold = shop.hold(&token, &["A1"]).await;
    let paths = ["/films", "/films/f", "/screenings/s", "/screenings/s/seats?pick=A2,A3", "/flashsale", "/products/p"];
    for path in paths.into_iter().chain(["/login", "/register"]) {
        let answer = page(&shop, path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert!(answer.header(header::CONTENT_TYPE).starts_with("text/html"), "{path}");
        assert!(answer.header(header::CONTENT_SECURITY_POLICY).contains("default-src 'none'"), "{path}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{path}");
    }
    for path in [format!("/holds/{hold}"), String::from("/bookings")] {
        assert_eq!(page(&shop, &path, &token).await.status, StatusCode::OK, "{path}");
    }
    let order = form(&shop, &format!("/holds/{hold}/checkout"), &token, "").await;
    assert_eq!(order.status, StatusCode::SEE_OTHER);
    let order = order.header(header::LOCATION).to_owned();
    assert!(page(&shop, &order, &token).await.text().contains("data-state=\"checkout\""));
    assert!(page(&shop, "/bookings", &token).await.text().contains(&order));
    assert_eq!(page(&shop, "/", "").await.header(header::LOCATION), "/films");
}

async fn picks_survive_the_way_through_the_login(world: &World) {
    let shop = Shop::open(world).await;
    let fields = "seats=A1&seats=A2&idempotency_key=1";
    let refused = form(&shop, "/screenings/s/holds", "", fields).await;
    assert_eq!(refused.status, StatusCode::SEE_OTHER);
    let next = "/login?next=/screenings/s/seats%3Fpick%3DA1%2CA2";
    assert_eq!(refused.header(header::LOCATION), next);
    let fields = "email=ann%40example.org&password=correct+horse&next=%2Fscreenings%2Fs%2Fseats%3Fpick%3DA1%2CA2";
    let welcome = form(&shop, "/register", "", fields).await;
    assert_eq!(welcome.header(header::LOCATION), "/screenings/s/seats?pick=A1,A2");
    let cookie = welcome.header(header::SET_COOKIE);
    assert!(cookie.contains("HttpOnly; SameSite=Lax; Path=/"), "{cookie}");
    let token = cookie.split(['=', ';']).nth(1).expect("a token").to_owned();
    let map = page(&shop, welcome.header(header::LOCATION), &token).await.text();
    assert!(map.contains("checked"), "{map}");
    assert!(map.contains("ann@example.org"));
    let held = form(&shop, "/screenings/s/holds", &token, "seats=A1&seats=A2&idempotency_key=1").await;
    assert!(held.header(header::LOCATION).starts_with("/holds/hold_"), "{}", held.text());
}

async fn nobody_is_sent_to_another_site(world: &World) {
    let shop = Shop::open(world).await;
    for next in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let fields = format!("email=a{}%40b.c&password=correct+horse&next={next}", next.len());
        let request = page_request("POST", "/register", "").body(Body::from(fields)).expect("a request");
        assert_eq!(shop.send(request).await.header(header::LOCATION), "/films", "{next}");
    }
}

async fn problems_are_pages(world: &World) {
    let shop = Shop::open(world).await;
    let (a, b) = (shop.token().await, shop.token().await);
    shop.hold(&a, &["A1"]).await;
    let lost = form(&shop, "/screenings/s/holds", &b, "seats=A1&seats=A2").await;
    assert_eq!(lost.status, StatusCode::CONFLICT);
    assert!(lost.text().contains("data-testid=\"conflict\""));
    let nowhere = page(&shop, "/films/nowhere", "").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert!(nowhere.header(header::CONTENT_TYPE).starts_with("text/html"));
    assert!(nowhere.text().contains("There is no such film."));
    let login = page(&shop, "/bookings", "").await;
    assert_eq!(login.header(header::LOCATION), "/login?next=/bookings");
    let wrong = form(&shop, "/login", "", "email=a%40b.c&password=wrong+wrong&next=%2Fflashsale").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.text().contains("data-testid=\"form-error\"") && wrong.text().contains("/flashsale"));
    let out = form(&shop, "/logout", &a, "").await;
    assert!(out.header(header::SET_COOKIE).contains("Max-Age=0"));
}

async fn assets_are_kept_by_browsers(world: &World) {
    let shop = Shop::open(world).await;
    let asset = page(&shop, "/static/shop.css", "").await;
    assert_eq!((asset.status, asset.header(header::CONTENT_TYPE)), (StatusCode::OK, "text/css; charset=utf-8"));
    assert!(asset.header(header::CACHE_CONTROL).contains("immutable"));
    let again = page_request("GET", "/static/shop.css", "").header(header::IF_NONE_MATCH, asset.header(header::ETAG));
    let again = shop.send(again.body(Body::empty()).expect("a request")).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
}
