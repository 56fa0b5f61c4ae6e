//! What is left to sell, as somebody else reports it: plain numbers by sale, for the page to be honest with; and how busy
//! the shop is with orders, for autopilots. Decides nothing, and does without if nobody reports.

use std::collections::BTreeMap;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::line::Orders;

/// What is left of one sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Can be taken now.
    pub free: i64,
    /// In somebody's basket; may come back.
    pub held: i64,
    /// Sold.
    pub sold: i64,
    /// When this was true, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The latest report, if anybody reports.
#[derive(Default)]
pub(crate) struct Stock {
    remaining: ArcSwapOption<watch::Receiver<BTreeMap<String, Remaining>>>,
    orders: ArcSwapOption<watch::Receiver<Option<Orders>>>,
}

impl Stock {
    pub(crate) fn watch(&self, remaining: watch::Receiver<BTreeMap<String, Remaining>>) {
        self.remaining.store(Some(remaining.into()));
    }

    pub(crate) fn watch_orders(&self, orders: watch::Receiver<Option<Orders>>) {
        self.orders.store(Some(orders.into()));
    }

    /// How busy the shop is, if it says so now.
    pub(crate) fn orders(&self) -> Option<Orders> {
        self.orders.load().as_ref().and_then(|reports| *reports.borrow())
    }

    /// What is left of the sale behind a room; sales go by the room's name.
    pub(crate) fn of(&self, room: &str) -> Option<Remaining> {
        self.remaining.load().as_ref().and_then(|reports| reports.borrow().get(room).copied())
    }
}
