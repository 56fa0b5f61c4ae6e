//! What the queue page shows: plain data for its templates, and how waits are written. It knows of no ticket,
//! snapshot or request; the visitor API fills it.

mod countdown;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use countdown::{Before, CountdownPage};

use super::asset::{STYLE, version};
use askama::Template;

/// The page one waits on.
#[derive(Template)]
#[template(path = "door/queue.html")]
pub(crate) struct QueuePage {
    /// The room's key, as in the API's paths.
    pub(crate) room: String,
    /// The room's title for people.
    pub(crate) title: String,
    pub(crate) state: QueueState,
    /// The place in line: the same for as long as one waits. 0 when there is none yet.
    pub(crate) position: u64,
    /// The lane of the place, in rooms that have more than one.
    pub(crate) lane: Option<String>,
    /// How the place was drawn, if it was.
    pub(crate) lot: Option<Lot>,
    /// People in front; not shown while `position` is 0.
    pub(crate) ahead: u64,
    /// Expected wait from now, shortest and longest; `None` when nobody can know.
    pub(crate) eta: Option<Wait>,
    /// Since joining, in milliseconds.
    pub(crate) waited_ms: i64,
    /// People let in a minute.
    pub(crate) rate_per_minute: u32,
    /// When to ask again, in milliseconds.
    pub(crate) poll_after_ms: i64,
    /// When these facts were true: epoch milliseconds.
    pub(crate) updated_at_ms: i64,
    /// Epoch milliseconds at rendering.
    pub(crate) server_now_ms: i64,
    /// The operator's words, plain text.
    pub(crate) message: Option<String>,
    /// What is left to sell, when known.
    pub(crate) remaining: Option<Left>,
    /// How long one may stay inside once let in, in milliseconds.
    pub(crate) session_ms: i64,
    /// Where somebody with an access code goes on with it; `None` where codes are of no use.
    pub(crate) code_onward: Option<String>,
}

/// What a place was drawn with.
#[derive(Clone)]
pub(crate) struct Lot {
    /// In the order of registering.
    pub(crate) number: u64,
    /// How many took part.
    pub(crate) drawn: u64,
    pub(crate) epoch: u64,
    /// The lane that the draw is of; empty for the first one.
    pub(crate) lane: String,
}

impl Lot {
    /// Where the evidence of this draw is published.
    pub(crate) fn evidence(&self, room: &str) -> String {
        let lane = if self.lane.is_empty() { String::new() } else { format!("?lane={}", self.lane) };
        format!("/.waiting-room/rooms/{room}/draw{lane}")
    }
}

/// What kind of waiting it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueState {
    Waiting,
    /// Next: in as soon as the meter allows.
    Called,
    /// Nobody is let in until the operator resumes.
    Paused,
    /// The store is away: the place is kept, and nothing moves until it is back.
    OneMoment,
    /// Came while the store was away: a place behind those who came before, and no number yet.
    Provisional,
}

impl QueueState {
    /// The stable word for scripts and tests.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Called => "called",
            Self::Paused => "paused",
            Self::OneMoment => "one_moment",
            Self::Provisional => "provisional",
        }
    }

    /// The heading. The page's script says the same words.
    pub(crate) const fn headline(self) -> &'static str {
        match self {
            Self::Waiting => "You are in line",
            Self::Called => "You are next",
            Self::Paused => "The line is paused",
            Self::OneMoment => "One moment, please",
            Self::Provisional => "You have a place",
        }
    }

    /// The sentence under it.
    pub(crate) const fn lead(self) -> &'static str {
        match self {
            Self::Waiting => "People are let in at a steady pace, so that the shop works for everybody inside.",
            Self::Called => "Stay here: the door opens for you as soon as the next one may go in.",
            Self::Paused => "Nobody is let in for now. Your place is kept, and the line goes on from where it stands.",
            Self::OneMoment => "We cannot see the line just now. Your place is kept; this page tries again by itself.",
            Self::Provisional => {
                "Your number comes as soon as we can see the line again: in the order in which people came, so you lose \
                 nothing by it. This page looks for it by itself."
            }
        }
    }
}

/// An expected wait.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    /// Milliseconds.
    pub(crate) low_ms: i64,
    /// Milliseconds.
    pub(crate) high_ms: i64,
}

/// What is left to sell.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    /// Can be taken now.
    pub(crate) free: i64,
    /// In somebody's basket; may come back.
    pub(crate) held: i64,
}

/// What the door says when there is nothing to wait for: refusals, an upstream that is away, one's having left.
#[derive(Template)]
#[template(path = "door/notice.html")]
pub(crate) struct NoticePage {
    /// `The shop is not answering`
    pub(crate) title: String,
    /// What to do, one or two sentences.
    pub(crate) detail: String,
    /// The problem's stable code.
    pub(crate) code: String,
    /// The request id, for support.
    pub(crate) request_id: Option<String>,
    /// Same-origin path of the button, `/` if there is nothing better.
    pub(crate) onward_path: String,
    /// `Try again`
    pub(crate) onward_label: String,
}

/// The page that solves a challenge, joins and goes on to the queue.
#[derive(Template)]
#[template(path = "door/check.html")]
pub(crate) struct CheckPage {
    /// The room's key, as in the API's paths.
    pub(crate) room: String,
    /// The room's title for people.
    pub(crate) title: String,
}

/// The page that asks for an access code.
#[derive(Template)]
#[template(path = "door/access.html")]
pub(crate) struct AccessPage {
    /// The room's key, as in the API's paths.
    pub(crate) room: String,
    /// The room's title for people.
    pub(crate) title: String,
    /// Where to go with the place.
    pub(crate) onward: String,
    /// What was wrong with the code before.
    pub(crate) error: Option<String>,
}

/// The page with the code for another device.
#[derive(Template)]
#[template(path = "door/device.html")]
pub(crate) struct DevicePage {
    pub(crate) room: String,
    pub(crate) title: String,
    /// The QR code, as SVG of our own making.
    pub(crate) picture: String,
    pub(crate) code: String,
    /// Host and path where the code is typed.
    pub(crate) address: String,
    pub(crate) expires_in_ms: i64,
}

/// The page on which another device goes on.
#[derive(Template)]
#[template(path = "door/resume.html")]
pub(crate) struct ResumePage {
    pub(crate) room: String,
    pub(crate) title: String,
    pub(crate) code: String,
    /// Names this attempt, so that it can be repeated when its answer is lost.
    pub(crate) attempt: String,
    pub(crate) error: Option<String>,
}

/// What the device is shown that a place has left.
#[derive(Template)]
#[template(path = "door/moved.html")]
pub(crate) struct MovedPage {
    pub(crate) room: String,
    pub(crate) title: String,
}

/// Asks whether somebody really wants to leave.
#[derive(Template)]
#[template(path = "door/leave.html")]
pub(crate) struct LeavePage {
    pub(crate) room: String,
    pub(crate) title: String,
    /// Only this device forgets a place that has moved.
    pub(crate) moved: bool,
    /// Where somebody goes who stays.
    pub(crate) back: String,
}

/// What a redirect shows.
#[derive(Template)]
#[template(source = "", ext = "html")]
pub(crate) struct Empty;

impl QueuePage {
    /// Progress in per mille: the part of the whole expected wait that is over. All of it for who is
    /// called, 0 when nobody can know.
    pub(crate) fn progress(&self) -> i64 {
        if self.state == QueueState::Called {
            return 1000;
        }
        let Some(wait) = self.eta else { return 0 };
        let left = wait.low_ms.max(0) / 2 + wait.high_ms.max(0) / 2;
        let waited = self.waited_ms.max(0);
        waited.saturating_mul(1000) / waited.saturating_add(left).max(1)
    }

    /// The sentence under the heading. Who came while the store is away has no place yet that could be kept.
    pub(crate) fn lead(&self) -> &'static str {
        if self.state == QueueState::OneMoment && self.position == 0 {
            "We cannot see the line just now. You get your number as soon as we can; this page tries again by itself."
        } else {
            self.state.lead()
        }
    }

    /// The expected wait in words.
    pub(crate) fn eta_said(&self) -> String {
        match (self.state, self.eta) {
            (QueueState::Called, wait) => called_said(wait.map_or(0, |wait| wait.high_ms)),
            (QueueState::Waiting, Some(wait)) => wait_said(wait),
            (QueueState::Waiting | QueueState::Paused | QueueState::OneMoment | QueueState::Provisional, _) => {
                "not known".to_owned()
            }
        }
    }

    /// How many are let in.
    pub(crate) fn rate_said(&self) -> String {
        if self.state == QueueState::Paused {
            return "nobody for now".to_owned();
        }
        format!("{} a minute", thousands(u64::from(self.rate_per_minute)))
    }

    /// What is left to sell.
    pub(crate) fn left_said(&self) -> String {
        self.remaining.map(|left| format!("about {}", count(left.free))).unwrap_or_default()
    }

    /// What one should know before waiting on: empty, unless more people wait than there is to sell.
    pub(crate) fn hint(&self) -> String {
        match self.remaining {
            None => String::new(),
            Some(Left { free: ..=0, held: ..=0 }) => "Everything is sold. You can stay, but there may be nothing left \
                 when it is your turn."
                .to_owned(),
            Some(Left { free: ..=0, held }) => format!(
                "Nothing is free at this moment. {} in other people's baskets; some of it may come back.",
                if held == 1 { "One is".to_owned() } else { format!("{} are", count(held)) }
            ),
            Some(Left { free, .. }) if u64::try_from(free).unwrap_or(0) <= self.ahead => format!(
                "About {} left, and about {} people before you. There may be nothing left when it is your turn.",
                count(free),
                thousands(self.ahead)
            ),
            Some(_) => String::new(),
        }
    }

    /// Seconds until a browser without scripts should look again.
    pub(crate) fn refresh_s(&self) -> i64 {
        ((self.poll_after_ms.max(0) + 999) / 1000).max(2)
    }
}

/// A wait as people say it: `about 4–6 minutes`, `less than a minute`.
pub(crate) fn wait_said(wait: Wait) -> String {
    let (low, high) = (minutes_up(wait.low_ms), minutes_up(wait.high_ms));
    match (low, high) {
        (_, ..=1) => "less than a minute".to_owned(),
        (_, 120..) => format!("about {}–{} hours", (low / 60).max(1), (high + 59) / 60),
        _ if low == high => format!("about {high} minutes"),
        _ => format!("about {low}–{high} minutes"),
    }
}

/// Longer than this is more than "a few seconds", in milliseconds.
const FEW_SECONDS_MS: i64 = 10_000;

/// The longest wait of somebody who is called: seconds, unless the room is slow.
fn called_said(high_ms: i64) -> String {
    match minutes_up(high_ms) {
        _ if high_ms <= FEW_SECONDS_MS => "a few seconds".to_owned(),
        ..=1 => "less than a minute".to_owned(),
        minutes => format!("up to {minutes} minutes"),
    }
}

fn minutes_up(ms: i64) -> i64 {
    (ms.max(0) + 59_999) / 60_000
}

fn count(n: i64) -> String {
    thousands(u64::try_from(n).unwrap_or(0))
}

/// A length of time in whole minutes: `15 minutes`.
pub(crate) fn minutes(ms: i64) -> String {
    match minutes_up(ms) {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

/// The time of day in UTC, `19:42:07`: what is shown until the script knows the visitor's zone.
pub(crate) fn utc_time(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
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
