//! Fills the pages' structs from what the domain knows. No words of its own beyond labels.

use super::page::films::SaleState as PageState;
use super::page::orders::{Booking, Discount, Line, Occasion, OrderState, Showing};
use super::page::seats::SeatState as PageSeatState;
use super::page::{self, Moment, Price};
use super::{App, people};
use crate::DbError;
use crate::base::{Currency, Money};
use crate::catalogue::{self, Film, Product, SaleState, Screening, Seat, SeatState};
use crate::coupon::Offer;
use crate::reservation::{Reservation, State};

pub(crate) fn price(amount: i64, currency: Currency) -> Price {
    Price { amount, currency: currency.to_string() }
}

pub(crate) fn total(money: Money) -> Price {
    price(money.amount, money.currency)
}

/// A key that makes a double click one request.
pub(crate) fn fresh_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

pub(crate) fn film(film: Film) -> page::films::Film {
    let Film { id, title, synopsis, genre, minutes, poster_url } = film;
    page::films::Film { id, title, synopsis, genre, minutes, poster_url }
}

pub(crate) fn screening(screening: &Screening) -> page::films::Screening {
    page::films::Screening {
        id: screening.id.clone(),
        film_title: screening.film_title.clone(),
        hall: screening.hall.clone(),
        starts_at: Moment { at_ms: screening.starts_at },
        price_from: price(screening.price_from, screening.sale.currency),
        seats_total: screening.left.total(),
        seats_free: screening.left.free,
        state: sale_state(screening.state()),
    }
}

fn sale_state(state: SaleState) -> PageState {
    match state {
        SaleState::OnSale => PageState::OnSale,
        SaleState::AllHeld => PageState::AllHeld,
        SaleState::SoldOut => PageState::SoldOut,
        SaleState::NotStarted { starts_at } => PageState::NotStarted(Moment { at_ms: starts_at }),
        SaleState::Ended => PageState::Ended,
    }
}

pub(crate) fn seat(seat: Seat, currency: Currency, picked: &[String]) -> page::seats::Seat {
    let state = match seat.state {
        SeatState::Free => PageSeatState::Free,
        SeatState::Held => PageSeatState::Held,
        SeatState::Sold => PageSeatState::Sold,
        SeatState::Blocked => PageSeatState::Blocked,
    };
    page::seats::Seat {
        picked: seat.state == SeatState::Free && picked.contains(&seat.name),
        row: seat.row,
        number: seat.number,
        column: seat.column,
        section: seat.section,
        wheelchair: seat.wheelchair,
        price: price(seat.price, currency),
        state,
        mine: seat.mine,
        name: seat.name,
    }
}

pub(crate) fn product(product: &Product) -> page::sale::Product {
    page::sale::Product {
        id: product.id.clone(),
        title: product.title.clone(),
        price: total(product.price),
        available: product.left.free,
        held: product.left.held,
        capacity: product.capacity,
        per_order_max: product.per_order_max,
        state: sale_state(product.state()),
    }
}

pub(crate) fn coupon(offer: Offer, currency: Currency) -> page::sale::Coupon {
    let price = |amount: i64| (amount > 0).then(|| price(amount, currency));
    page::sale::Coupon {
        amount_off: price(offer.terms.amount_off),
        percent_off_bp: offer.terms.percent_off_bp,
        minimum: price(offer.terms.minimum_amount),
        campaign: offer.campaign,
        code: offer.code,
    }
}

pub(crate) fn lines(reservation: &Reservation) -> Vec<Line> {
    let line = |line: &crate::reservation::Line| {
        let section = line.seat.as_ref().and_then(|seat| line.title.strip_suffix(seat.as_str()));
        Line {
            label: line.seat.as_ref().map_or_else(|| line.title.clone(), |seat| format!("Seat {seat}")),
            note: section.map(|section| section.trim().to_owned()).unwrap_or_default(),
            quantity: line.quantity,
            price: price(line.price.saturating_mul(line.quantity), reservation.total.currency),
        }
    };
    reservation.lines.iter().map(line).collect()
}

/// What its coupon took off, if it has one.
pub(crate) fn discount(reservation: &Reservation) -> Option<Discount> {
    let off = price(reservation.discount.saturating_neg(), reservation.total.currency);
    let code = reservation.coupon.clone()?;
    Some(Discount { code, subtotal: total(reservation.subtotal()), off })
}

/// What a reservation is for: its screening, or its first product.
pub(crate) async fn occasion(app: &App, reservation: &Reservation) -> Result<Occasion, DbError> {
    let screening = match &reservation.screening_id {
        Some(id) => catalogue::screening(&app.db, id).await?,
        None => None,
    };
    if let Some(screening) = screening {
        let film = catalogue::film(&app.db, &screening.film_id).await?;
        return Ok(Occasion {
            again_path: seats_path(&screening.id, &reservation.seats()),
            poster_url: film.map(|film| film.poster_url),
            title: screening.film_title,
            screening: Some(Showing { hall: screening.hall, starts_at: Moment { at_ms: screening.starts_at } }),
        });
    }
    let first = reservation.lines.first();
    let product = first.and_then(|line| line.product.clone());
    Ok(Occasion {
        title: first.map(|line| line.title.clone()).unwrap_or_default(),
        screening: None,
        again_path: product.map_or_else(|| String::from("/flashsale"), |id| format!("/products/{id}")),
        poster_url: None,
    })
}

/// The seat map with these seats chosen.
pub(crate) fn seats_path(screening: &str, picked: &[String]) -> String {
    let path = format!("/screenings/{}/seats", people::escaped(screening));
    if picked.is_empty() {
        return path;
    }
    let picked: Vec<String> = picked.iter().map(|seat| people::escaped(seat)).collect();
    format!("{path}?pick={}", picked.join(","))
}

/// The way to the map with these seats chosen.
pub(crate) fn offer(screening: &str, seats: &[String]) -> page::Link {
    page::Link { path: seats_path(screening, seats), label: seats.join(", ") }
}

/// The state of an order as the page shows it. A hold that is no order yet is none.
pub(crate) fn order_state(state: State) -> Option<OrderState> {
    Some(match state {
        State::Held => return None,
        State::Checkout => OrderState::Checkout,
        State::Paying => OrderState::Paying,
        State::Closing => OrderState::Closing,
        State::Booked => OrderState::Booked,
        State::Released => OrderState::Released,
        State::Review => OrderState::Review,
        State::Cancelled => OrderState::Cancelled,
        State::Reversed => OrderState::Reversed,
    })
}

pub(crate) async fn booking(app: &App, order: &Reservation, now_ms: i64) -> Result<Option<Booking>, DbError> {
    let Some(state) = order_state(order.shown_state(now_ms)) else { return Ok(None) };
    let occasion = occasion(app, order).await?;
    let pieces = order.lines.iter().map(|line| line.quantity).sum::<i64>();
    Ok(Some(Booking {
        order_id: order.id.to_string(),
        title: occasion.title,
        screening: occasion.screening,
        what: if order.screening_id.is_some() { order.seats().join(", ") } else { format!("{pieces} ×") },
        total: total(order.total),
        state,
        created_at: Moment { at_ms: order.created_at },
    }))
}
