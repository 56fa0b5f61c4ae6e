//! Access codes and the shop's tokens: what somebody shows to join a room, who that makes them, and which lane they may
//! use. Codes are kept as keyed hashes only. Knows nothing of lines; the caller limits how often it is asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_lc_rs::hmac;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::entry::install_provider;
use super::spoken;
use crate::settings::AccessTokens;

/// The fewest characters of a code: 40 bits of those that [`new_access_code`] makes.
const CODE_CHARACTERS_MIN: usize = 8;
const CODE_CHARACTERS_MAX: usize = 64;
/// Codes of one room, about 100 MB.
const CODES_MAX: usize = 1_000_000;
/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 4 * 1024;
/// How far the clock of whoever signs may be ahead, in seconds.
const LEEWAY_S: i64 = 30;

/// A fresh access code of sixty random bits: `7KQM-2D4X-9RTB`.
pub fn new_access_code() -> String {
    spoken::grouped(&spoken::spell(rand::random(), 12))
}

/// Why a file of codes or keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAccess {
    /// A line of the codes.
    #[error("line {line}: {reason}")]
    Code {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A line of the codes names a lane that the room does not have.
    #[error("line {line}: there is no lane \"{lane}\" in this room; it has {lanes}")]
    Lane {
        /// From 1.
        line: usize,
        /// As it stands there.
        lane: String,
        /// Those that there are.
        lanes: String,
    },
    /// The keys.
    #[error("this is neither a JSON Web Key Set nor a public key in PEM form with a key of Ed25519, P-256 or RSA")]
    Keys,
}

/// Whoever has shown something good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The lane's name, if not the general one.
    pub(crate) lane: Option<Arc<str>>,
    /// A keyed hash of the code, or of the token's subject: the same for the same person, and nothing else.
    pub(crate) identity: [u8; 16],
}

/// The key of the hashes: nodes share it, and a store that is read tells nobody a code.
#[derive(Clone)]
pub(crate) struct AccessKey(hmac::Key);

impl AccessKey {
    /// A key of its own, derived from the one of tickets.
    pub(crate) fn new(ticket_key: &[u8]) -> AccessKey {
        let root = hmac::Key::new(hmac::HMAC_SHA256, ticket_key);
        AccessKey(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, b"vestibule access").as_ref()))
    }

    fn hash(&self, kind: u8, room: &str, value: &str) -> [u8; 16] {
        let mut text = vec![kind, u8::try_from(room.len()).unwrap_or(u8::MAX)];
        text.extend_from_slice(room.as_bytes());
        text.extend_from_slice(value.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hmac::sign(&self.0, &text).as_ref()[..16]);
        short
    }
}

/// What separates hashes of codes from those of subjects.
const KIND_CODE: u8 = 1;
const KIND_SUBJECT: u8 = 2;

/// The codes of a room by their hashes. Looking one up takes a time that says nothing of the codes that there are: the
/// hash of a guess is nothing that whoever guesses knows.
#[derive(Default)]
pub(crate) struct Codes(HashMap<[u8; 16], Option<Arc<str>>>);

impl Codes {
    /// Reads `code[,lane]`, one a line; empty lines and what begins with `#` say nothing. `known` are the lanes of the room.
    pub(crate) fn read(text: &str, room: &str, known: &[&str], key: &AccessKey) -> Result<Codes, BadAccess> {
        let mut codes = HashMap::new();
        let mut lanes: BTreeMap<&str, Arc<str>> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |reason| BadAccess::Code { line: index + 1, reason };
            let (code, lane) = line.split_once(',').map_or((line, ""), |(code, lane)| (code, lane.trim()));
            let code = code_of(code).ok_or_else(|| bad("a code has 8 to 64 letters and digits"))?;
            if !lane.is_empty() && !known.contains(&lane) {
                let (lane, lanes) = (lane.to_owned(), known.join(", "));
                return Err(BadAccess::Lane { line: index + 1, lane, lanes });
            }
            let lane = (!lane.is_empty()).then(|| Arc::clone(lanes.entry(lane).or_insert_with(|| lane.into())));
            if codes.len() >= CODES_MAX {
                return Err(bad("no room has more than a million codes"));
            }
            if codes.insert(key.hash(KIND_CODE, room, &code), lane).is_some() {
                return Err(bad("this code stands here twice"));
            }
        }
        Ok(Codes(codes))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn holder(&self, text: &str, room: &str, key: &AccessKey) -> Option<Holder> {
        let identity = key.hash(KIND_CODE, room, &code_of(text)?);
        self.0.get(&identity).map(|lane| Holder { lane: lane.clone(), identity })
    }
}

fn code_of(text: &str) -> Option<String> {
    let fits = |code: &String| (CODE_CHARACTERS_MIN..=CODE_CHARACTERS_MAX).contains(&code.len());
    Some(text).filter(|text| text.len() <= 4 * CODE_CHARACTERS_MAX).and_then(spoken::normal).filter(fits)
}

/// Whether somebody shows a token, and not a code.
pub(crate) fn is_token(text: &str) -> bool {
    text.contains('.')
}

/// The tokens that a room takes.
pub(crate) struct Tokens {
    keys: Vec<TokenKey>,
    settings: AccessTokens,
}

struct TokenKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Tokens {
    /// Reads the keys.
    pub(crate) fn read(text: &str, settings: &AccessTokens) -> Result<Tokens, BadAccess> {
        install_provider();
        let keys = match serde_json::from_str::<JwkSet>(text) {
            Ok(set) => set.keys.iter().filter_map(of_jwk).collect(),
            Err(_) => of_pem(text.as_bytes()).into_iter().collect::<Vec<_>>(),
        };
        if keys.is_empty() { Err(BadAccess::Keys) } else { Ok(Tokens { keys, settings: settings.clone() }) }
    }

    /// Who the token says somebody is. The algorithm is the key's to choose, not the token's.
    pub(crate) fn holder(&self, token: &str, room: &str, key: &AccessKey, now_ms: i64) -> Option<Holder> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok().filter(|header| header.crit.is_none())?;
        let fits = |known: &&TokenKey| {
            known.algorithm == header.alg && (header.kid.is_none() || known.id.is_none() || known.id == header.kid)
        };
        let claims = self.keys.iter().filter(fits).find_map(|known| self.claims(token, known))?;
        let second = |name: &str| claims.get(name).map(|value| value.as_i64().or(value.as_f64().map(whole)));
        let now_s = now_ms.div_euclid(1_000);
        let alive = second("exp").flatten().is_some_and(|until_s| until_s > now_s);
        let begun = second("nbf").is_none_or(|from_s| from_s.is_some_and(|from_s| from_s <= now_s + LEEWAY_S));
        let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty())?;
        let identity = key.hash(KIND_SUBJECT, room, subject);
        (alive && begun).then(|| Holder { lane: self.lane(&claims), identity })
    }

    fn claims(&self, token: &str, known: &TokenKey) -> Option<Map<String, Value>> {
        let mut rules = Validation::new(known.algorithm);
        rules.set_audience(&[&self.settings.audience]);
        rules.set_issuer(&[&self.settings.issuer]);
        rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // The caller judges time by its own clock: the crate would read the system's.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        jsonwebtoken::decode(token, &known.key, &rules).ok().map(|data| data.claims)
    }

    fn lane(&self, claims: &Map<String, Value>) -> Option<Arc<str>> {
        let lane = |value: &Value| value.as_str().and_then(|value| self.settings.lanes.get(value));
        let claim = claims.get(&self.settings.lane_claim)?;
        let found = claim.as_array().map_or_else(|| lane(claim), |all| all.iter().find_map(lane));
        found.map(|lane| lane.as_str().into())
    }
}

/// Seconds with a fraction, as some write them. Saturates.
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

fn of_jwk(jwk: &Jwk) -> Option<TokenKey> {
    let algorithm = if let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm {
        (pair.curve == EllipticCurve::Ed25519).then_some(Algorithm::EdDSA)?
    } else if let AlgorithmParameters::EllipticCurve(curve) = &jwk.algorithm {
        (curve.curve == EllipticCurve::P256).then_some(Algorithm::ES256)?
    } else {
        matches!(jwk.algorithm, AlgorithmParameters::RSA(_)).then_some(Algorithm::RS256)?
    };
    Some(TokenKey { id: jwk.common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
}

fn of_pem(pem: &[u8]) -> Option<TokenKey> {
    let key = |algorithm, key: jsonwebtoken::errors::Result<DecodingKey>| {
        key.ok().map(|key| TokenKey { id: None, algorithm, key })
    };
    key(Algorithm::EdDSA, DecodingKey::from_ed_pem(pem))
        .or_else(|| key(Algorithm::ES256, DecodingKey::from_ec_pem(pem)))
        .or_else(|| key(Algorithm::RS256, DecodingKey::from_rsa_pem(pem)))
}

#[cfg(test)]
mod tests;
