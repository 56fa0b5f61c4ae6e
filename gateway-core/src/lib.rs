//! The core: catalogue, holds, orders, payments. Knows nothing of queues.

mod auth;
pub mod base;
pub mod catalogue;
mod coupon;
mod db;
#[allow(dead_code, reason = "filled by the handlers")]
mod http {
    pub(crate) mod asset;
    pub(crate) mod page;
}
#[allow(dead_code, reason = "filled by the handlers")]
mod payment;
#[allow(dead_code, reason = "filled by the handlers")]
mod reservation;
pub mod sandbox;
mod schema;

pub use base::Clock;
pub use db::DbError;
