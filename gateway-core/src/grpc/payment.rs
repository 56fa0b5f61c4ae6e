//! The payments' bell over gRPC: a process that does not ask the provider has one that does look at once, and not half a
//! second later. Every call may fail: what is to be done stands in rows with a time.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::key::KeyShow;
use crate::base::ReservationId;
use crate::http::App;
use crate::payment::Payments;
use contract::payment_client::PaymentClient;
use contract::payment_server::{self, PaymentServer};
use contract::{InquireRequest, InquireResponse, ReconcileRequest, ReconcileResponse};

/// Generated from `proto/payment.proto`.
#[expect(unreachable_pub, clippy::allow_attributes_without_reason, reason = "generated")]
mod contract {
    tonic::include_proto!("vestibule.payment.v1");
}

/// How long a call may take: a little more than a look at the provider.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The pause between two calls to look for what is due. What becomes due meanwhile is one call, and one look.
const PAUSE: Duration = Duration::from_millis(25);

/// The service.
pub(super) struct Asking(App);

impl Asking {
    pub(super) fn server(app: App) -> PaymentServer<Self> {
        PaymentServer::new(Self(app))
    }
}

#[tonic::async_trait]
impl payment_server::Payment for Asking {
    async fn inquire(&self, request: Request<InquireRequest>) -> Result<Response<InquireResponse>, Status> {
        let order = ReservationId::from_bytes(&request.into_inner().order_id);
        let order = order.ok_or_else(|| Status::invalid_argument("an id has 16 bytes"))?;
        match self.0.payments.look(order).await {
            Ok(()) => Ok(Response::new(InquireResponse {})),
            Err(error) => {
                let cause: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(%order, cause, "the database failed a look at a payment");
                Err(Status::unavailable("the database failed"))
            }
        }
    }

    async fn reconcile(&self, _: Request<ReconcileRequest>) -> Result<Response<ReconcileResponse>, Status> {
        self.0.payments.ring();
        self.0.db.bell().ring();
        Ok(Response::new(ReconcileResponse {}))
    }
}

/// A process that asks the provider.
pub(super) struct Remote(PaymentClient<InterceptedService<Channel, KeyShow>>);

impl Remote {
    pub(super) fn new(endpoint: &Endpoint, key: &KeyShow) -> Self {
        Self(PaymentClient::with_interceptor(endpoint.connect_lazy(), key.clone()))
    }

    /// Whether it has looked at the order's try.
    pub(super) async fn inquire(&self, order: ReservationId) -> bool {
        let mut client = self.0.clone();
        heard(client.inquire(InquireRequest { order_id: order.to_bytes() })).await
    }

    /// Passes on that something became due here, until the stop. `commits` rings where messages wait in rows alone; on
    /// another bus they are relayed by themselves.
    pub(super) async fn pass_on(
        &self,
        payments: &Payments,
        mut commits: Option<watch::Receiver<()>>,
        stop: &CancellationToken,
    ) {
        let passing = async {
            loop {
                tokio::select! {
                    () = payments.rung() => {}
                    () = rung(&mut commits) => {}
                }
                let mut client = self.0.clone();
                heard(client.reconcile(ReconcileRequest {})).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = passing => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn rung(bell: &mut Option<watch::Receiver<()>>) {
    match bell {
        // The bell is the database's, which the caller holds.
        Some(bell) => drop(bell.changed().await),
        None => std::future::pending().await,
    }
}

/// Whether there was an answer in time. Without one the rows are found when they are due.
async fn heard<T>(call: impl Future<Output = Result<T, Status>>) -> bool {
    match tokio::time::timeout(ANSWER_WITHIN, call).await {
        Ok(Ok(_)) => true,
        Ok(Err(status)) => {
            tracing::warn!(%status, "core.payment_url did not take a call; what is due is found a little later");
            false
        }
        Err(_) => {
            tracing::warn!("core.payment_url did not answer; what is due is found a little later");
            false
        }
    }
}
