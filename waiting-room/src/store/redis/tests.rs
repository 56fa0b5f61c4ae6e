//! The scripts against the pure line: random operations at given times, every answer compared.

use super::*;
use crate::line::tests::{Model, Step, any_change_in_full, any_jump_back, any_lanes, any_pause, any_step_in_full};
use crate::line::{LaneInitial, Line, Method, RoomState, Session, numbered};
use proptest::{prelude::*, test_runner::TestRunner};
use std::io::Write;
use tokio::runtime::Runtime;

const BEGIN_MS: i64 = 1_700_000_000_000;

/// The address of a server to test with. Without one the test is skipped, loudly; in CI it fails.
#[expect(clippy::disallowed_methods, reason = "which servers there are to test with is not a setting of the library")]
fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{variable} must be set in CI");
        writeln!(std::io::stderr(), "SKIPPED: {variable} is not set").expect("stderr");
    }
    address
}

async fn run(store: &RedisStore, model: &mut Model, room: &str, now_ms: i64, step: &Step) -> Result<(), TestCaseError> {
    let epoch = model.0.snapshot().epoch;
    match step {
        Step::Join(joiners) => {
            let nonce = now_ms.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let joined = model.join_with(now_ms, joiners, nonce).map_err(StoreError::from);
            prop_assert_eq!(store.join_at(room, now_ms, joiners, nonce).await, joined);
        }
        Step::Claim(numbers) => {
            prop_assert_eq!(store.claim_at(room, now_ms, epoch, numbers).await, Ok(model.claim(now_ms, numbers)));
        }
        Step::Tick => prop_assert_eq!(store.tick_at(room, now_ms).await, Ok(model.tick(now_ms))),
        Step::Change(change) => {
            let changed = store.change_at(room, now_ms, "ann \"a\"", change).await;
            let expected = model.try_change_by(now_ms, "ann \"a\"", change).map_err(StoreError::from);
            prop_assert_eq!(changed, expected);
        }
        Step::Seen(positions) => {
            prop_assert_eq!(store.seen_at(room, now_ms, positions).await, Ok(model.seen(now_ms, positions)));
        }
        Step::Leave(number) => {
            prop_assert_eq!(store.leave_at(room, now_ms, *number).await, Ok(model.leave(now_ms, *number)));
        }
    }
    Ok(())
}

/// What becomes of the server's data before a step.
#[derive(Clone, Debug)]
enum Fate {
    Stays,
    /// A replica has all of it.
    Copied,
    /// The replica takes over: the line is as it was then.
    Older,
    Lost,
    /// Lost, and a node that knows nothing begins another line, which so many join.
    BegunAnew(u32),
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        40 => Just(Fate::Stays),
        2 => Just(Fate::Copied),
        1 => Just(Fate::Older),
        1 => Just(Fate::Lost),
        1 => (0..60_u32).prop_map(Fate::BegunAnew),
    ]
}

/// One room, in Redis and as it should be.
struct Pair<'a> {
    store: &'a RedisStore,
    other: &'a RedisStore,
    room: String,
    initial: RoomInitial,
    model: Model,
    copied: Option<Line>,
}

impl Pair<'_> {
    async fn suffer(&mut self, now_ms: i64, fate: &Fate) -> Result<(), TestCaseError> {
        let Some(highest) = self.store.known(&self.room).and_then(|known| known.highest) else { return Ok(()) };
        let highest = highest.snapshot;
        match fate {
            Fate::Stays => return Ok(()),
            Fate::Copied => {
                self.copied = Some(self.model.0.clone());
                edit(self.store, &self.room, "redis.call('DEL', copy) redis.call('COPY', key, copy)").await;
                return Ok(());
            }
            Fate::Older => {
                let Some(copied) = self.copied.clone() else { return Ok(()) };
                self.model = Model(copied);
                edit(self.store, &self.room, "redis.call('DEL', key) redis.call('COPY', copy, key)").await;
            }
            Fate::Lost => {
                self.model.lose(1, &self.initial);
                edit(self.store, &self.room, "if key ~= KEYS[5] then redis.call('DEL', key) end").await;
            }
            // The beginning is the epoch: not another line.
            Fate::BegunAnew(_) if now_ms.unsigned_abs() == highest.epoch => return Ok(()),
            Fate::BegunAnew(count) => self.begin_anew(now_ms, *count).await?,
        }
        let restored = self.store.restore_at(&self.room, now_ms, &self.initial, &highest).await;
        prop_assert_eq!(restored, Ok(self.model.restore(now_ms, &highest)));
        Ok(())
    }

    async fn begin_anew(&mut self, now_ms: i64, count: u32) -> Result<(), TestCaseError> {
        self.other.known.lock().expect("not poisoned").remove(&self.room);
        edit(self.store, &self.room, "if key ~= KEYS[5] then redis.call('DEL', key) end").await;
        self.model.lose(now_ms, &self.initial);
        let begun = self.other.ensure_at(&self.room, now_ms, &self.initial).await;
        prop_assert_eq!(begun, Ok(self.model.ensure(now_ms, &self.initial)));
        if count > 0 {
            run(self.other, &mut self.model, &self.room, now_ms, &Step::Join(Joiner::many(count as usize))).await?;
        }
        Ok(())
    }

    async fn live(&mut self, story: Vec<(i64, i64, Fate, Step)>) -> Result<(), TestCaseError> {
        let (store, room) = (self.store, self.room.clone());
        let begun = store.ensure_at(&room, BEGIN_MS, &self.initial).await;
        prop_assert_eq!(begun, Ok(self.model.ensure(BEGIN_MS, &self.initial)));
        let mut now_ms = BEGIN_MS;
        for (index, (pause_ms, back_ms, fate, step)) in (0..).zip(story) {
            now_ms += pause_ms - back_ms;
            self.suffer(now_ms, &fate).await?;
            run(store, &mut self.model, &room, now_ms, &step).await?;
            let id = |number: u64| Session::derive(self.model.0.snapshot().epoch, number, 0, 0).id;
            let (renew, end) = ([id(index), id(index + 1), "0-1".to_owned()], [id(index / 4), "x".to_owned()]);
            let told = store.sessions_at(&room, now_ms, &renew, &end).await;
            prop_assert_eq!(told, Ok(self.model.sessions(now_ms, &renew, &end)));
            if index % 7 == 6 {
                // Of the same line, and now and then of one that was before it.
                let epoch = self.model.0.snapshot().epoch - if index % 3 == 2 { 60_000 } else { 0 };
                let proved = [index * 9, numbered(1, index * 5), numbered(2, 3)];
                let healed = store.heal_at(&room, now_ms, epoch, &proved).await;
                prop_assert_eq!(healed, Ok(self.model.heal(now_ms, epoch, &proved)));
            }
            let epoch = self.model.0.snapshot().epoch - u64::from(index % 11 == 10);
            let moves = any_moves(index, &self.model.0.generations());
            let moved = store.moves_at(&room, now_ms, epoch, &moves).await;
            prop_assert_eq!(moved, Ok(self.model.moves(now_ms, epoch, &moves)));
        }
        prop_assert_eq!(store.changes_at(&room, now_ms).await, Ok(self.model.changes(now_ms)));
        let more = ["members", "press"].map(|name| LaneInitial { name: name.to_owned(), weight: 5 });
        let longer = RoomInitial { session_ms: 1_000, lanes: more.to_vec(), ..self.initial.clone() };
        prop_assert_eq!(store.ensure_at(&room, now_ms, &longer).await, Ok(self.model.ensure(now_ms, &longer)));
        forget(store, &room).await;
        Ok(())
    }
}

/// Some that fit, some that come too late, and one that is told again.
fn any_moves(index: u64, known: &Generations) -> Vec<Move> {
    let (number, again) = (index / 3 + 1, index / 5 + 1);
    let generation = known.get(&number).copied().unwrap_or(0);
    let to = ((generation >> 32) + 1) << 32 | index.wrapping_mul(0x9e37_79b9) & 0xffff_ffff;
    let one = Move { number, position: index % 4, from: Some(generation), to };
    vec![
        one,
        Move { to: to + 1, ..one },
        Move { number: again, position: 0, from: None, to: index },
        Move { number: 0, ..one },
        Move { number: 1_000_000, ..one },
    ]
}

/// A room as its settings may have it; often one with a draw that will open.
fn any_initial() -> impl Strategy<Value = RoomInitial> {
    let rate = prop_oneof![1..=120_u32, Just(6_000), Just(1_000_000)];
    let opens = prop::option::of((1..20_000_i64).prop_map(|ms| BEGIN_MS + ms));
    let rest = (any_change_in_full(), any_lanes());
    (rate, 0..10_u32, opens, rest).prop_map(|(rate_per_minute, burst, opens_at_ms, (change, lanes))| {
        let any = RoomInitial {
            rate_per_minute,
            burst,
            session_ms: 20_000,
            state: change.state.unwrap_or_default(),
            message: change.message.unwrap_or_default(),
            max_active: change.max_active.unwrap_or_default(),
            queue_max: change.queue_max.unwrap_or_default(),
            method: change.method.unwrap_or_default(),
            prequeue_at_ms: change.prequeue_at_ms,
            opens_at_ms: change.opens_at_ms,
            closes_at_ms: change.closes_at_ms,
            session_renewal: change.session_renewal.unwrap_or_default(),
            lanes,
        };
        match opens_at_ms {
            None => any,
            Some(_) => RoomInitial {
                method: Method::Draw,
                state: RoomState::Open,
                prequeue_at_ms: None,
                opens_at_ms,
                closes_at_ms: None,
                ..any
            },
        }
    })
}

/// Random stories, in rooms that are removed afterwards.
fn agrees(variable: &str, cases: u32) {
    let Some(address) = address(variable) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let open = || runtime.block_on(RedisStore::open(&address)).expect("the server of the test");
    let (store, other) = (open(), open());
    let story = prop::collection::vec((any_pause(), any_jump_back(), any_fate(), any_step_in_full()), 1..120);
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&(any_initial(), story), |(initial, story)| {
        let room = format!("diff-{}", uuid::Uuid::now_v7().simple());
        let model = Model::begin(BEGIN_MS, &initial);
        let mut pair = Pair { store: &store, other: &other, room, initial, model, copied: None };
        runtime.block_on(pair.live(story))
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Runs this for each key of the room, and the name of its copy.
async fn edit(store: &RedisStore, room: &str, each: &str) {
    let code = format!("for _, key in ipairs(KEYS) do local copy = key .. ':copy' {each} end return 0");
    let script = script::Whole { sha1: redis::Script::new(&code).get_hash().to_owned(), code };
    let _: i64 = store.connection.run(&script, &keys(room, LANES_MAX), "0 0 0 0 0", &[]).await.expect("edited");
}

async fn forget(store: &RedisStore, room: &str) {
    edit(store, room, "redis.call('DEL', key, copy)").await;
}

#[test]
fn the_scripts_agree_with_the_line_on_one_server() {
    agrees("VESTIBULE_TEST_REDIS_URL", 128);
}

#[test]
fn the_scripts_agree_with_the_line_in_a_cluster() {
    agrees("VESTIBULE_TEST_REDIS_CLUSTER_URL", 128);
}

#[test]
fn the_scripts_agree_with_the_line_behind_sentinel() {
    agrees("VESTIBULE_TEST_REDIS_SENTINEL_URL", 16);
}

/// Lanes that people of several always ask for: whose turn it is, and what is held back for whom.
#[test]
fn the_scripts_share_the_rate_as_the_line_does() {
    let Some(address) = address("VESTIBULE_TEST_REDIS_URL") else { return };
    let runtime = Runtime::new().expect("a runtime");
    let store = runtime.block_on(RedisStore::open(&address)).expect("the server of the test");
    let rate = prop_oneof![30..=300_u32, Just(6_000)];
    let cap = prop_oneof![3 => Just(0), 1 => 1..8_u32];
    let who = prop::collection::vec((0..3_u8, 0..12_u64, 1..6_u64), 1..4);
    let story = prop::collection::vec((prop_oneof![0..60_i64, 0..700_i64], who, 0..4_u8), 20..160);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&(rate, cap, any_lanes(), story), |(rate_per_minute, max_active, lanes, story)| {
        let initial = RoomInitial { rate_per_minute, max_active, session_ms: 4_000, lanes, ..RoomInitial::default() };
        let room = format!("share-{}", uuid::Uuid::now_v7().simple());
        let mut model = Model::begin(BEGIN_MS, &initial);
        runtime.block_on(async {
            store.ensure_at(&room, BEGIN_MS, &initial).await.expect("ensured");
            let mut now_ms = BEGIN_MS;
            for lane in 0..model.0.snapshot().lanes.len() {
                let joiners = vec![Joiner { lane: lane as u8, ..Joiner::default() }; 300];
                run(&store, &mut model, &room, now_ms, &Step::Join(joiners)).await?;
            }
            for (pause_ms, who, ticks) in story {
                now_ms += pause_ms;
                if ticks == 0 {
                    run(&store, &mut model, &room, now_ms, &Step::Tick).await?;
                }
                // People near each lane's front, most of whom have been called.
                let snapshot = model.0.snapshot();
                let near = |&(lane, back, count): &(u8, u64, u64)| {
                    let cursor = snapshot.lane(lane.into()).map_or(0, |lane| lane.cursor);
                    (0..count).map(move |nth| numbered(lane.into(), cursor.saturating_sub(back) + nth))
                };
                run(&store, &mut model, &room, now_ms, &Step::Claim(who.iter().flat_map(near).collect())).await?;
            }
            forget(&store, &room).await;
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_room_is_listed_until_it_is_forgotten_with_all_its_keys() {
    let servers = ["VESTIBULE_TEST_REDIS_URL", "VESTIBULE_TEST_REDIS_CLUSTER_URL", "VESTIBULE_TEST_REDIS_SENTINEL_URL"];
    for variable in servers {
        let Some(address) = address(variable) else { return };
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let room = format!("old-{}", uuid::Uuid::now_v7().simple());
            let store = RedisStore::open(&address).await.expect("the server of the test");
            store.ensure_at(&room, BEGIN_MS, &RoomInitial::default()).await.expect("ensured");
            store.join_at(&room, BEGIN_MS, &Joiner::many(3), 7).await.expect("joined");
            // On whatever server of a cluster they are.
            let also: Vec<String> = (0..8).map(|n| format!("{room}-{n}")).collect();
            for room in &also {
                store.ensure_at(room, BEGIN_MS, &RoomInitial::default()).await.expect("ensured");
            }
            let unused = std::path::Path::new("unused");
            let rooms = async || crate::store::rooms(&address, unused).await.expect("the server of the test");
            let listed = rooms().await;
            assert!(listed.is_sorted() && also.iter().all(|room| listed.contains(room)), "{variable}: {listed:?}");
            let forget = async || crate::store::forget(&address, unused, &room).await;
            assert!(matches!(forget().await, Ok(true)) && matches!(forget().await, Ok(false)));
            assert!(!rooms().await.contains(&room));
            for room in &also {
                self::forget(&store, room).await;
            }
            let other = RedisStore::open(&address).await.expect("the server of the test");
            assert_eq!(other.tick_at(&room, BEGIN_MS).await, Err(StoreError::NoRoom(room.clone())));
        });
    }
}

#[test]
fn time_passes_in_a_room_that_only_refuses() {
    let Some(address) = address("VESTIBULE_TEST_REDIS_URL") else { return };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = RedisStore::open(&address).await.expect("the server of the test");
        let room = format!("shut-{}", uuid::Uuid::now_v7().simple());
        let initial = RoomInitial { burst: 10, ..RoomInitial::default() };
        let mut model = Model::begin(BEGIN_MS, &initial);
        store.ensure_at(&room, BEGIN_MS, &initial).await.expect("ensured");
        let drain = RoomChange { state: Some(RoomState::Draining), ..RoomChange::default() };
        let before = [(0, Step::Join(Joiner::many(5))), (0, Step::Tick), (0, Step::Change(drain))];
        let refused = [1_500, 3_000, 4_500].map(|ms| (ms, Step::Join(Joiner::many(1))));
        let after = [(4_500, Step::Claim(vec![1, 2, 3, 4, 5]))];
        for (ms, step) in before.into_iter().chain(refused).chain(after) {
            run(&store, &mut model, &room, BEGIN_MS + ms, &step).await.unwrap_or_else(|error| panic!("{error}"));
        }
        assert_eq!(
            model.0.snapshot().admitted,
            5,
            "four and a half seconds at one a second, and one ahead of its time"
        );
        forget(&store, &room).await;
    });
}

#[test]
fn large_groups_fit_and_the_meter_is_exact() {
    let Some(address) = address("VESTIBULE_TEST_REDIS_URL") else { return };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = RedisStore::open(&address).await.expect("the server of the test");
        let room = format!("large-{}", uuid::Uuid::now_v7().simple());
        let initial = RoomInitial { rate_per_minute: 1_000_000, burst: 20_000, ..RoomInitial::default() };
        let mut model = Model::begin(BEGIN_MS, &initial);
        store.ensure_at(&room, BEGIN_MS, &initial).await.expect("ensured");
        for second in 0..5 {
            let now_ms = BEGIN_MS + second * 997;
            for group in 0..6 {
                assert_eq!(store.join_at(&room, now_ms, &Joiner::many(1_024), 7).await, Ok(model.join(now_ms, 1_024)));
                assert_eq!(store.tick_at(&room, now_ms).await, Ok(model.tick(now_ms)));
                let first = second.unsigned_abs() * 6_144 + group * 1_024 + 1;
                let numbers: Vec<u64> = (first..first + 1_024).collect();
                assert_eq!(
                    store.claim_at(&room, now_ms, BEGIN_MS.unsigned_abs(), &numbers).await,
                    Ok(model.claim(now_ms, &numbers))
                );
            }
        }
        forget(&store, &room).await;
    });
}

#[test]
fn a_lost_room_goes_on_with_its_numbers_and_an_empty_meter() {
    let Some(address) = address("VESTIBULE_TEST_REDIS_URL") else { return };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = RedisStore::open(&address).await.expect("the server of the test");
        let room = format!("lost-{}", uuid::Uuid::now_v7().simple());
        assert_eq!(store.tick(&room).await, Err(StoreError::NoRoom(room.clone())));
        let begun = store.ensure_at(&room, BEGIN_MS, &RoomInitial::default()).await.expect("ensured");
        store.join_at(&room, BEGIN_MS, &Joiner::many(3), 7).await.expect("joined");
        forget(&store, &room).await;
        let joined = store.join_at(&room, BEGIN_MS + 5_000, &Joiner::many(1), 7).await.expect("joined");
        assert_eq!((joined.first(), joined.admitted().len()), (20_004, 0));
        assert_eq!(joined.snapshot.epoch, begun.epoch);
        let other = RedisStore::open(&address).await.expect("the server of the test");
        forget(&store, &room).await;
        let foreign = other.ensure_at(&room, BEGIN_MS + 6_000, &RoomInitial::default()).await.expect("ensured");
        assert_ne!(foreign.epoch, begun.epoch, "a node that knows nothing begins another line");
        let joined = store.join_at(&room, BEGIN_MS + 6_000, &Joiner::many(1), 7).await.expect("joined");
        assert_eq!((joined.first(), joined.snapshot.epoch), (40_005, begun.epoch), "the longer line stays");
        assert_eq!(other.tick_at(&room, BEGIN_MS + 6_000).await.map(|after| after.epoch), Ok(begun.epoch));
        forget(&store, &room).await;
    });
}

#[test]
fn a_million_people_in_line_take_less_than_a_byte_each() {
    let Some(address) = address("VESTIBULE_TEST_REDIS_URL") else { return };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = RedisStore::open(&address).await.expect("the server of the test");
        let room = format!("million-{}", uuid::Uuid::now_v7().simple());
        let initial = RoomInitial { rate_per_minute: 1_000_000, burst: 1_000_000, ..RoomInitial::default() };
        store.ensure_at(&room, BEGIN_MS, &initial).await.expect("ensured");
        let mut issued = 0;
        while issued < 1_000_000 {
            issued = store.join_at(&room, BEGIN_MS, &Joiner::many(1_000), 7).await.expect("joined").snapshot.issued();
        }
        // As long as the bitmaps get: in each of the two windows somebody at the end is heard of, and one there leaves.
        for now_ms in [
            BEGIN_MS,
            BEGIN_MS + 1_500,
            BEGIN_MS + 3_000,
            BEGIN_MS + 4_500,
            BEGIN_MS + 6_000,
            BEGIN_MS + 7_500,
            BEGIN_MS + 9_000,
            BEGIN_MS + 10_500,
        ] {
            store.seen_at(&room, now_ms, &[issued - 1, issued - 2]).await.expect("seen");
        }
        store.seen_at(&room, BEGIN_MS + 10_500, &[issued - 3]).await.expect("seen");
        store.leave_at(&room, BEGIN_MS + 10_500, issued).await.expect("left");
        let usage = script::Whole {
            code: "local sum = 0 for _, key in ipairs(KEYS) do \
                   sum = sum + (redis.call('MEMORY', 'USAGE', key) or 0) end return sum"
                .to_owned(),
            sha1: "0".repeat(40),
        };
        let bytes: u64 =
            store.connection.run(&usage, &keys(&room, LANES_MAX), "0 0 0 0 0", &[]).await.expect("measured");
        assert!(bytes <= issued, "{bytes} bytes for {issued} people");
        writeln!(std::io::stderr(), "{bytes} bytes for {issued} people in line").expect("stderr");
        forget(&store, &room).await;
    });
}

#[test]
fn wrong_addresses_and_silent_servers_are_told_apart() {
    let runtime = Runtime::new().expect("a runtime");
    let open = |address: &str| runtime.block_on(RedisStore::open(address)).map(|_| ()).expect_err("refused");
    for wrong in ["", "disk", "http://127.0.0.1:1", "redis+cluster:127.0.0.1:1", "redis+sentinel://127.0.0.1:1"] {
        assert!(matches!(open(wrong), OpenError::Address(_)), "{wrong}");
    }
    for silent in
        ["redis://127.0.0.1:1/0", "redis+cluster://127.0.0.1:1,127.0.0.1:2", "redis+sentinel://127.0.0.1:1/main/0"]
    {
        assert!(matches!(open(silent), OpenError::Unreachable(_)), "{silent}");
    }
}

#[test]
fn who_went_in_is_forgotten_after_two_windows() {
    let Some(address) = address("VESTIBULE_TEST_REDIS_URL") else { return };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = RedisStore::open(&address).await.expect("the server of the test");
        let room = format!("short-{}", uuid::Uuid::now_v7().simple());
        store.ensure_at(&room, BEGIN_MS, &RoomInitial::default()).await.expect("ensured");
        store.tick_at(&room, BEGIN_MS + 1_500).await.expect("ticked");
        let joined = store.join_at(&room, BEGIN_MS + 1_500, &Joiner::many(1), 7).await.expect("joined");
        assert_eq!(joined.admitted().len(), 1);
        let count = script::Whole {
            code: "return redis.call('EXISTS', KEYS[2]) + redis.call('EXISTS', KEYS[3])".to_owned(),
            sha1: "0".repeat(40),
        };
        let recent = async || -> i64 {
            store.connection.run(&count, &keys(&room, LANES_MAX), "0 0 0 0 0", &[]).await.expect("counted")
        };
        assert_eq!(recent().await, 1);
        for step in 1..=30 {
            store.tick_at(&room, BEGIN_MS + 1_500 + step * 2_000).await.expect("ticked");
        }
        assert_eq!(recent().await, 0);
        forget(&store, &room).await;
    });
}
