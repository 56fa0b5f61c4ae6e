//! What is published about a draw: before it the commitment, after it everything that anybody needs to check it.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::super::answer::Snapshot;
use super::{Bytes32, DRAW_ALGORITHM, Draw, commitment, final_seed};

/// The answer of `GET rooms/{room}/draw`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawEvidence {
    /// The room's name.
    pub room: String,
    /// Which life of the line it is; another one has another seed.
    pub epoch: u64,
    /// The lane whose draw this is; empty is the first one, and the only one of most rooms.
    #[serde(default)]
    pub lane: String,
    /// The lane's index, as tickets have it.
    #[serde(default)]
    pub lane_index: u8,
    /// How the order follows from the rest: [`DRAW_ALGORITHM`].
    pub algorithm: String,
    /// SHA-256 of the seed, hexadecimal.
    pub commitment: String,
    /// Numbers given out so far.
    pub registered: u64,
    /// The digest of the registrations: so far, and from the draw on those that took part.
    pub digest: String,
    /// The public value that nobody could know beforehand; empty if the room has none.
    pub beacon: String,
    /// Numbers 1 to this took part; 0 = no draw has been made.
    pub drawn: u64,
    /// The seed, hexadecimal; only after the draw.
    pub seed: Option<String>,
    /// The seed of the order, hexadecimal; only after the draw.
    pub final_seed: Option<String>,
}

/// Why evidence does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refuted {
    /// Nothing to check yet.
    #[error("the draw has not been made: the seed is published at the opening")]
    NotDrawn,
    /// Another way to draw.
    #[error("the algorithm is \"{0}\"; this program knows \"{DRAW_ALGORITHM}\"")]
    Algorithm(String),
    /// A value that is not what it has to be.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// Another seed than the one that was committed to.
    #[error("the seed is NOT the one that was committed to")]
    Commitment,
    /// The seed of the order does not follow from the evidence.
    #[error("the final seed does NOT follow from seed, registrations and beacon")]
    FinalSeed,
}

impl DrawEvidence {
    /// What may be known now. The seed stays secret until the line has recorded its draw.
    pub(crate) fn of(
        room: &str,
        line: &Snapshot,
        (index, name): (usize, &str),
        seed: &[u8; 32],
        beacon: &str,
    ) -> DrawEvidence {
        let lane = line.lane(index).cloned().unwrap_or_default();
        let drawn = lane.drawn > 0;
        DrawEvidence {
            room: room.to_owned(),
            epoch: line.epoch,
            lane: name.to_owned(),
            lane_index: u8::try_from(index).unwrap_or(u8::MAX),
            algorithm: DRAW_ALGORITHM.to_owned(),
            commitment: hex(&commitment(seed)),
            registered: lane.issued,
            beacon: beacon.to_owned(),
            drawn: lane.drawn,
            seed: drawn.then(|| hex(seed)),
            final_seed: drawn.then(|| hex(&final_seed(seed, lane.drawn, &lane.digest, beacon, name))),
            digest: lane.digest,
        }
    }

    /// Computes the order anew from the evidence alone.
    ///
    /// # Errors
    /// [`Refuted`] says what does not hold.
    pub fn check(&self) -> Result<Draw, Refuted> {
        if self.algorithm != DRAW_ALGORITHM {
            return Err(Refuted::Algorithm(self.algorithm.clone()));
        }
        let (Some(seed), Some(published)) = (&self.seed, &self.final_seed) else {
            return Err(Refuted::NotDrawn);
        };
        let seed = unhex(seed).ok_or(Refuted::Unreadable("seed"))?;
        let count = u32::try_from(self.drawn).map_err(|_| Refuted::Unreadable("drawn"))?;
        if unhex(&self.commitment) != Some(commitment(&seed)) {
            return Err(Refuted::Commitment);
        }
        let order = final_seed(&seed, self.drawn, &self.digest, &self.beacon, &self.lane);
        if unhex(published) != Some(order) {
            return Err(Refuted::FinalSeed);
        }
        Ok(Draw::make(order, count))
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Bytes32> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |high, low| high << 4 | low);
    }
    Some(bytes)
}
