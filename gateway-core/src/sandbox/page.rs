//! The sandbox processor's own pages. They share nothing with the shop's: it is somebody else's site.

use crate::http::page::Price;
use askama::Template;

/// `GET /pay/{reference}`
#[derive(Template)]
#[template(path = "sandbox/pay.html")]
pub(crate) struct PayPage {
    /// The shop's reference of the charge.
    pub(crate) reference: String,
    pub(crate) price: Price,
    /// `credit_card`, `e_wallet` or `bank_transfer`.
    pub(crate) method: String,
    pub(crate) state: PayState,
    /// Back to the shop. Absolute.
    pub(crate) return_url: String,
}

/// What the hosted page can still do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayState {
    /// Waits for Approve or Decline.
    Open,
    Captured,
    Declined,
    Cancelled,
}

/// Anything that went wrong at the processor.
#[derive(Template)]
#[template(path = "sandbox/error.html")]
pub(crate) struct PayErrorPage {
    /// `No such payment`
    pub(crate) title: String,
    /// What to do, one sentence.
    pub(crate) detail: String,
}

impl PayPage {
    /// The method as people say it.
    pub(crate) fn method_said(&self) -> &str {
        match self.method.as_str() {
            "credit_card" => "Credit card",
            "e_wallet" => "E-wallet",
            "bank_transfer" => "Bank transfer",
            other => other,
        }
    }
}
