//! Accounts, errors, and the sandbox processor's pages.

use super::super::account::{LoginPage, RegisterPage};
use super::super::{ErrorPage, Link};
use super::{euro, keep, layout, write};
use crate::sandbox::page::{PayErrorPage, PayPage, PayState, content_security_policy};

#[test]
fn account_pages_render() {
    let mut outside = layout("/login");
    outside.customer = None;
    let page = LoginPage {
        layout: outside,
        next: "/screenings/lighthouse-1900/seats?pick=A1&x=\"".to_owned(),
        email: "ada@example.org".to_owned(),
        error: Some("That e-mail address and password do not go together.".to_owned()),
    };
    let html = keep("shop/login.html", &page);
    assert!(html.contains("/register?next=%2Fscreenings%2Flighthouse-1900%2Fseats%3Fpick%3DA1%26x%3D%22"));
    let mut outside = layout("/register");
    outside.customer = None;
    let page = RegisterPage { layout: outside, next: "/films".to_owned(), email: String::new(), error: None };
    keep("shop/register.html", &page);
}

#[test]
fn errors_render() {
    let page = ErrorPage {
        layout: layout("/x"),
        status: 404,
        title: "There is nothing here".to_owned(),
        detail: "The address may be mistyped, or what it named is gone.".to_owned(),
        code: "not_found".to_owned(),
        request_id: Some("0193500000007000a000000000000001".to_owned()),
        onward: Some(Link { path: "/films".to_owned(), label: "See the films".to_owned() }),
    };
    keep("shop/error.html", &page);
}

#[test]
fn the_processor_renders() {
    write("sandbox/policy.txt", content_security_policy().as_bytes());
    for state in [PayState::Open, PayState::Captured, PayState::Declined, PayState::Cancelled] {
        let page = PayPage {
            reference: "0193500000007000a000000000000002".to_owned(),
            price: euro(3_200),
            method: "credit_card".to_owned(),
            state,
            return_url: "http://127.0.0.1:8080/orders/order_1".to_owned(),
        };
        let html = keep(&format!("sandbox/pay-{}.html", state.word()), &page);
        assert_eq!(html.contains("value=\"approve\""), state == PayState::Open);
    }
    let page =
        PayErrorPage { title: "No such payment".to_owned(), detail: "Go back to the shop and start again.".to_owned() };
    keep("sandbox/error.html", &page);
}
