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
    /// As in the JSON: `open`, `paused`, `draining`, `closed`, `sold_out`.
    pub(crate) state: &'static str,
    /// What that means for visitors now.
    pub(crate) state_why: String,
    pub(crate) method: &'static str,
    /// 0 = no cap.
    pub(crate) max_active: u32,
    /// 0 = no limit.
    pub(crate) queue_max: u64,
    /// The schedule in RFC 3339, empty where there is none.
    pub(crate) prequeue_at: String,
    pub(crate) opens_at: String,
    pub(crate) closes_at: String,
    /// The latest changes, the youngest first.
    pub(crate) changes: Vec<Change>,
    pub(crate) rate_per_minute: u32,
    pub(crate) burst: u32,
    pub(crate) waiting: u64,
    /// Called and not yet in.
    pub(crate) called: u64,
    pub(crate) admitted_total: u64,
    pub(crate) admitted_last_minute: u64,
    /// Live sessions.
    pub(crate) active: u64,
    /// Expected wait of who joins now, in milliseconds.
    pub(crate) eta_ms: Option<i64>,
    /// `memory` or `redis`.
    pub(crate) store: String,
    pub(crate) store_ok: bool,
    /// What its absence means for visitors, empty while it is there.
    pub(crate) store_why: String,
    /// What is left to sell: free and held.
    pub(crate) remaining: Option<crate::visitor::page::Left>,
    /// The message to visitors, empty if none.
    pub(crate) message: String,
    /// What the autopilot did last and why, if the room has one.
    pub(crate) autopilot: Option<String>,
}

/// One line of the history.
pub(crate) struct Change {
    pub(crate) at_ms: i64,
    pub(crate) who: String,
    pub(crate) text: String,
}

/// A state that visitors feel, its button, and what it does.
pub(crate) struct Way {
    pub(crate) state: &'static str,
    pub(crate) label: &'static str,
    pub(crate) means: &'static str,
}

/// The states that are asked back about; open and paused have their own button.
pub(crate) const WAYS: [Way; 3] = [
    Way { state: "draining", label: "Drain", means: "who is in line goes on, nobody new joins" },
    Way { state: "closed", label: "Close", means: "nobody joins, nobody goes in" },
    Way { state: "sold_out", label: "Sold out", means: "as closed, and visitors are told why" },
];

/// The methods and what they are called.
pub(crate) const METHODS: [(&str, &str); 3] = [
    ("fcfs", "first come, first served"),
    ("draw", "by lot, who came before the opening"),
    ("pass_through", "everybody at once"),
];

impl Room {
    /// The badge: `sold_out` is two words to people.
    pub(crate) fn state_said(&self) -> String {
        self.state.replace('_', " ")
    }

    /// What the first button does: pause an open room, open any other.
    pub(crate) fn toggle(&self) -> (&'static str, &'static str) {
        match self.state {
            "open" => ("paused", "Pause"),
            "paused" => ("open", "Resume"),
            _ => ("open", "Open again"),
        }
    }

    /// The schedule's fields: name, label and value.
    pub(crate) fn times(&self) -> [(&'static str, &'static str, &str); 3] {
        [
            ("prequeue_at", "People may join from", &self.prequeue_at),
            ("opens_at", "The first are called at", &self.opens_at),
            ("closes_at", "It ends at", &self.closes_at),
        ]
    }

    /// Whether nothing holds it up.
    pub(crate) fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// Whether places are given in this way.
    pub(crate) fn gives(&self, method: &str) -> bool {
        self.method == method
    }

    /// Whether people are called.
    pub(crate) fn calls(&self) -> bool {
        matches!(self.state, "open" | "draining")
    }

    /// The rate that is in force.
    pub(crate) fn rate_said(&self) -> String {
        if self.calls() { thousands(u64::from(self.rate_per_minute)) } else { format!("0, {}", self.state_said()) }
    }

    /// The expected wait.
    pub(crate) fn eta_said(&self) -> String {
        match self.eta_ms {
            _ if !self.calls() => self.state_said(),
            None => "not known".to_owned(),
            Some(ms) => span(ms),
        }
    }

    /// How many are inside.
    pub(crate) fn sessions_said(&self) -> String {
        match self.max_active {
            0 => thousands(self.active),
            max => format!("{} of {}", thousands(self.active), thousands(u64::from(max))),
        }
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
