//! Who changed what in a room, in words: the latest change first.

use serde::Serialize;
use serde_json::{Map, Value};

use super::change::time_said;
use crate::door::Room;
use crate::line::{AUTOPILOT, Audit, RoomChange};
use crate::store::StoreError;

/// One change as operators read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Changed {
    at: String,
    pub(super) at_ms: i64,
    pub(super) who: String,
    before: Value,
    after: Value,
    /// What changed, as a line of text.
    pub(super) text: String,
}

/// What follows the name of whoever took a change back. Nobody is called so.
pub(super) const UNDOING: &str = " (undo)";

/// The latest change of an operator that nobody has taken back: undoing twice goes two changes back. The autopilot's are
/// not theirs to take back.
pub(super) fn latest_to_undo(changes: Vec<Audit>) -> Option<Audit> {
    let mut standing: Vec<Audit> = Vec::new();
    for audit in changes.into_iter().filter(|audit| audit.who != AUTOPILOT) {
        if !audit.who.ends_with(UNDOING) {
            standing.push(audit);
        } else if standing.last().is_some_and(|last| last.before == audit.after) {
            // One that took back what is not kept any more, or what another had taken back already, takes nothing else.
            standing.pop();
        }
    }
    standing.pop()
}

/// The changes of a room that the store keeps, the latest first.
pub(super) async fn of(room: &Room) -> Result<Vec<Changed>, StoreError> {
    Ok(room.changes().await?.into_iter().rev().map(Changed::from).collect())
}

impl From<Audit> for Changed {
    fn from(audit: Audit) -> Changed {
        let (before, after) = (in_words(&audit.before), in_words(&audit.after));
        let asked = after.iter().map(|(name, value)| match before.get(name) {
            Some(was) => format!("{name}: {} → {}", said(was), said(value)),
            None => format!("{name}: {}", said(value)),
        });
        Changed {
            at: time_said(audit.at_ms),
            at_ms: audit.at_ms,
            who: audit.who,
            text: asked.collect::<Vec<_>>().join(", "),
            before: Value::Object(before),
            after: Value::Object(after),
        }
    }
}

/// A change with the API's names and its times as people read them.
fn in_words(change: &RoomChange) -> Map<String, Value> {
    let Ok(Value::Object(fields)) = serde_json::to_value(change) else { return Map::new() };
    let word = |(name, value): (String, Value)| match (name.strip_suffix("_at_ms"), value.as_i64()) {
        (Some(time), Some(0)) => (format!("{time}_at"), Value::Null),
        (Some(time), Some(at_ms)) => (format!("{time}_at"), time_said(at_ms).into()),
        _ => (name, value),
    };
    fields.into_iter().map(word).collect()
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(weights) if !weights.contains_key("to_per_minute") => {
            weights.iter().map(|(lane, weight)| format!("{lane} {weight}")).collect::<Vec<_>>().join(", ")
        }
        Value::Object(ramp) => {
            let part = |name: &str| ramp.get(name).and_then(Value::as_u64).unwrap_or(0);
            format!("to {} within {} s", part("to_per_minute"), part("over_ms") / 1_000)
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Ramp, RoomState};

    #[test]
    fn what_the_autopilot_did_is_not_what_undo_takes_back() {
        let by = |who: &str, at_ms| {
            let (before, after) = (RoomChange::default(), RoomChange::default());
            Audit { at_ms, who: who.to_owned(), before, after }
        };
        let latest = |changes| latest_to_undo(changes).map(|audit| audit.at_ms);
        assert_eq!(latest(vec![by("ada", 1), by("bob", 2), by(AUTOPILOT, 3)]), Some(2));
        assert_eq!(latest(vec![by(AUTOPILOT, 3)]), None);
    }

    #[test]
    fn undoing_again_goes_one_further_back() {
        let rate = |rate| RoomChange { rate_per_minute: Some(rate), ..RoomChange::default() };
        let mut changes = Vec::new();
        let mut by = |who: &str, before, after| {
            changes.push(Audit { at_ms: 0, who: who.to_owned(), before: rate(before), after: rate(after) });
            latest_to_undo(changes.clone()).map(|audit| audit.before.rate_per_minute)
        };
        assert_eq!(by("ada (undo)", 5, 60), None, "of a change that is not kept any more");
        assert_eq!(by("ada", 60, 100), Some(Some(60)));
        assert_eq!(by("bob", 100, 200), Some(Some(100)));
        assert_eq!(by("ada (undo)", 200, 100), Some(Some(60)));
        assert_eq!(by("bob (undo)", 100, 100), Some(Some(60)), "at the same time as the other: once");
        assert_eq!(by("ada", 100, 60), Some(Some(100)), "by hand: a change like any other");
        assert_eq!(by("ada (undo)", 60, 100), Some(Some(60)));
        assert_eq!(by("ada (undo)", 100, 60), None);
    }

    #[test]
    fn a_change_reads_like_a_line_of_a_log() {
        let before = RoomChange {
            rate_per_minute: Some(60),
            state: Some(RoomState::Open),
            message: Some(String::new()),
            opens_at_ms: Some(0),
            ..RoomChange::default()
        };
        let after = RoomChange {
            state: Some(RoomState::Paused),
            message: Some("Soon".to_owned()),
            opens_at_ms: Some(1_796_155_200_000),
            ramp: Some(Ramp { to_per_minute: 800, over_ms: 300_000 }),
            ..RoomChange::default()
        };
        let changed = Changed::from(Audit { at_ms: 1_796_155_100_000, who: "ada".to_owned(), before, after });
        assert_eq!(
            (changed.at.as_str(), changed.text.as_str()),
            (
                "2026-12-01T19:58:20Z",
                "message: none → Soon, opens_at: none → 2026-12-01T20:00:00Z, ramp: to 800 within 300 s, \
                 state: open → paused"
            )
        );
    }
}
