//! The whole program from outside: real processes, real sockets, nothing of our libraries linked.

#![expect(clippy::print_stderr, reason = "a failed or skipped story says why")]

mod bad_input;
mod draw;
mod harness;
mod journey;
mod lanes;
mod line_faults;
mod operator;
mod outbox;
mod readme;
mod restart;
mod resume;
mod roles;
mod simulate;
mod start;
mod store_away;
mod wire;
