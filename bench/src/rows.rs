//! The rows: what each promises, and which file measures it.

mod claims;
mod crowds;
mod draws;
mod faults;
mod joins;
mod kills;
mod leavers;
mod limited;
mod machines;
mod orders;
mod polls;
mod sagas;
mod seats;
mod simulation;
mod sizes;

use anyhow::Result;

use crate::servers::Bench;

/// What came of a row.
pub(crate) struct Finding {
    /// In words, with median and spread where there were several runs.
    pub(crate) measured: String,
    pub(crate) holds: bool,
    /// How it came about; shown while it runs, not in the table.
    pub(crate) notes: Vec<String>,
}

impl Finding {
    pub(crate) fn new(holds: bool, measured: String) -> Finding {
        Finding { measured, holds, notes: Vec::new() }
    }

    pub(crate) fn missed(measured: String) -> Finding {
        Finding::new(false, measured)
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Finding {
        self.notes.push(note.into());
        self
    }
}

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    Window,
    Share,
    Leavers,
    RedisBytes,
    NodeMemory,
    StoreCalls,
    Polls,
    Joins,
    Draw,
    Faults,
    Clones,
    Simulation,
    Orders,
    Coupons,
    Rush,
    Ramp,
    OrdersMariadb,
    OrdersSqlite,
    Seats,
    Limited,
    Saga,
    Kill,
    Machines,
}

/// What a run measures: the rows of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Line,
    Core,
}

impl Part {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Part::Line => "line",
            Part::Core => "core",
        }
    }

    /// Its rows, as the table has them.
    pub(crate) const fn rows(self) -> &'static [Row] {
        match self {
            Part::Line => &Row::LINE,
            Part::Core => &Row::CORE,
        }
    }
}

impl Row {
    const CORE: [Row; 11] = [
        Row::Orders,
        Row::Coupons,
        Row::Rush,
        Row::Ramp,
        Row::OrdersMariadb,
        Row::OrdersSqlite,
        Row::Seats,
        Row::Limited,
        Row::Saga,
        Row::Kill,
        Row::Machines,
    ];

    const LINE: [Row; 12] = [
        Row::Window,
        Row::Share,
        Row::Leavers,
        Row::RedisBytes,
        Row::NodeMemory,
        Row::StoreCalls,
        Row::Polls,
        Row::Joins,
        Row::Draw,
        Row::Faults,
        Row::Clones,
        Row::Simulation,
    ];

    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Row::Window => "window",
            Row::Share => "share",
            Row::Leavers => "leavers",
            Row::RedisBytes => "redis-bytes",
            Row::NodeMemory => "node-memory",
            Row::StoreCalls => "store-calls",
            Row::Polls => "polls",
            Row::Joins => "joins",
            Row::Draw => "draw",
            Row::Faults => "faults",
            Row::Clones => "clones",
            Row::Simulation => "simulation",
            Row::Orders => "orders",
            Row::Coupons => "coupons",
            Row::Rush => "rush",
            Row::Ramp => "ramp",
            Row::OrdersMariadb => "orders-mariadb",
            Row::OrdersSqlite => "orders-sqlite",
            Row::Seats => "seats",
            Row::Limited => "limited",
            Row::Saga => "saga",
            Row::Kill => "kill",
            Row::Machines => "machines",
        }
    }

    pub(crate) const fn what(self) -> &'static str {
        match self {
            Row::Window => "worst sliding 60 s against rate + burst, 3 doors on Redis, counted behind the doors",
            Row::Share => "share of the rate used while anyone waits, 70 % of ticket holders gone",
            Row::Leavers => "30 join, the next 10 in line leave, a cap of 10",
            Row::RedisBytes => "Redis, per waiting visitor: all keys of a room with 1,000,000 waiting",
            Row::NodeMemory => "memory of a door per 1,000,000 waiting, above idle, with the draw's table",
            Row::StoreCalls => "store calls a poll; Redis operations a second from 1,000 to 1,000,000 waiting",
            Row::Polls => "processor time a poll, against nginx answering a fixed 200 of the same size",
            Row::Joins => "joins a second through one door and Redis on 2 cores, load generator included",
            Row::Draw => "draw of 1,000,000; uniformity (χ²) at N = 3, 10, 50, 1,000, first places and pairs",
            Row::Faults => "doors and Redis killed, emptied, replaced, gone, stopped",
            Row::Clones => "1,000 clones of one ticket ask to go in at once",
            Row::Simulation => "random stories with faults in virtual time, all rules checked",
            Row::Orders => "1,000 users at once, each an order with a coupon, through the door on SQLite",
            Row::Coupons => "10,000 users at once on 1,000 coupons",
            Row::Rush => "5,000 orders at once on 100 in stock",
            Row::Ramp => {
                "0 to 500/s in 30 s, to 1,000/s in 1 min, 1,000/s for 3 min, down in 30 s; 50 users; stock 3,000"
            }
            Row::OrdersMariadb => "one hot item over HTTP on MariaDB, fully durable, 256 in flight",
            Row::OrdersSqlite => "one hot item over HTTP on SQLite (synchronous=FULL), 256 in flight",
            Row::Seats => "seat holds of 4 under contention, 64 clients on 24 moving seats, over HTTP",
            Row::Limited => "the rows orders, coupons and rush with 1 processor and 1 GiB of memory",
            Row::Saga => {
                "a crash before and after every step of an order's way, and every message twice, on both databases"
            }
            Row::Kill => "kill -9 of the core and of MariaDB 50 times under load",
            Row::Machines => "1,000,000 random events over the machines of reservations and payments, against a model",
        }
    }

    pub(crate) const fn target(self) -> &'static str {
        match self {
            Row::Window => "never above",
            Row::Share => "≥ 99 % in any 60 s after the first",
            Row::Leavers => "numbers 21-30 come in at once (within 3 s)",
            Row::RedisBytes => "≤ 1 byte",
            Row::NodeMemory => "≤ 16 MiB",
            Row::StoreCalls => "0; flat",
            Row::Polls => "≤ 1.5",
            Row::Joins => "≥ 10,000; ≥ 3 times one script call a join",
            Row::Draw => "< 100 ms; p in range",
            Row::Faults => "0 lost, 0 twice, 0 over, answered throughout, ≥ 99 % of the rate within 5 s",
            Row::Clones => "1 session",
            Row::Simulation => "≥ 1,000 seeds in ≤ 2 min, ≥ 1,000 times real time",
            Row::Orders => "average < 1.5 s, failures < 1 %, books exact",
            Row::Coupons => "exactly 1,000 issued, ≤ 1 per user; every request answered, none later than 10 s",
            Row::Rush => "exactly 100 sold, the rest told so, never negative",
            Row::Ramp => {
                "p95 < 2 s, no dropped iterations, stock = 3,000 − orders, stock back for every failed payment, books exact"
            }
            Row::OrdersMariadb => {
                "≥ 3 times one transaction an order straight against the server; p95 < 150 ms; books exact"
            }
            Row::OrdersSqlite => "≥ 1.5 times one transaction an order straight (sync < 0.2 ms) to ≥ 10 times (≥ 1 ms)",
            Row::Seats => "0 deadlocks surfaced, 0 partial holds",
            Row::Limited => "all three hold",
            Row::Saga => "C1-C6 hold; the checker, which does not link our code, finds nothing",
            Row::Kill => "acknowledged work lost 0, effects doubled 0",
            Row::Machines => "no difference",
        }
    }

    pub(crate) async fn measure(self, bench: &Bench) -> Result<Finding> {
        match self {
            Row::Window => faults::window(bench).await,
            Row::Share => faults::share(bench).await,
            Row::Faults => faults::all(bench),
            Row::Leavers => leavers::measure(bench).await,
            Row::RedisBytes => sizes::redis_bytes(bench).await,
            Row::NodeMemory => sizes::node_memory(bench).await,
            Row::StoreCalls => polls::store_calls(bench).await,
            Row::Polls => polls::processor_time(bench).await,
            Row::Joins => joins::measure(bench).await,
            Row::Draw => draws::measure(bench),
            Row::Clones => claims::clones(bench).await,
            Row::Simulation => simulation::measure(bench),
            Row::Orders | Row::Coupons | Row::Rush | Row::Ramp => crowds::measure(bench, self.name()),
            Row::OrdersMariadb => orders::mariadb(bench).await,
            Row::OrdersSqlite => orders::sqlite(bench).await,
            Row::Seats => seats::measure(bench).await,
            Row::Limited => limited::measure(bench),
            Row::Saga => sagas::measure(bench).await,
            Row::Kill => kills::measure(bench),
            Row::Machines => machines::measure(bench),
        }
    }
}

/// Settings of a door on this Redis, in a room where nearly nobody goes in.
fn slow_room(redis: &crate::servers::Redis) -> Vec<(&'static str, String)> {
    vec![
        ("waiting_room.store", redis.url.clone()),
        ("waiting_room.rooms.demo.rate_per_minute", "1".to_owned()),
        ("waiting_room.rooms.demo.burst", "1".to_owned()),
    ]
}
