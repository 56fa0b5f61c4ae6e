//! How a catalogue writes a time: `2026-12-01T20:00:00Z`, or epoch milliseconds.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

pub(super) fn needed<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    from.deserialize_any(Instant)
}

pub(super) fn or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    needed(from).map(Some)
}

struct Instant;

impl Visitor<'_> for Instant {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time between quotes like \"2026-12-01T20:00:00Z\", or epoch milliseconds")
    }

    fn visit_i64<E: Error>(self, ms: i64) -> Result<i64, E> {
        Ok(ms)
    }

    fn visit_u64<E: Error>(self, ms: u64) -> Result<i64, E> {
        i64::try_from(ms).map_err(|_| E::custom("this is no time: too far away"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        let at: Result<jiff::Timestamp, _> = text.parse();
        at.map(jiff::Timestamp::as_millisecond)
            .map_err(|_| E::custom(format!("{text:?} is no time: write it like \"2026-12-01T20:00:00Z\"")))
    }
}
