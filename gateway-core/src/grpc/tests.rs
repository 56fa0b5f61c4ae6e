//! The stream of what is left, over a real connection.

use std::time::Duration;

use futures_util::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;

use super::{Remaining, WatchError, watch, watch_load};
use crate::http::App;
use crate::reservation::{self, HoldSeats, HoldStock};
use crate::testing::{World, clock, small};
use crate::{Core, Secrets, Settings};

async fn core() -> (Core, World) {
    let world = World::sqlite().await;
    let settings = Settings { database_url: world.url.clone(), sweep_interval_ms: 100, ..Settings::default() };
    let secrets = Secrets {
        customer_key: vec![7; 32],
        webhook_secret: vec![1],
        processor_key: vec![2],
        services_key: vec![b'k'; 32],
    };
    let core = Core::open(settings, secrets, clock()).await.expect("a core");
    core.seed(&small(300, 60_000)).await.expect("a catalogue");
    (core, world)
}

async fn serve(core: &Core) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tonic::transport::Server::builder().add_routes(core.grpc());
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    url
}

async fn hold(app: &App, world: &World, seat: &str) {
    let id = crate::base::ReservationId::derived(rand::random());
    let customer = world.customer().await;
    let ask = HoldSeats { id, customer, screening: String::from("s"), seats: vec![seat.to_owned()] };
    reservation::hold_seats(&app.db, &ask).await.expect("an outcome");
}

async fn next(stream: &mut (impl StreamExt<Item = Result<Remaining, WatchError>> + Unpin)) -> (i64, i64, i64) {
    let message = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("in time");
    let message = message.expect("a message").expect("no error");
    assert_eq!(message.sale, "sale");
    (message.free, message.held, message.sold)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_come_at_once_and_with_every_change() {
    let (core, world) = core().await;
    let url = serve(&core).await;
    let mut first = watch(&url).await.expect("a stream");
    assert_eq!(next(&mut first).await, (30, 0, 0));
    let customer = world.customer().await;
    let id = crate::base::ReservationId::derived(rand::random());
    let ask = HoldStock { id, customer, lines: vec![(String::from("p"), 4)], coupon: None };
    reservation::hold_stock(&core.shared.stock, &ask).await.expect("an outcome");
    assert_eq!(next(&mut first).await, (26, 4, 0));
    let mut second = watch(&url).await.expect("a stream");
    assert_eq!(next(&mut second).await, (26, 4, 0), "a new watcher need not wait for a change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lapses_is_shown_and_swept_without_being_asked_for() {
    let (core, world) = core().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (core, stop) = (core.clone(), stop.clone());
        async move { core.run(stop).await }
    });
    hold(&core.shared, &world, "A1").await;
    assert_eq!(world.count("select count(*) from reservation where state = 'held'").await, 1);
    // The hold's 300 ms, the sweeper's 100 ms, and room for a busy machine.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(world.count("select count(*) from reservation where state = 'released'").await, 1);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(2), running).await.expect("it stops").expect("without a panic");
    world.the_books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_busy_the_core_is_comes_at_once_and_with_every_change() {
    let (core, world) = core().await;
    let url = serve(&core).await;
    let mut stream = watch_load(&url).await.expect("a stream");
    let mut next = async || {
        let message = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("in time");
        message.expect("a message").expect("no error")
    };
    assert_eq!(next().await, crate::Load::default());
    // A lock on the only writer of SQLite: the order is under way for as long as that lasts.
    let customer = world.customer().await;
    let tx = core.shared.db.begin().await.expect("the writer");
    let ask = async {
        let id = crate::base::ReservationId::derived(rand::random());
        let ask = HoldStock { id, customer, lines: vec![(String::from("p"), 1)], coupon: None };
        reservation::hold_stock(&core.shared.stock, &ask).await.expect("an outcome")
    };
    let watched = async {
        assert_eq!(next().await, crate::Load { in_flight: 1, per_second: 0 }, "stuck, and it shows");
        drop(tx);
        next().await
    };
    let (_, after) = tokio::join!(ask, watched);
    assert!(after.in_flight == 0 && after.per_second > 0, "{after:?}");
}

#[tokio::test]
async fn health_says_serving() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let (core, _world) = core().await;
    let endpoint = tonic::transport::Endpoint::from_shared(serve(&core).await).expect("an address");
    let mut client = HealthClient::new(endpoint.connect().await.expect("a connection"));
    let answer = client.check(HealthCheckRequest { service: String::new() }).await.expect("an answer");
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    assert_eq!(core.check().await, Ok(()));
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    assert!(matches!(watch("http://127.0.0.1:9").await.err(), Some(WatchError::Unreachable(_))));
}
