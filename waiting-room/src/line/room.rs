//! What an operator sets: state, rate, burst, message, and their limits. Not the people in the line.

use serde::{Deserialize, Serialize};

/// The fastest rate a room can have, in people per minute.
pub const RATE_PER_MINUTE_MAX: u32 = 1_000_000;
/// The largest burst, in people: a minute at the fastest rate.
pub const BURST_MAX: u32 = RATE_PER_MINUTE_MAX;
/// The longest message to visitors, in bytes. Every node keeps it and every page shows it.
pub const MESSAGE_BYTES_MAX: usize = 2_000;
/// The longest room name, in bytes. It is part of file names, keys and cookie names.
pub const ROOM_NAME_BYTES_MAX: usize = 64;
/// The longest session: one day, in milliseconds.
pub const SESSION_MS_MAX: i64 = 86_400_000;

/// Whether a room calls people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomState {
    /// People are called and go in at the rate.
    #[default]
    Open,
    /// People may join, nobody is called and nobody goes in.
    Paused,
}

impl RoomState {
    /// The word for it in JSON, in the store and on labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            RoomState::Open => "open",
            RoomState::Paused => "paused",
        }
    }
}

/// The values a room begins with. Later ones come from [`RoomChange`] and are kept by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInitial {
    /// People per minute, 1 ..= [`RATE_PER_MINUTE_MAX`].
    pub rate_per_minute: u32,
    /// People that may go in at the same instant; 0 = [`burst_for`] the rate, following it when it changes.
    pub burst: u32,
    /// How long a session lasts, in milliseconds. No operator changes it, so an existing room follows its settings.
    pub session_ms: i64,
    /// Open or paused.
    pub state: RoomState,
    /// Words for the queue page; may be empty.
    pub message: String,
}

impl Default for RoomInitial {
    fn default() -> Self {
        RoomInitial {
            rate_per_minute: 60,
            burst: 0,
            session_ms: 15 * 60 * 1_000,
            state: RoomState::Open,
            message: String::new(),
        }
    }
}

impl RoomInitial {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// Names the field and its range.
    pub fn check(&self) -> Result<(), Invalid> {
        check_rate(self.rate_per_minute)?;
        check_burst(self.burst)?;
        check_message(&self.message)?;
        if (1..=SESSION_MS_MAX).contains(&self.session_ms) {
            Ok(())
        } else {
            Err(Invalid { field: "session_ms", range: format!("1 to {SESSION_MS_MAX}") })
        }
    }
}

/// What an operator changes; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomChange {
    /// People per minute, 1 ..= [`RATE_PER_MINUTE_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<u32>,
    /// People that may go in at the same instant; 0 = [`burst_for`] the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Open or paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RoomState>,
    /// Words for the queue page; empty takes them away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl RoomChange {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// Names the field and its range.
    pub fn check(&self) -> Result<(), Invalid> {
        self.rate_per_minute.map_or(Ok(()), check_rate)?;
        self.burst.map_or(Ok(()), check_burst)?;
        self.message.as_deref().map_or(Ok(()), check_message)
    }
}

/// A value out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {range}")]
pub struct Invalid {
    /// The field's name as in the API.
    pub field: &'static str,
    /// What it may be, in words.
    pub range: String,
}

/// The burst a room has when none is set: what the rate allows in one second, and at least one.
pub const fn burst_for(rate_per_minute: u32) -> u32 {
    if rate_per_minute < 60 { 1 } else { rate_per_minute / 60 }
}

/// Whether a room can have this name: lower-case letters, digits and inner dashes.
///
/// # Errors
/// Says what a name may be.
pub fn check_room_name(room: &str) -> Result<(), Invalid> {
    let plain = room.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if plain && !room.is_empty() && room.len() <= ROOM_NAME_BYTES_MAX && !room.starts_with('-') && !room.ends_with('-')
    {
        Ok(())
    } else {
        let range = format!("1 to {ROOM_NAME_BYTES_MAX} of a-z, 0-9 and inner dashes");
        Err(Invalid { field: "room", range })
    }
}

fn check_rate(rate_per_minute: u32) -> Result<(), Invalid> {
    if (1..=RATE_PER_MINUTE_MAX).contains(&rate_per_minute) {
        Ok(())
    } else {
        Err(Invalid { field: "rate_per_minute", range: format!("1 to {RATE_PER_MINUTE_MAX}") })
    }
}

fn check_burst(burst: u32) -> Result<(), Invalid> {
    if burst <= BURST_MAX {
        Ok(())
    } else {
        Err(Invalid { field: "burst", range: format!("0 (follows the rate) to {BURST_MAX}") })
    }
}

fn check_message(message: &str) -> Result<(), Invalid> {
    if message.len() <= MESSAGE_BYTES_MAX {
        Ok(())
    } else {
        Err(Invalid { field: "message", range: format!("at most {MESSAGE_BYTES_MAX} bytes") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let change = |change: RoomChange| change.check().map_err(|invalid| invalid.to_string());
        assert_eq!(change(RoomChange::default()), Ok(()));
        assert_eq!(
            change(RoomChange { rate_per_minute: Some(0), ..RoomChange::default() }),
            Err("rate_per_minute must be 1 to 1000000".to_owned())
        );
        assert!(change(RoomChange { burst: Some(BURST_MAX + 1), ..RoomChange::default() }).is_err());
        assert!(change(RoomChange { message: Some("x".repeat(2_001)), ..RoomChange::default() }).is_err());
        assert!(RoomInitial { session_ms: 0, ..RoomInitial::default() }.check().is_err());
    }

    #[test]
    fn room_names_are_safe_in_keys_files_and_cookies() {
        for good in ["demo", "a", "opening-night-2"] {
            assert_eq!(check_room_name(good), Ok(()));
        }
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a}b", "ü", &"a".repeat(65)] {
            assert!(check_room_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_burst_follows_the_rate() {
        assert_eq!([1, 59, 60, 61, 120, 1_000_000].map(burst_for), [1, 1, 1, 1, 2, 16_666]);
    }
}
