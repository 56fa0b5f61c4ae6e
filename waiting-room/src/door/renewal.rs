//! Sessions that go on. The line is asked before a new token is given: it alone knows which sessions ended at another
//! node. One call for each session in half its time, and together with the others' that queued; while the line cannot be
//! asked, whoever is inside goes on.

use super::gate::{Gate, Grant, Granted};
use super::pass::Admitted;
use super::room::{Room, in_time};
use crate::credential::EntryRefused;
use crate::line::{Renewal, Session};
use crate::store::StoreError;

impl Gate {
    /// A new token for a session that goes on, when less than half of the old one is left.
    ///
    /// # Errors
    /// The session is over, wherever it ended.
    pub(super) async fn renewed(&self, room: &Room, admitted: &Admitted) -> Result<Grant, EntryRefused> {
        let now_ms = self.now_ms();
        let Some(entry) = admitted.entry().filter(|_| room.snapshot().session_renewal) else {
            return Ok(Grant::default());
        };
        let (left_ms, whole_ms) = (entry.until_ms() - now_ms, entry.until_ms() - entry.given_at_ms());
        // Of the requests that come at the same time one asks; the others have their token for a while yet.
        let due = left_ms < whole_ms / 2 && !room.reports().has_ended(entry.session());
        if !due || !room.reports().asks_for(entry.session(), now_ms) {
            return Ok(Grant::default());
        }
        let answer = if room.store_ok() { room.renew(entry.session()).await } else { Err(StoreError::Busy) };
        match answer {
            Ok(Renewal::GoesOn) => {}
            Ok(Renewal::Over) => {
                room.reports().is_known_to_be_over(entry.session(), now_ms, entry.until_ms());
                return Err(EntryRefused::Expired);
            }
            // Nobody knows when it ends, so it lasts as long as its token says.
            Ok(Renewal::Unknown) => return Ok(Grant::default()),
            Err(_) => room.reports().renew(entry.session()),
        }
        let token = self.token(room.name(), entry.ticket(), entry.session(), room.session_ms());
        let entry = token.map(|token| Granted { token, expires_in_ms: room.session_ms() });
        Ok(Grant { ticket: None, entry })
    }
}

impl Room {
    async fn renew(&self, session: &str) -> Result<Renewal, StoreError> {
        let sessions = [session.to_owned()];
        let answer = in_time(self.store.sessions(self.name(), &sessions, &[])).await;
        let (answers, _) = self.keep(answer, |(_, snapshot)| snapshot)?;
        Ok(answers.into_iter().next().unwrap_or(Renewal::Unknown))
    }

    /// Somebody who went in without the line is inside by it from now on, and the position is used up. Whoever is out
    /// again gives it up.
    pub(super) async fn take_in(&self, position: u64, session: Option<&str>, until_ms: i64) -> Result<(), StoreError> {
        let id = Session::derive(self.snapshot().epoch, position, 0, 0).id;
        let (now_ms, goes_on) = (self.now_ms(), self.snapshot().session_renewal && session.is_none());
        let is_out = self.reports().has_ended(session.unwrap_or(&id)) || (until_ms <= now_ms && !goes_on);
        if is_out {
            self.reports().end(&id, now_ms, now_ms.saturating_add(self.session_ms()));
        } else {
            self.renew(&id).await?;
        }
        let answer = in_time(self.store.leave(self.name(), position)).await;
        self.keep(answer, |snapshot| snapshot).map(drop)
    }
}
