//! The payments' bell between processes. That nothing depends on it is what the payments' own tests say.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Remote;
use super::contract::{InquireRequest, payment_client::PaymentClient};
use crate::base::ReservationId;
use crate::grpc::key::KeyShow;
use crate::grpc::peers::endpoint;
use crate::grpc::stock::tests::{KEY, Line, Link, core_with};
use crate::testing::World;
use crate::{Core, Services, Settings};

const ORDER: Services = Services { order: true, stock: true, payment: false };
const PAYMENT: Services = Services { order: false, stock: false, payment: true };

async fn payment_process(world: &World) -> Core {
    core_with(world, Settings { services: PAYMENT, ..Settings::default() }, KEY).await
}

fn remote(url: &str, key: &[u8]) -> Remote {
    Remote::new(&endpoint(url).expect("an address"), &KeyShow::new(key).expect("a key"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_due_here_is_looked_for_there_at_once() {
    let world = World::sqlite().await;
    let payment = payment_process(&world).await;
    let link = Link::to(&payment).await;
    let settings = Settings { services: ORDER, payment_url: link.url.clone(), ..Settings::default() };
    let orders = core_with(&world, settings, KEY).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (orders, stop) = (orders.clone(), stop.clone());
        async move { orders.run(stop).await }
    });
    // That process does not look by itself in this test.
    let (payments, mut commits) = (&payment.shared.payments, payment.shared.db.bell().listen());
    orders.shared.payments.ring();
    tokio::time::timeout(Duration::from_secs(10), payments.rung()).await.expect("told of a try");
    tokio::time::timeout(Duration::from_secs(10), commits.changed()).await.expect("told").expect("a bell");
    tokio::time::sleep(Duration::from_millis(100)).await;
    commits.mark_unchanged();
    // Where messages wait in rows alone, a commit is told of as well.
    orders.shared.db.bell().ring();
    tokio::time::timeout(Duration::from_secs(10), commits.changed()).await.expect("told").expect("a bell");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(3), running).await.expect("it stops").expect("without a panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_is_taken_there_or_here_and_never_by_strangers() {
    let world = World::sqlite().await;
    let link = Link::to(&payment_process(&world).await).await;
    let order = ReservationId::derived([1; 16]);
    assert!(remote(&link.url, KEY).inquire(order).await);
    assert!(!remote(&link.url, b"another key").inquire(order).await, "a stranger");
    let endpoint = tonic::transport::Endpoint::from_shared(link.url.clone()).expect("an address");
    let mut client = PaymentClient::new(endpoint.connect().await.expect("a connection"));
    let refused = client.inquire(InquireRequest { order_id: vec![1; 16] }).await.expect_err("no key");
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    link.is(Line::Down);
    assert!(!remote(&link.url, KEY).inquire(order).await, "nobody there");
    let settings = Settings { services: ORDER, payment_url: link.url.clone(), ..Settings::default() };
    let orders = core_with(&world, settings, KEY).await;
    orders.shared.peers.look(&orders.shared.payments, order).await.expect("nobody has to wait for it");
}
