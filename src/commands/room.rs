//! `vestibule room …`: the admin API from the terminal.

use anyhow::{Result, bail};
use http::Method;
use serde_json::{Map, Value, json};

use super::{client, json, send};
use crate::cli::{RoomArgs, RoomCommand, RoomSetArgs, RoomStateArgs};
use crate::config::Config;
use crate::keys::read_operator_password;
use crate::out::say;

/// Columns of `room list`, as in the admin API.
const COLUMNS: [&str; 6] = ["room", "state", "rate_per_minute", "waiting", "admitted_last_minute", "admitted_total"];

/// Asks the running front door, and prints what it says.
pub(crate) async fn run(args: RoomArgs, config: &Config) -> Result<()> {
    if let RoomCommand::Forget { room } = &args.command {
        return forget(room, config).await;
    }
    let api = Api {
        base: format!("http://{}/api/rooms", config.settings.listen.operator),
        password: read_operator_password(config.data_dir())?,
        who: args.who,
    };
    match args.command {
        RoomCommand::List => {
            let rooms = api.call(Method::GET, "", None).await?;
            list(&rooms);
            tell_left_over(&rooms, left_over(config).await);
        }
        RoomCommand::Show { room } => show(&api.call(Method::GET, &room, None).await?),
        RoomCommand::Set(set) => show(&api.call(Method::PATCH, &set.room, Some(changes(&set))).await?),
        RoomCommand::Open(mut to) => {
            // What the pause told the visitors would be untrue now.
            to.message.get_or_insert_default();
            api.go("open", to).await?;
        }
        RoomCommand::Pause(to) => api.go("paused", to).await?,
        RoomCommand::Drain(to) => api.go("draining", to).await?,
        RoomCommand::Close(to) => api.go("closed", to).await?,
        RoomCommand::SoldOut(to) => api.go("sold_out", to).await?,
        RoomCommand::Changes { room } => history(&api.call(Method::GET, &format!("{room}/changes"), None).await?),
        RoomCommand::Undo { room } => show(&api.call(Method::POST, &format!("{room}/undo"), None).await?),
        RoomCommand::Forget { .. } => {}
    }
    Ok(())
}

/// Asks the store itself: no running door knows the room any more.
async fn forget(room: &str, config: &Config) -> Result<()> {
    let settings = &config.settings.waiting_room;
    if settings.rooms.contains_key(room) {
        bail!("the room {room} is in the settings: take it out, and restart the doors that have it");
    }
    if waiting_room::store::forget(&settings.store, &config.journal_dir(), room).await? {
        say!("The room {room} is forgotten.");
    } else {
        say!("The store has no room {room}.");
    }
    Ok(())
}

/// The rooms whose lines the store keeps although these settings do not have them.
pub(super) async fn left_over(config: &Config) -> Result<Vec<String>> {
    let settings = &config.settings.waiting_room;
    let rooms = waiting_room::store::rooms(&settings.store, &config.journal_dir()).await?;
    Ok(rooms.into_iter().filter(|room| !settings.rooms.contains_key(room)).collect())
}

/// Those of them that the running door does not have either. That the store is away is no reason to fail: the door answered.
fn tell_left_over(answer: &Value, left_over: Result<Vec<String>>) {
    let has = |room: &String| rooms_of(answer).any(|known| known.get("room").and_then(Value::as_str) == Some(room));
    match left_over {
        Ok(rooms) => {
            for room in rooms.iter().filter(|room| !has(room)) {
                say!("{room:<16} in the store, not in the settings: `vestibule room forget {room}` clears it");
            }
        }
        Err(error) => say!("The store could not be asked which other rooms it keeps: {error:#}"),
    }
}

struct Api {
    base: String,
    password: String,
    who: Option<String>,
}

impl Api {
    async fn call(&self, method: Method, path: &str, change: Option<Value>) -> Result<Value> {
        let url = if path.is_empty() { self.base.clone() } else { format!("{}/{path}", self.base) };
        let mut request = client()?.request(method, url).bearer_auth(&self.password);
        if let Some(who) = &self.who {
            request = request.header("x-operator-name", who);
        }
        if let Some(change) = change {
            request = request.json(&change);
        }
        json(send(request, "listen.operator").await?).await
    }

    async fn go(&self, state: &str, to: RoomStateArgs) -> Result<()> {
        let mut change = Map::from_iter([("state".to_owned(), json!(state))]);
        change.extend(to.message.map(|message| ("message".to_owned(), json!(message))));
        show(&self.call(Method::PATCH, &to.room, Some(Value::Object(change))).await?);
        Ok(())
    }
}

/// What was given and nothing else; the admin API judges the values.
fn changes(set: &RoomSetArgs) -> Value {
    let text = |given: &Option<String>| given.clone().map(Value::from);
    let ramp = set.ramp.zip(set.over.as_deref()).map(|(rate, over)| format!("{rate} per minute over {over}"));
    let given = [
        ("rate_per_minute", set.rate.map(Value::from)),
        ("burst", set.burst.map(Value::from)),
        ("max_active", set.max_active.map(Value::from)),
        ("queue_max", set.queue_max.map(Value::from)),
        ("session_renewal", set.session_renewal.map(Value::from)),
        ("ramp", ramp.map(Value::from)),
        ("method", text(&set.method)),
        ("prequeue_at", text(&set.prequeue_at)),
        ("opens_at", text(&set.opens_at)),
        ("closes_at", text(&set.closes_at)),
        ("message", text(&set.message)),
        ("lane_weights", (!set.weights.is_empty()).then(|| set.weights.join(",").into())),
    ];
    Value::Object(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn history(answer: &Value) {
    let changes = answer.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if changes.is_empty() {
        say!("no changes");
    }
    for change in changes {
        let [at, who, what] = ["at", "who", "text"].map(|name| change.get(name).map_or_else(String::new, text));
        say!("{at:<24} {who:<12} {what}");
    }
}

fn list(answer: &Value) {
    say!("{:<16} {:<8} {:>9} {:>9} {:>9} {:>9}", "ROOM", "STATE", "RATE/MIN", "WAITING", "LAST MIN", "ADMITTED");
    for room in rooms_of(answer) {
        let [name, state, rate, waiting, last_minute, admitted] =
            COLUMNS.map(|column| room.get(column).map_or_else(String::new, text));
        say!("{name:<16} {state:<8} {rate:>9} {waiting:>9} {last_minute:>9} {admitted:>9}");
    }
}

fn rooms_of(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("rooms").and_then(Value::as_array).into_iter().flatten()
}

fn show(room: &Value) {
    for (name, value) in room.as_object().into_iter().flatten() {
        say!("{name:<22} {}", text(value));
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        set: RoomSetArgs,
    }

    fn set(line: &[&str]) -> Result<Value, clap::Error> {
        Line::try_parse_from([&["set", "demo"], line].concat()).map(|line| changes(&line.set))
    }

    #[test]
    fn only_what_was_given_is_changed() {
        assert_eq!(set(&["--rate", "120"]).unwrap(), json!({ "rate_per_minute": 120 }));
        assert_eq!(set(&["--weight", "members=3"]).unwrap(), json!({ "lane_weights": "members=3" }));
        assert_eq!(set(&["--session-renewal", "false"]).unwrap(), json!({ "session_renewal": false }));
        assert_eq!(
            set(&["--ramp", "800", "--over", "5m", "--max-active", "0", "--opens-at", "none"]).unwrap(),
            json!({ "ramp": "800 per minute over 5m", "max_active": 0, "opens_at": "none" })
        );
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for line in
            [&[] as &[&str], &["--ramp", "800"], &["--over", "5m"], &["--rate", "1", "--ramp", "2", "--over", "1m"]]
        {
            assert!(set(line).is_err(), "{line:?}");
        }
    }
}
