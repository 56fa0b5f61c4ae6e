//! The hosted page's view.

use askama::Template;

#[derive(Template)]
#[template(path = "sandbox/pay.html")]
pub(crate) struct PayPage {
    pub(crate) reference: String,
    pub(crate) price: Price,
    pub(crate) method: String,
    pub(crate) state: PayState,
    pub(crate) return_url: String,
}

pub(crate) struct Price {
    pub(crate) amount: i64,
    pub(crate) currency: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayState {
    Open,
    Captured,
    Declined,
    Cancelled,
}

#[derive(Template)]
#[template(path = "sandbox/error.html")]
pub(crate) struct PayErrorPage {
    pub(crate) title: String,
    pub(crate) detail: String,
}
