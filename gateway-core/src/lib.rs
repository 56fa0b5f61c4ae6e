//! The core: catalogue, holds, orders, payments. Knows nothing of queues, and reads neither clock nor environment.
//!
//! [`Core::open`] connects and migrates, [`Core::router`] and [`Core::grpc`] answer, [`Core::run`] does what has to be
//! done by itself: lapsed holds, payments without a verdict.

mod auth;
pub mod base;
pub mod catalogue;
mod coupon;
mod db;
mod group;
pub mod grpc;
mod http;
mod live;
pub mod metrics;
mod office;
mod order;
mod outbox;
mod payment;
mod replay;
mod reservation;
pub mod sandbox;
mod schema;
mod settings;
#[cfg(test)]
mod testing;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use auth::Auth;
pub use base::Clock;
use catalogue::{Catalogue, SeedError, Seeded};
use coupon::Coupons;
pub use db::DbError;
use db::{Db, Turn};
pub use group::Load;
use grpc::{KeyCheck, Peers};
use live::Feeds;
pub use office::{MadeNone, Office, OrderFacts, Wish, WishError};
use order::{Orders, Verdicts};
pub use outbox::letters;
use outbox::{Bus, News, Worker};
use payment::Payments;
use replay::Replays;
use reservation::StockOrders;
pub use settings::{OpenError, Secrets, Services, Settings};

/// The core. Cheap to clone.
#[derive(Clone)]
pub struct Core {
    shared: Arc<Shared>,
}

/// What all parts of one core share.
pub(crate) struct Shared {
    db: Db,
    auth: Auth,
    payments: Payments,
    /// The one way to pay an order.
    orders: Orders,
    news: News,
    bus: Bus,
    /// The writers of orders of stock in this process.
    stock: StockOrders,
    /// The one way to orders of stock, here or in another process.
    peers: Peers,
    /// Who may call the parts that this process runs.
    key_check: KeyCheck,
    /// The one way to coupons.
    coupons: Coupons,
    replays: Replays,
    /// Seat maps as they change.
    live: Feeds,
    settings: Settings,
    /// While this process answers customers.
    _turn: Option<Turn>,
}

impl Core {
    /// Connects once, refuses a database whose settings would bend what is written, and brings the schema up to date. On
    /// SQLite one process has the part `order`, unless [`Settings::many_order_processes`] says otherwise.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`] may pass by itself; the others need a change of the settings.
    pub async fn open(settings: Settings, secrets: Secrets, clock: Clock) -> Result<Self, OpenError> {
        settings.check(&secrets)?;
        let db = Db::connect_to(&settings.database_url, settings.durability(), clock.clone()).await?;
        let bus = Bus::parse(&settings.bus).map_err(OpenError::Unfit)?;
        let answering = db.answering(settings.many_order_processes);
        let turn = settings.services.order.then(|| db.take_turn(answering)).transpose()?;
        db.migrate(&schema::MIGRATIONS).await?;
        let news = News::default();
        let payments = Payments::new(
            db.clone(),
            news.clone(),
            clock.clone(),
            &payment::Settings {
                processor_url: &settings.processor_url,
                processor_key: &secrets.processor_key,
                processor_timeout_ms: settings.processor_timeout_ms,
                webhook_secret: &secrets.webhook_secret,
                asks: settings.services.payment,
            },
        )
        .map_err(|error| OpenError::Unfit(format!("the client of the payment provider: {error}")))?;
        let auth = Auth::new(db.clone(), clock, &secrets.customer_key, settings.customer_token_ms);
        Ok(Self {
            shared: Arc::new(Shared {
                orders: Orders::new(
                    db.clone(),
                    payments.clone(),
                    news.clone(),
                    Duration::from_millis(settings.processor_timeout_ms),
                ),
                news,
                bus,
                stock: StockOrders::on(db.clone()),
                peers: Peers::of(&settings, &secrets)?,
                key_check: KeyCheck::new(&secrets.services_key),
                coupons: Coupons::on(db.clone()),
                replays: Replays::on(&db, answering),
                live: Feeds::on(db.clone()),
                db,
                auth,
                payments,
                settings,
                _turn: turn,
            }),
        })
    }

    /// Stores what is not there yet. What is there stays as it is.
    ///
    /// # Errors
    /// Something in the catalogue does not fit, or the database fails.
    pub async fn seed(&self, catalogue: &Catalogue) -> Result<Seeded, SeedError> {
        catalogue::seed(&self.shared.db, catalogue).await
    }

    /// The JSON API and the pages; without the orders only where the payment provider tells us things.
    pub fn router(&self) -> axum::Router {
        let app = self.shared.clone();
        if app.settings.services.order { http::router(app) } else { http::webhooks(app) }
    }

    /// Availability and health over gRPC, and what other processes of this core ask of the parts that this one runs.
    pub fn grpc(&self) -> tonic::service::Routes {
        grpc::routes(&self.shared)
    }

    /// Does what this process has to do by itself, until cancelled: releases what has lapsed, finds out about payments, and
    /// hears what one part tells another. What is told to parts that run elsewhere is handed to the bus.
    pub async fn run(&self, stop: CancellationToken) {
        self.shared.live.end_with(stop.clone());
        let shared = &self.shared;
        let services = shared.settings.services;
        let interval = Duration::from_millis(shared.settings.sweep_interval_ms);
        let orders = Worker::new(shared.db.clone(), Verdicts(shared.news.clone())).on(shared.bus.another());
        let payments = Worker::new(shared.db.clone(), shared.payments.clone()).on(shared.bus.another());
        let commits = matches!(shared.bus, Bus::Database).then(|| shared.db.bell().listen());
        tokio::join!(
            async {
                if services.stock {
                    upkeep::run(&shared.db, interval, &stop).await;
                }
            },
            async {
                if services.payment {
                    shared.payments.run(interval, &stop).await;
                }
            },
            Box::pin(shared.peers.run(&shared.payments, commits, &stop)),
            Box::pin(async {
                if services.order {
                    orders.run(interval, &stop).await;
                } else {
                    orders.relay(interval, &stop).await;
                }
            }),
            Box::pin(async {
                if services.payment {
                    payments.run(interval, &stop).await;
                } else {
                    payments.relay(interval, &stop).await;
                }
            }),
        );
        // A process may have nothing to do by itself; it serves until the stop all the same.
        stop.cancelled().await;
    }

    /// Whether it can serve.
    ///
    /// # Errors
    /// What is missing, in a sentence.
    pub async fn check(&self) -> Result<(), String> {
        self.shared.db.check().await.map_err(|error| format!("the core's database: {error}"))
    }
}
