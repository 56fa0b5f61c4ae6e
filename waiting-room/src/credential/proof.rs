//! Proofs of work in ALTCHA's format: the challenge is signed, so that nothing is kept of it until it is solved, and
//! bound to one room and a short time. That each is used once is its keeper's business.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// How long a challenge may be worked on, in milliseconds.
pub(crate) const PROOF_MS: i64 = 120_000;
/// Longest proof that is looked at, in bytes; ours have about 400.
const TEXT_BYTES_MAX: usize = 1_024;
const ALGORITHM: &str = "SHA-256";

/// What is to be solved: find the number below `maxnumber` for which SHA-256 of salt and number is the challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Challenge {
    pub(crate) algorithm: &'static str,
    pub(crate) challenge: String,
    pub(crate) maxnumber: u32,
    pub(crate) salt: String,
    pub(crate) signature: String,
}

/// A solved challenge, as clients send it: this as JSON in base64.
#[derive(Debug, Deserialize)]
struct Solved {
    algorithm: String,
    challenge: String,
    number: u64,
    salt: String,
    signature: String,
}

/// The key of challenges.
pub(crate) struct ProofKey(hmac::Key);

impl ProofKey {
    /// A key of its own, derived from the one of tickets: nodes share it, and neither is told by the other.
    pub(crate) fn new(ticket_key: &[u8]) -> ProofKey {
        let root = hmac::Key::new(hmac::HMAC_SHA256, ticket_key);
        let derived = hmac::sign(&root, b"vestibule proof of work");
        ProofKey(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// A fresh challenge for a room.
    pub(crate) fn challenge(&self, room: &str, number_max: u32, now_ms: i64) -> Challenge {
        let nonce: [u8; 12] = rand::random();
        let expires_s = now_ms.saturating_add(PROOF_MS).div_euclid(1_000);
        // The final `&` keeps the digits of the number out of the last field, and so every field out of a solver's
        // hands: salt and number are hashed as one text.
        let salt = format!("{}?expires={expires_s}&room={room}&", hex(&nonce));
        let challenge = hash(&salt, u64::from(rand::random_range(0..=number_max)));
        let signature = hex(hmac::sign(&self.0, challenge.as_bytes()).as_ref());
        Challenge { algorithm: ALGORITHM, challenge, maxnumber: number_max, salt, signature }
    }

    /// What names the proof, if it is one: ours, solved, for this room and not too late.
    pub(crate) fn verify(&self, text: &str, room: &str, now_ms: i64) -> Option<[u8; 16]> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let solved: Solved = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
        if solved.algorithm != ALGORITHM || hash(&solved.salt, solved.number) != solved.challenge {
            return None;
        }
        hmac::verify(&self.0, solved.challenge.as_bytes(), &unhex(&solved.signature)?).ok()?;
        let (nonce, fields) = solved.salt.split_once('?')?;
        let expires_s: i64 = fields.strip_prefix("expires=")?.strip_suffix(&format!("&room={room}&"))?.parse().ok()?;
        let alive = expires_s > now_ms.div_euclid(1_000) && nonce.len() == 24;
        let name = digest::digest(&digest::SHA256, solved.challenge.as_bytes());
        name.as_ref().first_chunk::<16>().copied().filter(|_| alive)
    }
}

fn hash(salt: &str, number: u64) -> String {
    hex(digest::digest(&digest::SHA256, format!("{salt}{number}").as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// Solves a challenge as a client does, and writes the proof.
#[cfg(test)]
pub(crate) fn solve(salt: &str, challenge: &str, signature: &str, number_max: u64) -> String {
    let number = (0..=number_max).find(|&number| hash(salt, number) == challenge).expect("there is a solution");
    let solved = serde_json::json!({
        "algorithm": ALGORITHM, "challenge": challenge, "number": number, "salt": salt, "signature": signature,
    });
    STANDARD.encode(solved.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_764_000_000_000;

    fn solved(challenge: &Challenge) -> String {
        solve(&challenge.salt, &challenge.challenge, &challenge.signature, u64::from(challenge.maxnumber))
    }

    #[test]
    fn a_solved_challenge_holds_for_its_room_and_time() {
        let key = ProofKey::new(&[7; 32]);
        let proof = solved(&key.challenge("demo", 500, NOW_MS));
        let name = key.verify(&proof, "demo", NOW_MS);
        assert!(name.is_some());
        assert_eq!(key.verify(&proof, "demo", NOW_MS + PROOF_MS - 1_000), name);
        assert_eq!(key.verify(&proof, "demo", NOW_MS + PROOF_MS), None);
        assert_eq!(key.verify(&proof, "other", NOW_MS), None);
        assert_eq!(ProofKey::new(&[8; 32]).verify(&proof, "demo", NOW_MS), None);
        assert_ne!(key.verify(&solved(&key.challenge("demo", 500, NOW_MS)), "demo", NOW_MS), name, "each has its own");
    }

    #[test]
    fn no_digit_moves_between_salt_and_number() {
        let key = ProofKey::new(&[7; 32]);
        let challenge = key.challenge("demo", 5_000, NOW_MS);
        let proof: serde_json::Value = serde_json::from_slice(&STANDARD.decode(solved(&challenge)).unwrap()).unwrap();
        let digits = proof["number"].to_string();
        for cut in 1..digits.len() {
            let (moved, rest) = digits.split_at(cut);
            let Ok(number) = rest.parse::<u64>() else { continue };
            let spliced = serde_json::json!({
                "algorithm": ALGORITHM, "challenge": challenge.challenge, "number": number,
                "salt": format!("{}{moved}", challenge.salt), "signature": challenge.signature,
            });
            assert_eq!(key.verify(&STANDARD.encode(spliced.to_string()), "demo", NOW_MS), None);
        }
    }

    #[test]
    fn noise_is_no_proof() {
        let key = ProofKey::new(&[7; 32]);
        for text in ["", "x", "e30=", &"A".repeat(2_000)] {
            assert_eq!(key.verify(text, "demo", NOW_MS), None);
        }
    }
}
