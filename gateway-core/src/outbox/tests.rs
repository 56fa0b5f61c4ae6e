//! Messages on both databases: heard once, in order, together, and never by two.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::letters::{Letters, STATES};
use super::state::TRIES_MAX;
use super::*;
use crate::db::params;
use crate::testing::{World, on_every_database};

on_every_database!(
    many_orders_are_heard_in_one_commit_and_one_order_in_order,
    what_is_rolled_back_is_never_told,
    a_spoilt_message_keeps_nobody_and_is_dead_in_the_end,
    a_worker_whose_lease_ran_out_writes_nothing,
    what_comes_twice_takes_effect_once,
    what_kills_its_workers_is_dead_in_the_end,
    words_of_another_version_are_left_alone,
    what_was_heard_long_ago_is_forgotten,
    a_commit_is_heard_of_at_once,
    a_stop_lets_a_round_end,
    an_operator_sees_the_dead_and_has_them_tried_again,
);

/// What took effect together.
pub(super) type Commit = Vec<(ReservationId, &'static str)>;

/// Writes down what took effect, commit by commit. Fails on the poisoned.
#[derive(Clone, Default)]
pub(super) struct Ear {
    commits: Arc<Mutex<Vec<Commit>>>,
    poisoned: Arc<Mutex<Option<ReservationId>>>,
}

impl Ear {
    pub(super) fn commits(&self) -> Vec<Commit> {
        self.commits.lock().unwrap().clone()
    }
}

impl Consumer for Ear {
    const PART: Part = Part::Payment;

    async fn consume(&self, tx: &mut Tx, messages: &[Message]) -> Result<(), DbError> {
        let poisoned = *self.poisoned.lock().unwrap();
        if messages.iter().any(|message| Some(message.order) == poisoned) {
            return Err(DbError::Shape("poison"));
        }
        let heard = messages.iter().map(|message| (message.order, message.event.kind())).collect();
        let commits = Arc::clone(&self.commits);
        tx.when_kept(move || commits.lock().unwrap().push(heard));
        Ok(())
    }
}

impl<C: Consumer> Worker<C> {
    /// A round whose every message is delivered, forgotten to be done, and delivered again.
    pub(crate) async fn round_twice(&self) {
        let taken = self.take().await.expect("answers");
        self.deliver(&taken).await.expect("answers");
        for one in &taken {
            let (words, id) = (one.payload.clone(), one.id);
            in_tx!(self.db, tx, {
                let values = params![words.as_str(), id];
                tx.execute("update outbox set state = 'ready', payload = ?, due_at = 1 where id = ?", values).await
            })
            .expect("answers");
        }
        let again = self.take().await.expect("answers");
        assert!(again.len() >= taken.len(), "all of them come again");
        self.deliver(&again).await.expect("answers");
    }
}

fn order(n: u8) -> ReservationId {
    ReservationId::derived([n; 16])
}

async fn tell(world: &World, order: ReservationId, event: &Event) {
    let told: Result<(), DbError> = in_tx!(world.db, tx, { publish(tx, order, event).await });
    told.expect("told");
}

async fn sql(world: &World, statement: &'static str) {
    in_tx!(world.db, tx, { tx.execute(statement, params![]).await }).expect("done");
}

/// As if the leases and the pauses were over.
async fn time_passes(world: &World) {
    sql(world, "update outbox set due_at = 1 where state = 'ready'").await;
}

async fn states(world: &World) -> Vec<(String, i64, i64)> {
    let rows = world.db.rows("select state, tries, fence from outbox order by seq", params![]).await.expect("rows");
    rows.into_iter().map(|mut row| (row.text().unwrap(), row.int().unwrap(), row.int().unwrap())).collect()
}

async fn many_orders_are_heard_in_one_commit_and_one_order_in_order(world: &World) {
    let ear = Ear::default();
    let worker = Worker::new(world.db.clone(), ear.clone());
    for n in 1..=20 {
        tell(world, order(n), &Event::OrderClosing).await;
    }
    for _ in 0..2 {
        tell(world, order(7), &Event::OrderBooked).await;
    }
    // Somebody else's is not taken.
    tell(world, order(7), &Event::PaymentFailed { attempt_id: None }).await;
    assert_eq!(worker.round().await.expect("a round"), 20);
    for _ in 0..2 {
        assert_eq!(worker.round().await.expect("a round"), 1, "one at a time of one order");
    }
    assert_eq!(worker.round().await.expect("a round"), 0);
    let commits = ear.commits();
    assert_eq!(commits.iter().map(Vec::len).collect::<Vec<_>>(), [20, 1, 1]);
    let of_seven: Vec<_> =
        commits.concat().into_iter().filter(|(of, _)| *of == order(7)).map(|(_, kind)| kind).collect();
    assert_eq!(of_seven, ["order_closing", "order_booked", "order_booked"]);
    assert_eq!(world.count("select count(*) from outbox where state = 'ready'").await, 1);
    assert_eq!(world.count("select count(*) from inbox").await, 22);
    assert_eq!(world.count("select count(*) from outbox where state = 'done' and payload <> ''").await, 0);
}

async fn what_is_rolled_back_is_never_told(world: &World) {
    let told: Result<(), DbError> = in_tx!(world.db, tx, {
        publish(tx, order(1), &Event::OrderClosing).await?;
        tx.undo(());
        Ok(())
    });
    told.expect("undone");
    assert_eq!(world.count("select count(*) from outbox").await, 0);
}

async fn a_spoilt_message_keeps_nobody_and_is_dead_in_the_end(world: &World) {
    let ear = Ear::default();
    let worker = Worker::new(world.db.clone(), ear.clone());
    *ear.poisoned.lock().unwrap() = Some(order(3));
    for n in 1..=8 {
        tell(world, order(n), &Event::OrderClosing).await;
    }
    tell(world, order(3), &Event::OrderBooked).await;
    assert_eq!(worker.round().await.expect("a round"), 8);
    assert_eq!(ear.commits().concat().len(), 7, "all but the poisoned");
    assert_eq!(worker.round().await.expect("a round"), 0, "the next about its order waits behind it");
    for _ in 1..TRIES_MAX {
        time_passes(world).await;
        assert_eq!(worker.round().await.expect("a round"), 1);
    }
    let row = world.db.row("select state, tries, last_error from outbox where tries > 0", params![]).await;
    let mut row = row.expect("a read").expect("the poisoned");
    assert_eq!((row.text().unwrap().as_str(), row.int().unwrap()), ("dead", TRIES_MAX));
    assert!(row.text().unwrap().contains("poison"));
    // The dead keep nobody: what is told later about the order is heard.
    *ear.poisoned.lock().unwrap() = None;
    assert_eq!(worker.round().await.expect("a round"), 1);
    assert_eq!(ear.commits().concat().last(), Some(&(order(3), "order_booked")));
}

async fn a_worker_whose_lease_ran_out_writes_nothing(world: &World) {
    let (slow, quick) = (Ear::default(), Ear::default());
    let slow_worker = Worker::new(world.db.clone(), slow.clone());
    let quick_worker = Worker::new(world.db.clone(), quick.clone());
    for n in 1..=3 {
        tell(world, order(n), &Event::OrderClosing).await;
    }
    let taken = slow_worker.take().await.expect("a take");
    assert_eq!(taken.len(), 3);
    assert_eq!(quick_worker.round().await.expect("a round"), 0, "they are the slow one's");
    time_passes(world).await;
    let again = quick_worker.take().await.expect("a take");
    assert!(again.iter().all(|one| one.fence == 2 && one.tries == 1), "{again:?}");
    // The slow one wakes while they are another's, and once more when they are done.
    slow_worker.deliver(&taken).await.expect("refused, which is no error");
    quick_worker.deliver(&again).await.expect("delivered");
    slow_worker.deliver(&taken).await.expect("refused, which is no error");
    assert!(slow.commits().is_empty(), "{:?}", slow.commits());
    assert_eq!(quick.commits().concat().len(), 3);
    assert!(states(world).await.iter().all(|(state, _, fence)| state == "done" && *fence == 2));

    // Nor does it write that it failed.
    tell(world, order(4), &Event::OrderClosing).await;
    let taken = slow_worker.take().await.expect("a take");
    time_passes(world).await;
    let again = quick_worker.take().await.expect("a take");
    *slow.poisoned.lock().unwrap() = Some(order(4));
    slow_worker.deliver(&taken).await.expect("refused");
    assert_eq!(states(world).await.last(), Some(&("ready".to_owned(), 1, 2)));
    quick_worker.deliver(&again).await.expect("delivered");
    assert_eq!(quick.commits().concat().len(), 4);
}

async fn what_comes_twice_takes_effect_once(world: &World) {
    let ear = Ear::default();
    let worker = Worker::new(world.db.clone(), ear.clone());
    for n in 1..=4 {
        tell(world, order(n), &Event::OrderClosing).await;
    }
    let taken = worker.take().await.expect("a take");
    let (one, two) = tokio::join!(worker.deliver(&taken), worker.deliver(&taken));
    one.and(two).expect("delivered");
    assert_eq!(ear.commits().concat().len(), 4);
    // Also when the end was forgotten and only the inbox knows.
    sql(world, "update outbox set state = 'ready', payload = '{\"event\":\"order_closing\"}', due_at = 1").await;
    assert_eq!(worker.round().await.expect("a round"), 4);
    assert_eq!(ear.commits().concat().len(), 4);
    assert_eq!(world.count("select count(*) from outbox where state = 'done'").await, 4);
}

async fn what_kills_its_workers_is_dead_in_the_end(world: &World) {
    let worker = Worker::new(world.db.clone(), Ear::default());
    tell(world, order(1), &Event::OrderClosing).await;
    for _ in 0..TRIES_MAX {
        assert_eq!(worker.take().await.expect("a take").len(), 1);
        time_passes(world).await;
    }
    assert_eq!(worker.round().await.expect("a round"), 1);
    assert_eq!(states(world).await, [("dead".to_owned(), TRIES_MAX, TRIES_MAX + 1)]);
}

async fn words_of_another_version_are_left_alone(world: &World) {
    let ear = Ear::default();
    let worker = Worker::new(world.db.clone(), ear.clone());
    tell(world, order(1), &Event::OrderClosing).await;
    sql(world, "update outbox set payload = '{\"event\":\"order_eaten\"}'").await;
    tell(world, order(2), &Event::OrderClosing).await;
    assert_eq!(worker.round().await.expect("a round"), 2);
    assert_eq!(ear.commits().concat(), [(order(2), "order_closing")]);
    assert_eq!(states(world).await.first(), Some(&("ready".to_owned(), 1, 1)));
}

async fn what_was_heard_long_ago_is_forgotten(world: &World) {
    let worker = Worker::new(world.db.clone(), Ear::default());
    tell(world, order(1), &Event::OrderClosing).await;
    worker.round().await.expect("a round");
    tell(world, order(2), &Event::OrderClosing).await;
    assert_eq!(clean(&world.db).await.expect("cleaned"), 0);
    sql(world, "update outbox set updated_at = 1").await;
    sql(world, "update inbox set heard_at = 1").await;
    assert_eq!(clean(&world.db).await.expect("cleaned"), 2);
    assert_eq!(world.count("select count(*) from outbox where state = 'ready'").await, 1, "what waits stays");
}

async fn a_commit_is_heard_of_at_once(world: &World) {
    let ear = Ear::default();
    let worker = Worker::new(world.db.clone(), ear.clone());
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        // It would find nothing by itself for an hour.
        async move { worker.run(Duration::from_secs(3_600), &stop).await }
    });
    for n in 1..=3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        tell(world, order(n), &Event::OrderClosing).await;
        for _ in 0..500 {
            if ear.commits().len() == usize::from(n) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(ear.commits().len(), usize::from(n));
    }
    stop.cancel();
    running.await.expect("it stops");
}

/// Hears slowly.
#[derive(Clone, Default)]
struct SlowEar {
    hears: Arc<tokio::sync::Notify>,
}

impl Consumer for SlowEar {
    const PART: Part = Part::Payment;

    async fn consume(&self, _tx: &mut Tx, _messages: &[Message]) -> Result<(), DbError> {
        self.hears.notify_one();
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    }
}

async fn a_stop_lets_a_round_end(world: &World) {
    let ear = SlowEar::default();
    let worker = Worker::new(world.db.clone(), ear.clone());
    let stop = tokio_util::sync::CancellationToken::new();
    tell(world, order(1), &Event::OrderClosing).await;
    tokio::join!(worker.run(Duration::from_secs(3_600), &stop), async {
        ear.hears.notified().await;
        stop.cancel();
    });
    assert_eq!(world.count("select count(*) from outbox where state = 'done'").await, 1, "taken, so heard");
}

async fn an_operator_sees_the_dead_and_has_them_tried_again(world: &World) {
    let (ear, letters) = (Ear::default(), Letters::of(&world.db));
    let worker = Worker::new(world.db.clone(), ear.clone());
    *ear.poisoned.lock().unwrap() = Some(order(2));
    for n in [1, 2, 2] {
        tell(world, order(n), &Event::OrderClosing).await;
    }
    for _ in 0..2 * TRIES_MAX {
        time_passes(world).await;
        worker.round().await.expect("a round");
    }
    let dead = letters.list("dead", 10).await.expect("a list");
    assert_eq!(dead.iter().map(|letter| letter.order).collect::<Vec<_>>(), [order(2), order(2)]);
    assert!(dead.iter().all(|letter| letter.last_error.as_deref().is_some_and(|error| error.contains("poison"))));
    assert_eq!(letters.list("done", 10).await.expect("a list").len(), 1);
    let shown = letters.show(dead[0].id).await.expect("a look").expect("a letter");
    assert_eq!((shown.kind.as_str(), shown.state.as_str(), shown.tries), ("order_closing", "dead", TRIES_MAX));
    assert!(shown.payload.contains("order_closing"));

    *ear.poisoned.lock().unwrap() = None;
    assert!(letters.replay(dead[0].id).await.expect("replayed"));
    assert!(!letters.replay(dead[0].id).await.expect("an answer"), "it is not dead any more");
    assert_eq!(worker.round().await.expect("a round"), 1);
    assert!(letters.drop(dead[1].id).await.expect("dropped"));
    assert!(!letters.drop(dead[1].id).await.expect("an answer"));
    assert_eq!(ear.commits().concat(), [(order(1), "order_closing"), (order(2), "order_closing")]);
    let mut by_state = Vec::new();
    for state in STATES {
        by_state.push(letters.list(state, 10).await.expect("a list").len());
    }
    assert_eq!(by_state, [0, 0, 2, 1]);
}
