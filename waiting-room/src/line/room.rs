//! What an operator sets: state, rate, burst, message, and their limits. Not the people in the line.

use super::lane::{LaneInitial, check, check_weights};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
/// The longest ramp: one day, in milliseconds.
pub const RAMP_MS_MAX: i64 = 86_400_000;
/// The most live sessions a cap can allow.
pub const MAX_ACTIVE_MAX: u32 = 10_000_000;
/// The largest limit of people in line: as many as there are numbers.
pub const QUEUE_MAX_MAX: u64 = u32::MAX as u64;
/// The latest time of a schedule, epoch milliseconds: the end of the year 9999.
pub const SCHEDULE_MS_MAX: i64 = 253_402_300_799_999;

/// What a room does with the people who come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomState {
    /// People are called and go in at the rate.
    #[default]
    Open,
    /// People may join, nobody is called and nobody goes in.
    Paused,
    /// Those in line go on, nobody new joins.
    Draining,
    /// Nobody joins and nobody goes in. Who went in goes on.
    Closed,
    /// As closed; visitors are told why.
    SoldOut,
}

impl RoomState {
    /// The word for it in JSON, in the store and on labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            RoomState::Open => "open",
            RoomState::Paused => "paused",
            RoomState::Draining => "draining",
            RoomState::Closed => "closed",
            RoomState::SoldOut => "sold_out",
        }
    }

    /// All of them.
    pub const ALL: [RoomState; 5] =
        [RoomState::Open, RoomState::Paused, RoomState::Draining, RoomState::Closed, RoomState::SoldOut];
}

/// How places are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// First come, first served.
    #[default]
    Fcfs,
    /// Who registered before `opens_at` is drawn by lot; who comes later goes behind.
    Draw,
    /// Everybody goes in at once and is only counted.
    PassThrough,
}

impl Method {
    /// The word for it in JSON, in the store and on labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Fcfs => "fcfs",
            Method::Draw => "draw",
            Method::PassThrough => "pass_through",
        }
    }

    /// All of them.
    pub const ALL: [Method; 3] = [Method::Fcfs, Method::Draw, Method::PassThrough];
}

/// Where a room stands in its schedule. A room without one is always [`Phase::Running`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before `prequeue_at`: nobody joins.
    Early,
    /// Before `opens_at`: people join, nobody is called.
    Prequeue,
    /// The room's state alone decides.
    #[default]
    Running,
    /// After `closes_at`: as a closed room.
    Over,
}

impl Phase {
    /// The word for it in JSON, in the store and on labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Early => "early",
            Phase::Prequeue => "prequeue",
            Phase::Running => "running",
            Phase::Over => "over",
        }
    }

    /// All of them.
    pub const ALL: [Phase; 4] = [Phase::Early, Phase::Prequeue, Phase::Running, Phase::Over];
}

/// A rate that moves evenly from that of now to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// People per minute at its end, 1 ..= [`RATE_PER_MINUTE_MAX`].
    pub to_per_minute: u32,
    /// How long it takes from now, in milliseconds, 1 ..= [`RAMP_MS_MAX`].
    pub over_ms: i64,
}

/// The values a room begins with. Later ones come from [`RoomChange`] and are kept by the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomInitial {
    /// People per minute, 1 ..= [`RATE_PER_MINUTE_MAX`].
    pub rate_per_minute: u32,
    /// People that may go in at the same instant; 0 = [`burst_for`] the rate, following it when it changes.
    pub burst: u32,
    /// How long a session lasts, in milliseconds. No operator changes it, so an existing room follows its settings.
    pub session_ms: i64,
    /// What it does with the people who come.
    pub state: RoomState,
    /// Words for the queue page; may be empty.
    pub message: String,
    /// Live sessions at the same time; 0 = no cap.
    pub max_active: u32,
    /// People who may wait; 0 = no limit.
    pub queue_max: u64,
    /// How places are given.
    pub method: Method,
    /// When people may begin to join, epoch milliseconds; `None` = at any time.
    pub prequeue_at_ms: Option<i64>,
    /// When the first are called, epoch milliseconds; `None` = at once.
    pub opens_at_ms: Option<i64>,
    /// When nobody joins or goes in any more, epoch milliseconds; `None` = never.
    pub closes_at_ms: Option<i64>,
    /// Whether a session that is used goes on (`true`), or ends after its time whatever happens.
    pub session_renewal: bool,
    /// The lanes besides the general one, which may be named for its weight.
    pub lanes: Vec<LaneInitial>,
}

impl Default for RoomInitial {
    fn default() -> Self {
        RoomInitial {
            rate_per_minute: 60,
            burst: 0,
            session_ms: 15 * 60 * 1_000,
            state: RoomState::Open,
            message: String::new(),
            max_active: 0,
            queue_max: 0,
            method: Method::Fcfs,
            prequeue_at_ms: None,
            opens_at_ms: None,
            closes_at_ms: None,
            session_renewal: false,
            lanes: Vec::new(),
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
        check_limits(Some(self.max_active), Some(self.queue_max))?;
        check_schedule([self.prequeue_at_ms, self.opens_at_ms, self.closes_at_ms])?;
        check(&self.lanes)?;
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
    /// What it does with the people who come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RoomState>,
    /// Words for the queue page; empty takes them away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Live sessions at the same time; 0 = no cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active: Option<u32>,
    /// People who may wait; 0 = no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_max: Option<u64>,
    /// How places are given. A draw that was made stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// When people may begin to join, epoch milliseconds; 0 takes the time away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prequeue_at_ms: Option<i64>,
    /// When the first are called, epoch milliseconds; 0 takes the time away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at_ms: Option<i64>,
    /// When nobody joins or goes in any more, epoch milliseconds; 0 takes the time away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at_ms: Option<i64>,
    /// Moves the rate evenly from that of now. Not together with `rate_per_minute`, which ends a ramp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Whether a session that is used goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_renewal: Option<bool>,
    /// New weights of lanes, by their names; lanes that are not named keep theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane_weights: Option<BTreeMap<String, u32>>,
}

impl RoomChange {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// Names the field and its range.
    pub fn check(&self) -> Result<(), Invalid> {
        self.rate_per_minute.map_or(Ok(()), check_rate)?;
        self.burst.map_or(Ok(()), check_burst)?;
        self.message.as_deref().map_or(Ok(()), check_message)?;
        self.lane_weights.as_ref().map_or(Ok(()), check_weights)?;
        check_limits(self.max_active, self.queue_max)?;
        check_schedule([self.prequeue_at_ms, self.opens_at_ms, self.closes_at_ms])?;
        self.ramp.map_or(Ok(()), |ramp| check_ramp(ramp, self.rate_per_minute))
    }
}

/// One change by an operator, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The store's clock at the change, epoch milliseconds.
    pub at_ms: i64,
    /// Who changed it, as the operator's side names them.
    pub who: String,
    /// What the changed values were: applying it undoes the change.
    pub before: RoomChange,
    /// What was asked for.
    pub after: RoomChange,
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

fn check_limits(max_active: Option<u32>, queue_max: Option<u64>) -> Result<(), Invalid> {
    if max_active.is_some_and(|max| max > MAX_ACTIVE_MAX) {
        return Err(Invalid { field: "max_active", range: format!("0 (no cap) to {MAX_ACTIVE_MAX}") });
    }
    if queue_max.is_some_and(|max| max > QUEUE_MAX_MAX) {
        return Err(Invalid { field: "queue_max", range: format!("0 (no limit) to {QUEUE_MAX_MAX}") });
    }
    Ok(())
}

fn check_schedule(times_ms: [Option<i64>; 3]) -> Result<(), Invalid> {
    let wrong = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| !(0..=SCHEDULE_MS_MAX).contains(&at_ms));
    match ["prequeue_at_ms", "opens_at_ms", "closes_at_ms"].into_iter().zip(times_ms).find(|(_, at_ms)| wrong(*at_ms)) {
        Some((field, _)) => Err(Invalid { field, range: format!("0 (none) to {SCHEDULE_MS_MAX}") }),
        None => Ok(()),
    }
}

fn check_ramp(ramp: Ramp, rate_per_minute: Option<u32>) -> Result<(), Invalid> {
    if rate_per_minute.is_some() {
        return Err(Invalid { field: "ramp", range: "given without rate_per_minute".to_owned() });
    }
    if !(1..=RATE_PER_MINUTE_MAX).contains(&ramp.to_per_minute) {
        return Err(Invalid { field: "ramp.to_per_minute", range: format!("1 to {RATE_PER_MINUTE_MAX}") });
    }
    if !(1..=RAMP_MS_MAX).contains(&ramp.over_ms) {
        return Err(Invalid { field: "ramp.over_ms", range: format!("1 to {RAMP_MS_MAX}") });
    }
    Ok(())
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
