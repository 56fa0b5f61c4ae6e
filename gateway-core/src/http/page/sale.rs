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
    /// How long checkout may take, in milliseconds.
    pub(crate) pay_ms: i64,
    /// Fresh for each rendering; makes a double click one order.
    pub(crate) idempotency_key: String,
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
