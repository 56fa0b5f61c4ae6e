//! A change of a room as people write it: JSON with times as RFC 3339 or milliseconds and ramps as objects or words.
//! Says which field is wrong and what it may be.

use serde_json::{Map, Value};

use crate::line::{
    BURST_MAX, MAX_ACTIVE_MAX, MESSAGE_BYTES_MAX, Method, QUEUE_MAX_MAX, RAMP_MS_MAX, RATE_PER_MINUTE_MAX, Ramp,
    RoomChange, RoomState, Snapshot, WEIGHT_MAX,
};
use crate::problem::{Code, Problem};

/// The times of a schedule, without the `_ms` of the line's own names.
const TIMES: [&str; 3] = ["prequeue_at", "opens_at", "closes_at"];
/// Everything that can be changed, for the sentence about a field that cannot.
const FIELDS: &str = "rate_per_minute, burst, max_active, queue_max, state, method, prequeue_at, opens_at, closes_at, \
     ramp, message, session_renewal and lane_weights can be changed";

/// Reads a change; says which field is wrong rather than where the parser stopped.
pub(super) fn parse(body: &[u8]) -> Result<RoomChange, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        Problem::new(Code::JsonMalformed, format!("This is not JSON ({at})."))
    })?;
    let Value::Object(fields) = value else {
        return Err(Problem::new(Code::JsonMalformed, "A JSON object is expected."));
    };
    read(fields)
}

/// Reads a change from its fields.
pub(super) fn read(fields: Map<String, Value>) -> Result<RoomChange, Problem> {
    let mut plain = Map::new();
    for (name, value) in fields {
        let (key, value) = in_the_lines_words(&name, value)?;
        let one = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        serde_json::from_value::<RoomChange>(one).map_err(|_| refuse(&name, &expected(&name)))?;
        if plain.insert(key, value).is_some() {
            return Err(refuse(&name, &format!("{name} is given twice")));
        }
    }
    let change: RoomChange =
        serde_json::from_value(Value::Object(plain)).map_err(|error| refuse("body", &error.to_string()))?;
    change.check().map_err(|invalid| refuse(invalid.field, &invalid.to_string()))?;
    Ok(change)
}

fn in_the_lines_words(name: &str, value: Value) -> Result<(String, Value), Problem> {
    if TIMES.contains(&name) {
        let at_ms = match &value {
            Value::Null => Some(0),
            Value::String(text) => time_ms(text),
            Value::Number(number) => number.as_i64(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let at_ms = at_ms.ok_or_else(|| refuse(name, &expected(name)))?;
        return Ok((format!("{name}_ms"), at_ms.into()));
    }
    if value.is_null() {
        return Err(refuse(name, &format!("{name} must not be null; leave it out to keep it")));
    }
    match (name, &value) {
        ("ramp", Value::String(text)) => {
            let (to_per_minute, over_ms) = ramp(text).ok_or_else(|| refuse(name, &expected(name)))?;
            Ok((name.to_owned(), serde_json::json!({ "to_per_minute": to_per_minute, "over_ms": over_ms })))
        }
        ("lane_weights", Value::String(text)) => {
            let weights = weights(text).ok_or_else(|| refuse(name, &expected(name)))?;
            Ok((name.to_owned(), Value::Object(weights)))
        }
        _ => Ok((name.to_owned(), value)),
    }
}

/// `members 3, general 1`: names and weights.
fn weights(text: &str) -> Option<Map<String, Value>> {
    let one = |pair: &str| {
        let (name, weight) = pair.trim().rsplit_once([' ', '=', ':'])?;
        Some((name.trim().to_owned(), weight.parse::<u32>().ok()?.into()))
    };
    text.split(',').map(one).collect()
}

/// `2026-12-01T20:00:00Z` with any offset, or milliseconds since 1970; empty or `none` takes the time away.
fn time_ms(text: &str) -> Option<i64> {
    match text.trim() {
        "" | "none" => Some(0),
        text => text.parse().ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)),
    }
}

/// A time of a schedule as people read it.
pub(super) fn time_said(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}

/// `800 per minute over 5 minutes`, `800 over 5m`: the rate to reach and the milliseconds it takes.
fn ramp(text: &str) -> Option<(u64, u64)> {
    let (rate, time) = text.split_once(" over ")?;
    let rate = rate.trim().trim_end_matches("/min").trim_end_matches("per minute").trim_end_matches("a minute");
    Some((rate.trim().parse().ok()?, span_ms(time)?))
}

/// `90s`, `5m`, `5 minutes`, `1 h`: a length of time in milliseconds.
fn span_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit_ms = match unit.trim() {
        "ms" => 1,
        "s" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit_ms)
}

fn expected(field: &str) -> String {
    let words = |all: &[&str]| all.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let what = match field {
        "rate_per_minute" => format!("a whole number from 1 to {RATE_PER_MINUTE_MAX}"),
        "burst" => format!("a whole number from 0 (follows the rate) to {BURST_MAX}"),
        "max_active" => format!("a whole number from 0 (no cap) to {MAX_ACTIVE_MAX}"),
        "queue_max" => format!("a whole number from 0 (no limit) to {QUEUE_MAX_MAX}"),
        "state" => format!("one of {}", words(&RoomState::ALL.map(RoomState::as_str))),
        "method" => format!("one of {}", words(&Method::ALL.map(Method::as_str))),
        "message" => format!("a text of at most {MESSAGE_BYTES_MAX} bytes"),
        "session_renewal" => "true or false".to_owned(),
        "lane_weights" => format!("like {{\"members\": 3}}: the weights of lanes, each from 1 to {WEIGHT_MAX}"),
        "ramp" => format!(
            "like \"800 per minute over 5 minutes\": to 1 to {RATE_PER_MINUTE_MAX}, within {} hours",
            RAMP_MS_MAX / 3_600_000
        ),
        "prequeue_at" | "opens_at" | "closes_at" | "prequeue_at_ms" | "opens_at_ms" | "closes_at_ms" => {
            "a time like \"2026-12-01T20:00:00Z\", milliseconds since 1970, or 0 for none".to_owned()
        }
        _ => return format!("there is no field {field}; {FIELDS}"),
    };
    format!("{field} must be {what}")
}

/// Whether the times of the room would still make sense after a change of them.
pub(super) fn in_order(change: &RoomChange, line: &Snapshot) -> Result<(), Problem> {
    let asked = [change.prequeue_at_ms, change.opens_at_ms, change.closes_at_ms];
    if change.method.is_none() && asked == [None; 3] {
        return Ok(());
    }
    let after = |asked: Option<i64>, is: Option<i64>| asked.or(is).filter(|&at_ms| at_ms > 0);
    let prequeue_ms = after(change.prequeue_at_ms, line.prequeue_at_ms);
    let opens_ms = after(change.opens_at_ms, line.opens_at_ms);
    let closes_ms = after(change.closes_at_ms, line.closes_at_ms);
    let reversed = |first: Option<i64>, then: Option<i64>| first.zip(then).is_some_and(|(first, then)| first > then);
    if reversed(prequeue_ms, opens_ms) {
        return Err(refuse("opens_at", "opens_at must not be before prequeue_at"));
    }
    let last_ms = opens_ms.max(prequeue_ms);
    if last_ms.zip(closes_ms).is_some_and(|(last_ms, closes_ms)| closes_ms <= last_ms) {
        return Err(refuse("closes_at", "closes_at must be after opens_at and prequeue_at"));
    }
    // Only the lots of those who gather before an opening can be drawn; a draw that was made needs no opening any more.
    if change.method.unwrap_or(line.method) == Method::Draw && opens_ms.is_none() && line.drawn() == 0 {
        return Err(refuse("opens_at", "opens_at is needed for a draw: it is when the lots are drawn"));
    }
    Ok(())
}

/// The first field that a store did not take over, although it answered: one that is older than this node.
pub(super) fn not_taken(change: &RoomChange, after: &Snapshot) -> Option<&'static str> {
    let time = |asked: Option<i64>, is: Option<i64>| asked.is_none_or(|at_ms| at_ms == is.unwrap_or(0));
    let weighs =
        |(name, weight): (&String, &u32)| after.lane_named(name).is_some_and(|(_, lane)| lane.weight == *weight);
    let ramping = |ramp: Ramp| after.ramp.is_some() || after.rate_per_minute == ramp.to_per_minute;
    [
        ("max_active", change.max_active.is_none_or(|max| max == after.max_active)),
        ("queue_max", change.queue_max.is_none_or(|max| max == after.queue_max)),
        ("method", change.method.is_none_or(|method| method == after.method)),
        ("prequeue_at", time(change.prequeue_at_ms, after.prequeue_at_ms)),
        ("opens_at", time(change.opens_at_ms, after.opens_at_ms)),
        ("closes_at", time(change.closes_at_ms, after.closes_at_ms)),
        ("ramp", change.ramp.is_none_or(ramping)),
        ("lane_weights", change.lane_weights.iter().flatten().all(weighs)),
        ("session_renewal", change.session_renewal.is_none_or(|renewal| renewal == after.session_renewal)),
    ]
    .into_iter()
    .find_map(|(field, taken)| (!taken).then_some(field))
}

/// What is answered to a value that cannot be.
pub(super) fn refuse(field: &str, detail: &str) -> Problem {
    Problem::new(Code::ValueRefused, detail).with("field", field)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::line::LaneSnapshot;

    fn change(body: &str) -> RoomChange {
        parse(body.as_bytes()).unwrap_or_else(|problem| panic!("{body}: {}", problem.detail()))
    }

    #[test]
    fn times_are_read_in_both_ways_and_taken_away() {
        let evening = Some(1_796_155_200_000);
        for body in [
            r#"{"opens_at":"2026-12-01T20:00:00Z"}"#,
            r#"{"opens_at":"2026-12-01T21:00:00+01:00"}"#,
            r#"{"opens_at":1796155200000}"#,
            r#"{"opens_at":"1796155200000"}"#,
            r#"{"opens_at_ms":1796155200000}"#,
        ] {
            assert_eq!(change(body).opens_at_ms, evening, "{body}");
        }
        for body in [r#"{"closes_at":null}"#, r#"{"closes_at":"none"}"#, r#"{"closes_at":""}"#, r#"{"closes_at":0}"#] {
            assert_eq!(change(body).closes_at_ms, Some(0), "{body}");
        }
        assert_eq!(time_said(1_796_155_200_000), "2026-12-01T20:00:00Z");
    }

    #[test]
    fn ramps_are_read_in_words() {
        let ramp = Some(Ramp { to_per_minute: 800, over_ms: 300_000 });
        for body in [
            r#"{"ramp":"800 per minute over 5 minutes"}"#,
            r#"{"ramp":"800 a minute over 300 s"}"#,
            r#"{"ramp":"800/min over 5m"}"#,
            r#"{"ramp":"800 over 5 min"}"#,
            r#"{"ramp":{"to_per_minute":800,"over_ms":300000}}"#,
        ] {
            assert_eq!(change(body).ramp, ramp, "{body}");
        }
    }

    #[test]
    fn weights_are_read_as_fields_and_in_words() {
        let weights = Some(BTreeMap::from([("general".to_owned(), 1), ("members".to_owned(), 3)]));
        for body in [
            r#"{"lane_weights":{"members":3,"general":1}}"#,
            r#"{"lane_weights":"members 3, general 1"}"#,
            r#"{"lane_weights":"general=1,members:3"}"#,
        ] {
            assert_eq!(change(body).lane_weights, weights, "{body}");
        }
        let told = parse(br#"{"lane_weights":{"members":101}}"#).unwrap_err();
        assert_eq!(told.detail(), "lane_weights must be given with weights of 1 to 100");
        let lane = LaneSnapshot { name: "members".to_owned(), weight: 3, ..LaneSnapshot::default() };
        let after = Snapshot { lanes: vec![lane], ..Snapshot::default() };
        assert_eq!(not_taken(&change(r#"{"lane_weights":{"members":3}}"#), &after), None);
        assert_eq!(not_taken(&change(r#"{"lane_weights":{"members":2}}"#), &after), Some("lane_weights"));
    }

    #[test]
    fn what_a_store_does_not_take_over_is_noticed() {
        let asked = change(r#"{"max_active":5,"opens_at":0,"ramp":"80 over 5m","method":"draw"}"#);
        let mut after = Snapshot { max_active: 5, rate_per_minute: 60, method: Method::Draw, ..Snapshot::default() };
        assert_eq!(not_taken(&asked, &after), Some("ramp"));
        after.ramp = asked.ramp;
        assert_eq!(not_taken(&asked, &after), None);
        after.max_active = 0;
        assert_eq!(not_taken(&asked, &after), Some("max_active"));
    }

    #[test]
    fn what_cannot_be_is_named_with_its_range() {
        for (body, field, told) in [
            (r#"{"max_active":-1}"#, "max_active", "max_active must be a whole number from 0 (no cap) to 10000000"),
            (r#"{"max_active":10000001}"#, "max_active", "max_active must be 0 (no cap) to 10000000"),
            (
                r#"{"queue_max":"many"}"#,
                "queue_max",
                "queue_max must be a whole number from 0 (no limit) to 4294967295",
            ),
            (
                r#"{"state":"ajar"}"#,
                "state",
                "state must be one of \"open\", \"paused\", \"draining\", \"closed\", \"sold_out\"",
            ),
            (r#"{"method":"luck"}"#, "method", "method must be one of \"fcfs\", \"draw\", \"pass_through\""),
            (
                r#"{"opens_at":"tomorrow"}"#,
                "opens_at",
                "opens_at must be a time like \"2026-12-01T20:00:00Z\", milliseconds since 1970, or 0 for none",
            ),
            (r#"{"opens_at":-5}"#, "opens_at_ms", "opens_at_ms must be 0 (none) to 253402300799999"),
            (
                r#"{"ramp":"soon"}"#,
                "ramp",
                "ramp must be like \"800 per minute over 5 minutes\": to 1 to 1000000, within 24 hours",
            ),
            (r#"{"ramp":"0 over 5m"}"#, "ramp.to_per_minute", "ramp.to_per_minute must be 1 to 1000000"),
            (r#"{"ramp":"5 over 25h"}"#, "ramp.over_ms", "ramp.over_ms must be 1 to 86400000"),
            (r#"{"ramp":"5 over 5m","rate_per_minute":6}"#, "ramp", "ramp must be given without rate_per_minute"),
            (r#"{"burst":null}"#, "burst", "burst must not be null; leave it out to keep it"),
            (r#"{"opens_at":1,"opens_at_ms":2}"#, "opens_at_ms", "opens_at_ms is given twice"),
        ] {
            let problem = parse(body.as_bytes()).map_err(|problem| problem.detail().to_owned());
            assert_eq!(problem, Err(told.to_owned()), "{body} ({field})");
        }
        let unknown = parse(br#"{"rtae":5}"#).unwrap_err();
        assert!(unknown.detail().starts_with("there is no field rtae; rate_per_minute,"), "{}", unknown.detail());
    }
}
