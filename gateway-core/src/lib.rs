//! The core: catalogue, holds, orders, payments. Knows nothing of queues.

mod auth;
pub mod base;
pub mod catalogue;
mod coupon;
mod db;
mod reservation;
mod schema;

pub use base::Clock;
pub use db::DbError;
