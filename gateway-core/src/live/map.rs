//! A seat map as its listeners know it, pure: which state each seat is in, and what is different from another one.

use aws_lc_rs::digest;
use bytes::Bytes;
use serde_json::json;

use crate::catalogue::{Seat, SeatState};

/// Bytes of the digest that a version shows: enough that two maps of one hall are never taken for each other.
const VERSION_BYTES: usize = 8;

/// All seats of a screening, by name.
#[derive(Debug)]
pub(super) struct SeatMap {
    pub(super) version: String,
    seats: Vec<(String, SeatState)>,
}

/// The version of a map, whoever looks at it: the same seats in the same states have the same.
pub(crate) fn version_of(seats: &[Seat]) -> String {
    SeatMap::of(seats).version
}

impl SeatMap {
    pub(super) fn of(seats: &[Seat]) -> Self {
        let mut seats: Vec<(String, SeatState)> = seats.iter().map(|seat| (seat.name.clone(), seat.state)).collect();
        seats.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut digest = digest::Context::new(&digest::SHA256);
        for (name, state) in &seats {
            // No name has a control character, so no two maps are the same text.
            digest.update(name.as_bytes());
            digest.update(b"\n");
            digest.update(state.as_str().as_bytes());
            digest.update(b"\n");
        }
        let hex = digest.finish().as_ref().iter().take(VERSION_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { version: hex, seats }
    }

    /// The event that tells every seat.
    pub(super) fn whole(&self) -> Bytes {
        self.event(true, self.seats.iter())
    }

    /// The event that tells what is different from `earlier`. The seats of a screening never change, only their states.
    pub(super) fn since(&self, earlier: &Self) -> Bytes {
        if self.seats.len() != earlier.seats.len() {
            return self.whole();
        }
        let changed = self.seats.iter().zip(&earlier.seats).filter(|(now, before)| now != before);
        self.event(false, changed.map(|(now, _)| now))
    }

    fn event<'a>(&self, whole: bool, seats: impl Iterator<Item = &'a (String, SeatState)>) -> Bytes {
        let seats: Vec<_> = seats.map(|(name, state)| json!([name, state.as_str()])).collect();
        let data = json!({ "version": self.version, "whole": whole, "seats": seats });
        Bytes::from(format!("id: {}\nevent: seats\ndata: {data}\n\n", self.version))
    }
}
