//! What can break, each as one small story.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::MutexGuard;
use tokio::time::sleep;

use crate::doors::DOORS;
use crate::server::{RedisProcess, redis_is_here};
use crate::story::{ALONE, World, judge, seconds, tell};
use crate::watch::Watch;

/// A replica that is promoted is so much behind.
const BEHIND: Duration = Duration::from_secs(1);
/// A line that only tickets know of is whole again.
const GATHERED_WITHIN: Duration = Duration::from_secs(12);
/// Where Debian has the library that lies about the time.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";

/// Nothing breaks, and seven of ten ticket holders are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned() {
    let Some((_alone, name)) = begin("abandoned").await else { return };
    let redis = RedisProcess::start(&[]);
    let store = format!("redis://127.0.0.1:{}/0", redis.port());
    let world = World::on(redis, &store, 7, Vec::new()).await;
    world.gather().await;
    let watch = Watch::begin(world.doors.signs()).await;
    // The first minute is the line's to learn who is there.
    sleep(seconds(60, 12)).await;
    let from = Instant::now();
    sleep(seconds(120, 10)).await;
    judge(name, &world, watch, (from, Instant::now())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_door_killed() {
    let Some((_alone, name)) = begin("one_door_killed").await else { return };
    tell(name, World::open(RedisProcess::start(&[])).await, async |world: &mut World| world.doors.kill(0).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_doors_killed() {
    let Some((_alone, name)) = begin("all_doors_killed").await else { return };
    tell(name, World::open(RedisProcess::start(&[])).await, async |world: &mut World| {
        for index in 0..DOORS {
            world.doors.kill(index).await;
        }
        sleep(Duration::from_millis(500)).await;
        for index in 0..DOORS {
            world.doors.start(index).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_emptied() {
    let Some((_alone, name)) = begin("redis_emptied").await else { return };
    tell(name, World::open(RedisProcess::start(&[])).await, async |world: &mut World| {
        world.redis.kill();
        sleep(Duration::from_millis(500)).await;
        world.redis.start_empty();
    })
    .await;
}

/// Every door and Redis at once: nobody knows of the line any more but those who wait in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_lost() {
    let Some((_alone, name)) = begin("everything_lost").await else { return };
    tell(name, World::open(RedisProcess::start(&[])).await, async |world: &mut World| {
        for index in 0..DOORS {
            world.doors.kill(index).await;
        }
        world.redis.kill();
        world.redis.start_empty();
        for index in 0..DOORS {
            world.doors.start(index).await;
        }
        // Tickets are gathered for two seconds, nobody is called for five, and those who went in before are passed over.
        sleep(GATHERED_WITHIN).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_promoted() {
    let Some((_alone, name)) = begin("replica_promoted").await else { return };
    let master = RedisProcess::start(&[]);
    let replica = RedisProcess::start(&["--repl-diskless-sync-delay", "0"]);
    replica.ask(&format!("replicaof 127.0.0.1 {}", master.port()));
    replica.wait_until("info replication", "master_link_status:up");
    let sentinel = RedisProcess::start_sentinel(&master);
    let store = format!("redis+sentinel://127.0.0.1:{}/main/0", sentinel.port());
    tell(name, World::on(master, &store, 0, Vec::new()).await, async |world: &mut World| {
        // It hears nothing more: from now on it is behind. Nothing listens on port 1.
        replica.ask("replicaof 127.0.0.1 1");
        sleep(BEHIND).await;
        world.redis.kill();
        replica.wait_until("info replication", "role:master");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_gone() {
    let Some((_alone, name)) = begin("redis_gone").await else { return };
    // What it has written is there again when it comes back.
    let kept = ["--appendonly", "yes"];
    tell(name, World::open(RedisProcess::start(&kept)).await, async |world: &mut World| {
        world.redis.kill();
        sleep(seconds(60, 6)).await;
        world.redis.start_again(&kept);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_stopped() {
    let Some((_alone, name)) = begin("redis_stopped").await else { return };
    tell(name, World::open(RedisProcess::start(&[])).await, async |world: &mut World| {
        world.redis.signal("STOP");
        sleep(seconds(30, 5)).await;
        world.redis.signal("CONT");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn door_stopped() {
    let Some((_alone, name)) = begin("door_stopped").await else { return };
    tell(name, World::open(RedisProcess::start(&[])).await, async |world: &mut World| {
        world.doors.stop_for(0, seconds(30, 5)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_two_hours_ahead() {
    let Some((_alone, name)) = begin("clocks_two_hours_ahead").await else { return };
    clocks_moved(name, "+2h").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_two_hours_back() {
    let Some((_alone, name)) = begin("clocks_two_hours_back").await else { return };
    clocks_moved(name, "-2h").await;
}

/// The stories one after the other; none where there is no Redis.
async fn begin(name: &str) -> Option<(MutexGuard<'static, ()>, &str)> {
    if redis_is_here() { Some((ALONE.lock().await, name)) } else { None }
}

/// Redis and all doors read a wall clock that jumps at once.
async fn clocks_moved(name: &str, by: &str) {
    let Some(library) = faketime() else {
        eprintln!("skipped {name}: libfaketime is not here");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("time");
    set(&file, "+0");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let environment: Vec<(String, String)> = [
        ("LD_PRELOAD", preloaded(&library)),
        ("FAKETIME_TIMESTAMP_FILE", text(&file)),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(variable, value)| (variable.to_owned(), value))
    .to_vec();
    let redis = RedisProcess::start_under(&environment, &[]);
    let before: i64 = redis_seconds(&redis);
    let store = format!("redis://127.0.0.1:{}/0", redis.port());
    tell(name, World::on(redis, &store, 0, environment).await, async |world: &mut World| {
        set(&file, by);
        sleep(Duration::from_millis(200)).await;
        let moved = (redis_seconds(&world.redis) - before).abs();
        assert!((6_000..9_000).contains(&moved), "the clock of Redis moved by {moved} s");
    })
    .await;
}

/// With the C library's allocator before that of Debian's Redis, which reads the clock when it begins: the library that
/// lies about the time is not ready by then, and asks it for memory.
fn preloaded(library: &Path) -> String {
    let libc = library.ancestors().nth(2).map(|folder| folder.join("libc.so.6")).filter(|libc| libc.exists());
    [Some(library.to_owned()), libc]
        .into_iter()
        .flatten()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

fn redis_seconds(redis: &RedisProcess) -> i64 {
    redis.ask("time").lines().next().and_then(|line| line.parse().ok()).expect("the time of Redis")
}

/// In one step, so that nobody reads half a file.
fn set(file: &Path, time: &str) {
    let aside = file.with_extension("new");
    std::fs::write(&aside, time).and_then(|()| std::fs::rename(&aside, file)).expect("the time is written");
}

fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|folder| folder.path());
    folders.chain([PathBuf::from("/usr/lib")]).map(|folder| folder.join(FAKETIME)).find(|library| library.exists())
}
