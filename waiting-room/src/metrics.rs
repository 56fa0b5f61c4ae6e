//! All metrics of this crate on one page: the table, and one function per event. Labels are closed sets and room
//! names; nothing about a visitor is ever a label.

use std::time::Duration;

use metrics::{Counter, counter, gauge, histogram};

use crate::door::{NotJoined, Outcome};
use crate::line::{Claimed, LaneSnapshot, Snapshot};
use crate::problem::Code;
use crate::settings::OnStoreLoss;

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution; the unit is in the name.
    Histogram,
}

const TICKETS: &str = "vestibule_tickets_issued_total";
const ADMITTED: &str = "vestibule_admitted_total";
const CLAIMS: &str = "vestibule_claims_total";
const NOT_JOINED: &str = "vestibule_joins_refused_total";
const REQUESTS: &str = "vestibule_door_requests_total";
const PROBLEMS: &str = "vestibule_door_problems_total";
const UPSTREAM_SECONDS: &str = "vestibule_upstream_seconds";
const WAITING: &str = "vestibule_line_waiting";
const LANE_WAITING: &str = "vestibule_lane_waiting";
const ISSUED: &str = "vestibule_line_issued";
const CURSOR: &str = "vestibule_line_cursor";
const RATE: &str = "vestibule_line_rate_per_minute";
const STORE_UP: &str = "vestibule_store_up";
const PROVISIONAL: &str = "vestibule_provisional_tickets_total";
const WITHOUT_STORE: &str = "vestibule_let_in_without_store_total";
const ETA: &str = "vestibule_eta_total";
const OPERATOR_CHANGES: &str = "vestibule_operator_changes_total";
const OPERATOR_LOGINS: &str = "vestibule_operator_logins_total";

/// Every metric: name, kind, help. The exporter describes them from here, and so does docs/operating.md.
pub const TABLE: [(&str, Kind, &str); 18] = [
    (TICKETS, Kind::Counter, "Numbers given out by this node, by room and lane"),
    (ADMITTED, Kind::Counter, "Entries given by this node, by room, lane and way (calm, claim)"),
    (CLAIMS, Kind::Counter, "Requests to go in, by room and outcome; a repeated answer counts as admitted"),
    (
        NOT_JOINED,
        Kind::Counter,
        "Joins without a number, by room and reason (line, full, closed, draining, early, sold_out, network, proof, \
         identity_missing, identity_used)",
    ),
    (REQUESTS, Kind::Counter, "Requests at the door, by verdict (own, pass, wait, refuse)"),
    (PROBLEMS, Kind::Counter, "Problems answered at the door, by code"),
    (UPSTREAM_SECONDS, Kind::Histogram, "Time until the upstream began to answer, in seconds"),
    (WAITING, Kind::Gauge, "People in line, by room"),
    (LANE_WAITING, Kind::Gauge, "People in line, by room and lane"),
    (ISSUED, Kind::Gauge, "Highest number given out, by room and lane"),
    (CURSOR, Kind::Gauge, "Highest number called, by room and lane"),
    (RATE, Kind::Gauge, "People let in per minute, as set, by room"),
    (STORE_UP, Kind::Gauge, "1 while the line's store answers this node, by room"),
    (PROVISIONAL, Kind::Counter, "Provisional tickets given by this node while the store was away, by room"),
    (
        WITHOUT_STORE,
        Kind::Counter,
        "Entries given by this node while the store was away, by room and mode (local, open)",
    ),
    (
        ETA,
        Kind::Counter,
        "Expected waits of a sample, as told at joining, by room and how the real wait was (sooner, inside, later)",
    ),
    (OPERATOR_CHANGES, Kind::Counter, "Changes by operators, by room"),
    (OPERATOR_LOGINS, Kind::Counter, "Attempts to log in as operator, by outcome (accepted, refused, throttled)"),
];

/// The verdicts as a label.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    Own,
    Pass,
    Wait,
    Refuse,
}

/// The outcomes of a login as a label.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Login {
    Accepted,
    Refused,
    Throttled,
}

/// Somebody drew a number, and perhaps went straight in.
pub(crate) fn joined(room: &str, lane: &str, admitted: bool) {
    counter!(TICKETS, "room" => room.to_owned(), "lane" => lane.to_owned()).increment(1);
    if admitted {
        counter!(ADMITTED, "room" => room.to_owned(), "lane" => lane.to_owned(), "way" => "calm").increment(1);
    }
}

/// Somebody went in whose wait was foretold.
pub(crate) fn eta(room: &str, outcome: Outcome) {
    counter!(ETA, "room" => room.to_owned(), "outcome" => outcome.as_str()).increment(1);
}

/// Somebody got no number.
pub(crate) fn not_joined(room: &str, refused: &NotJoined) {
    counter!(NOT_JOINED, "room" => room.to_owned(), "reason" => refused.as_str()).increment(1);
}

/// Somebody asked to go in.
pub(crate) fn claimed(room: &str, lane: &str, claimed: &Claimed) {
    let outcome = match claimed {
        Claimed::Admitted(_) => "admitted",
        Claimed::NotCalled => "not_called",
        Claimed::NoBudget { .. } => "no_budget",
        Claimed::Spent => "spent",
        Claimed::Unknown => "unknown",
    };
    counter!(CLAIMS, "room" => room.to_owned(), "outcome" => outcome).increment(1);
    if matches!(claimed, Claimed::Admitted(_)) {
        counter!(ADMITTED, "room" => room.to_owned(), "lane" => lane.to_owned(), "way" => "claim").increment(1);
    }
}

/// The verdicts counted: looked up once, for a poll is answered in little more time than a look-up takes.
pub(crate) struct Verdicts {
    own: Counter,
    pass: Counter,
    wait: Counter,
    refuse: Counter,
}

impl Verdicts {
    pub(crate) fn new() -> Verdicts {
        let of = |verdict: &'static str| counter!(REQUESTS, "verdict" => verdict);
        Verdicts { own: of("own"), pass: of("pass"), wait: of("wait"), refuse: of("refuse") }
    }

    /// A request got its verdict.
    pub(crate) fn count(&self, seen: Seen) {
        match seen {
            Seen::Own => self.own.increment(1),
            Seen::Pass => self.pass.increment(1),
            Seen::Wait => self.wait.increment(1),
            Seen::Refuse => self.refuse.increment(1),
        }
    }
}

/// A problem was answered.
pub(crate) fn problem(code: Code) {
    counter!(PROBLEMS, "code" => code.as_str()).increment(1);
}

/// The upstream began to answer.
pub(crate) fn forwarded(took: Duration) {
    histogram!(UPSTREAM_SECONDS).record(took.as_secs_f64());
}

/// The line as a tick saw it.
pub(crate) fn line(room: &str, snapshot: &Snapshot) {
    // Gauges are floating point; counts of people stay far below where that loses ones.
    #[expect(clippy::cast_precision_loss, reason = "counts of people stay far below 2^53")]
    let set = |name: &'static str, value: u64| gauge!(name, "room" => room.to_owned()).set(value as f64);
    set(WAITING, snapshot.waiting());
    set(RATE, u64::from(snapshot.rate_per_minute));
    set(STORE_UP, 1);
    #[expect(clippy::cast_precision_loss, reason = "counts of people stay far below 2^53")]
    let set_lane = |name: &'static str, lane: &LaneSnapshot, value: u64| {
        gauge!(name, "room" => room.to_owned(), "lane" => lane.name.clone()).set(value as f64);
    };
    for lane in &snapshot.lanes {
        set_lane(LANE_WAITING, lane, lane.waiting());
        set_lane(ISSUED, lane, lane.issued);
        set_lane(CURSOR, lane, lane.cursor);
    }
}

/// The line's store went away or came back.
pub(crate) fn store_up(room: &str, up: bool) {
    gauge!(STORE_UP, "room" => room.to_owned()).set(if up { 1.0 } else { 0.0 });
}

/// Somebody came while the store was away.
pub(crate) fn provisional(room: &str) {
    counter!(PROVISIONAL, "room" => room.to_owned()).increment(1);
}

/// Somebody went in while the store was away, as the operator chose.
pub(crate) fn let_in_without_store(room: &str, mode: OnStoreLoss) {
    counter!(WITHOUT_STORE, "room" => room.to_owned(), "mode" => mode.as_str()).increment(1);
}

/// An operator changed a room.
pub(crate) fn operator_changed(room: &str) {
    counter!(OPERATOR_CHANGES, "room" => room.to_owned()).increment(1);
}

/// Somebody tried to log in as operator.
pub(crate) fn operator_login(login: Login) {
    let outcome = match login {
        Login::Accepted => "accepted",
        Login::Refused => "refused",
        Login::Throttled => "throttled",
    };
    counter!(OPERATOR_LOGINS, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;
    use crate::line::{RoomState, Session};

    /// Remembers which metrics were touched, and with which labels.
    #[derive(Default)]
    struct Notebook(Mutex<BTreeSet<(String, &'static str)>>, Mutex<BTreeSet<String>>);

    impl Notebook {
        fn note(&self, key: &Key, kind: &'static str) {
            self.0.lock().unwrap().insert((key.name().to_owned(), kind));
            self.1.lock().unwrap().extend(key.labels().map(|label| label.key().to_owned()));
        }
    }

    impl Recorder for Notebook {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.note(key, "counter");
            Counter::noop()
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.note(key, "gauge");
            Gauge::noop()
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.note(key, "histogram");
            Histogram::noop()
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            version: 1,
            epoch: 1,
            lanes: vec![LaneSnapshot { issued: 1, cursor: 1, ..LaneSnapshot::default() }],
            admitted: 0,
            admitted_last_minute: 0,
            rate_per_minute: 1,
            burst: 1,
            state: RoomState::Open,
            message: String::new(),
            at_ms: 0,
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_table_is_what_is_recorded() {
        let notebook = Notebook::default();
        metrics::with_local_recorder(&notebook, || {
            joined("demo", "general", true);
            let session = Session { number: 1, id: String::new(), starts_in_ms: 0, expires_in_ms: 1 };
            claimed("demo", "general", &Claimed::Admitted(session));
            not_joined("demo", &NotJoined::Proof);
            Verdicts::new().count(Seen::Own);
            problem(Code::Waiting);
            forwarded(Duration::from_millis(1));
            line("demo", &snapshot());
            store_up("demo", false);
            provisional("demo");
            eta("demo", Outcome::Inside);
            let_in_without_store("demo", OnStoreLoss::Open);
            operator_changed("demo");
            operator_login(Login::Accepted);
        });
        let kind = |kind| match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let table: BTreeSet<_> = TABLE.iter().map(|&(name, of, _)| (name.to_owned(), kind(of))).collect();
        assert_eq!(notebook.0.into_inner().unwrap(), table);
        let labels: Vec<String> = notebook.1.into_inner().unwrap().into_iter().collect();
        assert_eq!(labels, ["code", "lane", "mode", "outcome", "reason", "room", "verdict", "way"]);
    }

    #[test]
    fn names_say_what_they_are() {
        for (name, kind, help) in TABLE {
            assert!(name.starts_with("vestibule_") && !help.is_empty());
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        }
    }
}
