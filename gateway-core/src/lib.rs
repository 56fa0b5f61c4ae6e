//! The core: catalogue, holds, orders, payments. Knows nothing of queues.

pub mod base;
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
