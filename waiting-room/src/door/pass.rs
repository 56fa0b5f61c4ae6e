//! The proof that a request may be forwarded. Only this file can make one, and each way to make one does the check
//! itself, so that nobody can forget it.

use std::sync::Arc;

use http::Method;

use crate::credential::{Checked, EntryRefused, EntryVerifier};
use crate::path::{Bypassed, CanonicalPath, RoomRules, Seen};

/// Proof that a request may pass: [`Upstream::forward`](crate::proxy::Upstream::forward) consumes it.
pub(crate) struct Admitted {
    /// The verified token that goes along, so that what stands behind can verify it too.
    token: Option<String>,
    /// What was verified of it.
    checked: Option<Arc<Checked>>,
}

impl Admitted {
    /// The way in of visitors: a token that holds for this room now.
    pub(super) fn by_token(
        verifier: &EntryVerifier,
        token: &str,
        room: &str,
        now_ms: i64,
    ) -> Result<Admitted, EntryRefused> {
        let checked = verifier.verified(token, room, now_ms)?;
        Ok(Admitted { token: Some(token.to_owned()), checked: Some(checked) })
    }

    /// The way of paths that are open to everybody. No token goes along: nobody has looked at it.
    pub(super) fn by_rule(rules: &RoomRules, method: &Method, path: &CanonicalPath) -> Option<Admitted> {
        rules.is_open(method, path).then_some(Admitted { token: None, checked: None })
    }

    /// The way of those who need not wait. What stands behind asks for a token all the same, so one goes along.
    pub(super) fn by_bypass(
        rules: &RoomRules,
        seen: &Seen<'_>,
        token: impl FnOnce() -> Option<String>,
    ) -> Option<Admitted> {
        (rules.bypasses(seen) == Some(Bypassed::Passes)).then(|| Admitted { token: token(), checked: None })
    }

    /// The visitor's own entry, if that is what let them pass.
    pub(crate) fn entry(&self) -> Option<&Arc<Checked>> {
        self.checked.as_ref()
    }

    /// The token to send along.
    pub(crate) fn into_token(self) -> Option<String> {
        self.token
    }
}
