//! Buyers at the core: each orders one thing after the other, every order under a key of its own, and asks again with the
//! same key whenever it got no answer. What they were told is a history that the database is held to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::books::Books;
use crate::harness::{App, PATIENCE, id};

const BUYERS: usize = 16;
/// Between two tries of the same order.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The order that each key was answered with.
pub(crate) type History = BTreeMap<String, String>;

pub(crate) struct Buyers {
    tasks: JoinSet<(App, History)>,
    stop: Arc<AtomicBool>,
    told: Arc<AtomicUsize>,
    again: Arc<AtomicUsize>,
}

/// One order under a key: the status and the body, or nothing if the connection broke.
pub(crate) async fn order(app: &App, key: &str) -> Option<(StatusCode, Value)> {
    let body = json!({ "lines": [{ "product_id": "poster", "quantity": 1 }] });
    let request = app.request(Method::POST, "/api/orders").header("idempotency-key", key).json(&body);
    let answer = request.send().await.ok()?;
    let status = answer.status();
    Some((status, answer.json().await.ok()?))
}

/// Asks until it is told which order it has; or, if that is not `in_the_end`, that the key is still at work: a core that
/// was killed keeps it for some seconds.
async fn insist(app: &App, key: &str, again: &AtomicUsize, in_the_end: bool) -> Option<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match order(app, key).await {
            Some((StatusCode::CREATED | StatusCode::OK, order)) => return Some(id(&order, "order_id")),
            Some((StatusCode::CONFLICT, _)) if !in_the_end => return None,
            Some((status, problem)) if status.is_server_error() || status == StatusCode::CONFLICT => {
                assert!(Instant::now() < end, "{key} was never answered: {problem}");
                assert_eq!(problem["retry"], "safe", "{problem}");
            }
            Some((status, problem)) => panic!("{status}: {problem}"),
            None => assert!(Instant::now() < end, "{key} was never answered"),
        }
        again.fetch_add(1, Ordering::Relaxed);
        sleep(AGAIN_AFTER).await;
    }
}

impl Buyers {
    pub(crate) async fn come(core: &str) -> Buyers {
        let mut buyers =
            Buyers { tasks: JoinSet::new(), stop: Arc::default(), told: Arc::default(), again: Arc::default() };
        for buyer in 0..BUYERS {
            let mut app = App::new(core);
            app.register().await;
            let (stop, told, again) = (Arc::clone(&buyers.stop), Arc::clone(&buyers.told), Arc::clone(&buyers.again));
            buyers.tasks.spawn(async move {
                let (mut history, mut open) = (History::new(), Vec::new());
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("buyer-{buyer}-order-{number}");
                    match insist(&app, &key, &again, false).await {
                        Some(order) => {
                            history.insert(key, order);
                            told.fetch_add(1, Ordering::Relaxed);
                        }
                        None => open.push(key),
                    }
                }
                for key in open {
                    let order = insist(&app, &key, &again, true).await.expect("an answer in the end");
                    history.insert(key, order);
                }
                (app, history)
            });
        }
        buyers
    }

    /// Until so many more have been told of their order: things go on.
    pub(crate) async fn go_on(&self, orders: usize) {
        let (end, wanted) = (Instant::now() + PATIENCE, self.told.load(Ordering::Relaxed) + orders);
        while self.told.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < end, "nobody gets an order any more");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends them home, and holds the database to what they were told. The figures.
    pub(crate) async fn judge(self, story: &str, faults: usize, books: &mut Books) -> Value {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.tasks.join_all().await;
        let stored = books.orders().await;
        let told: Vec<&String> = all.iter().flat_map(|(_, history)| history.values()).collect();
        let lost = told.iter().filter(|order| !stored.contains(**order)).count();
        let keys: usize = all.iter().map(|(_, history)| history.len()).sum();
        let distinct = told.iter().collect::<std::collections::BTreeSet<_>>().len();
        // Every key was answered in the end: what stands there besides is an effect that happened twice.
        let doubled = stored.len().saturating_sub(distinct) + (keys - distinct);
        let mut changed = 0;
        for (app, history) in &all {
            for (key, before) in history.iter().rev().take(5) {
                changed += usize::from(insist(app, key, &AtomicUsize::new(0), true).await.as_ref() != Some(before));
            }
        }
        let figures = json!({
            "story": story, "faults": faults, "acknowledged": keys, "asked_again": self.again.load(Ordering::Relaxed),
            "lost": lost, "doubled": doubled, "answers_changed": changed,
        });
        #[expect(clippy::print_stderr, reason = "deploy/bench reads the figures")]
        {
            eprintln!("\n{figures}");
        }
        assert_eq!((lost, doubled, changed), (0, 0, 0), "{figures}");
        books.agree().await;
        figures
    }
}
