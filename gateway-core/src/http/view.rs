//! What apps are shown: catalogue, holds and orders as JSON. One shape for each, wherever it is answered.

use serde_json::{Value, json};

use crate::base::{Currency, rfc3339};
use crate::catalogue::{Film, Opening, Product, Screening, Seat};
use crate::payment::OfOrder;
use crate::reservation::{Line, Reservation, State};

pub(crate) fn money(amount: i64, currency: Currency) -> Value {
    json!({ "amount": amount, "currency": currency })
}

pub(crate) fn film(film: &Film) -> Value {
    json!({
        "id": film.id,
        "title": film.title,
        "synopsis": film.synopsis,
        "genre": film.genre,
        "minutes": film.minutes,
        "poster_url": film.poster_url,
    })
}

pub(crate) fn screening(screening: &Screening) -> Value {
    let mut view = json!({
        "id": screening.id,
        "film_id": screening.film_id,
        "hall": screening.hall,
        "starts_at": rfc3339(screening.starts_at),
        "price_from": money(screening.price_from, screening.sale.currency),
        "seats_total": screening.left.total(),
        "seats_free": screening.left.free,
        "seats_held": screening.left.held,
        "state": screening.state().as_str(),
    });
    say_opening(&mut view, screening.opening);
    view
}

/// When a sale begins that has not begun, and when one ended that is over.
fn say_opening(view: &mut Value, opening: Opening) {
    match opening {
        Opening::Open => {}
        Opening::NotStarted { starts_at } => view["sale_starts_at"] = json!(rfc3339(starts_at)),
        Opening::Ended { ends_at } => view["sale_ended_at"] = json!(rfc3339(ends_at)),
    }
}

pub(crate) fn seat(seat: &Seat, currency: Currency) -> Value {
    json!({
        "seat": seat.name,
        "row": seat.row,
        "number": seat.number,
        "column": seat.column,
        "section": seat.section,
        "kind": if seat.wheelchair { "wheelchair" } else { "standard" },
        "price": money(seat.price, currency),
        "state": seat.state.as_str(),
        "mine": seat.mine,
    })
}

pub(crate) fn product(product: &Product) -> Value {
    let mut view = json!({
        "id": product.id,
        "title": product.title,
        "price": product.price,
        "available": product.left.free,
        "held": product.left.held,
        "sold": product.left.sold,
        "capacity": product.capacity,
        "per_order_max": product.per_order_max,
        "state": product.state().as_str(),
    });
    say_opening(&mut view, product.opening);
    view
}

pub(crate) fn hold(hold: &Reservation, now_ms: i64) -> Value {
    let mut view = json!({
        "hold_id": hold.id.as_hold(),
        "state": hold.shown_state(now_ms).as_str(),
        "screening_id": hold.screening_id,
        "seats": hold.seats(),
        "total": hold.total,
        "expires_in_ms": hold.expires_in_ms(now_ms),
    });
    let product = |line: &Line| Some(json!({ "product_id": line.product.as_ref()?, "quantity": line.quantity }));
    let products: Vec<Value> = hold.lines.iter().filter_map(product).collect();
    if !products.is_empty() {
        view["products"] = json!(products);
    }
    if hold.pay_until.is_some() {
        view["order_id"] = json!(hold.id.to_string());
    }
    view
}

pub(crate) fn order(order: &Reservation, payment: Option<&OfOrder>, now_ms: i64) -> Value {
    let mut view = json!({
        "order_id": order.id.to_string(),
        "state": order.shown_state(now_ms).as_str(),
        "lines": order.lines.iter().map(|one| line(one, order.total.currency)).collect::<Vec<_>>(),
        "subtotal": order.subtotal(),
        "discount": money(order.discount, order.total.currency),
        "total": order.total,
        "pay_within_ms": order.pay_within_ms(now_ms),
        "created_at": rfc3339(order.created_at),
    });
    if let Some(code) = &order.coupon {
        view["coupon"] = json!(code);
    }
    if let Some(screening) = &order.screening_id {
        view["screening_id"] = json!(screening);
    }
    if let Some(code) = order.ticket_code.as_ref().filter(|_| order.state == State::Booked) {
        view["ticket_code"] = json!(code);
    }
    if let Some(reason) = reason(order, payment, now_ms) {
        view["reason"] = json!(reason);
    }
    if let Some(payment) = payment {
        view["transaction_id"] = json!(payment.transaction_id.to_string());
        if let Some(url) = payment.action_url.as_ref().filter(|_| order.state == State::Paying) {
            view["action_url"] = json!(url);
        }
    }
    view
}

/// One line; the price is that of one piece.
fn line(line: &Line, currency: Currency) -> Value {
    let mut view = json!({
        "title": line.title,
        "quantity": line.quantity,
        "price": money(line.price, currency),
    });
    if let Some(seat) = &line.seat {
        view["seat"] = json!(seat);
    }
    if let Some(product) = &line.product {
        view["product_id"] = json!(product);
    }
    view
}

/// Why an order is not on its way: a sentence.
pub(crate) fn reason(order: &Reservation, payment: Option<&OfOrder>, now_ms: i64) -> Option<String> {
    let sentence = match (order.shown_state(now_ms), order.reason.as_deref()) {
        (State::Checkout, _) => payment?.failed_because?,
        (State::Released, Some("cancelled")) => "You cancelled the order. You were not charged.",
        (State::Released, Some("hold_lapsed")) => "The seats were not checked out in time.",
        (State::Released, Some("not_paid_in_time")) => "The order was not paid in time. You were not charged.",
        (State::Released, Some(_)) => "The payment did not come. You were not charged.",
        (State::Released, None) => "The order was not paid in time. You were not charged.",
        (State::Cancelled, Some("called_off_by_us")) => {
            "We had to cancel the order. All that you paid goes back to you."
        }
        (State::Cancelled, _) => "You cancelled the order. All that you paid goes back to you.",
        (State::Reversed, _) => "The payment was taken back, so the tickets of this order are void.",
        (State::Review, _) => {
            "The payment provider has not told us yet whether your money came. A person is looking at it."
        }
        (State::Held | State::Paying | State::Closing | State::Booked, _) => return None,
    };
    Some(sentence.to_owned())
}
