//! Asks doors that are alive for the page and for a place, all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::doors::Sign;

/// An answer that costs no call to Redis comes at once; a loaded machine may need longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// The cookie that a browser keeps its place in.
const TICKET_COOKIE: &str = "vestibule_ticket_demo";

pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Watch {
    /// With a place at the end of the line: the crowd comes before.
    pub(crate) async fn begin(doors: Vec<Sign>) -> Watch {
        let client = Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
        let answer = client.post(format!("{}/.waiting-room/rooms/demo/tickets", doors[0].url)).send().await;
        let facts: Value = answer.expect("an answer").json().await.expect("JSON");
        let ticket = facts["ticket"].as_str().expect("a ticket").to_owned();
        let over = Arc::<AtomicBool>::default();
        let watch = |door| tokio::spawn(watch(client.clone(), door, ticket.clone(), Arc::clone(&over)));
        Watch { tasks: doors.into_iter().map(watch).collect(), over }
    }

    /// How often the doors were asked, and every answer that was wrong or late.
    pub(crate) async fn end(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let (mut asked, mut wrong) = (0, Vec::new());
        for task in self.tasks {
            let (times, what) = task.await.expect("watched");
            asked += times;
            wrong.extend(what);
        }
        (asked, wrong)
    }
}

async fn watch(client: Client, door: Sign, ticket: String, over: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut asked, mut wrong) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(100)).await;
        let alive = door.alive.read().await;
        if !*alive {
            continue;
        }
        let page = client.get(format!("{}/seats", door.url)).header("accept", "text/html");
        let page = page.header("cookie", format!("{TICKET_COOKIE}={ticket}"));
        let poll = client.get(format!("{}/.waiting-room/rooms/demo/ticket", door.url)).bearer_auth(&ticket);
        for (what, request, status) in [("page", page, StatusCode::ACCEPTED), ("poll", poll, StatusCode::OK)] {
            let begin = Instant::now();
            match request.send().await {
                Ok(answer) if answer.status() == status && begin.elapsed() < ANSWER_WITHIN => {}
                Ok(answer) => wrong.push(format!("{what}: {} after {:?}", answer.status(), begin.elapsed())),
                Err(error) => wrong.push(format!("{what}: {error}")),
            }
            asked += 1;
        }
    }
    (asked, wrong)
}
