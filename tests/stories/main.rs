//! The whole program from outside: real processes, real sockets, nothing of our libraries linked.

mod bad_input;
mod harness;
mod journey;
mod operator;
mod restart;
mod roles;
mod simulate;
mod start;
