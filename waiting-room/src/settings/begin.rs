//! What a room begins with besides its numbers: how places are given, and when. Afterwards the line keeps what operators
//! chose.

use serde::Deserialize;

use super::{BadSetting, bad};
use crate::line::{Method, RoomInitial, RoomState};

/// First values of a room; times as RFC 3339, such as `2026-12-01T20:00:00Z`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Begin {
    /// `open`, `paused`, `draining`, `closed` or `sold_out`.
    pub state: RoomState,
    /// `fcfs`, `draw` or `pass_through`.
    pub method: Method,
    /// Words for the queue page.
    pub message: String,
    /// When people may begin to join; without it at any time.
    pub prequeue_at: Option<String>,
    /// When the first are called, and the draw is made if it is one; without it at once.
    pub opens_at: Option<String>,
    /// When nobody joins or goes in any more; without it never.
    pub closes_at: Option<String>,
}

impl Begin {
    pub(super) fn check(&self, room: &str) -> Result<(), BadSetting> {
        let times = [("prequeue_at", &self.prequeue_at), ("opens_at", &self.opens_at), ("closes_at", &self.closes_at)];
        for (name, text) in times {
            if text.as_deref().is_some_and(|text| time_ms(text).is_none()) {
                let reason = "must be a time like \"2026-12-01T20:00:00Z\"";
                return Err(bad(format!("rooms.{room}.begin.{name}"), reason));
            }
        }
        let [prequeue_ms, opens_ms, closes_ms] = times.map(|(_, text)| text.as_deref().and_then(time_ms));
        if prequeue_ms.zip(opens_ms).is_some_and(|(prequeue_ms, opens_ms)| prequeue_ms > opens_ms) {
            return Err(bad(format!("rooms.{room}.begin.opens_at"), "must not be before prequeue_at"));
        }
        let last_ms = opens_ms.max(prequeue_ms);
        if closes_ms.zip(last_ms).is_some_and(|(closes_ms, last_ms)| closes_ms <= last_ms) {
            return Err(bad(format!("rooms.{room}.begin.closes_at"), "must be after opens_at and prequeue_at"));
        }
        if self.method == Method::Draw && opens_ms.is_none() {
            return Err(bad(
                format!("rooms.{room}.begin.opens_at"),
                "is needed for a draw: it is when the lots are drawn",
            ));
        }
        Ok(())
    }

    /// A line's first values with these among them.
    pub(super) fn initial(&self) -> RoomInitial {
        let at_ms = |text: &Option<String>| text.as_deref().and_then(time_ms);
        RoomInitial {
            state: self.state,
            method: self.method,
            message: self.message.clone(),
            prequeue_at_ms: at_ms(&self.prequeue_at),
            opens_at_ms: at_ms(&self.opens_at),
            closes_at_ms: at_ms(&self.closes_at),
            ..RoomInitial::default()
        }
    }
}

fn time_ms(text: &str) -> Option<i64> {
    text.trim().parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(method: Method, [prequeue_at, opens_at, closes_at]: [&str; 3]) -> Begin {
        let [prequeue_at, opens_at, closes_at] =
            [prequeue_at, opens_at, closes_at].map(|text| (!text.is_empty()).then(|| text.to_owned()));
        Begin { method, prequeue_at, opens_at, closes_at, ..Begin::default() }
    }

    #[test]
    fn a_schedule_is_read_and_what_cannot_be_is_named() {
        let good = begin(Method::Draw, ["2026-12-01T19:00:00Z", "2026-12-01T21:00:00+01:00", ""]);
        assert_eq!(good.check("demo"), Ok(()));
        let initial = good.initial();
        assert_eq!((initial.method, initial.opens_at_ms), (Method::Draw, Some(1_796_155_200_000)));
        let refused = |method, times| begin(method, times).check("demo").map_err(|bad| bad.to_string());
        let fcfs = Method::Fcfs;
        for (method, times, says) in [
            (fcfs, ["soon", "", ""], "`rooms.demo.begin.prequeue_at`: must be a time like \"2026-12-01T20:00:00Z\""),
            (
                fcfs,
                ["2026-12-02T00:00:00Z", "2026-12-01T00:00:00Z", ""],
                "`rooms.demo.begin.opens_at`: must not be before prequeue_at",
            ),
            (
                fcfs,
                ["", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"],
                "`rooms.demo.begin.closes_at`: must be after opens_at and prequeue_at",
            ),
            (
                Method::Draw,
                ["", "", ""],
                "`rooms.demo.begin.opens_at`: is needed for a draw: it is when the lots are drawn",
            ),
        ] {
            assert_eq!(refused(method, times), Err(says.to_owned()));
        }
    }
}
