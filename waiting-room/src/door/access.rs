//! What a room asks of those who join to know who they are, and how often somebody may guess. It says by which lane
//! they come and who they are; the line gives the places.

use std::net::IpAddr;
use std::sync::Arc;

use super::desk::{Limiter, NotJoined};
use crate::credential::{AccessKey, BadAccess, Codes, Holder, Tokens, is_token};
use crate::settings::{self, JoinLimit, RoomSettings};

/// Wrong codes from one network on one node. A list of a million made codes has one in 2^40 of all; a network guesses
/// one of them in two hundred years.
pub(super) const TRIES: JoinLimit = JoinLimit { per_minute: 10, burst: 10 };

/// The texts of the files that the settings of a room name.
#[derive(Debug, Clone, Default)]
pub struct AccessFiles {
    /// Access codes, `code[,lane]` a line; empty if there are none.
    pub codes: String,
    /// Public keys of tokens; empty if there are none.
    pub keys: String,
}

/// Somebody who may join: by which lane, and who they are if they have shown it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proved {
    /// The lane's name; `None` is the general one.
    pub(crate) lane: Option<Arc<str>>,
    /// The same for the same code or subject in this room.
    pub(crate) identity: Option<[u8; 16]>,
}

/// What one room asks.
pub(crate) struct Access {
    required: bool,
    key: AccessKey,
    codes: Codes,
    tokens: Option<Tokens>,
    tries: Limiter,
}

impl Access {
    pub(crate) fn read(
        room: &str,
        settings: &RoomSettings,
        files: &AccessFiles,
        key: &AccessKey,
    ) -> Result<Access, BadAccess> {
        let tokens = settings.access_tokens.as_ref().map(|tokens| Tokens::read(&files.keys, tokens));
        Ok(Access {
            required: settings.access == settings::Access::Required,
            key: key.clone(),
            codes: Codes::read(&files.codes, room, &settings.lane_names(), key)?,
            tokens: tokens.transpose()?,
            tries: Limiter::new(TRIES),
        })
    }

    /// Whether codes are of any use here.
    pub(super) fn takes_codes(&self) -> bool {
        !self.codes.is_empty()
    }

    /// Whether the shop's tokens are of any use here.
    pub(super) fn takes_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Who somebody is, by what they show. What is wrong is never taken for nothing: who has mistyped a code must not
    /// wait in the wrong lane.
    pub(super) fn prove(
        &self,
        room: &str,
        shown: Option<&str>,
        address: IpAddr,
        now_ms: i64,
    ) -> Result<Proved, NotJoined> {
        let Some(shown) = shown.map(str::trim).filter(|shown| !shown.is_empty()) else {
            return if self.required { Err(NotJoined::AccessMissing) } else { Ok(Proved::default()) };
        };
        self.tries.look(address, now_ms).map_err(|retry_after_ms| NotJoined::TooManyTries { retry_after_ms })?;
        let holder = if is_token(shown) {
            self.tokens.as_ref().and_then(|tokens| tokens.holder(shown, room, &self.key, now_ms))
        } else {
            self.codes.holder(shown, room, &self.key)
        };
        match holder {
            Some(Holder { lane, identity }) => Ok(Proved { lane, identity: Some(identity) }),
            None => {
                // Only what is wrong counts: a whole office may come with good codes.
                let _ = self.tries.admit(address, now_ms);
                Err(NotJoined::AccessWrong)
            }
        }
    }
}
