//! From seats in the hand to a ticket: hold, order in all its states, and the list of bookings.

use super::{Layout, Moment, Price, clock, seconds_up, span};
use askama::Template;

/// What is bought, one line.
pub(crate) struct Line {
    /// `Seat A1` or the product's title.
    pub(crate) label: String,
    /// `Stalls`, or empty.
    pub(crate) note: String,
    pub(crate) quantity: i64,
    /// For the whole line.
    pub(crate) price: Price,
}

/// What a coupon took off.
pub(crate) struct Discount {
    pub(crate) code: String,
    /// The lines together.
    pub(crate) subtotal: Price,
    /// Below zero.
    pub(crate) off: Price,
}

/// What an order is for, above its lines.
pub(crate) struct Occasion {
    /// The film's or the product's title.
    pub(crate) title: String,
    /// Hall and time, for a screening.
    pub(crate) screening: Option<Showing>,
    /// Same-origin path back to choosing: `/screenings/{id}/seats?pick=A1` or `/products/{id}`.
    pub(crate) again_path: String,
    /// Same-origin path of the picture, if there is one.
    pub(crate) poster_url: Option<String>,
}

/// Where and when.
pub(crate) struct Showing {
    pub(crate) hall: String,
    pub(crate) starts_at: Moment,
}

/// `GET /holds/{id}`
#[derive(Template)]
#[template(path = "shop/hold.html")]
pub(crate) struct HoldPage {
    pub(crate) layout: Layout,
    /// `hold_…`
    pub(crate) hold_id: String,
    pub(crate) state: HoldState,
    pub(crate) occasion: Occasion,
    pub(crate) lines: Vec<Line>,
    pub(crate) total: Price,
    /// Milliseconds until it lapses, by the database's clock at the time of rendering; 0 when it has.
    pub(crate) expires_in_ms: i64,
    /// The whole window in milliseconds.
    pub(crate) hold_ms: i64,
    /// How long checkout then lasts, in milliseconds.
    pub(crate) pay_ms: i64,
    /// By how much the hold can still be extended, in milliseconds; 0 is not at all.
    pub(crate) extendable_ms: i64,
    /// Fresh for each rendering; makes a double click one order.
    pub(crate) idempotency_key: String,
}

/// What the holder can do with it.
#[derive(PartialEq, Eq)]
pub(crate) enum HoldState {
    Held,
    /// It became an order with this id.
    CheckedOut(String),
    /// Lapsed, or given back.
    Gone,
}

/// `GET /orders/{id}`
#[derive(Template)]
#[template(path = "shop/order.html")]
pub(crate) struct OrderPage {
    pub(crate) layout: Layout,
    /// `order_…`
    pub(crate) order_id: String,
    pub(crate) state: OrderState,
    pub(crate) occasion: Occasion,
    pub(crate) lines: Vec<Line>,
    pub(crate) discount: Option<Discount>,
    /// What is to pay.
    pub(crate) total: Price,
    /// Milliseconds left to pay at the time of rendering.
    pub(crate) pay_within_ms: i64,
    /// The whole window in milliseconds.
    pub(crate) pay_ms: i64,
    /// `trans_…`, once there is one.
    pub(crate) transaction_id: Option<String>,
    /// The processor's page, while it waits for the customer. Absolute.
    pub(crate) action_url: Option<String>,
    /// Why it was released or is under review, or why the last payment failed: a sentence.
    pub(crate) reason: Option<String>,
    /// What the door staff scan, once booked.
    pub(crate) ticket_code: Option<String>,
    /// Until when a booked order can be given back, if it can be.
    pub(crate) cancel_until: Option<Moment>,
    pub(crate) created_at: Moment,
    /// Fresh for each rendering; makes a double click one payment.
    pub(crate) idempotency_key: String,
}

/// Where an order is, as in the JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderState {
    Checkout,
    Paying,
    Closing,
    Booked,
    Released,
    Review,
    Cancelled,
    Reversed,
}

impl OrderState {
    /// As in the JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Paying => "paying",
            Self::Closing => "closing",
            Self::Booked => "booked",
            Self::Released => "released",
            Self::Review => "review",
            Self::Cancelled => "cancelled",
            Self::Reversed => "reversed",
        }
    }

    /// As people say it.
    pub(crate) const fn said(self) -> &'static str {
        match self {
            Self::Checkout => "Waiting for payment",
            Self::Paying | Self::Closing => "Checking the payment",
            Self::Booked => "Booked",
            Self::Released => "Cancelled",
            Self::Cancelled => "Cancelled and paid back",
            Self::Reversed => "Void: the payment was taken back",
            Self::Review => "We are looking into it",
        }
    }
}

impl OrderPage {
    /// The ticket code as an SVG picture, empty if there is no code or it is too long for one.
    pub(crate) fn qr(&self) -> String {
        self.ticket_code.as_deref().map(qr_svg).unwrap_or_default()
    }
}

/// Draws `text` as a QR code with a quiet zone, without an XML prologue so that it can stand inside HTML.
fn qr_svg(text: &str) -> String {
    let Ok(code) = qrcode::QrCode::new(text.as_bytes()) else { return String::new() };
    let picture = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(180, 180).build();
    picture.find("<svg").map(|at| picture[at..].to_owned()).unwrap_or_default()
}

/// `GET /bookings`
#[derive(Template)]
#[template(path = "shop/bookings.html")]
pub(crate) struct BookingsPage {
    pub(crate) layout: Layout,
    /// Newest first.
    pub(crate) orders: Vec<Booking>,
}

/// One order in the list.
pub(crate) struct Booking {
    pub(crate) order_id: String,
    /// The film's or the product's title.
    pub(crate) title: String,
    pub(crate) screening: Option<Showing>,
    /// `A1, A2` or `2 ×`.
    pub(crate) what: String,
    pub(crate) total: Price,
    pub(crate) state: OrderState,
    pub(crate) created_at: Moment,
}
