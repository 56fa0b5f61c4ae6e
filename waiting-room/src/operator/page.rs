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
    /// Called and not yet in.
    pub(crate) called: u64,
    pub(crate) admitted_total: u64,
    pub(crate) admitted_last_minute: u64,
    pub(crate) sessions_live: Option<u64>,
    /// Expected wait of who joins now, in milliseconds.
    pub(crate) eta_ms: Option<i64>,
    /// `memory` or `redis`.
    pub(crate) store: String,
    pub(crate) store_ok: bool,
    /// What is left to sell: free and held.
    pub(crate) remaining: Option<crate::visitor::page::Left>,
    /// The message to visitors, empty if none.
    pub(crate) message: String,
    /// What the autopilot did last and why, if the room has one.
    pub(crate) autopilot: Option<String>,
}

impl Room {
    /// As in the JSON.
    pub(crate) const fn state_word(&self) -> &'static str {
        if self.paused { "paused" } else { "open" }
    }

    /// The rate that is in force.
    pub(crate) fn rate_said(&self) -> String {
        if self.paused { "0, paused".to_owned() } else { thousands(u64::from(self.rate_per_minute)) }
    }

    /// The expected wait.
    pub(crate) fn eta_said(&self) -> String {
        match self.eta_ms {
            _ if self.paused => "paused".to_owned(),
            None => "not known".to_owned(),
            Some(ms) => span(ms),
        }
    }

    /// How many are inside.
    pub(crate) fn sessions_said(&self) -> String {
        self.sessions_live.map_or_else(|| "–".to_owned(), thousands)
    }

    /// What is left to sell.
    pub(crate) fn left_said(&self) -> String {
        self.remaining.map_or_else(|| "–".to_owned(), |left| format!("{}, {} held", left.free.max(0), left.held.max(0)))
    }
}

/// A length of time, to the second where that matters: `4 min 20 s`, `21 min`.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        ..60 => format!("{seconds} s"),
        60..600 => format!("{} min {} s", seconds / 60, seconds % 60),
        600..7200 => format!("{} min", (seconds + 30) / 60),
        7200.. => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
