//! The core: catalogue, holds, orders, payments. Knows nothing of queues.

pub mod base;
mod db;
#[allow(dead_code, reason = "handlers come with it")]
mod payment;
#[allow(dead_code, reason = "merged later")]
mod reservation;
pub mod sandbox;
mod schema;

pub use base::Clock;
pub use db::DbError;
