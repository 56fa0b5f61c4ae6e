//! The flash sale: what is on it, and one product.

use super::super::asset::asset;
use super::films::SaleState;
use super::{Layout, Price, clock, span};
use askama::Template;

/// A product and how much of it is left.
pub(crate) struct Product {
    /// Slug: `poster`.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) price: Price,
    pub(crate) available: i64,
    /// In somebody's basket; may come back.
    pub(crate) held: i64,
    pub(crate) capacity: i64,
    pub(crate) per_order_max: i64,
    pub(crate) state: SaleState,
}

/// `GET /flashsale`
#[derive(Template)]
#[template(path = "shop/flashsale.html")]
pub(crate) struct FlashSalePage {
    pub(crate) layout: Layout,
    pub(crate) products: Vec<Product>,
}

/// `GET /products/{id}`
#[derive(Template)]
#[template(path = "shop/product.html")]
pub(crate) struct ProductPage {
    pub(crate) layout: Layout,
    pub(crate) product: Product,
    /// Where all is in baskets: when the time of the first of them is over.
    pub(crate) may_return_in_ms: Option<i64>,
    /// What can be ordered with.
    pub(crate) coupons: Vec<Coupon>,
    /// How long checkout may take, in milliseconds.
    pub(crate) pay_ms: i64,
    /// Fresh for each rendering; makes a double click one order.
    pub(crate) idempotency_key: String,
}

/// A coupon of the customer's, or one to be had.
pub(crate) struct Coupon {
    pub(crate) campaign: String,
    pub(crate) amount_off: Option<Price>,
    /// In basis points; what is more counts.
    pub(crate) percent_off_bp: i64,
    /// What an order must come to without it.
    pub(crate) minimum: Option<Price>,
    /// Where the customer has it.
    pub(crate) code: Option<String>,
}

impl Coupon {
    /// What it takes off: `€5.00`, `12.5 %`.
    pub(crate) fn worth(&self) -> String {
        let percent = match (self.percent_off_bp / 100, self.percent_off_bp % 100) {
            (0, 0) => None,
            (whole, 0) => Some(format!("{whole} %")),
            (whole, part) => Some(format!("{whole}.{} %", format!("{part:02}").trim_end_matches('0'))),
        };
        match (&self.amount_off, percent) {
            (Some(amount), Some(percent)) => format!("{amount} or {percent}, whichever is more,"),
            (Some(amount), None) => amount.to_string(),
            (None, percent) => percent.unwrap_or_default(),
        }
    }
}

impl ProductPage {
    /// What stands in the form to begin with: the first coupon that the customer has.
    pub(crate) fn code(&self) -> &str {
        self.coupons.iter().find_map(|coupon| coupon.code.as_deref()).unwrap_or_default()
    }
}

impl Product {
    /// The path of its picture, if we have one.
    pub(crate) fn picture(&self) -> Option<String> {
        asset(&format!("products/{}.svg", self.id)).map(|asset| format!("/static/{}", asset.path))
    }

    /// The choices of the quantity list.
    pub(crate) fn quantities(&self) -> std::ops::RangeInclusive<i64> {
        1..=self.per_order_max.min(self.available).max(1)
    }
}
