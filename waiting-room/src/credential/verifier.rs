//! Checks entry tokens offline, through a bounded cache of tokens that have been checked before. Never asks a store,
//! reads no clock, and knows public keys only.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, Validation};
use quick_cache::sync::Cache;

use super::entry::{Claims, ENTRY_TYP, install_provider};
use super::jwks::{self, BadKeys, PublicKey};

/// Tokens that are remembered as checked: about 10 MB, and more sessions than one door serves at a time.
const CHECKED_TOKENS_MAX: usize = 16_384;
/// Longest token that is looked at. Ours have about 330 characters.
const TOKEN_BYTES_MAX: usize = 1024;

/// Verifies entry tokens. Share one behind an `Arc`; keys may be swapped while it is in use.
pub struct EntryVerifier {
    keys: ArcSwap<Keys>,
    checked: Cache<Box<str>, Arc<Checked>>,
}

/// A set of keys and its place in the history of sets: what was checked with an older set is checked again.
struct Keys {
    generation: u64,
    keys: Vec<PublicKey>,
}

/// A token that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    generation: u64,
    claims: Claims,
}

impl Checked {
    /// The session's id.
    pub(crate) fn session(&self) -> &str {
        &self.claims.jti
    }

    /// The ticket, as the token names it.
    pub(crate) fn ticket(&self) -> &str {
        &self.claims.sub
    }

    /// When it was given, epoch milliseconds.
    pub(crate) fn given_at_ms(&self) -> i64 {
        self.claims.iat.saturating_mul(1_000)
    }

    /// When it runs out, epoch milliseconds.
    pub(crate) fn until_ms(&self) -> i64 {
        self.claims.exp.saturating_mul(1_000)
    }
}

/// Why a token is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryRefused {
    /// Not ours, not for this room, or changed on the way.
    Invalid,
    /// It was good once.
    Expired,
}

impl EntryVerifier {
    /// Without keys: refuses every token until [`EntryVerifier::swap`] brings some.
    pub fn closed() -> EntryVerifier {
        install_provider();
        let keys = ArcSwap::from_pointee(Keys { generation: 0, keys: Vec::new() });
        EntryVerifier { keys, checked: Cache::new(CHECKED_TOKENS_MAX) }
    }

    /// From a JSON Web Key Set, as `/.waiting-room/jwks.json` gives it.
    ///
    /// # Errors
    /// [`BadKeys`] when the text holds no Ed25519 key.
    pub fn from_jwks(text: &str) -> Result<EntryVerifier, BadKeys> {
        let verifier = EntryVerifier::closed();
        verifier.swap(text)?;
        Ok(verifier)
    }

    /// Replaces the keys; tokens of keys that are gone stop working at once.
    ///
    /// # Errors
    /// [`BadKeys`] when the text holds no Ed25519 key; the keys then stay as they are.
    pub fn swap(&self, text: &str) -> Result<(), BadKeys> {
        let keys = jwks::read(text)?;
        self.keys.rcu(|old| Keys { generation: old.generation.wrapping_add(1), keys: keys.clone() });
        self.checked.clear();
        Ok(())
    }

    /// Checks a token for a room at a time in milliseconds since 1970. Expiry is judged on each call.
    pub(crate) fn verify(&self, token: &str, room: &str, now_ms: i64) -> Result<(), EntryRefused> {
        self.verified(token, room, now_ms).map(drop)
    }

    /// As [`EntryVerifier::verify`], and what the token says.
    pub(crate) fn verified(&self, token: &str, room: &str, now_ms: i64) -> Result<Arc<Checked>, EntryRefused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(EntryRefused::Invalid);
        }
        let keys = self.keys.load();
        let known = self.checked.get(token).filter(|checked| checked.generation == keys.generation);
        let checked = match known {
            Some(checked) => checked,
            None => self.check(&keys, token)?,
        };
        if checked.claims.aud != room {
            return Err(EntryRefused::Invalid);
        }
        if checked.claims.exp <= now_ms.div_euclid(1000) {
            return Err(EntryRefused::Expired);
        }
        Ok(checked)
    }

    fn check(&self, keys: &Keys, token: &str) -> Result<Arc<Checked>, EntryRefused> {
        let claims = signed_claims(keys, token).ok_or(EntryRefused::Invalid)?;
        let checked = Arc::new(Checked { generation: keys.generation, claims });
        self.checked.insert(token.into(), Arc::clone(&checked));
        Ok(checked)
    }
}

/// The claims of a token that one of the keys has signed. The algorithm is ours to choose, not the token's.
fn signed_claims(keys: &Keys, token: &str) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(ENTRY_TYP) || header.crit.is_some() {
        return None;
    }
    let kid = header.kid?;
    let key = keys.keys.iter().find(|key| key.kid() == kid)?;
    let mut rules = Validation::new(Algorithm::EdDSA);
    // The caller judges time and room with values of its own: the crate would read the system's clock.
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    jsonwebtoken::decode::<Claims>(token, key.decoding_key(), &rules).ok().map(|data| data.claims)
}

#[cfg(test)]
mod tests;
