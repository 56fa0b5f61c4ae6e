//! The scripts against the pure line: random operations at given times, every answer compared.

use super::*;
use crate::line::Session;
use crate::line::tests::{Model, Step, any_jump_back, any_pause, any_step};
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
        Step::Join(count) => {
            prop_assert_eq!(
                store.join_at(room, now_ms, &Joiner::many(*count as usize)).await,
                Ok(model.join(now_ms, *count))
            );
        }
        Step::Claim(numbers) => {
            prop_assert_eq!(store.claim_at(room, now_ms, epoch, numbers).await, Ok(model.claim(now_ms, numbers)));
        }
        Step::Tick => prop_assert_eq!(store.tick_at(room, now_ms).await, Ok(model.tick(now_ms))),
        Step::Change(change) => {
            prop_assert_eq!(store.change_at(room, now_ms, change).await, Ok(model.change(now_ms, change)));
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

/// Random stories, in rooms that are removed afterwards.
fn agrees(variable: &str, cases: u32) {
    let Some(address) = address(variable) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let store = runtime.block_on(RedisStore::open(&address)).expect("the server of the test");
    let rate = prop_oneof![1..=120_u32, Just(6_000), Just(1_000_000)];
    let story = prop::collection::vec((any_pause(), any_jump_back(), any_step()), 1..120);
    let cap = (prop_oneof![Just(0), 1..20_u32], any::<bool>());
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let result =
        runner.run(&(rate, 0..10_u32, cap, story), |(rate_per_minute, burst, (max_active, session_renewal), story)| {
            let room = format!("diff-{}", uuid::Uuid::now_v7().simple());
            let capped = RoomInitial { max_active, session_renewal, session_ms: 20_000, ..RoomInitial::default() };
            let initial = RoomInitial { rate_per_minute, burst, ..capped };
            let mut model = Model::begin(BEGIN_MS, &initial);
            runtime.block_on(async {
                let begun = store.ensure_at(&room, BEGIN_MS, &initial).await;
                prop_assert_eq!(begun, Ok(model.ensure(BEGIN_MS, &initial)));
                let mut now_ms = BEGIN_MS;
                for (index, (pause_ms, back_ms, step)) in (0..).zip(story) {
                    now_ms += pause_ms - back_ms;
                    run(&store, &mut model, &room, now_ms, &step).await?;
                    let id = |number: u64| Session::derive(model.0.snapshot().epoch, number, 0, 0).id;
                    let (renew, end) = ([id(index), id(index + 1), "0-1".to_owned()], [id(index / 4), "x".to_owned()]);
                    let told = store.sessions_at(&room, now_ms, &renew, &end).await;
                    prop_assert_eq!(told, Ok(model.sessions(now_ms, &renew, &end)));
                }
                let longer = RoomInitial { session_ms: 1_000, ..initial };
                let ensured = store.ensure_at(&room, now_ms, &longer).await;
                prop_assert_eq!(ensured, Ok(model.ensure(now_ms, &longer)));
                forget(&store, &room).await;
                Ok(())
            })
        });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn forget(store: &RedisStore, room: &str) {
    let script = script::Whole { code: "return redis.call('DEL', unpack(KEYS))".to_owned(), sha1: "0".repeat(40) };
    let _: i64 = store.connection.run(&script, &keys(room), "0 0 0 0 0", &[]).await.expect("deleted");
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
                assert_eq!(store.join_at(&room, now_ms, &Joiner::many(1_024)).await, Ok(model.join(now_ms, 1_024)));
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
        store.join_at(&room, BEGIN_MS, &Joiner::many(3)).await.expect("joined");
        forget(&store, &room).await;
        let joined = store.join_at(&room, BEGIN_MS + 5_000, &Joiner::many(1)).await.expect("joined");
        assert_eq!((joined.first(), joined.admitted().len()), (1_004, 0));
        assert_eq!(joined.snapshot.epoch, begun.epoch);
        let other = RedisStore::open(&address).await.expect("the server of the test");
        forget(&store, &room).await;
        let foreign = other.ensure_at(&room, BEGIN_MS + 6_000, &RoomInitial::default()).await.expect("ensured");
        assert_ne!(foreign.epoch, begun.epoch, "a node that knows nothing begins another line");
        let joined = store.join_at(&room, BEGIN_MS + 6_000, &Joiner::many(1)).await.expect("joined");
        assert_eq!((joined.first(), joined.snapshot.epoch), (2_005, begun.epoch), "the longer line stays");
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
            issued = store.join_at(&room, BEGIN_MS, &Joiner::many(1_000)).await.expect("joined").snapshot.issued();
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
        let bytes: u64 = store.connection.run(&usage, &keys(&room), "0 0 0 0 0", &[]).await.expect("measured");
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
        assert_eq!(store.join_at(&room, BEGIN_MS + 1_500, &Joiner::many(1)).await.expect("joined").admitted().len(), 1);
        let count = script::Whole {
            code: "return redis.call('EXISTS', KEYS[3]) + redis.call('EXISTS', KEYS[4])".to_owned(),
            sha1: "0".repeat(40),
        };
        let recent =
            async || -> i64 { store.connection.run(&count, &keys(&room), "0 0 0 0 0", &[]).await.expect("counted") };
        assert_eq!(recent().await, 1);
        for step in 1..=30 {
            store.tick_at(&room, BEGIN_MS + 1_500 + step * 2_000).await.expect("ticked");
        }
        assert_eq!(recent().await, 0);
        forget(&store, &room).await;
    });
}
