//! The whole program from outside: real processes, real sockets, nothing of our libraries linked.

#![expect(clippy::print_stderr, reason = "a failed or skipped story says why")]

mod bad_input;
mod draw;
mod harness;
mod journey;
mod lanes;
mod office;
mod operator;
mod outbox;
mod pipe;
mod readme;
mod restart;
mod resume;
mod roles;
mod services;
mod shop;
mod simulate;
mod start;
mod store_away;
#[expect(dead_code, reason = "the faults use the rest of it")]
mod wire;

#[path = "../../waiting-room/tests/redis_faults/server.rs"]
#[expect(dead_code, reason = "the faults use the rest of it")]
mod server;
