//! Entry tokens: minting. A JWT signed with Ed25519, with a type of its own, for one room and one session. Checking
//! them is [`EntryVerifier`](super::EntryVerifier)'s business, which needs the public key only.

use std::sync::Once;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use super::jwks::{BadKeys, PublicKey};

/// `typ` in the header: a token of another kind signed with the same key must not pass as an entry.
pub(super) const ENTRY_TYP: &str = "entry+jwt";

/// What an entry token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The room.
    pub(super) aud: String,
    /// The ticket: `<room>.<epoch>.<lane>.<number>`.
    pub(super) sub: String,
    /// The session.
    pub(super) jti: String,
    /// Seconds since 1970.
    pub(super) iat: i64,
    /// Seconds since 1970; from this second on the token is worth nothing.
    pub(super) exp: i64,
}

/// What the line granted, and what a token is made from. The same grant gives the same token, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryGrant {
    pub(crate) room: String,
    pub(crate) ticket: String,
    pub(crate) session: String,
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
}

/// The private key of a door.
pub(crate) struct EntrySigner {
    key: EncodingKey,
    header: Header,
    public: PublicKey,
}

impl EntrySigner {
    /// Reads an Ed25519 key in PKCS#8 form.
    ///
    /// # Errors
    /// [`BadKeys`] when it is not one.
    pub(crate) fn new(pkcs8: &[u8]) -> Result<EntrySigner, BadKeys> {
        install_provider();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| BadKeys::NotEd25519)?;
        let public = PublicKey::new(pair.public_key().as_ref())?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(ENTRY_TYP.to_owned());
        header.kid = Some(public.kid().to_owned());
        Ok(EntrySigner { key: EncodingKey::from_ed_der(pkcs8), header, public })
    }

    /// Signs a token. `None` only if the cryptography fails, which a checked key does not.
    pub(crate) fn mint(&self, grant: &EntryGrant) -> Option<String> {
        let claims = Claims {
            aud: grant.room.clone(),
            sub: grant.ticket.clone(),
            jti: grant.session.clone(),
            iat: grant.from_ms.div_euclid(1000),
            // Rounded down: a token must not outlive the session that the line counts.
            exp: grant.until_ms.div_euclid(1000),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key).ok()
    }

    /// The public keys as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> String {
        super::jwks::write(std::slice::from_ref(&self.public))
    }
}

/// A fresh Ed25519 key in PKCS#8 form, for the settings. Empty only if the system has no randomness to give, which
/// [`Door::open`](crate::Door::open) then refuses.
pub fn new_entry_key() -> Vec<u8> {
    Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_or_else(|_| Vec::new(), |key| key.as_ref().to_vec())
}

/// Chooses the cryptography for JSON Web Tokens, once for the process. Another part of the process may have been
/// first, with the same choice: there is one provider in the build.
pub(super) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().is_err() {
            tracing::debug!("the provider for JSON Web Tokens was installed before");
        }
    });
}
