//! The operator's screen: plain data for the templates. Live numbers come later, by events; this is the first picture,
//! and all there is without scripts.

#[cfg(test)]
mod tests;

use crate::visitor::page::thousands;
use askama::Template;

/// `GET /login`, and `POST /login` that failed.
#[derive(Template)]
#[template(path = "operator/login.html")]
pub(crate) struct LoginPage {
    /// Why it failed, one sentence.
    pub(crate) error: Option<String>,
}

/// `GET /`
#[derive(Template)]
#[template(path = "operator/dashboard.html")]
pub(crate) struct DashboardPage {
    pub(crate) rooms: Vec<Room>,
    /// Epoch milliseconds at rendering.
    pub(crate) server_now_ms: i64,
    /// One sentence after a form was sent: what changed, or what was wrong with it.
    pub(crate) notice: Option<Notice>,
}

/// One sentence on top.
pub(crate) struct Notice {
    pub(crate) bad: bool,
    pub(crate) text: String,
}

/// A room, with the names of the admin API's JSON.
pub(crate) struct Room {
    /// The key, as in paths.
    pub(crate) room: String,
    pub(crate) title: String,
    /// Nobody is called while it is paused.
    pub(crate) paused: bool,
    pub(crate) rate_per_minute: u32,
    pub(crate) burst: u32,
    pub(crate) waiting: u64,
    /// Numbers given out so far.
    pub(crate) issued: u64,
    /// Everybody up to this number has been called.
    pub(crate) cursor: u64,
    /// Called and not yet in.
    pub(crate) called: u64,
    pub(crate) admitted_total: u64,
    pub(crate) admitted_last_minute: u64,
    pub(crate) sessions_live: Option<u64>,
    /// Expected wait of who joins now, in milliseconds.
    pub(crate) eta_ms: Option<i64>,
    /// When these numbers were true: epoch milliseconds.
    pub(crate) at_ms: i64,
    /// `memory` or `redis`.
    pub(crate) store: String,
    pub(crate) store_ok: bool,
    /// What is left to sell: free and held.
    pub(crate) remaining: Option<crate::visitor::page::Left>,
    /// The message to visitors, empty if none.
    pub(crate) message: String,
}
