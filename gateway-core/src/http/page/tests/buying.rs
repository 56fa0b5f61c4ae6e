//! Holds, orders, bookings and the flash sale in all their states.

use super::super::account::{AccountPage, Payment};
use super::super::films::SaleState;
use super::super::orders::{
    Booking, BookingsPage, Discount, HoldPage, HoldState, Line, Occasion, OrderPage, OrderState, Showing,
};
use super::super::sale::{Coupon, FlashSalePage, Product, ProductPage};
use super::{EVENING, euro, keep, layout};

fn occasion() -> Occasion {
    Occasion {
        title: "The Last Lighthouse".to_owned(),
        screening: Some(Showing { hall: "Hall 1".to_owned(), starts_at: EVENING }),
        again_path: "/screenings/lighthouse-1900/seats?pick=H9,H10".to_owned(),
        poster_url: Some("/static/posters/the-last-lighthouse.svg".to_owned()),
    }
}

fn lines() -> Vec<Line> {
    ["H9", "H10"]
        .map(|seat| Line { label: format!("Seat {seat}"), note: "Middle".to_owned(), quantity: 1, price: euro(1_600) })
        .into()
}

fn order(state: OrderState) -> OrderPage {
    OrderPage {
        layout: layout("/orders/order_1"),
        order_id: "order_0193500000007000a000000000000001".to_owned(),
        state,
        occasion: occasion(),
        lines: lines(),
        discount: None,
        total: euro(3_200),
        pay_within_ms: 383_000,
        pay_ms: 420_000,
        transaction_id: None,
        action_url: None,
        reason: None,
        ticket_code: None,
        cancel_until: None,
        created_at: EVENING,
        idempotency_key: "k".to_owned(),
    }
}

#[test]
fn a_hold_renders() {
    for (name, state, left_ms) in [
        ("held", HoldState::Held, 94_000),
        ("short", HoldState::Held, 21_000),
        ("checked_out", HoldState::CheckedOut("order_1".to_owned()), 0),
        ("gone", HoldState::Gone, 0),
    ] {
        let page = HoldPage {
            layout: layout("/holds/hold_1"),
            hold_id: "hold_1".to_owned(),
            state,
            occasion: occasion(),
            lines: lines(),
            total: euro(3_200),
            expires_in_ms: left_ms,
            hold_ms: 120_000,
            pay_ms: 420_000,
            extendable_ms: 60_000,
            idempotency_key: "k".to_owned(),
        };
        let html = keep(&format!("shop/hold-{name}.html"), &page);
        assert_eq!(html.contains("hold-countdown"), left_ms > 0);
        assert_eq!(html.contains("http-equiv=\"refresh\""), left_ms > 0, "{name}");
    }
}

#[test]
fn an_order_renders_in_every_state() {
    for state in [
        OrderState::Checkout,
        OrderState::Paying,
        OrderState::Closing,
        OrderState::Booked,
        OrderState::Released,
        OrderState::Review,
        OrderState::Cancelled,
        OrderState::Reversed,
    ] {
        let mut page = order(state);
        if state == OrderState::Booked {
            page.ticket_code = Some("VB-7K2M-Q9XD".to_owned());
            page.cancel_until = Some(EVENING);
            page.transaction_id = Some("trans_0193500000007000a000000000000002".to_owned());
        }
        if state == OrderState::Released {
            page.reason = Some("It was not paid in time, so the seats went back. You were not charged.".to_owned());
        }
        let html = keep(&format!("shop/order-{}.html", state.word()), &page);
        assert_eq!(html.contains("pay-button"), state == OrderState::Checkout);
        assert_eq!(html.contains("call-off-button"), state == OrderState::Booked);
        assert_eq!(html.contains("<svg xmlns"), state == OrderState::Booked, "only a booked order has a code");
    }
}

#[test]
fn a_declined_payment_can_be_tried_again() {
    let mut page = order(OrderState::Checkout);
    page.reason = Some("The bank declined the payment. Choose another way, or try again.".to_owned());
    let html = keep("shop/order-declined.html", &page);
    assert!(html.contains("data-testid=\"declined\"") && html.contains("pay-button"));
    page.action_url = Some("http://127.0.0.1:8083/pay/x".to_owned());
    let html = keep("shop/order-action.html", &page);
    assert!(html.contains("action-link") && !html.contains("pay-button"));
}

#[test]
fn bookings_render() {
    let booking = |state| Booking {
        order_id: "order_1".to_owned(),
        title: "The Last Lighthouse".to_owned(),
        screening: Some(Showing { hall: "Hall 1".to_owned(), starts_at: EVENING }),
        what: "Seats H9, H10".to_owned(),
        total: euro(3_200),
        state,
        created_at: EVENING,
    };
    let orders = [OrderState::Checkout, OrderState::Booked, OrderState::Released].map(booking).into();
    keep("shop/bookings.html", &BookingsPage { layout: layout("/bookings"), orders });
    keep("shop/bookings-none.html", &BookingsPage { layout: layout("/bookings"), orders: Vec::new() });
}

#[test]
fn own_data_renders() {
    let payment = |order_id: Option<&str>| Payment {
        transaction_id: "trans_0193500000007000a000000000000001".to_owned(),
        status: "completed",
        description: "Payment <b>evil</b>".to_owned(),
        order_id: order_id.map(str::to_owned),
        amount: euro(3_200),
        created_at: EVENING,
    };
    let mut page = AccountPage {
        layout: layout("/datapengguna"),
        email: "ada@example.org".to_owned(),
        customer_id: "cust_0193500000007000a000000000000001".to_owned(),
        payments: vec![payment(Some("order_1")), payment(None)],
        older_path: Some("/datapengguna?after=trans_1".to_owned()),
    };
    let html = keep("shop/account.html", &page);
    assert_eq!(html.matches("href=\"/orders/order_1\"").count(), 1);
    assert!(html.contains("href=\"/datapengguna?after=trans_1\""));
    (page.payments, page.older_path) = (Vec::new(), None);
    assert!(keep("shop/account-none.html", &page).contains("None yet"));
}

#[test]
fn a_coupon_stands_between_the_lines_and_the_total() {
    let mut page = order(OrderState::Checkout);
    let discount = |off| Discount { code: "7K2M9PQRST".to_owned(), subtotal: euro(3_200), off: euro(off) };
    (page.discount, page.total) = (Some(discount(-500)), euro(2_700));
    let html = keep("shop/order-coupon.html", &page);
    assert!(html.contains("−€5.00") && html.contains("Pay €27.00") && html.contains("method-e_wallet"), "{html}");
    (page.discount, page.total) = (Some(discount(-3_200)), euro(0));
    let html = keep("shop/order-free.html", &page);
    assert!(!html.contains("method-e_wallet") && html.contains("value=\"credit_card\""), "nothing to choose: {html}");
}

#[test]
fn the_flash_sale_renders() {
    let product = |available, held, state| Product {
        id: "poster".to_owned(),
        title: "Signed poster, The Last Lighthouse".to_owned(),
        price: euro(2_500),
        available,
        held,
        capacity: 100,
        per_order_max: 4,
        state,
    };
    let products =
        vec![product(37, 9, SaleState::OnSale), product(0, 3, SaleState::AllHeld), product(0, 0, SaleState::SoldOut)];
    keep("shop/flashsale.html", &FlashSalePage { layout: layout("/flashsale"), products });
    let mut page = ProductPage {
        layout: layout("/products/poster"),
        product: product(3, 9, SaleState::OnSale),
        may_return_in_ms: None,
        coupons: Vec::new(),
        pay_ms: 420_000,
        idempotency_key: "k".to_owned(),
    };
    assert_eq!(page.product.quantities(), 1..=3);
    assert!(keep("shop/product.html", &page).contains("buy-button"));
    let coupon = |amount: Option<i64>, percent_off_bp, minimum: Option<i64>, code: Option<&str>| Coupon {
        campaign: "spring".to_owned(),
        amount_off: amount.map(euro),
        percent_off_bp,
        minimum: minimum.map(euro),
        code: code.map(ToOwned::to_owned),
    };
    page.coupons = vec![coupon(Some(500), 0, Some(2_000), None), coupon(None, 1_250, None, Some("0123456789"))];
    let html = keep("shop/product-coupons.html", &page);
    assert!(html.contains("Get a coupon: €5.00 off one order of €20.00 or more<"), "{html}");
    assert!(html.contains("takes 12.5 % off one order.") && html.contains("value=\"0123456789\""), "{html}");
    assert_eq!(coupon(Some(500), 1_005, None, None).worth(), "€5.00 or 10.05 %, whichever is more,");
    page.coupons.clear();
    (page.product, page.may_return_in_ms) = (product(0, 3, SaleState::AllHeld), Some(94_000));
    assert!(keep("shop/product-held.html", &page).contains("runs out in 1:34"));
    (page.product, page.may_return_in_ms) = (product(0, 0, SaleState::SoldOut), None);
    assert!(!keep("shop/product-sold_out.html", &page).contains("buy-button"));
}
