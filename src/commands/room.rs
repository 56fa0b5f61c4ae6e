//! `vestibule room …`: the admin API from the terminal.

use anyhow::Result;
use http::Method;
use serde_json::{Map, Value, json};

use super::{client, json, send};
use crate::cli::{RoomCommand, RoomSetArgs};
use crate::config::Config;
use crate::keys::read_operator_password;

/// Columns of `room list`, as in the admin API.
const COLUMNS: [&str; 6] = ["room", "state", "rate_per_minute", "waiting", "admitted_last_minute", "admitted_total"];

/// Asks the running front door, and prints what it says.
pub(crate) async fn run(command: RoomCommand, config: &Config) -> Result<()> {
    let api = Api {
        base: format!("http://{}/api/rooms", config.settings.listen.operator),
        password: read_operator_password(config.data_dir())?,
    };
    match command {
        RoomCommand::List => list(&api.call(Method::GET, "", None).await?),
        RoomCommand::Show { room } => show(&api.call(Method::GET, &room, None).await?),
        RoomCommand::Set(set) => show(&api.call(Method::PATCH, &set.room, Some(changes(&set))).await?),
        RoomCommand::Open { room } => {
            // What the pause told the visitors would be untrue now.
            let change = json!({ "state": "open", "message": "" });
            show(&api.call(Method::PATCH, &room, Some(change)).await?);
        }
        RoomCommand::Pause { room, message } => {
            let mut change = Map::from_iter([("state".to_owned(), json!("paused"))]);
            change.extend(message.map(|message| ("message".to_owned(), json!(message))));
            show(&api.call(Method::PATCH, &room, Some(Value::Object(change))).await?);
        }
    }
    Ok(())
}

struct Api {
    base: String,
    password: String,
}

impl Api {
    async fn call(&self, method: Method, room: &str, change: Option<Value>) -> Result<Value> {
        let url = if room.is_empty() { self.base.clone() } else { format!("{}/{room}", self.base) };
        let mut request = client()?.request(method, url).bearer_auth(&self.password);
        if let Some(change) = change {
            request = request.json(&change);
        }
        json(send(request, "listen.operator").await?).await
    }
}

fn changes(set: &RoomSetArgs) -> Value {
    let given = [
        ("rate_per_minute", set.rate.map(Value::from)),
        ("burst", set.burst.map(Value::from)),
        ("message", set.message.clone().map(Value::from)),
    ];
    Value::Object(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn list(answer: &Value) {
    println!("{:<16} {:<8} {:>9} {:>9} {:>9} {:>9}", "ROOM", "STATE", "RATE/MIN", "WAITING", "LAST MIN", "ADMITTED");
    for room in answer.get("rooms").and_then(Value::as_array).into_iter().flatten() {
        let [name, state, rate, waiting, last_minute, admitted] =
            COLUMNS.map(|column| room.get(column).map_or_else(String::new, text));
        println!("{name:<16} {state:<8} {rate:>9} {waiting:>9} {last_minute:>9} {admitted:>9}");
    }
}

fn show(room: &Value) {
    for (name, value) in room.as_object().into_iter().flatten() {
        println!("{name:<22} {}", text(value));
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_changed() {
        let set = RoomSetArgs { room: "demo".to_owned(), rate: Some(120), burst: None, message: None };
        assert_eq!(changes(&set), json!({ "rate_per_minute": 120 }));
    }
}
