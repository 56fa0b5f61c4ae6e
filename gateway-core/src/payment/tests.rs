//! Payments against a real provider.
