//! Records of journals from before lanes: there was one lane, and its fields were the line's own.

use super::{answer::Snapshot, lane::GENERAL, machine::Line};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value, json};

/// A line's record, of now or from before lanes.
pub(crate) fn line(mut record: Value) -> Result<Line, serde_json::Error> {
    if let Some(line) = record.as_object_mut().filter(|line| !line.contains_key("lanes")) {
        let mut lane = take(line, &["issued", "cursor", "calls", "keen", "presence", "spent", "gaps"]);
        if let Some(schedule) = line.get_mut("schedule").and_then(Value::as_object_mut) {
            lane.extend(take(schedule, &["drawn", "digest"]));
        }
        lane.insert("weight_set".to_owned(), json!(1));
        line.insert("lanes".to_owned(), json!([general(lane)]));
    }
    serde_json::from_value(record)
}

/// A snapshot in a record, of now or from before lanes.
pub(super) fn snapshot<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Snapshot>, D::Error> {
    let mut record = Value::deserialize(deserializer)?;
    if let Some(snapshot) = record.as_object_mut().filter(|snapshot| !snapshot.contains_key("lanes")) {
        let lane = take(snapshot, &["issued", "cursor", "called_waiting", "present", "drawn", "digest"]);
        snapshot.insert("lanes".to_owned(), json!([general(lane)]));
    }
    serde_json::from_value(record).map_err(D::Error::custom)
}

/// A number, or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(u64),
        Many(Vec<u64>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

fn take(from: &mut Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    names.iter().filter_map(|&name| Some((name.to_owned(), from.remove(name)?))).collect()
}

fn general(mut lane: Map<String, Value>) -> Value {
    lane.insert("name".to_owned(), json!(GENERAL));
    lane.insert("weight".to_owned(), json!(1));
    Value::Object(lane)
}

#[cfg(test)]
mod tests {
    use super::super::{Effect, RoomInitial};
    use super::*;

    #[test]
    fn a_line_from_before_lanes_is_read_with_its_people() {
        let now = Line::begin(1_000, &RoomInitial::default());
        let mut record = serde_json::to_value(&now).expect("plain data");
        let lanes = record.as_object_mut().and_then(|line| line.remove("lanes")).expect("it has lanes");
        let old = record.as_object_mut().expect("an object");
        old.extend(lanes[0].as_object().expect("a lane").clone());
        old["issued"] = json!(9);
        for name in ["name", "weight", "weight_set", "credit", "asked_at_ms", "drawn", "digest", "held_since_ms"] {
            old.remove(name);
        }
        old["schedule"]["drawn"] = json!(4);
        old["schedule"]["digest"] = json!("00ff");
        let read = line(record).expect("readable").snapshot();
        let [lane] = &read.lanes[..] else { panic!("one lane: {read:?}") };
        assert_eq!((lane.name.as_str(), lane.weight, lane.issued, lane.drawn), ("general", 1, 9, 4));
        assert_eq!(lane.digest, "00ff");
        let again = line(serde_json::to_value(&now).expect("plain data")).expect("readable");
        assert_eq!(again, now);
    }

    #[test]
    fn effects_from_before_lanes_are_read() {
        let read = |text: &str| serde_json::from_str::<Effect>(text).expect(text);
        assert_eq!(read(r#"{"opened":{"drawn":3}}"#), Effect::Opened { drawn: vec![3] });
        let Effect::Restored(snapshot) = read(r#"{"restored":{"epoch":5,"issued":12,"cursor":3}}"#) else {
            panic!("a restored line")
        };
        assert_eq!((snapshot.epoch, snapshot.issued(), snapshot.lanes[0].cursor), (5, 12, 3));
        assert_eq!(read(r#"{"joined":{"count":2,"admitted":1}}"#), Effect::Joined { count: 2, admitted: 1, nonce: 0 });
    }
}
