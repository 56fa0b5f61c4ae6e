//! The scripts against the pure line: random operations at given times, every answer compared.

use super::*;
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
    match step {
        Step::Join(count) => {
            prop_assert_eq!(store.join_at(room, now_ms, *count).await, Ok(model.join(now_ms, *count)));
        }
        Step::Claim(numbers) => {
            prop_assert_eq!(store.claim_at(room, now_ms, numbers).await, Ok(model.claim(now_ms, numbers)));
        }
        Step::Tick => prop_assert_eq!(store.tick_at(room, now_ms).await, Ok(model.tick(now_ms))),
        Step::Change(change) => {
            prop_assert_eq!(store.change_at(room, now_ms, change).await, Ok(model.change(now_ms, change)));
        }
        Step::Seen(_) => {}
        Step::Leave(number) => {
            prop_assert_eq!(store.leave_at(room, now_ms, *number).await, Ok(model.leave(now_ms, *number)));
        }
    }
    Ok(())
}

/// Random stories, in rooms that are removed afterwards.
fn agrees(variable: &str) {
    let Some(address) = address(variable) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let store = runtime.block_on(RedisStore::open(&address)).expect("the server of the test");
    let rate = prop_oneof![1..=120_u32, Just(6_000), Just(1_000_000)];
    let story = prop::collection::vec((any_pause(), any_jump_back(), any_step()), 1..120);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&(rate, 0..10_u32, story), |(rate_per_minute, burst, story)| {
        let room = format!("diff-{}", uuid::Uuid::now_v7().simple());
        let initial = RoomInitial { rate_per_minute, burst, ..RoomInitial::default() };
        let mut model = Model::begin(BEGIN_MS, &initial);
        runtime.block_on(async {
            let begun = store.ensure_at(&room, BEGIN_MS, &initial).await;
            prop_assert_eq!(begun, Ok(model.ensure(BEGIN_MS, &initial)));
            let mut now_ms = BEGIN_MS;
            for (pause_ms, back_ms, step) in story {
                now_ms += pause_ms - back_ms;
                run(&store, &mut model, &room, now_ms, &step).await?;
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
    let _: i64 = store.connection.run(&script, &keys(room), SERVER_TIME, &[]).await.expect("deleted");
}

#[test]
fn the_scripts_agree_with_the_line_on_one_server() {
    agrees("VESTIBULE_TEST_REDIS_URL");
}

#[test]
fn the_scripts_agree_with_the_line_in_a_cluster() {
    agrees("VESTIBULE_TEST_REDIS_CLUSTER_URL");
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
                assert_eq!(store.join_at(&room, now_ms, 1_024).await, Ok(model.join(now_ms, 1_024)));
                assert_eq!(store.tick_at(&room, now_ms).await, Ok(model.tick(now_ms)));
                let first = second.unsigned_abs() * 6_144 + group * 1_024 + 1;
                let numbers: Vec<u64> = (first..first + 1_024).collect();
                assert_eq!(store.claim_at(&room, now_ms, &numbers).await, Ok(model.claim(now_ms, &numbers)));
            }
        }
        forget(&store, &room).await;
    });
}

#[test]
fn a_lost_room_begins_anew_with_another_epoch_and_an_empty_meter() {
    let Some(address) = address("VESTIBULE_TEST_REDIS_URL") else { return };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = RedisStore::open(&address).await.expect("the server of the test");
        let room = format!("lost-{}", uuid::Uuid::now_v7().simple());
        assert_eq!(store.tick(&room).await, Err(StoreError::NoRoom(room.clone())));
        let begun = store.ensure_at(&room, BEGIN_MS, &RoomInitial::default()).await.expect("ensured");
        store.join_at(&room, BEGIN_MS, 3).await.expect("joined");
        forget(&store, &room).await;
        let joined = store.join_at(&room, BEGIN_MS + 5_000, 1).await.expect("joined");
        assert_eq!((joined.first, joined.admitted.len()), (1, 0));
        assert_ne!(joined.snapshot.epoch, begun.epoch);
        forget(&store, &room).await;
    });
}

#[test]
fn wrong_addresses_and_silent_servers_are_told_apart() {
    let runtime = Runtime::new().expect("a runtime");
    let open = |address: &str| runtime.block_on(RedisStore::open(address)).map(|_| ()).expect_err("refused");
    for wrong in ["", "disk", "http://127.0.0.1:1", "redis+cluster:127.0.0.1:1"] {
        assert!(matches!(open(wrong), OpenError::Address(_)), "{wrong}");
    }
    for silent in ["redis://127.0.0.1:1/0", "redis+cluster://127.0.0.1:1,127.0.0.1:2"] {
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
        assert_eq!(store.join_at(&room, BEGIN_MS + 1_500, 1).await.expect("joined").admitted.len(), 1);
        let count = script::Whole {
            code: "return redis.call('EXISTS', KEYS[3]) + redis.call('EXISTS', KEYS[4])".to_owned(),
            sha1: "0".repeat(40),
        };
        let recent =
            async || -> i64 { store.connection.run(&count, &keys(&room), SERVER_TIME, &[]).await.expect("counted") };
        assert_eq!(recent().await, 1);
        for step in 1..=30 {
            store.tick_at(&room, BEGIN_MS + 1_500 + step * 2_000).await.expect("ticked");
        }
        assert_eq!(recent().await, 0);
        forget(&store, &room).await;
    });
}
