//! Availability and health over gRPC, and the client that watches it. Sells nothing.

mod availability;
pub mod client;
#[cfg(test)]
mod tests;

use tonic::service::Routes;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::http::App;
use availability::{Availability, Watchers};
use contract::availability_server::AvailabilityServer;

/// Generated from `proto/core.proto`.
#[expect(unreachable_pub, clippy::allow_attributes_without_reason, reason = "generated")]
mod contract {
    tonic::include_proto!("vestibule.availability.v1");
}

pub use client::{Remaining, WatchError, watch, watch_load};

/// The services. Health says "serving" for as long as the process answers; whether the database does is `/readyz`'s.
pub(crate) fn routes(app: App) -> Routes {
    let (reporter, health): (HealthReporter, _) = health_reporter();
    // Kept alive by the service; "serving" is what it starts with.
    drop(reporter);
    Routes::new(health).add_service(AvailabilityServer::new(Availability::new(Watchers::new(app))))
}
