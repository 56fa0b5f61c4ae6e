//! How calls are put together and answers taken apart, against a store that can be held still.

use super::*;
use crate::line::tests::Model;
use std::{future::poll_fn, task::Poll};
use tokio::sync::Semaphore;

/// The epoch of a line that began at 0.
const EPOCH: u64 = 1;

/// A line that answers a join or claim only when it is given a permit, and writes down what it was asked.
struct Slow {
    model: Mutex<Model>,
    permits: Semaphore,
    asked: Mutex<Vec<String>>,
    fails: bool,
}

impl Slow {
    fn new(fails: bool) -> Arc<Slow> {
        let initial = RoomInitial { rate_per_minute: 60_000, ..RoomInitial::default() };
        let mut model = Model::begin(0, &initial);
        model.tick(1_000); // a full budget: 1,000 people
        Arc::new(Slow { model: Mutex::new(model), permits: Semaphore::new(0), asked: Mutex::default(), fails })
    }

    async fn ask(&self, what: String) -> Result<(), StoreError> {
        self.asked.lock().expect("unpoisoned").push(what);
        self.permits.acquire().await.expect("open").forget();
        if self.fails { Err(StoreError::Unreachable("pulled out".to_owned())) } else { Ok(()) }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

impl LineStore for Slow {
    fn ensure<'a>(&'a self, _: &'a str, initial: &'a RoomInitial) -> Answer<'a, Snapshot> {
        Box::pin(async move { Ok(self.model.lock().expect("unpoisoned").ensure(1_000, initial)) })
    }
    fn join<'a>(&'a self, _: &'a str, joiners: &'a [Joiner]) -> Answer<'a, Joined> {
        Box::pin(async move {
            self.ask(format!("join {}", joiners.len())).await?;
            Ok(self.model.lock().expect("unpoisoned").join(1_000, u32::try_from(joiners.len()).expect("a group")))
        })
    }
    fn claim<'a>(&'a self, _: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, (Vec<Claimed>, Snapshot)> {
        Box::pin(async move {
            self.ask(format!("claim {numbers:?}")).await?;
            Ok(self.model.lock().expect("unpoisoned").claim_in(1_000, epoch, numbers))
        })
    }
    fn tick<'a>(&'a self, _: &'a str) -> Answer<'a, Snapshot> {
        Box::pin(async move { Ok(self.model.lock().expect("unpoisoned").tick(1_000)) })
    }
    fn change<'a>(&'a self, _: &'a str, _: &'a str, change: &'a RoomChange) -> Answer<'a, Snapshot> {
        Box::pin(async move { Ok(self.model.lock().expect("unpoisoned").change(1_000, change)) })
    }
    fn moves<'a>(&'a self, _: &'a str, epoch: u64, moves: &'a [Move]) -> Answer<'a, (Generations, Snapshot)> {
        Box::pin(async move { Ok(self.model.lock().expect("unpoisoned").moves(1_000, epoch, moves)) })
    }
    fn leave<'a>(&'a self, _: &'a str, number: u64) -> Answer<'a, Snapshot> {
        Box::pin(async move { Ok(self.model.lock().expect("unpoisoned").leave(1_000, number)) })
    }
    fn seen<'a>(&'a self, room: &'a str, _: &'a [u64]) -> Answer<'a, Snapshot> {
        self.tick(room)
    }
    fn sessions<'a>(
        &'a self,
        _: &'a str,
        renew: &'a [String],
        end: &'a [String],
    ) -> Answer<'a, (Vec<Renewal>, Snapshot)> {
        Box::pin(async move {
            if !renew.is_empty() {
                self.ask(format!("renew {renew:?}")).await?;
            }
            Ok(self.model.lock().expect("unpoisoned").sessions(1_000, renew, end))
        })
    }
    fn restore<'a>(&'a self, room: &'a str, _: &'a RoomInitial, _: &'a Snapshot) -> Answer<'a, Snapshot> {
        self.tick(room)
    }
    fn heal<'a>(&'a self, room: &'a str, _: u64, _: &'a [u64]) -> Answer<'a, Snapshot> {
        self.tick(room)
    }
    fn changes<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<Audit>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

async fn grouped(slow: &Arc<Slow>) -> Arc<GroupedStore> {
    let store = Arc::new(GroupedStore::new(Arc::<Slow>::clone(slow)));
    store.ensure("demo", &RoomInitial { rate_per_minute: 60_000, ..RoomInitial::default() }).await.expect("ensured");
    store
}

/// Lets every other task run until it waits.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn join_later(store: &Arc<GroupedStore>, count: u32) -> tokio::task::JoinHandle<Result<Joined, StoreError>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.join("demo", &Joiner::many(count as usize)).await })
}

fn claim_later(store: &Arc<GroupedStore>, numbers: Vec<u64>) -> tokio::task::JoinHandle<ClaimReply> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.claim("demo", EPOCH, &numbers).await })
}

#[tokio::test]
async fn a_lone_call_goes_out_at_once_and_the_queued_ones_together() {
    let slow = Slow::new(false);
    let store = grouped(&slow).await;
    let first = join_later(&store, 1);
    settle().await;
    assert_eq!(slow.asked(), ["join 1"]);
    let (second, third) = (join_later(&store, 2), join_later(&store, 3));
    let (claim, same) = (claim_later(&store, vec![9, 1]), claim_later(&store, vec![1]));
    settle().await;
    assert_eq!(slow.asked().len(), 1, "one call at a time");
    slow.permits.add_permits(3);
    let [first, second, third] = [first, second, third].map(|task| async { task.await.expect("ran").expect("joined") });
    let (first, second, third) = tokio::join!(first, second, third);
    assert_eq!((first.first(), second.first(), third.first()), (1, 2, 4));
    assert_eq!(slow.asked(), ["join 1", "join 5", "claim [1, 9]"]);
    let numbers = |joined: &Joined| joined.admitted().iter().map(|session| session.number).collect::<Vec<_>>();
    assert_eq!(numbers(&second), [2, 3]);
    assert_eq!(numbers(&third), [4, 5, 6]);
    let (claim, same) = (claim.await.expect("ran").expect("claimed").0, same.await.expect("ran").expect("claimed").0);
    assert_eq!(claim[0], Claimed::Unknown);
    assert!(matches!(&claim[1], Claimed::Admitted(session) if session.number == 1));
    assert_eq!(claim[1], same[0]);
}

#[tokio::test]
async fn renewals_that_queued_go_together_and_each_gets_its_own_answer() {
    let slow = Slow::new(false);
    slow.model.lock().expect("unpoisoned").join(1_000, 2);
    let store = grouped(&slow).await;
    let renew = |ids: &[&str]| {
        let (store, ids) = (Arc::clone(&store), ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        tokio::spawn(async move { store.sessions("demo", &ids, &[]).await.expect("renewed").0 })
    };
    let first = renew(&["1-1"]);
    settle().await;
    let (second, third) = (renew(&["x", "1-2"]), renew(&["1-1"]));
    settle().await;
    slow.permits.add_permits(2);
    assert_eq!(first.await.expect("ran"), [Renewal::GoesOn]);
    assert_eq!(second.await.expect("ran"), [Renewal::Unknown, Renewal::GoesOn]);
    assert_eq!(third.await.expect("ran"), [Renewal::GoesOn]);
    assert_eq!(slow.asked(), [r#"renew ["1-1"]"#, r#"renew ["x", "1-2", "1-1"]"#]);
}

#[tokio::test]
async fn a_group_is_bounded_and_nobody_is_lost() {
    let slow = Slow::new(false);
    let store = grouped(&slow).await;
    let tasks: Vec<_> = (0..5).map(|_| join_later(&store, 500)).collect();
    settle().await;
    slow.permits.add_permits(10);
    let mut firsts = Vec::new();
    for task in tasks {
        firsts.push(task.await.expect("ran").expect("joined").first());
    }
    assert_eq!(firsts, [1, 501, 1_001, 1_501, 2_001]);
    assert!(slow.asked().iter().all(|asked| asked == "join 500" || asked == "join 1000"), "{:?}", slow.asked());
}

#[tokio::test]
async fn a_full_queue_is_busy_and_a_gone_caller_costs_no_number() {
    let slow = Slow::new(false);
    let store = grouped(&slow).await;
    let first = join_later(&store, 1);
    settle().await;
    let one = Joiner::many(1);
    let mut queued = Vec::new();
    for _ in 0..QUEUE_MAX {
        let mut join = store.join("demo", &one);
        assert!(poll_fn(|context| Poll::Ready(join.as_mut().poll(context))).await.is_pending());
        queued.push(join);
    }
    assert_eq!(store.join("demo", &Joiner::many(1)).await, Err(StoreError::Busy));
    drop(queued);
    slow.permits.add_permits(QUEUE_MAX);
    assert_eq!(first.await.expect("ran").expect("joined").first(), 1);
    assert_eq!(store.join("demo", &Joiner::many(1)).await.expect("joined").first(), 2);
}

#[tokio::test]
async fn nobody_is_inside_for_a_caller_that_went_while_the_line_was_asked() {
    let slow = Slow::new(false);
    let store = grouped(&slow).await;
    let (gone, stays) = (join_later(&store, 2), join_later(&store, 3));
    settle().await;
    gone.abort();
    settle().await;
    slow.permits.add_permits(2);
    assert_eq!(stays.await.expect("ran").expect("joined").admitted().len(), 3);
    settle().await;
    assert_eq!(store.tick("demo").await.expect("ticked").active, 3);
}

#[tokio::test]
async fn an_error_reaches_everyone_and_an_unknown_room_has_no_queue() {
    let slow = Slow::new(true);
    let store = grouped(&slow).await;
    slow.permits.add_permits(10);
    let (join, claim) = (join_later(&store, 1), claim_later(&store, vec![1]));
    assert!(matches!(join.await.expect("ran"), Err(StoreError::Unreachable(_))));
    assert!(matches!(claim.await.expect("ran"), Err(StoreError::Unreachable(_))));
    assert_eq!(store.join("other", &Joiner::many(1)).await, Err(StoreError::NoRoom("other".to_owned())));
}
