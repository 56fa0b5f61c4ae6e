//! The other processes of the same core that this one turns to. What it runs itself, or has no address for, is done here:
//! whoever asks cannot tell.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::key::KeyShow;
use super::{payment, stock};
use crate::base::ReservationId;
use crate::db::DbError;
use crate::group::{Load, Unserved};
use crate::payment::Payments;
use crate::reservation::{self, HoldStock, StockOrders, StockOutcome};
use crate::settings::{OpenError, Secrets, Settings};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a connection is asked for a sign of life, and how long that may take: a host that is gone says nothing.
const PING_EVERY: Duration = Duration::from_secs(5);
const PONG_WITHIN: Duration = Duration::from_secs(2);

/// Why an order has no outcome.
#[derive(Debug)]
pub(crate) enum Unreserved {
    /// The writers said so, here or in the other process.
    Unserved(Unserved),
    /// The other process's database was busy or away, or did not say what became of a commit. Its log has the cause.
    Later,
    /// A mistake of ours. Its log has the cause.
    Broken,
    /// No answer came: the order is placed, or it is not.
    NoAnswer,
    /// The other process takes no orders from us. Nothing was done.
    TurnedAway,
}

/// The other processes.
#[derive(Default)]
pub(crate) struct Peers {
    stock: Option<stock::Remote>,
    payment: Option<payment::Remote>,
}

impl Peers {
    /// Nobody is connected to yet: who is away at our start may come later.
    pub(crate) fn of(settings: &Settings, secrets: &Secrets) -> Result<Self, OpenError> {
        let services = settings.services;
        let stock = wanted("core.stock_url", &settings.stock_url, "stock", services.stock);
        let payment = wanted("core.payment_url", &settings.payment_url, "payment", services.payment);
        if !services.order || (stock.is_none() && payment.is_none()) {
            return Ok(Self::default());
        }
        let key = KeyShow::new(&secrets.services_key);
        let key = key.ok_or_else(|| OpenError::Unfit(String::from("the services key must be one line of ASCII")))?;
        let stock = stock.map(|url| Ok::<_, OpenError>(stock::Remote::new(url, &endpoint(url)?, &key))).transpose()?;
        let payment = payment.map(|url| Ok::<_, OpenError>(payment::Remote::new(&endpoint(url)?, &key))).transpose()?;
        Ok(Self { stock, payment })
    }

    /// Takes stock for an order, in the process that takes it for all.
    pub(crate) async fn reserve(&self, here: &StockOrders, ask: &HoldStock) -> Result<StockOutcome, Unreserved> {
        match &self.stock {
            Some(there) => there.reserve(ask).await,
            None => reservation::hold_stock(here, ask).await.map_err(Unreserved::Unserved),
        }
    }

    /// Asks the provider about an order's try, or at least has it asked about soon.
    pub(crate) async fn look(&self, here: &Payments, order: ReservationId) -> Result<(), DbError> {
        if let Some(there) = &self.payment
            && there.inquire(order).await
        {
            return Ok(());
        }
        here.look(order).await
    }

    /// How busy the writers are that take this process's orders.
    pub(crate) fn busy(&self, here: &StockOrders) -> Load {
        self.stock.as_ref().map_or_else(|| here.busy(), stock::Remote::busy)
    }

    /// Hears how busy the others are, and tells them when something became due here; with `commits`, also when one of those
    /// brought work.
    pub(crate) async fn run(
        &self,
        payments: &Payments,
        commits: Option<watch::Receiver<()>>,
        stop: &CancellationToken,
    ) {
        tokio::join!(
            async {
                if let Some(stock) = &self.stock {
                    stock.hear_load(stop).await;
                }
            },
            async {
                if let Some(payment) = &self.payment {
                    payment.pass_on(payments, commits, stop).await;
                }
            },
        );
    }
}

/// The address, if it is needed. One file of settings may serve all processes, so the one that runs a part has its own
/// address in it: what it would send there it does itself, which is right in any number of processes.
fn wanted<'a>(name: &str, url: &'a str, part: &str, runs: bool) -> Option<&'a str> {
    if runs && !url.is_empty() {
        tracing::warn!("{name} is not used: this process runs the part {part} itself");
    }
    Some(url).filter(|url| !runs && !url.is_empty())
}

pub(super) fn endpoint(url: &str) -> Result<Endpoint, OpenError> {
    let endpoint =
        Endpoint::from_shared(url.to_owned()).map_err(|error| OpenError::Unfit(format!("{url}: {error}")))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true))
}
