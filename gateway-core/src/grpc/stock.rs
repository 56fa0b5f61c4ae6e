//! Orders of stock over gRPC: for the processes that leave them to this one, and for this one if it leaves them to another.

mod remote;
#[cfg(test)]
pub(super) mod tests;
mod wire;

use tonic::{Request, Response, Status};

use crate::group::Unserved;
use crate::http::App;
use crate::reservation;
use contract::stock_server::{self, StockServer};
pub(super) use remote::Remote;

/// Generated from `proto/stock.proto`.
#[expect(unreachable_pub, clippy::allow_attributes_without_reason, reason = "generated")]
mod contract {
    tonic::include_proto!("vestibule.stock.v1");
}

/// The service: whoever calls queues with the callers of this process.
pub(super) struct Reserving(App);

impl Reserving {
    pub(super) fn server(app: App) -> StockServer<Self> {
        StockServer::new(Self(app))
    }
}

#[tonic::async_trait]
impl stock_server::Stock for Reserving {
    /// Who goes away while queueing is passed over, and finds by the id what was done meanwhile.
    async fn reserve(
        &self,
        request: Request<contract::ReserveRequest>,
    ) -> Result<Response<contract::ReserveResponse>, Status> {
        let ask = wire::ask(request.into_inner()).ok_or_else(|| Status::invalid_argument("an id has 16 bytes"))?;
        let outcome = reservation::hold_stock(&self.0.stock, &ask).await;
        if let Err(Unserved::Failed(error)) = &outcome {
            let cause: &(dyn std::error::Error + 'static) = error;
            tracing::error!(order = %ask.id, cause, "the database failed an order of another process");
        }
        Ok(Response::new(wire::response(outcome)))
    }
}
