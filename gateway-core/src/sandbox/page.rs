//! The sandbox processor's own pages. They share nothing with the shop's: it is somebody else's site.

use crate::http::page::Price;
use askama::Template;
use aws_lc_rs::digest;
use base64::Engine as _;
use std::sync::LazyLock;

/// Inlined, so that this site needs no assets.
const STYLE: &str = include_str!("../../../templates/assets/sandbox.css");

// The one inlined style is allowed by its hash. Forms may end elsewhere: approving redirects back to the shop, and
// browsers hold `form-action` against redirects too.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = digest::digest(&digest::SHA256, STYLE.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash.as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self' http: https:; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// `Content-Security-Policy` of these pages.
pub(crate) fn content_security_policy() -> &'static str {
    &POLICY
}

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

impl PayState {
    /// The stable word for tests.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
        }
    }
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
