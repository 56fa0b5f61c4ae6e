//! Public keys of entry tokens as a JSON Web Key Set: reading and writing, Ed25519 only. Holds no private key.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::json;

/// Keys of one set: one that signs, one that is about to, and a few whose tokens have not run out.
const KEYS_MAX: usize = 16;
/// Longest set that is read, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;
const KEY_BYTES: usize = 32;

/// Why keys cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// The text is not a key set, or too long.
    #[error("this is not a JSON Web Key Set of at most {KEYS_MAX} keys")]
    NotAKeySet,
    /// The set holds no Ed25519 key.
    #[error("the key set holds no usable Ed25519 key")]
    NoKey,
    /// The private key is not Ed25519 in PKCS#8 form.
    #[error("the key is not an Ed25519 key in PKCS#8 form")]
    NotEd25519,
}

/// One Ed25519 public key with the id that tokens name it by.
#[derive(Clone)]
pub(super) struct PublicKey {
    kid: String,
    x: String,
    key: DecodingKey,
}

impl PublicKey {
    /// From the raw 32 bytes; the id is the thumbprint of RFC 7638.
    pub(super) fn new(raw: &[u8]) -> Result<PublicKey, BadKeys> {
        if raw.len() != KEY_BYTES {
            return Err(BadKeys::NotEd25519);
        }
        let x = URL_SAFE_NO_PAD.encode(raw);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        Ok(PublicKey { kid, x, key: DecodingKey::from_ed_der(raw) })
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn decoding_key(&self) -> &DecodingKey {
        &self.key
    }
}

/// Writes a set as RFC 7517 and RFC 8037 want it.
pub(super) fn write(keys: &[PublicKey]) -> String {
    let one = |key: &PublicKey| json!({"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid, "alg": "EdDSA", "use": "sig"});
    json!({"keys": keys.iter().map(one).collect::<Vec<_>>()}).to_string()
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    kid: Option<String>,
}

/// Reads a set. Keys of other kinds are passed over, as RFC 7517 asks.
pub(super) fn read(text: &str) -> Result<Vec<PublicKey>, BadKeys> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(BadKeys::NotAKeySet);
    }
    let set: Set = serde_json::from_str(text).map_err(|_| BadKeys::NotAKeySet)?;
    if set.keys.len() > KEYS_MAX {
        return Err(BadKeys::NotAKeySet);
    }
    let keys: Vec<PublicKey> = set.keys.into_iter().filter_map(Member::ed25519).collect();
    if keys.is_empty() { Err(BadKeys::NoKey) } else { Ok(keys) }
}

impl Member {
    fn ed25519(self) -> Option<PublicKey> {
        if self.kty != "OKP" || self.crv.as_deref() != Some("Ed25519") {
            return None;
        }
        let raw = URL_SAFE_NO_PAD.decode(self.x?).ok()?;
        let key = PublicKey::new(&raw).ok()?;
        Some(PublicKey { kid: self.kid?, ..key })
    }
}
