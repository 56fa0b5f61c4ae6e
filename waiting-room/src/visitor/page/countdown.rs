//! What the page before the opening shows: until when one waits, and for what.

use askama::Template;

use super::super::asset::{STYLE, version};
use super::{thousands, utc_time};

/// The page before the opening. It works without scripts: the browser looks again by a refresh.
#[derive(Template)]
#[template(path = "door/countdown.html")]
pub(crate) struct CountdownPage {
    /// The room's key, as in the API's paths.
    pub(crate) room: String,
    /// The room's title for people.
    pub(crate) title: String,
    pub(crate) state: Before,
    /// Epoch milliseconds of what is waited for.
    pub(crate) at_ms: i64,
    pub(crate) left_ms: u64,
    /// In the order of joining; 0 when there is none yet.
    pub(crate) number: u64,
    /// Numbers given out so far.
    pub(crate) registered: u64,
    pub(crate) poll_after_ms: u64,
    /// The operator's words, plain text.
    pub(crate) message: Option<String>,
    /// The draw's commitment, in a room that draws.
    pub(crate) commitment: Option<String>,
    pub(crate) epoch: u64,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Until one can join.
    Joining,
    /// In line already; until the first are let in.
    Opening,
    /// In the draw; until the lots are drawn.
    Draw,
}

impl Before {
    /// The API's word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Joining => "early",
            Self::Opening | Self::Draw => "prequeue",
        }
    }

    pub(crate) const fn headline(self) -> &'static str {
        match self {
            Self::Joining => "Not open yet",
            Self::Opening => "You are in line",
            Self::Draw => "You are in the draw",
        }
    }

    pub(crate) const fn lead(self) -> &'static str {
        match self {
            Self::Joining => "Nobody can join yet, and nobody gains anything by waiting here.",
            Self::Opening => "People are let in from the opening on, in the order in which they joined.",
            Self::Draw => "Everybody who registers before the opening has the same chance: places are drawn by lot.",
        }
    }

    pub(crate) const fn until(self) -> &'static str {
        match self {
            Self::Joining => "You can join in",
            Self::Opening | Self::Draw => "Opens in",
        }
    }
}

impl CountdownPage {
    /// Seconds until a browser without scripts should look again.
    pub(crate) fn refresh_s(&self) -> u64 {
        self.poll_after_ms.div_ceil(1000).max(2)
    }
}

/// What is left, as a clock shows it: `2 d 03:04:05`, `3:04:05`, `4:05`.
pub(crate) fn left_said(left_ms: u64) -> String {
    let seconds = left_ms.div_ceil(1000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{:02}", seconds % 60),
        (0, _) => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
        _ => format!("{days} d {hours:02}:{minutes:02}:{:02}", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::keep;
    use super::*;

    #[test]
    fn every_countdown_renders() {
        for (name, state, number) in
            [("early", Before::Joining, 0), ("opening", Before::Opening, 12), ("draw", Before::Draw, 4_711)]
        {
            let page = CountdownPage {
                room: "demo".to_owned(),
                title: "<b>evil</b> premieres".to_owned(),
                state,
                at_ms: 1_795_286_527_000,
                left_ms: 754_321,
                number,
                registered: 52_310,
                poll_after_ms: 60_000,
                message: (number == 12).then(|| "<b>evil</b>".to_owned()),
                commitment: (state == Before::Draw).then(|| "630dcd29".repeat(8)),
                epoch: 1,
            };
            let html = page.render().expect("renders");
            assert!(html.contains(state.headline()) && html.contains("12:35"), "{html}");
            assert_eq!(html.contains("630dcd29"), state == Before::Draw);
            assert_eq!(html.contains("/leave\""), state != Before::Joining);
            keep(&format!("door/countdown-{name}.html"), &html);
        }
    }

    #[test]
    fn what_is_left_reads_like_a_clock() {
        let said = [0, 1, 59_001, 3_599_000, 3_600_000, 86_400_000 * 2 + 3_661_000].map(left_said);
        assert_eq!(said, ["0:00", "0:01", "1:00", "59:59", "1:00:00", "2 d 01:01:01"]);
    }
}
