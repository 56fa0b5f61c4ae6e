//! The core: catalogue, holds, orders, payments. Knows nothing of queues.

pub mod base;
mod db;
mod reservation;
mod schema;

pub use base::Clock;
pub use db::DbError;
