//! The front door: a line with signed places, a metered way in, and the proxy behind it.
//! It knows nothing of booking.

use std::sync::Arc;

pub mod line;
pub mod store;

/// Epoch milliseconds that never go backwards. Injected: the library reads no clock.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;
