//! The queue, against work that fails as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::testing::World;

/// Gives each number back, and writes down the groups. Fails where a member is in `poison`, or once with `first`.
#[derive(Default)]
struct Echo {
    groups: Mutex<Vec<Vec<usize>>>,
    poison: Vec<usize>,
    first: Mutex<Vec<DbError>>,
    running: AtomicUsize,
    takes: Duration,
    /// Where odd numbers have to be on the disk.
    disk: Option<Db>,
}

impl Work for Echo {
    type Member = usize;
    type Outcome = usize;

    async fn run(&self, members: &[usize]) -> Result<Vec<usize>, DbError> {
        assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0, "one group at a time");
        tokio::time::sleep(self.takes).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        if members.contains(&99_999) {
            panic!("as it is told");
        }
        if let Some(error) = self.first.lock().unwrap().pop() {
            return Err(error);
        }
        if members.iter().any(|member| self.poison.contains(member)) {
            return Err(DbError::Shape("poison"));
        }
        self.groups.lock().unwrap().push(members.to_vec());
        Ok(members.to_vec())
    }

    fn rests_on(&self, member: &usize, _: &usize) -> Option<&Db> {
        self.disk.as_ref().filter(|_| member % 2 == 1)
    }
}

fn lost() -> Arc<sqlx::Error> {
    Arc::new(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()))
}

async fn all(writers: &Writers<Echo>, members: Range<usize>) -> Vec<Result<usize, Unserved>> {
    futures_util::future::join_all(members.map(|member| writers.submit("p", member))).await
}

#[tokio::test]
async fn whoever_queued_meanwhile_goes_together_and_nobody_lingers() {
    let writers = Writers::new(Echo { takes: Duration::from_millis(5), ..Echo::default() });
    let outcomes = all(&writers, 0..600).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.expect("served"), n);
    }
    let sizes: Vec<usize> = writers.work().groups.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [256, 256, 64, 16, 8]);
    assert_eq!(writers.submit("p", 7).await.expect("served"), 7);
    assert!(writers.0.pools().is_empty(), "no writer without work");
    assert_eq!(writers.0.meter.load().in_flight, 0);
}

#[tokio::test]
async fn who_rests_on_the_disk_waits_for_it_and_nobody_else_does() {
    let world = World::sqlite().await;
    let (db, (begins, end)) = world.db.by_hand();
    let writers = Arc::new(Writers::new(Echo { disk: Some(db), ..Echo::default() }));
    let submit = |n| {
        let writers = Arc::clone(&writers);
        tokio::spawn(async move { writers.submit("p", n).await })
    };
    let (rests, refused) = (submit(1), submit(2));
    assert_eq!(refused.await.expect("no panic").expect("served"), 2);
    let begun = tokio::task::spawn_blocking(move || (begins.recv_timeout(Duration::from_secs(10)), begins));
    let (Ok(()), begins) = begun.await.expect("no panic") else { panic!("a sync for who rests on it") };
    assert_eq!(writers.submit("p", 4).await.expect("served"), 4, "the next group does not wait");
    assert!(!rests.is_finished());
    end.send(Ok(())).expect("a thread");
    assert_eq!(rests.await.expect("no panic").expect("served"), 1);
    let lost = submit(3);
    end.send(Err(std::io::Error::other("a bad disk"))).expect("a thread");
    assert!(matches!(lost.await.expect("no panic"), Err(Unserved::Failed(DbError::CommitUnknown(_)))));
    drop(begins);
}

#[tokio::test]
async fn the_poisoned_fall_out_and_the_rest_goes_on() {
    let writers = Writers::new(Echo { poison: vec![0, 17, 63], ..Echo::default() });
    let outcomes = all(&writers, 0..64).await;
    let failed: Vec<usize> = outcomes.iter().enumerate().filter(|(_, one)| one.is_err()).map(|(n, _)| n).collect();
    assert_eq!(failed, [0, 17, 63]);
    let order: Vec<usize> = writers.work().groups.lock().unwrap().concat();
    assert!(order.is_sorted() && order.len() == 61, "in the order of arrival: {order:?}");
}

#[tokio::test]
async fn an_unknown_commit_is_looked_into_before_anybody_is_told() {
    let errors = vec![DbError::Unreachable(lost()), DbError::Busy(lost()), DbError::CommitUnknown(lost())];
    let patience = Patience { looking: Duration::from_millis(250), ..PATIENCE };
    let writers = Writers::with(Echo { first: Mutex::new(errors), ..Echo::default() }, patience);
    assert!(all(&writers, 0..3).await.iter().all(Result::is_ok));
    *writers.work().first.lock().unwrap() = (0..1_000).map(|_| DbError::CommitUnknown(lost())).collect();
    let began = Instant::now();
    let outcomes = all(&writers, 0..3).await;
    assert!(outcomes.iter().all(|one| matches!(one, Err(Unserved::Failed(DbError::CommitUnknown(_))))));
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert!(writers.work().first.lock().unwrap().len() > 900, "with pauses");
    *writers.work().first.lock().unwrap() = vec![DbError::Unreachable(lost())];
    let outcomes = all(&writers, 0..3).await;
    assert!(outcomes.iter().all(|one| matches!(one, Err(Unserved::Failed(DbError::Unreachable(_))))));
}

#[tokio::test]
async fn a_busy_database_is_asked_again_while_there_is_patience() {
    let patience = Patience { waiting: Duration::from_millis(250), ..PATIENCE };
    let errors = vec![DbError::Busy(lost()), DbError::Busy(lost())];
    let writers = Writers::with(Echo { first: Mutex::new(errors), ..Echo::default() }, patience);
    assert!(all(&writers, 0..3).await.iter().all(Result::is_ok));
    *writers.work().first.lock().unwrap() = (0..1_000).map(|_| DbError::Busy(lost())).collect();
    let began = Instant::now();
    let outcomes = all(&writers, 0..3).await;
    assert!(outcomes.iter().all(|one| matches!(one, Err(Unserved::Failed(DbError::Busy(_))))));
    assert!((250..2_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_would_wait_too_long_is_told_when_to_come_again() {
    let patience = Patience { waiting: Duration::from_millis(300), ..PATIENCE };
    let writers = Writers::with(Echo { takes: Duration::from_millis(1), ..Echo::default() }, patience);
    let crowd = all(&writers, 0..QUEUE_MAX + 100).await;
    let full = crowd.iter().filter(|one| matches!(one, Err(Unserved::Full { .. }))).count();
    assert_eq!(full, 100, "nothing is known about the time yet, so the number is the limit");
    for _ in 0..20 {
        writers.0.meter.done(0, 1, Duration::from_millis(200));
    }
    let later = all(&writers, 0..3 * GROUP_MAX).await;
    let waits = later.iter().filter_map(|one| match one {
        Err(Unserved::Full { retry_after_ms }) => Some(*retry_after_ms),
        _ => None,
    });
    let waits: Vec<i64> = waits.collect();
    assert_eq!(waits.len(), 2 * GROUP_MAX, "one group of 200 ms fits into 300 ms, two do not");
    assert!(waits.iter().all(|ms| *ms == 1_000), "never less than a second");
}

#[tokio::test]
async fn who_went_away_is_passed_over() {
    let writers = Writers::new(Echo { takes: Duration::from_millis(5), ..Echo::default() });
    let first = writers.submit("p", 1);
    let gone = async {
        let _timed_out = tokio::time::timeout(Duration::from_millis(1), writers.submit("p", 2)).await;
    };
    let (first, ()) = tokio::join!(first, async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        gone.await;
    });
    assert_eq!(first.expect("served"), 1);
    assert_eq!(writers.submit("p", 3).await.expect("served"), 3);
    assert!(!writers.work().groups.lock().unwrap().concat().contains(&2));
    assert_eq!(writers.0.meter.load().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_panic_the_pool_goes_on() {
    let writers = Writers::new(Echo::default());
    assert!(matches!(writers.submit("p", 99_999).await, Err(Unserved::Failed(DbError::Shape(_)))));
    writers.work().running.store(0, Ordering::SeqCst);
    assert_eq!(writers.submit("p", 1).await.expect("served"), 1);
}

#[tokio::test]
async fn rows_of_nobody_else_share_one_pool_where_one_writes_and_a_few_elsewhere() {
    let pools = |db: &Db| (0..=u8::MAX).map(|n| pool_of(db, &[7, n])).collect::<std::collections::HashSet<_>>().len();
    assert_eq!(pools(&World::sqlite().await.db), 1);
    let Some(world) = World::mariadb().await else { return };
    assert_eq!(pools(&world.db), POOLS.len());
    world.close().await;
}
