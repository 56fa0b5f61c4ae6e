//! One bit per number: used up, by going in or by leaving (invariant W4). Nothing else is kept of a person but the
//! two such bits of presence near the front.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The bits, grown as far as the highest number that was used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent(Vec<u8>);

impl Spent {
    pub(crate) fn contains(&self, number: u64) -> bool {
        let (byte, mask) = place(number);
        self.0.get(byte).is_some_and(|bits| bits & mask != 0)
    }

    /// Whether it was not used up before.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let (byte, mask) = place(number);
        if byte >= self.0.len() {
            self.0.resize(byte + 1, 0);
        }
        let fresh = self.0[byte] & mask == 0;
        self.0[byte] |= mask;
        fresh
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let (byte, mask) = place(number);
        let was = self.contains(number);
        if was {
            self.0[byte] &= !mask;
        }
        was
    }

    /// How many of `first ..= last` are used up.
    pub(crate) fn count(&self, first: u64, last: u64) -> u64 {
        let last = last.min(self.0.len() as u64 * 8);
        (first..=last).filter(|&number| self.contains(number)).count() as u64
    }
}

fn place(number: u64) -> (usize, u8) {
    // Saturates where memory ends: numbers are bounded by `NUMBER_MAX` long before.
    (usize::try_from(number / 8).unwrap_or(usize::MAX), 1 << (number % 8))
}

impl Serialize for Spent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Spent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Spent, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Spent).map_err(D::Error::custom)
    }
}

#[cfg(test)]
impl Spent {
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_used_up_once() {
        let mut spent = Spent::default();
        assert!(!spent.contains(17));
        assert!(spent.insert(17));
        assert!(!spent.insert(17));
        assert!(spent.insert(16) && spent.insert(40));
        assert!(spent.contains(17) && !spent.contains(18) && !spent.contains(1_000_000));
        assert_eq!([spent.count(1, 100), spent.count(17, 39), spent.count(17, 40)], [3, 1, 2]);
    }
}
