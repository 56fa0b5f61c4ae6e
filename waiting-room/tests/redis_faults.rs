//! A Redis that goes away, hangs, comes back empty, or is replaced by a replica that was behind: calls fail in time and
//! work again, and no number is given out twice.

#[path = "redis_faults/server.rs"]
mod server;

use server::{RedisProcess, redis_is_here};
use std::{
    collections::BTreeSet,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    time::{sleep, timeout},
};
use waiting_room::{
    line::{Claimed, Joiner, RoomChange, RoomInitial, RoomState},
    store::{GroupedStore, LineStore, RedisStore, StoreError},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Up,
    /// Connections are closed, new ones at once.
    Cut,
    /// Bytes are taken and go nowhere.
    Hung,
}

/// Copies one direction for as long as the network lets it.
async fn copy(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, mut network: watch::Receiver<Network>) {
    let mut bytes = vec![0; 64 * 1_024];
    loop {
        let length = tokio::select! {
            read = from.read(&mut bytes) => read.unwrap_or(0),
            _ = network.wait_for(|network| *network == Network::Cut) => 0,
        };
        if length == 0 {
            return;
        }
        let up = *network.borrow() == Network::Up;
        if up && to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// Leads to the target of now; the network can be switched.
async fn proxy(target: &watch::Receiver<String>) -> (String, watch::Sender<Network>) {
    let target = target.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let (switch, network) = watch::channel(Network::Up);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if *network.borrow() == Network::Cut {
                continue;
            }
            let to = target.borrow().clone();
            let Ok(server) = TcpStream::connect(to).await else { continue };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(copy(from_client, to_server, network.clone()));
            tokio::spawn(copy(from_server, to_client, network.clone()));
        }
    });
    (address, switch)
}

#[expect(clippy::disallowed_methods, reason = "which servers there are to test with is not a setting of the library")]
fn server() -> Option<String> {
    let address = std::env::var("VESTIBULE_TEST_REDIS_URL").ok();
    if address.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "VESTIBULE_TEST_REDIS_URL must be set in CI");
        writeln!(std::io::stderr(), "SKIPPED: VESTIBULE_TEST_REDIS_URL is not set").expect("stderr");
    }
    Some(address?.trim_start_matches("redis://").split('/').next()?.to_owned())
}

/// Joins once in a while until it works, for at most five seconds.
async fn join_again(store: &dyn LineStore, room: &str) -> u64 {
    let joining = async {
        loop {
            match store.join(room, &Joiner::many(1)).await {
                Ok(joined) => return joined.first(),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(Duration::from_secs(5), joining).await.expect("it works again")
}

#[tokio::test]
async fn calls_fail_in_time_and_work_again() {
    let Some(server) = server() else { return };
    let (_target, target) = watch::channel(server);
    let (address, network) = proxy(&target).await;
    let redis = RedisStore::open(&format!("redis://{address}/0")).await.expect("through the proxy");
    let store = GroupedStore::new(Arc::new(redis));
    let room = format!("fault-{}", uuid::Uuid::now_v7().simple());
    let begun = store.ensure(&room, &RoomInitial::default()).await.expect("ensured");
    let mut last = store.join(&room, &Joiner::many(1)).await.expect("joined").first();
    for fault in [Network::Cut, Network::Hung, Network::Cut] {
        network.send_replace(fault);
        for _ in 0..2 {
            let begin = Instant::now();
            let answer = store.join(&room, &Joiner::many(1)).await;
            assert!(matches!(answer, Err(StoreError::Unreachable(_))), "{answer:?}");
            assert!(begin.elapsed() < Duration::from_millis(3_000), "{:?}", begin.elapsed());
        }
        network.send_replace(Network::Up);
        let next = join_again(&store, &room).await;
        assert!(next > last, "no number is given out twice");
        last = next;
    }
    assert_eq!(store.tick(&room).await.expect("ticked").epoch, begun.epoch);
}

/// The line as it was before a loss, with a hundred people in it, some of them in.
struct Before {
    room: String,
    epoch: u64,
    cursor: u64,
    admitted: u64,
    numbers: Vec<u64>,
}

const RATE_PER_MINUTE: u32 = 6_000;

async fn fill(store: &dyn LineStore) -> Before {
    let room = format!("loss-{}", uuid::Uuid::now_v7().simple());
    let initial = RoomInitial { burst: 50, ..RoomInitial::default() };
    store.ensure(&room, &initial).await.expect("ensured");
    let change = RoomChange {
        rate_per_minute: Some(RATE_PER_MINUTE),
        message: Some("hello".to_owned()),
        ..RoomChange::default()
    };
    store.change(&room, "test", &change).await.expect("changed");
    let mut numbers = Vec::new();
    for _ in 0..100 {
        numbers.push(store.join(&room, &Joiner::many(1)).await.expect("joined").first());
    }
    sleep(Duration::from_millis(300)).await;
    let epoch = store.tick(&room).await.expect("ticked").epoch;
    let snapshot = store.claim(&room, epoch, &(1..=20).collect::<Vec<_>>()).await.expect("claimed").1;
    assert!(snapshot.admitted >= 20 && snapshot.lanes[0].cursor >= 100, "{snapshot:?}");
    Before { room, epoch: snapshot.epoch, cursor: snapshot.lanes[0].cursor, admitted: snapshot.admitted, numbers }
}

/// The same line, with everybody's place and without a number twice; the meter lets nobody in at once, and soon does.
async fn is_restored(store: &dyn LineStore, before: &Before) {
    let room = &before.room;
    let next = join_again(store, room).await;
    assert!(!before.numbers.contains(&next) && next > 100, "no number is given out twice: {next}");
    let (answers, after) = store.claim(room, before.epoch, &(61..=100).collect::<Vec<_>>()).await.expect("claimed");
    assert_eq!((after.epoch, after.state, after.message.as_str()), (before.epoch, RoomState::Open, "hello"));
    assert_eq!((after.rate_per_minute, after.burst), (RATE_PER_MINUTE, 50));
    assert!(after.lanes[0].cursor >= before.cursor && after.admitted >= before.admitted, "{after:?}");
    let at_once = |answer: &Claimed| matches!(answer, Claimed::Admitted(session) if session.starts_in_ms == 0);
    let admitted = answers.iter().filter(|answer| at_once(answer)).count();
    assert!(admitted < 20, "the meter begins empty: {admitted}");
    sleep(Duration::from_millis(1_000)).await;
    let (answers, _) = store.claim(room, before.epoch, &(61..=100).collect::<Vec<_>>()).await.expect("claimed");
    assert!(answers.iter().all(|answer| matches!(answer, Claimed::Admitted(_))), "places are kept: {answers:?}");
    let after = store.tick(room).await.expect("ticked");
    assert!(after.lanes[0].cursor >= next, "skipped numbers hold nobody up: {after:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_empty_gets_the_line_back() {
    if !redis_is_here() {
        return;
    }
    let mut server = RedisProcess::start(&[]);
    let open = async || RedisStore::open(&format!("redis://127.0.0.1:{}/0", server.port())).await.expect("opened");
    let (store, other) = (open().await, open().await);
    let before = fill(&store).await;
    other.ensure(&before.room, &RoomInitial::default()).await.expect("ensured");
    let late = other.join(&before.room, &Joiner::many(1)).await.expect("joined").first();
    server.kill();
    assert!(matches!(store.tick(&before.room).await, Err(StoreError::Unreachable(_))));
    server.start_empty();
    is_restored(&store, &before).await;
    let next = join_again(&other, &before.room).await;
    assert!(next > late + 1_000, "{next}");
    let (one, two) = (store.tick(&before.room).await, other.tick(&before.room).await);
    assert_eq!(one.map(|snapshot| snapshot.version), two.map(|snapshot| snapshot.version), "they agree");
}

#[tokio::test]
async fn a_replica_that_was_behind_is_brought_forward() {
    if !redis_is_here() {
        return;
    }
    let (mut master, replica) = (RedisProcess::start(&[]), RedisProcess::start(&[]));
    replica.ask(&format!("replicaof 127.0.0.1 {}", master.port()));
    replica.wait_until("info replication", "master_link_status:up");
    let (target, targets) = watch::channel(format!("127.0.0.1:{}", master.port()));
    let (address, network) = proxy(&targets).await;
    let store = RedisStore::open(&format!("redis://{address}/0")).await.expect("opened");
    let begun = fill(&store).await;
    replica.ask("replicaof no one");
    let mut before = fill(&store).await;
    for _ in 0..30 {
        before.numbers.push(store.join(&before.room, &Joiner::many(1)).await.expect("joined").first());
        let later = store.join(&begun.room, &Joiner::many(1)).await.expect("joined").first();
        assert!(later > 100);
    }
    master.kill();
    network.send_replace(Network::Cut);
    target.send_replace(format!("127.0.0.1:{}", replica.port()));
    network.send_replace(Network::Up);
    is_restored(&store, &before).await;
    let next = join_again(&store, &begun.room).await;
    assert!(next > 130, "the older state is not believed: {next}");
}

#[tokio::test]
async fn the_master_that_sentinel_promotes_is_found() {
    if !redis_is_here() {
        return;
    }
    let master = RedisProcess::start(&[]);
    let replica = RedisProcess::start(&["--repl-diskless-sync-delay", "0"]);
    replica.ask(&format!("replicaof 127.0.0.1 {}", master.port()));
    replica.wait_until("info replication", "master_link_status:up");
    let sentinel = RedisProcess::start_sentinel(&master);
    let address = format!("redis+sentinel://127.0.0.1:{}/main/0", sentinel.port());
    let store = RedisStore::open(&address).await.expect("opened");
    let before = fill(&store).await;
    master.signal("STOP");
    let stopped = Instant::now();
    let mut numbers = before.numbers.clone();
    while store.join(&before.room, &Joiner::many(1)).await.map(|joined| numbers.push(joined.first())).is_err() {
        assert!(stopped.elapsed() < Duration::from_secs(15), "no new master was found");
        sleep(Duration::from_millis(50)).await;
    }
    let _ =
        writeln!(std::io::stderr(), "joins work again {} ms after the master stopped", stopped.elapsed().as_millis());
    // The old master wakes up, believes for a moment that it still is one, and is told otherwise.
    master.signal("CONT");
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        numbers.push(join_again(&store, &before.room).await);
        sleep(Duration::from_millis(20)).await;
    }
    let (all, distinct) = (numbers.len(), BTreeSet::from_iter(numbers).len());
    assert_eq!(all, distinct, "no number is given out twice");
    assert_eq!(store.tick(&before.room).await.expect("ticked").epoch, before.epoch);
}
