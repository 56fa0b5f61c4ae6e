//! The front door: a line with signed places, a metered way in, and the proxy behind it.
//! It knows nothing of booking.

pub mod line;
pub mod store;
