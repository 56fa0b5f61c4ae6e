//! Visitors who queue, ask when they are told to, and go through. A door that does not answer is left for the next one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::doors::Doors;
use crate::wire::{number_in, subject_of};

/// They come evenly over this time.
const COME_WITHIN: Duration = Duration::from_secs(4);

/// Who comes, and how they behave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    pub(crate) visitors: usize,
    /// Of ten who have a number, so many are never heard of again.
    pub(crate) gone_of_ten: usize,
    /// How soon they ask again at the latest; a page asks as it is told.
    pub(crate) ask_again_ms: u64,
}

/// What the visitors saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Each number that somebody was given, and the visitor.
    numbers: BTreeMap<(u64, u64), usize>,
    /// With a ticket of whatever kind.
    pub(crate) ticketed: usize,
    pub(crate) lost: Vec<String>,
    pub(crate) twice: Vec<String>,
    /// Entries that the door behind the answer did not let through.
    pub(crate) turned_away: Vec<String>,
    /// When each place that went in may have been let in first: when it asked, or asked before without being answered.
    pub(crate) asked: HashMap<String, Instant>,
}

/// Visitors on their way; dropped, they stop.
pub(crate) struct Crowd {
    pub(crate) seen: Arc<Mutex<Seen>>,
    manners: Manners,
    _tasks: JoinSet<()>,
}

impl Crowd {
    pub(crate) fn come(doors: &Doors, manners: Manners) -> Crowd {
        let seen = Arc::<Mutex<Seen>>::default();
        let client = Client::builder().timeout(Duration::from_secs(5)).build().expect("a client");
        let urls: Arc<Vec<String>> = Arc::new(doors.signs().into_iter().map(|sign| sign.url).collect());
        let mut tasks = JoinSet::new();
        for index in 0..manners.visitors {
            let (client, doors, seen) = (client.clone(), Arc::clone(&urls), Arc::clone(&seen));
            let mut visitor = Visitor { index, client, doors, at: index, manners, ticket: None, unanswered: None };
            tasks.spawn(async move {
                sleep(COME_WITHIN.mul_f64(index as f64 / manners.visitors as f64)).await;
                visitor.queue(&seen).await;
            });
        }
        Crowd { seen, manners, _tasks: tasks }
    }

    /// Everybody has a number.
    pub(crate) async fn is_here(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        let numbered = |seen: &Seen| seen.numbers.values().collect::<BTreeSet<_>>().len();
        while numbered(&self.seen.lock().expect("seen")) < self.manners.visitors {
            assert!(Instant::now() < end, "not everybody got a number");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

struct Visitor {
    index: usize,
    client: Client,
    doors: Arc<Vec<String>>,
    /// The door of now.
    at: usize,
    manners: Manners,
    ticket: Option<String>,
    /// When it first asked to go in without being told yes or no.
    unanswered: Option<Instant>,
}

impl Visitor {
    async fn queue(&mut self, seen: &Mutex<Seen>) {
        // Spread over the line, without a pattern that the line could meet by chance.
        let gone = (self.index.wrapping_mul(2_654_435_761) >> 7) % 10 < self.manners.gone_of_ten;
        loop {
            let (method, call) =
                if self.ticket.is_some() { (Method::GET, "ticket") } else { (Method::POST, "tickets") };
            let mut facts = self.ask(method, call, seen).await;
            if gone && self.ticket.is_some() {
                return;
            }
            if facts["state"] == "called" {
                facts = self.ask(Method::POST, "entry", seen).await;
            }
            if let Some(entry) = facts["entry_token"].as_str() {
                return self.go_through(entry, seen).await;
            }
            let pause = facts["poll_after_ms"].as_u64().unwrap_or(300).min(self.manners.ask_again_ms);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn ask(&mut self, method: Method, call: &str, seen: &Mutex<Seen>) -> Value {
        let url = format!("{}/.waiting-room/rooms/demo/{call}", self.doors[self.at % self.doors.len()]);
        let mut request = self.client.request(method, url).header("accept", "application/json");
        if let Some(ticket) = &self.ticket {
            request = request.bearer_auth(ticket);
        }
        let asked = Instant::now();
        let Ok(answer) = request.send().await else {
            self.unanswered = self.unanswered.or((call == "entry").then_some(asked));
            self.at += 1;
            return Value::Null;
        };
        let status = answer.status();
        let facts: Value = answer.json().await.unwrap_or(Value::Null);
        let mut seen = seen.lock().expect("seen");
        // Not found, forbidden, spent: the place is lost. A store that is away is none of these.
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            seen.lost.push(format!("visitor {}: {call}: {status} {facts}", self.index));
        }
        if let Some(token) = facts["entry_token"].as_str() {
            let subject = subject_of(token);
            if seen.asked.insert(subject.clone(), self.unanswered.unwrap_or(asked)).is_some() {
                seen.twice.push(format!("{subject} went in twice"));
            }
        }
        if let Some(ticket) = facts["ticket"].as_str() {
            seen.ticketed += usize::from(self.ticket.is_none());
            self.ticket = Some(ticket.to_owned());
            if let Some(number) = number_in(ticket)
                && seen.numbers.insert(number, self.index).is_some_and(|other| other != self.index)
            {
                seen.twice.push(format!("number {number:?} was given out twice"));
            }
        }
        facts
    }

    /// Uses the entry at once; a door that is gone meanwhile is left for the next one.
    async fn go_through(&mut self, entry: &str, seen: &Mutex<Seen>) {
        for _ in 0..20 {
            let url = format!("{}/buy", self.doors[self.at % self.doors.len()]);
            let request = self.client.get(url).header("accept", "application/json").header("x-entry-token", entry);
            match request.send().await {
                Ok(answer) if answer.status() == StatusCode::OK => return,
                Ok(answer) => {
                    let what = format!("visitor {}: with an entry: {}", self.index, answer.status());
                    return seen.lock().expect("seen").turned_away.push(what);
                }
                Err(_) => self.at += 1,
            }
            sleep(Duration::from_millis(300)).await;
        }
    }
}
