//! The journal: what survives a kill, a cut, a full disk, and what is refused.

use super::*;
use crate::line::tests::{Step, any_pause, any_step};
use proptest::prelude::*;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicI64, Ordering},
};
use tempfile::TempDir;

/// When every world begins, and with it the epoch of its line.
const EPOCH: u64 = 1_700_000_000_000;

struct World {
    dir: TempDir,
    now_ms: Arc<AtomicI64>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        World { dir, now_ms: Arc::new(AtomicI64::new(1_700_000_000_000)) }
    }

    fn try_open(&self) -> Result<MemoryStore, OpenError> {
        let now_ms = Arc::clone(&self.now_ms);
        MemoryStore::open(self.dir.path(), Arc::new(move || now_ms.load(Ordering::Relaxed)))
    }

    fn open(&self) -> MemoryStore {
        self.try_open().expect("it opens")
    }

    fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("demo.journal")
    }
}

fn line(store: &MemoryStore) -> Line {
    held(&store.room("demo").expect("the room")).expect("the lock").line.clone()
}

fn filled(world: &World) -> MemoryStore {
    let store = world.open();
    store.ensure_now("demo", &RoomInitial::default()).expect("ensured");
    store.join_now("demo", &Joiner::many(5)).expect("joined");
    world.pass(1_000);
    store.with("demo", |room| room.commit(Some(Effect::Called { up_to: 3, expected: None }))).expect("called");
    store.claim_now("demo", EPOCH, &[1]).expect("claimed");
    store
}

#[test]
fn a_reopened_store_knows_everything() {
    let world = World::new();
    let store = filled(&world);
    let (before, entered) = (line(&store), store.claim_now("demo", EPOCH, &[1]).expect("again").0);
    drop(store);
    let store = world.open();
    assert_eq!(line(&store), before);
    assert_eq!(store.claim_now("demo", EPOCH, &[1]).expect("again").0, entered, "the same session");
    let other = RoomInitial { rate_per_minute: 999, ..RoomInitial::default() };
    assert_eq!(store.ensure_now("demo", &other).expect("known").rate_per_minute, 60, "first values only once");
}

#[test]
fn the_files_belong_to_the_owner_and_to_one_process() {
    let world = World::new();
    let store = filled(&world);
    for file in ["demo.journal", LOCK_FILE] {
        let mode = fs::metadata(world.dir.path().join(file)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let refused = world.try_open().map(|_| ()).expect_err("it is in use");
    assert!(refused.to_string().contains("another process uses this journal directory"), "{refused}");
    drop(store);
    drop(world.open());
}

#[test]
fn a_record_that_was_cut_off_is_dropped_at_every_length() {
    let world = World::new();
    drop(filled(&world));
    let store = world.open();
    let before = line(&store);
    store.join_now("demo", &Joiner::many(7)).expect("joined");
    drop(store);
    let whole = fs::read(world.journal()).expect("the journal");
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').expect("a line end") + 1;
    for length in last..whole.len() {
        fs::write(world.journal(), &whole[..length]).expect("cut");
        assert_eq!(line(&world.open()), before, "cut at {length}");
    }
    fs::write(world.journal(), &whole).expect("whole again");
    assert_eq!(line(&world.open()).snapshot().issued(), 12);
}

#[test]
fn damage_is_refused_with_file_and_offset_and_the_file_stays_as_it_is() {
    let world = World::new();
    drop(filled(&world));
    let store = world.open();
    store.join_now("demo", &Joiner::many(1)).expect("joined");
    store.join_now("demo", &Joiner::many(1)).expect("joined");
    drop(store);
    let whole = fs::read(world.journal()).expect("the journal");
    let starts: Vec<usize> = [0].into_iter().chain((1..whole.len()).filter(|&at| whole[at - 1] == b'\n')).collect();
    assert_eq!(starts.len(), 4, "header, line, two effects");
    for start in starts {
        let mut bad = whole.clone();
        bad[start + SUM_AND_MORE] ^= 1;
        fs::write(world.journal(), &bad).expect("damaged");
        let refused = world.try_open().map(|_| ()).expect_err("damage").to_string();
        assert!(refused.contains("demo.journal is damaged at byte") && refused.contains(&format!("byte {start}:")));
        assert_eq!(fs::read(world.journal()).expect("still there"), bad);
    }
}

/// Somewhere in the JSON of a record.
const SUM_AND_MORE: usize = 25;

#[test]
fn a_journal_that_cannot_be_written_changes_nothing_and_recovers() {
    let world = World::new();
    let store = filled(&world);
    let before = line(&store);
    let room = store.room("demo").expect("the room");
    let full = OpenOptions::new().append(true).open("/dev/full").expect("a full device");
    let kept = held(&room).expect("the lock").journal.swap_file(full);
    assert!(matches!(store.join_now("demo", &Joiner::many(1)), Err(StoreError::Unreachable(_))));
    assert_eq!(line(&store), before, "nothing happened");
    held(&room).expect("the lock").journal.swap_file(kept);
    assert!(store.join_now("demo", &Joiner::many(1)).is_err(), "what was written in part could not be taken back");
    drop((room, store));
    assert_eq!(world.open().join_now("demo", &Joiner::many(1)).expect("after a restart").first(), 6);
}

#[tokio::test]
async fn a_room_is_forgotten_only_where_no_door_has_it_open() {
    let world = World::new();
    let store = filled(&world);
    let dir = world.journal().parent().expect("a folder").to_owned();
    let forget = async || crate::store::forget("memory", &dir, "demo").await;
    assert!(matches!(forget().await, Err(OpenError::InUse(_))));
    store.ensure_now("another", &RoomInitial::default()).expect("ensured");
    fs::write(dir.join("no-room.journal.new"), "").expect("written");
    let rooms = async || crate::store::rooms("memory", &dir).await.expect("read, whoever has the journals open");
    assert_eq!(rooms().await, ["another", "demo"]);
    assert_eq!(crate::store::rooms("memory", &dir.join("nowhere")).await.expect("read"), [] as [&str; 0]);
    drop(store);
    assert!(matches!(forget().await, Ok(true)) && matches!(forget().await, Ok(false)));
    assert_eq!(rooms().await, ["another"]);
    assert!(matches!(world.open().join_now("demo", &Joiner::many(1)), Err(StoreError::NoRoom(_))));
}

#[test]
fn a_large_journal_is_compacted() {
    let world = World::new();
    let store = filled(&world);
    held(&store.room("demo").expect("the room")).expect("the lock").journal.compact_above(5_000);
    let sizes: Vec<u64> = (0..200)
        .map(|_| {
            store.join_now("demo", &Joiner::many(1)).expect("joined");
            fs::metadata(world.journal()).expect("it is there").len()
        })
        .collect();
    assert!(sizes.windows(2).any(|pair| pair[1] < pair[0]), "{sizes:?}");
    let before = line(&store);
    drop(store);
    assert_eq!(line(&world.open()), before);
}

#[test]
fn sizes_and_names_are_checked() {
    let world = World::new();
    let store = filled(&world);
    assert!(matches!(store.join_now("demo", &Joiner::many(0)), Err(StoreError::Invalid(_))));
    assert!(matches!(store.join_now("demo", &Joiner::many(1_025)), Err(StoreError::Invalid(_))));
    assert!(matches!(store.claim_now("demo", EPOCH, &[1; 1_025]), Err(StoreError::Invalid(_))));
    assert!(matches!(store.ensure_now("../demo", &RoomInitial::default()), Err(StoreError::Invalid(_))));
    assert_eq!(store.join_now("other", &Joiner::many(1)), Err(StoreError::NoRoom("other".to_owned())));
}

impl World {
    fn run(&self, store: &MemoryStore, step: &Step) {
        let run = |change: &dyn Fn(&Line) -> Option<Effect>| {
            store.with("demo", |room| {
                let effect = change(&room.line);
                room.commit(effect)
            })
        };
        match step {
            Step::Join(joiners) => drop(store.join_now("demo", joiners)),
            Step::Claim(numbers) => drop(store.claim_now("demo", EPOCH, numbers).expect("claimed")),
            Step::Tick => drop(run(&Line::decide_tick).expect("ticked")),
            Step::Change(change) => drop(run(&|line| line.decide_change("test", change)).expect("changed")),
            Step::Seen(positions) => store
                .with("demo", |room| {
                    room.line.see(positions);
                    Ok(())
                })
                .expect("seen"),
            Step::Leave(number) => drop(run(&|line| line.decide_leave(*number)).expect("left")),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Ticks that called nobody are not in the journal; all the rest of the line comes back from it, at any moment.
    #[test]
    fn the_journal_tells_the_whole_story(
        story in prop::collection::vec((any_pause(), any_step(), prop::bool::weighted(0.1)), 1..60),
    ) {
        let world = World::new();
        let mut store = world.open();
        store.ensure_now("demo", &RoomInitial::default()).expect("ensured");
        for (pause_ms, step, restart) in story {
            world.pass(pause_ms);
            world.run(&store, &step);
            if restart {
                let before = line(&store).snapshot();
                drop(store);
                store = world.open();
                let after = line(&store).snapshot();
                let kept = |snapshot: &Snapshot| {
                    (snapshot.version, snapshot.epoch, snapshot.issued(), snapshot.lanes[0].cursor, snapshot.admitted)
                };
                prop_assert_eq!(kept(&before), kept(&after));
                prop_assert_eq!((before.rate_per_minute, before.burst), (after.rate_per_minute, after.burst));
                prop_assert_eq!((before.state, before.message), (after.state, after.message));
            }
        }
    }
}
