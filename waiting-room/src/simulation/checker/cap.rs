//! The cap on live sessions, in true time: no more are inside than may be, and a place that is free is used.

use super::{Broken, broken};
use crate::line::{RoomChange, Session, rule::STEP_MS_MAX};
use std::collections::BTreeMap;

/// So long a free place may be unused while people are there and the rate lets somebody in every second: those in front may
/// be away, and are waited for in turn.
const UNUSED_S_MAX: u32 = 20;
/// At lower rates the rate says when the next one goes in.
const RATE_JUDGED_MIN: u32 = 60;

/// Who is inside.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Cap {
    /// 0: no cap.
    max: u32,
    /// By when each session is over at the latest, in true time.
    over_at_ms: BTreeMap<Box<str>, i64>,
    unused_s: u32,
    calm_from_ms: i64,
    most: u64,
}

impl Cap {
    pub(super) fn new(max: u32) -> Cap {
        Cap { max, ..Cap::default() }
    }

    /// The line gives a place: from now on, also if it begins a moment later.
    pub(super) fn enters(&mut self, now_ms: i64, session: &Session) -> Result<(), Broken> {
        self.over_at_ms.retain(|_, over_at_ms| *over_at_ms > now_ms);
        self.over_at_ms.insert(session.id.as_str().into(), now_ms + session.expires_in_ms);
        self.unused_s = 0;
        let inside = self.over_at_ms.len() as u64;
        self.most = self.most.max(inside);
        if self.max > 0 && inside > u64::from(self.max) {
            return broken("cap", format!("{inside} are inside where {} may be", self.max));
        }
        Ok(())
    }

    /// The upstream ended it, and the line was told.
    pub(in crate::simulation) fn ended(&mut self, id: &str) {
        self.over_at_ms.remove(id);
    }

    /// The wall clock jumps ahead. Nobody can tell a short jump from time that passed: sessions may end so much sooner.
    pub(in crate::simulation) fn jump(&mut self, by_ms: i64) {
        if (1..=STEP_MS_MAX).contains(&by_ms) {
            self.over_at_ms.values_mut().for_each(|over_at_ms| *over_at_ms -= by_ms);
        }
    }

    pub(in crate::simulation) fn change(&mut self, change: &RoomChange) {
        self.max = change.max_active.unwrap_or(self.max);
        self.unused_s = 0;
    }

    /// A free place that is not used until then is no fault of the line.
    pub(in crate::simulation) fn disturbed_until(&mut self, at_ms: i64) {
        self.calm_from_ms = self.calm_from_ms.max(at_ms);
    }

    /// The most that were inside at once.
    pub(in crate::simulation) const fn most(&self) -> u64 {
        self.most
    }

    /// Places that are free; nothing where there is no cap.
    pub(in crate::simulation) fn free(&self, now_ms: i64) -> Option<u64> {
        let inside = self.over_at_ms.values().filter(|over_at_ms| **over_at_ms > now_ms).count() as u64;
        (self.max > 0).then(|| u64::from(self.max).saturating_sub(inside))
    }

    /// A second is over. `enough`: more people are there than the next seconds can let in.
    ///
    /// # Errors
    /// A place was free for too long.
    pub(in crate::simulation) fn second(
        &mut self,
        now_ms: i64,
        rate_per_minute: u32,
        enough: bool,
    ) -> Result<(), Broken> {
        let free = self.free(now_ms).is_some_and(|free| free > 0);
        self.unused_s = if enough && now_ms > self.calm_from_ms && free && rate_per_minute >= RATE_JUDGED_MIN {
            self.unused_s + 1
        } else {
            0
        };
        if self.unused_s > UNUSED_S_MAX {
            return broken("W3", format!("a place under the cap was free for {} s while people waited", self.unused_s));
        }
        Ok(())
    }
}
