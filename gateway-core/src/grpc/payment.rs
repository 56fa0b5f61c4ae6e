//! The payments' bell over gRPC: a process that does not ask the provider has one that does look at once, and not half a
//! second later. Every call may fail: what is to be done stands in rows with a time.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
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

/// The pause after a call without an answer: by then all is found without it.
const PAUSE_WHILE_AWAY: Duration = Duration::from_millis(500);

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
pub(super) struct Remote {
    client: PaymentClient<InterceptedService<Channel, KeyShow>>,
    /// It did not answer when it was last called: said once.
    away: AtomicBool,
}

impl Remote {
    pub(super) fn new(endpoint: &Endpoint, key: &KeyShow) -> Self {
        let client = PaymentClient::with_interceptor(endpoint.connect_lazy(), key.clone());
        Self { client, away: AtomicBool::new(false) }
    }

    /// Whether it has looked at the order's try.
    pub(super) async fn inquire(&self, order: ReservationId) -> bool {
        let mut client = self.client.clone();
        self.heard(client.inquire(InquireRequest { order_id: order.to_bytes() })).await
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
                let mut client = self.client.clone();
                let heard = self.heard(client.reconcile(ReconcileRequest {})).await;
                tokio::time::sleep(if heard { PAUSE } else { PAUSE_WHILE_AWAY }).await;
            }
        };
        tokio::select! {
            () = passing => {}
            () = stop.cancelled() => {}
        }
    }

    /// Whether there was an answer in time. Without one the rows are found when they are due.
    async fn heard<T>(&self, call: impl Future<Output = Result<T, Status>>) -> bool {
        let answer = tokio::time::timeout(ANSWER_WITHIN, call).await;
        let status = match answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("it took too long"))) {
            Ok(_) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("core.payment_url answers again");
                }
                return true;
            }
            Err(status) => status,
        };
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(%status, "core.payment_url took no call; what is due is found a little later");
        }
        false
    }
}

async fn rung(bell: &mut Option<watch::Receiver<()>>) {
    match bell {
        // The bell is the database's, which the caller holds.
        Some(bell) => drop(bell.changed().await),
        None => std::future::pending().await,
    }
}
