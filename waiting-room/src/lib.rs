//! The front door: a line with signed places, a metered way in, and the proxy behind it.
//! It knows nothing of booking.

mod credential;
mod door;
mod facade;
pub mod line;
pub mod metrics;
mod operator;
mod path;
mod problem;
mod proxy;
mod settings;
pub mod simulation;
mod stock;
pub mod store;
mod visitor;

pub use credential::{
    BadAccess, BadKeys, EntryGate, EntryLayer, EntryVerifier, TicketClaims, new_access_code, new_entry_key,
};
pub use door::AccessFiles;
pub use facade::{Answer, Door, Secrets, check_settings};
pub use line::Orders;
pub use proxy::StrictWire;
pub use settings::{
    Access, AccessTokens, Begin, BypassRule, Clock, CrawlersGet, JoinLimit, LaneSettings, OnStoreLoss, OpenError,
    ProofOfWork, RoomSettings, Settings,
};
pub use stock::Remaining;
