//! Where a story runs: a store, fresh rooms, and the means to restart it.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use waiting_room::{
    Clock,
    line::{RoomInitial, Snapshot},
    store::{GroupedStore, LineStore, MemoryStore, RedisStore},
};

#[derive(Clone, Copy, Debug)]
pub(super) enum Leg {
    Memory,
    Redis,
    RedisCluster,
    RedisSentinel,
}

pub(super) struct World {
    pub(super) room: String,
    kind: Kind,
}

enum Kind {
    Memory { dir: TempDir, clock: Clock, store: Option<Arc<MemoryStore>> },
    Redis { address: String },
}

impl World {
    /// `None` if there is no server to run on.
    pub(super) fn new(leg: Leg) -> Option<World> {
        let kind = match leg {
            Leg::Memory => {
                let begin = Instant::now();
                let clock: Clock = Arc::new(move || 1_700_000_000_000 + begin.elapsed().as_millis() as i64);
                let dir = tempfile::tempdir().expect("a directory");
                let store = Some(Arc::new(MemoryStore::open(dir.path(), Arc::clone(&clock)).expect("it opens")));
                Kind::Memory { dir, clock, store }
            }
            Leg::Redis => Kind::Redis { address: address("VESTIBULE_TEST_REDIS_URL")? },
            Leg::RedisSentinel => Kind::Redis { address: address("VESTIBULE_TEST_REDIS_SENTINEL_URL")? },
            Leg::RedisCluster => Kind::Redis { address: address("VESTIBULE_TEST_REDIS_CLUSTER_URL")? },
        };
        Some(World { room: format!("test-{}", uuid::Uuid::now_v7().simple()), kind })
    }

    /// A handle as one node has it: another connection each time, where the store has connections.
    pub(super) async fn handle(&self) -> Arc<dyn LineStore> {
        match &self.kind {
            Kind::Memory { store, .. } => Arc::<MemoryStore>::clone(store.as_ref().expect("open")),
            Kind::Redis { address } => Arc::new(RedisStore::open(address).await.expect("the server of the test")),
        }
    }

    /// A handle with the room begun.
    pub(super) async fn begun(&self, initial: &RoomInitial) -> (Arc<dyn LineStore>, Snapshot) {
        let store = self.handle().await;
        let snapshot = store.ensure(&self.room, initial).await.expect("ensured");
        (store, snapshot)
    }

    /// The same, grouped as the door uses it.
    pub(super) async fn begun_in_groups(&self, initial: &RoomInitial) -> Arc<dyn LineStore> {
        let store = Arc::new(GroupedStore::new(self.handle().await));
        store.ensure(&self.room, initial).await.expect("ensured");
        store
    }

    /// Ends the process that has the store and starts another: all handles must be gone before.
    pub(super) fn restart(&mut self) {
        if let Kind::Memory { dir, clock, store } = &mut self.kind {
            drop(store.take().map(|store| Arc::into_inner(store).expect("no handle is left")));
            *store = Some(Arc::new(MemoryStore::open(dir.path(), Arc::clone(clock)).expect("it opens again")));
        }
    }

    /// The same, and the last bytes on disk are of a record that was being written.
    pub(super) fn restart_after_a_cut(&mut self) {
        if let Kind::Memory { dir, clock, store } = &mut self.kind {
            drop(store.take().map(|store| Arc::into_inner(store).expect("no handle is left")));
            let path = dir.path().join(format!("{}.journal", self.room));
            let mut text = std::fs::read(&path).expect("the journal");
            text.extend(b"0123456789abcdef {\"wall_ms\":17000");
            std::fs::write(&path, text).expect("a torn record");
            *store = Some(Arc::new(MemoryStore::open(dir.path(), Arc::clone(clock)).expect("it opens again")));
        }
    }
}

/// A rate that brings a person per millisecond: stories need not wait.
pub(super) fn fast() -> RoomInitial {
    RoomInitial { rate_per_minute: 60_000, burst: 100, ..RoomInitial::default() }
}

pub(super) async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[expect(clippy::disallowed_methods, reason = "which servers there are to test with is not a setting of the library")]
fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{variable} must be set in CI");
        // Past the capture of test output: a skipped store must not look like a tested one.
        writeln!(std::io::stderr(), "SKIPPED: {variable} is not set").expect("stderr");
    }
    address
}
