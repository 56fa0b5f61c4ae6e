//! Watches what is left of another core and how busy it is, in plain numbers.

use futures_util::{Stream, StreamExt};
use tonic::transport::{Channel, Endpoint};

use super::contract::{self, availability_client::AvailabilityClient};
use crate::Load;

/// How long connecting may take.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// What is left of one sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The sale's slug.
    pub sale: String,
    /// Can be taken now.
    pub free: i64,
    /// In somebody's basket; may come back.
    pub held: i64,
    /// Gone.
    pub sold: i64,
    /// Epoch milliseconds by the core's database.
    pub at_ms: i64,
}

/// Why watching failed. Connect again.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No connection.
    #[error("the core's gRPC listener cannot be reached: {0}")]
    Unreachable(#[from] tonic::transport::Error),
    /// The stream broke, or was refused.
    #[error("the stream of what is left ended: {0}")]
    Broken(#[from] Box<tonic::Status>),
}

/// Connects to `grpc_url` (`http://host:port`) and streams each sale's numbers: at once, then at every change.
///
/// # Errors
/// Nobody listens there, or what listens is no core.
pub async fn watch(
    grpc_url: &str,
) -> Result<impl Stream<Item = Result<Remaining, WatchError>> + Send + Unpin + use<>, WatchError> {
    let mut client = connect(grpc_url).await?;
    let stream = client.watch(contract::WatchRequest {}).await.map_err(Box::new)?.into_inner();
    Ok(stream.map(|message| message.map(plain).map_err(|status| WatchError::Broken(Box::new(status)))))
}

/// Connects in the same way and streams how busy the core is with orders: at once, then at every change.
///
/// # Errors
/// Nobody listens there, or what listens is no core.
pub async fn watch_load(
    grpc_url: &str,
) -> Result<impl Stream<Item = Result<Load, WatchError>> + Send + Unpin + use<>, WatchError> {
    let mut client = connect(grpc_url).await?;
    let stream = client.watch_load(contract::WatchRequest {}).await.map_err(Box::new)?.into_inner();
    let plain = |load: contract::Load| Load { in_flight: load.in_flight, per_second: load.per_second };
    Ok(stream.map(move |message| message.map(plain).map_err(|status| WatchError::Broken(Box::new(status)))))
}

async fn connect(grpc_url: &str) -> Result<AvailabilityClient<Channel>, WatchError> {
    let endpoint = Endpoint::from_shared(grpc_url.to_owned())?.connect_timeout(CONNECT_TIMEOUT);
    Ok(AvailabilityClient::new(endpoint.connect().await?))
}

fn plain(message: contract::Remaining) -> Remaining {
    let contract::Remaining { sale, free, held, sold, at_ms } = message;
    Remaining { sale, free, held, sold, at_ms }
}
