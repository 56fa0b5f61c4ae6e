//! The line and the core under faults, on real processes: doors on one Redis and a crowd that queues through them, a core
//! and people who buy; and what can break.
//! Each story prints what it measured as one line of JSON, which `deploy/bench` reads. Told short by default and long
//! with `VESTIBULE_TEST_FAULTS_LONG=1`.

#![expect(clippy::print_stderr, reason = "a failed or skipped story says why")]

mod books;
mod buyers;
mod crowd;
mod doors;
mod fault;
mod judge;
mod kill;
mod story;
mod watch;

#[path = "../stories/databases.rs"]
#[expect(dead_code, reason = "the core's own tests use all of it")]
mod databases;
#[path = "../stories/harness.rs"]
#[expect(dead_code, reason = "the other stories use all of it")]
mod harness;
#[path = "../../waiting-room/tests/redis_faults/server.rs"]
mod server;
#[path = "../stories/wire.rs"]
#[expect(dead_code, reason = "the other stories use all of it")]
mod wire;
