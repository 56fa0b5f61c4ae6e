//! What the shop's pages show: plain data for the templates, and how prices and times are written.
//! Nothing here reads the database or decides anything; handlers fill these and call `render`.

pub(crate) mod account;
pub(crate) mod films;
pub(crate) mod orders;
pub(crate) mod sale;
pub(crate) mod seats;
#[cfg(test)]
mod tests;

use askama::Template;
use std::fmt;

/// What every page has around it.
pub(crate) struct Layout {
    /// The e-mail address of who is logged in, if anybody is.
    pub(crate) customer: Option<String>,
    /// Path and query of this page, on which "log in" comes back.
    pub(crate) here: String,
    /// One sentence above the content, for example after a redirect.
    pub(crate) flash: Option<Flash>,
}

/// A sentence above the content.
pub(crate) struct Flash {
    /// Whether it is bad news; told apart by sign and word, not by colour alone.
    pub(crate) bad: bool,
    /// The sentence, plain text.
    pub(crate) text: String,
}

/// The page for whatever went wrong.
#[derive(Template)]
#[template(path = "shop/error.html")]
pub(crate) struct ErrorPage {
    pub(crate) layout: Layout,
    /// The HTTP status it is sent with.
    pub(crate) status: u16,
    /// The problem's title: "These seats have just gone".
    pub(crate) title: String,
    /// What happened and what to do, one or two sentences.
    pub(crate) detail: String,
    /// The problem's stable code: `seats_taken`.
    pub(crate) code: String,
    /// The request id, for support.
    pub(crate) request_id: Option<String>,
    /// Where to go on: a path and the words on the button.
    pub(crate) onward: Option<Link>,
}

/// A link with its words.
pub(crate) struct Link {
    /// A same-origin path.
    pub(crate) path: String,
    /// The words.
    pub(crate) label: String,
}

/// An amount of money as people read it: `€12.00`.
#[derive(Clone)]
pub(crate) struct Price {
    /// In minor units of the currency.
    pub(crate) amount: i64,
    /// ISO 4217, three capital letters.
    pub(crate) currency: String,
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount < 0 { "−" } else { "" };
        let amount = self.amount.unsigned_abs();
        let (symbol, whole_only) = match self.currency.as_str() {
            "EUR" => ("€", false),
            "USD" => ("$", false),
            "GBP" => ("£", false),
            "JPY" => ("¥", true),
            _ => ("", false),
        };
        let figures =
            if whole_only { thousands(amount) } else { format!("{}.{:02}", thousands(amount / 100), amount % 100) };
        if symbol.is_empty() {
            write!(f, "{sign}{figures}\u{a0}{}", self.currency)
        } else {
            write!(f, "{sign}{symbol}{figures}")
        }
    }
}

/// An instant, shown in UTC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Epoch milliseconds.
    pub(crate) at_ms: i64,
}

impl Moment {
    /// `Fri 21 November`
    pub(crate) fn date(self) -> String {
        self.written("%a %-d %B")
    }

    /// `19:00`
    pub(crate) fn time(self) -> String {
        self.written("%H:%M")
    }

    /// `2026-11-21T19:00:00Z`, for the `datetime` attribute.
    pub(crate) fn iso(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%SZ")
    }

    fn written(self, pattern: &str) -> String {
        jiff::Timestamp::from_millisecond(self.at_ms)
            .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).strftime(pattern).to_string())
            .unwrap_or_default()
    }
}

/// `1234567` → `1,234,567`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How long a window is, in words: `2 minutes`, `90 seconds`.
pub(crate) fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match (seconds / 60, seconds % 60) {
        (1, 0) => "1 minute".to_owned(),
        (minutes, 0) if minutes > 0 => format!("{minutes} minutes"),
        _ => format!("{seconds} seconds"),
    }
}

/// Milliseconds left as `m:ss`, rounded up: what a countdown shows before its script runs.
pub(crate) fn clock(ms: i64) -> String {
    let seconds = (ms.max(0) + 999) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Milliseconds as whole seconds, rounded up: for `<meta http-equiv=refresh>`.
pub(crate) fn seconds_up(ms: i64) -> i64 {
    (ms.max(0) + 999) / 1000
}
