//! Logging in, signing up, and one's own data. Passwords only ever travel to the server, so no field here holds one.

use super::{Layout, Moment, Price};
use askama::Template;

/// `GET /login`, and `POST /login` that failed.
#[derive(Template)]
#[template(path = "shop/login.html")]
pub(crate) struct LoginPage {
    pub(crate) layout: Layout,
    /// Validated same-origin path to go to afterwards.
    pub(crate) next: String,
    /// What was typed before, to be corrected.
    pub(crate) email: String,
    /// Why it failed, one sentence.
    pub(crate) error: Option<String>,
}

/// `GET /register`, and `POST /register` that failed.
#[derive(Template)]
#[template(path = "shop/register.html")]
pub(crate) struct RegisterPage {
    pub(crate) layout: Layout,
    /// Validated same-origin path to go to afterwards.
    pub(crate) next: String,
    /// What was typed before, to be corrected.
    pub(crate) email: String,
    /// Why it failed, one sentence.
    pub(crate) error: Option<String>,
}

/// `GET /datapengguna`
#[derive(Template)]
#[template(path = "shop/account.html")]
pub(crate) struct AccountPage {
    pub(crate) layout: Layout,
    pub(crate) email: String,
    /// `cust_…`
    pub(crate) customer_id: String,
    /// Newest first.
    pub(crate) payments: Vec<Payment>,
    /// Same-origin path of the next page, if there is one.
    pub(crate) older_path: Option<String>,
}

/// A transaction of the customer's.
pub(crate) struct Payment {
    /// `trans_…`
    pub(crate) transaction_id: String,
    /// `completed`, as in the JSON.
    pub(crate) status: &'static str,
    pub(crate) description: String,
    /// `order_…`, if it is for one.
    pub(crate) order_id: Option<String>,
    pub(crate) amount: Price,
    pub(crate) created_at: Moment,
}
