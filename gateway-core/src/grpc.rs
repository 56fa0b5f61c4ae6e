//! What is open to everybody who reaches the listener: availability, how busy the core is, health. And what the processes
//! of one core do for each other, behind a key: orders of stock, looks at payments.

mod availability;
pub mod client;
mod key;
mod payment;
mod peers;
mod stock;
#[cfg(test)]
mod tests;

use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::http::App;
use availability::{Availability, Watchers};
use contract::availability_server::AvailabilityServer;
pub(crate) use key::KeyCheck;
use payment::Asking;
pub(crate) use peers::{Peers, Unreserved};
use stock::Reserving;

/// Generated from `proto/core.proto`.
#[expect(unreachable_pub, clippy::allow_attributes_without_reason, reason = "generated")]
mod contract {
    tonic::include_proto!("vestibule.availability.v1");
}

pub use client::{Remaining, WatchError, watch, watch_load};

/// The services, and those of the parts that this process runs. Health says "serving" for as long as the process answers;
/// whether the database does is `/readyz`'s.
pub(crate) fn routes(app: &App) -> Routes {
    let (reporter, health): (HealthReporter, _) = health_reporter();
    // Kept alive by the service; "serving" is what it starts with.
    drop(reporter);
    let (services, key) = (app.settings.services, &app.key_check);
    let mut routes = Routes::builder();
    routes.add_service(health).add_service(AvailabilityServer::new(Availability::new(Watchers::new(app.clone()))));
    if services.stock {
        routes.add_service(InterceptedService::new(Reserving::server(app.clone()), key.clone()));
    }
    if services.payment {
        routes.add_service(InterceptedService::new(Asking::server(app.clone()), key.clone()));
    }
    routes.routes()
}
