//! People who are inside: when their entry begins, and when the upstream ends their session.

use super::{Event, World};
use crate::{
    line::Session,
    simulation::{backing::Backing, checker::Broken},
};

/// Nodes tell the line of ended sessions again and again until it has heard.
const TELL_AGAIN_MS: i64 = 1_000;

impl<B: Backing> World<'_, B> {
    /// The line lets somebody in, now or at a time it names.
    pub(super) fn admit(&mut self, session: &Session) -> Result<(), Broken> {
        if !self.checker.admitted(self.now_ms, session)? {
            return Ok(());
        }
        let begins_ms = self.now_ms + session.starts_in_ms.max(0);
        self.schedule(begins_ms, Event::Begins);
        if self.scenario.stays_ms > 0 {
            let stays_ms = self.chance.between(1, 2 * self.scenario.stays_ms);
            if stays_ms < session.expires_in_ms {
                self.inside.push(session.id.clone());
                self.schedule(begins_ms + stays_ms, Event::Ends(self.inside.len() - 1));
            }
        }
        Ok(())
    }

    /// The upstream has ended a session.
    pub(super) fn ends(&mut self, index: usize) -> Result<(), Broken> {
        if !self.store_answers() {
            self.schedule(self.now_ms + TELL_AGAIN_MS, Event::Ends(index));
            return Ok(());
        }
        let snapshot = self.backing.end(self.wall_ms(), &self.inside[index]);
        self.checker.cap.ended(&self.inside[index]);
        self.checker.snapshot(&snapshot)
    }
}
