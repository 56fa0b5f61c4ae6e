//! Ids and money: one spelling each.

use super::*;

#[test]
fn an_id_has_one_spelling() {
    let id = ReservationId::new(1_700_000_000_000);
    assert_eq!(ReservationId::parse(&id.to_string()), Some(id));
    assert_eq!(ReservationId::parse(&id.as_hold()), Some(id));
    for wrong in ["", "order_", "cust_00000000000000000000000000000000", "order_ABCDEF00000000000000000000000000"] {
        assert_eq!(ReservationId::parse(wrong), None, "{wrong}");
    }
    assert_eq!(ReservationId::from_bytes(&id.to_bytes()), Some(id));
}

#[test]
fn ids_sort_by_time() {
    assert!(CustomerId::new(1_000) < CustomerId::new(2_000));
}

#[test]
fn the_same_seed_gives_the_same_id() {
    assert_eq!(TransactionId::derived([7; 16]), TransactionId::derived([7; 16]));
    assert_ne!(TransactionId::derived([7; 16]), TransactionId::derived([8; 16]));
}

#[test]
fn money_is_shown_by_the_digits_of_its_currency() {
    let shown = |amount, code| Money { amount, currency: Currency::parse(code).expect("a currency") }.to_string();
    assert_eq!(shown(1250, "EUR"), "EUR 12.50");
    assert_eq!(shown(-5, "EUR"), "EUR -0.05");
    assert_eq!(shown(1250, "JPY"), "JPY 1250");
    assert_eq!(shown(1250, "KWD"), "KWD 1.250");
}

#[test]
fn a_currency_is_three_capital_letters() {
    for wrong in ["", "eur", "EURO", "E1R", "€"] {
        assert!(Currency::parse(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn times_are_shown_in_utc() {
    assert_eq!(rfc3339(1_717_763_696_123), "2024-06-07T12:34:56.123Z");
}
