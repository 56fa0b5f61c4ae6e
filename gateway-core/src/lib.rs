//! The core.
pub mod sandbox;
/// Epoch milliseconds that never go backwards.
pub type Clock = std::sync::Arc<dyn Fn() -> i64 + Send + Sync>;
