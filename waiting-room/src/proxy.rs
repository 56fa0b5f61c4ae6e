//! What stands between the visitor's request and the upstream: header hygiene and forwarding. Decides nothing about
//! who may pass; forwarding takes the proof that somebody else did.

mod forward;
mod header;
mod origin;
mod pulse;
mod site;
mod wire;

pub(crate) use forward::{Passage, SessionEnds, Upstream};
pub(crate) use header::inspect;
pub(crate) use origin::{Origin, Trust};
pub(crate) use site::is_cross_site;
pub use wire::StrictWire;
