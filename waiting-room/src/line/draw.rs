//! The fair draw: the order of everybody who registered before the opening, as a function of a seed that was committed
//! to before and of the registrations themselves. `docs/draw.md` says it byte by byte, so that strangers can check it.

mod evidence;
#[cfg(test)]
mod tests;

pub use evidence::{DrawEvidence, Refuted};

use aws_lc_rs::digest::{SHA256, digest};
use rand::rngs::ChaCha20Rng;
use rand::{Rng, SeedableRng};

/// The name of this way to draw: it goes into every seed, so that another way can never give the same order.
pub const DRAW_ALGORITHM: &str = "vestibule draw 1";

/// A seed or a commitment: 256 bits.
type Bytes32 = [u8; 32];

/// What is published before anybody registers: it binds the operator to the seed and tells nothing about it.
fn commitment(seed: &Bytes32) -> Bytes32 {
    sha256(seed)
}

/// The seed of a lane's order: the committed one, mixed with everything that nobody knew when it was committed to. The
/// first lane has no name here, so that its order is that of a room without lanes.
pub(crate) fn final_seed(seed: &[u8; 32], count: u64, digest: &str, beacon: &str, lane: &str) -> [u8; 32] {
    let count = count.to_be_bytes();
    let mut parts = vec![DRAW_ALGORITHM.as_bytes(), seed, &count, digest.as_bytes(), beacon.as_bytes()];
    if !lane.is_empty() {
        parts.push(lane.as_bytes());
    }
    sha256(&delimited(&parts))
}

/// Each part after its length in eight bytes, so that no two lists of parts give the same bytes.
fn delimited(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn sha256(bytes: &[u8]) -> Bytes32 {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The places of the numbers 1 ..= N, four bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    places: Vec<u32>,
}

impl Draw {
    /// Shuffles the places 1 ..= `count`; every order is equally likely.
    pub fn make(final_seed: [u8; 32], count: u32) -> Draw {
        let mut places: Vec<u32> = (1..=count).collect();
        let mut words = ChaCha20Rng::from_seed(final_seed);
        let mut bound = count;
        for last in (1..places.len()).rev() {
            // Places at `bound - 1` and behind have been dealt.
            let other = below(bound, &mut words);
            places.swap(last, other as usize);
            bound -= 1;
        }
        Draw { places }
    }

    /// The place of a number, if it took part.
    pub fn place_of(&self, number: u64) -> Option<u64> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.places.get(index).map(|&place| u64::from(place))
    }

    /// How many took part.
    pub fn count(&self) -> u64 {
        self.places.len() as u64
    }
}

/// A number below `bound`, all equally likely: a word of the last, incomplete round of `bound` is thrown away.
fn below(bound: u32, words: &mut ChaCha20Rng) -> u32 {
    loop {
        let word = words.next_u32();
        let rest = word % bound;
        // `word - rest` begins its round; the round is whole if `bound` words of it fit below 2^32.
        if word - rest <= (u32::MAX - bound) + 1 {
            return rest;
        }
    }
}
