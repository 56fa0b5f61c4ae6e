//! The core: catalogue, holds, orders, payments. Knows nothing of queues.

mod auth;
pub mod base;
pub mod catalogue;
mod coupon;
mod db;
mod http;
mod payment;
mod replay;
mod reservation;
pub mod sandbox;
mod schema;

pub use base::Clock;
pub use db::DbError;
