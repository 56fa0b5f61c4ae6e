//! Logging in and signing up. Passwords only ever travel to the server, so no field here holds one.

use super::Layout;
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
