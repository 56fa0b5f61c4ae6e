//! Who holds which number, in rooms that give one place per identity. The line knows an identity only as a keyed hash
//! that the door made; it can tell that two are the same, and nothing else.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::collections::BTreeMap;

/// A keyed hash of whatever a room takes for an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 16]);

/// The numbers of identities: one entry a person who joined with one, for as long as the line lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Identities(BTreeMap<Identity, u64>);

impl Identities {
    pub(crate) fn number_of(&self, identity: Identity) -> Option<u64> {
        self.0.get(&identity).copied()
    }

    pub(crate) fn keep(&mut self, identity: Identity, number: u64) {
        self.0.entry(identity).or_insert(number);
    }
}

impl Identity {
    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Identity, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(|bits| Identity(bits.to_be_bytes())).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_keeps_its_first_number_and_is_written_as_digits() {
        let mut known = Identities::default();
        let [one, other] = [[1; 16], [255; 16]].map(Identity);
        known.keep(one, 7);
        known.keep(one, 8);
        assert_eq!((known.number_of(one), known.number_of(other)), (Some(7), None));
        let text = serde_json::to_string(&known).expect("plain data");
        assert_eq!(text, "{\"01010101010101010101010101010101\":7}");
        assert_eq!(serde_json::from_str::<Identities>(&text).expect("the same"), known);
    }
}
