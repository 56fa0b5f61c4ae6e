//! What a million people in line weigh: in Redis, and in a door that holds their draw.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::time::sleep;
use waiting_room::line::{Method, RoomChange, RoomInitial};
use waiting_room::store::{BATCH_MAX, GROUP_MAX, LineStore, MemoryStore, RedisStore};

use super::{Finding, slow_room};
use crate::figure::Figures;
use crate::http::request;
use crate::servers::Bench;

const MILLION: u64 = 1_000_000;
const BYTES_MAX: f64 = 1.0;
const MIB_MAX: f64 = 16.0;
const MIB: f64 = 1_048_576.0;
/// The table of a million takes a tenth of a second.
const DRAWN_WITHIN: Duration = Duration::from_secs(20);

/// Lets so many join, in whole groups.
pub(super) async fn wait_in_line(store: &dyn LineStore, people: u32) -> Result<()> {
    store.ensure("demo", &RoomInitial { rate_per_minute: 1, burst: 1, ..RoomInitial::default() }).await?;
    for _ in 0..people.div_ceil(GROUP_MAX as u32) {
        store.join("demo", GROUP_MAX as u32).await?;
    }
    Ok(())
}

pub(super) async fn redis_bytes(bench: &Bench) -> Result<Finding> {
    let redis = bench.redis().await?;
    let door = bench.door(&bench.folder("door")?, &slow_room(&redis)).await?;
    let store = RedisStore::open(&redis.url).await?;
    wait_in_line(&store, MILLION as u32).await?;
    let (bare, keys) = redis.bytes_of_keys().await?;
    let snapshot = store.tick("demo").await?;
    // More than happens: all of them, not only those near the front, are heard of in both windows of presence.
    let everybody: Vec<u64> = (1..=snapshot.issued).collect();
    for _ in 0..2 {
        for batch in everybody.chunks(BATCH_MAX) {
            store.seen("demo", batch).await?;
        }
        // As long as a window of presence, or a little more.
        sleep(bench.runs(Duration::from_millis(10_500), Duration::from_secs(1))).await;
    }
    let (heard, _) = redis.bytes_of_keys().await?;
    drop(door);
    let each = |bytes: u64| bytes as f64 / snapshot.waiting() as f64;
    let measured = format!(
        "{:.3} bytes; {:.3} if all of them were heard of within a minute ({} waiting)",
        each(bare),
        each(heard),
        snapshot.waiting()
    );
    let note = format!("{bare} bytes in {keys} keys, {heard} when all were heard of");
    Ok(Finding::new(each(heard) <= BYTES_MAX, measured).note(note))
}

/// A million register with the embedded store; a door starts on its journal, opens the room and draws.
pub(super) async fn node_memory(bench: &Bench) -> Result<Finding> {
    let (mut above, mut notes) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs(3, 1) {
        let (idle, _) = resident_after_draw(bench, GROUP_MAX as u64).await?;
        let (full, waiting) = resident_after_draw(bench, MILLION).await?;
        let mib = (full as f64 - idle as f64) / MIB;
        notes.push(format!(
            "{:.1} MiB with {waiting} drawn, {:.1} MiB with 1,024",
            full as f64 / MIB,
            idle as f64 / MIB
        ));
        above.push(mib * MILLION as f64 / waiting as f64);
    }
    let above = Figures::new(above);
    let found = Finding::new(above.median() <= MIB_MAX, format!("{above:.1} MiB"));
    Ok(notes.into_iter().fold(found, Finding::note))
}

/// Resident bytes of a door once so many are drawn, and how many wait.
async fn resident_after_draw(bench: &Bench, people: u64) -> Result<(u64, u64)> {
    let folder = bench.folder("door")?;
    register(&folder.join("data/line"), people as u32).await?;
    let slow = [("waiting_room.rooms.demo.rate_per_minute", "1".to_owned())];
    let door = bench.door(&folder, &slow).await?;
    door.change(&json!({ "opens_at": now_ms() })).await?;
    let end = Instant::now() + DRAWN_WITHIN;
    let look = request("GET", "/.waiting-room/rooms/demo/draw", &[]);
    while door.ask(&look).await?["drawn"].as_u64() != Some(people.next_multiple_of(GROUP_MAX as u64)) {
        anyhow::ensure!(Instant::now() < end, "never drawn: {}", door.ask(&look).await?);
        sleep(Duration::from_millis(100)).await;
    }
    // The table is made and what making it took is given back.
    sleep(Duration::from_secs(3)).await;
    let facts = door.join().await?;
    let number = facts["number"].as_u64().with_context(|| format!("no number in {facts}"))?;
    Ok((door.process.resident()?, number - 1))
}

/// Lets so many join a room that will draw, in the journal of a door that is yet to start.
async fn register(journal: &Path, people: u32) -> Result<()> {
    std::fs::create_dir_all(journal)?;
    let store = MemoryStore::open(journal, Arc::new(now_ms))?;
    store.ensure("demo", &RoomInitial { rate_per_minute: 1, burst: 1, ..RoomInitial::default() }).await?;
    let far = Some(waiting_room::line::SCHEDULE_MS_MAX);
    let change = RoomChange { method: Some(Method::Draw), opens_at_ms: far, ..RoomChange::default() };
    store.change("demo", "bench", &change).await?;
    for _ in 0..people.div_ceil(GROUP_MAX as u32) {
        store.join("demo", GROUP_MAX as u32).await?;
    }
    Ok(())
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the room's schedule is in the time of the wall")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
