//! Orders of stock between processes of one core, over real connections that break, on both databases.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tower::ServiceExt;

use super::contract::{ReserveRequest, stock_client::StockClient};
use crate::base::{CustomerId, ReservationId};
use crate::grpc::Unreserved;
use crate::http::problem::{Code, Problem};
use crate::reservation::{HoldStock, Refused, StockOutcome};
use crate::testing::{World, clock, on_every_database, small};
use crate::{Core, Secrets, Services, Settings};

on_every_database!(
    an_order_is_taken_there_and_its_repeat_is_the_same,
    a_lost_answer_is_asked_for_again_and_is_one_order,
    while_it_is_away_people_are_told_to_come_again_and_then_get_it,
    an_answer_that_never_comes_is_no_false_one,
    a_stranger_takes_nothing,
    the_orders_of_two_processes_meet,
    a_refusal_is_the_same_as_here,
);

const ORDER: Services = Services { order: true, stock: false, payment: false };
const STOCK: Services = Services { order: false, stock: true, payment: false };

pub(in crate::grpc) async fn core_with(world: &World, settings: Settings, services_key: &[u8]) -> Core {
    let settings = Settings { database_url: world.url.clone(), many_order_processes: true, ..settings };
    let secrets = Secrets {
        customer_key: vec![7; 32],
        webhook_secret: vec![1],
        processor_key: vec![2],
        services_key: services_key.to_vec(),
    };
    Core::open(settings, secrets, clock()).await.expect("a core")
}

pub(in crate::grpc) const KEY: &[u8] = b"a key of thirty-two bytes, or so";

/// Answers customers, and leaves their orders of stock to whoever listens at `stock_url`.
async fn order_process(world: &World, stock_url: &str) -> Core {
    let settings = Settings { services: ORDER, stock_url: stock_url.to_owned(), ..Settings::default() };
    core_with(world, settings, KEY).await
}

async fn stock_process(world: &World) -> Core {
    core_with(world, Settings { services: STOCK, ..Settings::default() }, KEY).await
}

/// How a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum Line {
    Open,
    /// What is asked arrives, what is answered does not.
    Mute,
    /// Broken, and nobody listens any more.
    Down,
}

/// The way to a process.
pub(in crate::grpc) struct Link {
    pub(in crate::grpc) url: String,
    line: watch::Sender<Line>,
}

impl Link {
    pub(in crate::grpc) async fn to(core: &Core) -> Self {
        let served = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server = served.local_addr().expect("an address");
        let serving = tonic::transport::Server::builder().add_routes(core.grpc());
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(served)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (line, state) = watch::channel(Line::Open);
        tokio::spawn(listen(listener, server, state));
        Self { url, line }
    }

    pub(in crate::grpc) fn is(&self, line: Line) {
        self.line.send_replace(line);
    }
}

/// Listens on the same port whenever the line is not down.
async fn listen(listener: TcpListener, server: SocketAddr, mut line: watch::Receiver<Line>) {
    let address = listener.local_addr().expect("an address");
    let mut listener = Some(listener);
    while line.wait_for(|line| *line != Line::Down).await.is_ok() {
        let open = match listener.take() {
            Some(open) => open,
            None => TcpListener::bind(address).await.expect("its port"),
        };
        let mut watched = line.clone();
        let accepting = async {
            while let Ok((client, _)) = open.accept().await {
                tokio::spawn(carry(client, server, line.clone()));
            }
        };
        tokio::select! {
            biased;
            _ = async { watched.wait_for(|line| *line == Line::Down).await.is_ok() } => {}
            () = accepting => {}
        }
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, line: watch::Receiver<Line>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let mut watched = line.clone();
    let down = async { watched.wait_for(|line| *line == Line::Down).await.is_ok() };
    let carrying = async {
        let (mut asked, mut said) = (vec![0; 16_384], vec![0; 16_384]);
        loop {
            let (from_client, bytes) = tokio::select! {
                read = client.read(&mut asked) => (true, read.unwrap_or(0)),
                read = server.read(&mut said) => (false, read.unwrap_or(0)),
            };
            let passed = match (from_client, bytes) {
                (_, 0) => return,
                (true, bytes) => server.write_all(&asked[..bytes]).await,
                (false, _) if *line.borrow() == Line::Mute => Ok(()),
                (false, bytes) => client.write_all(&said[..bytes]).await,
            };
            if passed.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        _ = down => {}
        () = carrying => {}
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    #[track_caller]
    fn says_come_again(&self, words: &str) {
        assert_eq!(
            (self.status, &self.body["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("busy")),
            "{}",
            self.body
        );
        assert_eq!(self.headers[header::RETRY_AFTER], "1");
        assert!(self.body["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{}", self.body);
    }
}

/// Orders over HTTP, under a key.
async fn order(core: &Core, token: &str, key: &str, quantity: i64) -> Answer {
    send(core, token, key, &json!({ "lines": [{ "product_id": "p", "quantity": quantity }] })).await
}

async fn send(core: &Core, token: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post("/api/orders")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()));
    let response = core.router().oneshot(request.expect("a request")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn token(core: &Core, world: &World) -> String {
    core.shared.auth.token(world.customer().await).expect("a token").0
}

/// A process that takes stock, behind a line, one that leaves it to that, and a customer of the latter.
async fn apart(world: &World) -> (Link, Core, String) {
    let link = Link::to(&stock_process(world).await).await;
    let orders = order_process(world, &link.url).await;
    let token = token(&orders, world).await;
    (link, orders, token)
}

const ORDERS: &str = "select count(*) from reservation";
const HELD: &str = "select held from stock where product_id = 'p'";

async fn stored(world: &World) {
    let waited = async {
        while world.count(ORDERS).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("stored in time");
}

async fn an_order_is_taken_there_and_its_repeat_is_the_same(world: &World) {
    world.sale(60_000, 60_000).await;
    let stock = stock_process(world).await;
    let link = Link::to(&stock).await;
    let orders = order_process(world, &link.url).await;
    let token = token(&orders, world).await;
    let (first, again) = (order(&orders, &token, "k", 2).await, order(&orders, &token, "k", 2).await);
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!((&first.body["state"], &first.body["total"]["amount"]), (&json!("checkout"), &json!(1_000)));

    // Below the kept answers, by its id.
    let customer = world.customer().await;
    let id = ReservationId::derived(rand::random());
    let ask = HoldStock { id, customer, lines: vec![(String::from("p"), 3)], coupon: None };
    let take = async |ask: &HoldStock| orders.shared.peers.reserve(&orders.shared.stock, ask).await;
    let Ok(StockOutcome::Ordered(new)) = take(&ask).await else { panic!("it is new") };
    let Ok(StockOutcome::Repeated(same)) = take(&ask).await else { panic!("it is the same") };
    assert_eq!(new, same);
    let more = HoldStock { lines: vec![(String::from("p"), 1)], ..ask.clone() };
    assert!(matches!(take(&more).await, Ok(StockOutcome::Refused(Refused::KeyReused))));
    // Whom nobody knows has no order anywhere: a mistake, and no matter of asking again.
    let nobody =
        HoldStock { id: ReservationId::derived(rand::random()), customer: CustomerId::derived([9; 16]), ..ask };
    assert!(matches!(take(&nobody).await, Err(Unreserved::Broken)));
    assert_eq!(Problem::from(Unreserved::Broken).code, Code::Internal);
    assert_eq!((world.count(ORDERS).await, world.count(HELD).await), (2, 5));
    assert!(stock.shared.stock.busy().per_second > 0, "its writers have done it");
    assert_eq!(orders.shared.stock.busy(), crate::Load::default(), "and not ours");
}

async fn a_lost_answer_is_asked_for_again_and_is_one_order(world: &World) {
    world.sale(60_000, 60_000).await;
    let (link, orders, token) = apart(world).await;
    link.is(Line::Mute);
    let breaks = async {
        stored(world).await;
        link.is(Line::Down);
        tokio::time::sleep(Duration::from_millis(30)).await;
        link.is(Line::Open);
    };
    let (answer, ()) = tokio::join!(order(&orders, &token, "k", 2), breaks);
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!((world.count(ORDERS).await, world.count(HELD).await), (1, 2));
}

async fn while_it_is_away_people_are_told_to_come_again_and_then_get_it(world: &World) {
    world.sale(60_000, 60_000).await;
    let (link, orders, token) = apart(world).await;
    link.is(Line::Down);
    order(&orders, &token, "k", 1).await.says_come_again("same idempotency key");
    assert_eq!(world.count(ORDERS).await, 0);
    let gone = order_process(world, "http://127.0.0.1:9").await;
    order(&gone, &token, "k", 1).await.says_come_again("same idempotency key");
    link.is(Line::Open);
    let answer = order(&orders, &token, "k", 1).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!((world.count(ORDERS).await, world.count(HELD).await), (1, 1));
}

async fn an_answer_that_never_comes_is_no_false_one(world: &World) {
    world.sale(60_000, 60_000).await;
    let (link, orders, token) = apart(world).await;
    link.is(Line::Mute);
    let breaks = async {
        stored(world).await;
        link.is(Line::Down);
    };
    let (answer, ()) = tokio::join!(order(&orders, &token, "k", 2), breaks);
    answer.says_come_again("Nobody knows yet");
    link.is(Line::Open);
    let answer = order(&orders, &token, "k", 2).await;
    assert_eq!(answer.status, StatusCode::CREATED, "it is told of the order that it has: {}", answer.body);
    assert_eq!((world.count(ORDERS).await, world.count(HELD).await), (1, 2));
}

async fn a_stranger_takes_nothing(world: &World) {
    world.sale(60_000, 60_000).await;
    let link = Link::to(&stock_process(world).await).await;
    let settings = Settings { services: ORDER, stock_url: link.url.clone(), ..Settings::default() };
    let stranger = core_with(world, settings, b"another key of thirty-two bytes!").await;
    let token = token(&stranger, world).await;
    order(&stranger, &token, "k", 1).await.says_come_again("Nothing was done");

    let endpoint = tonic::transport::Endpoint::from_shared(link.url.clone()).expect("an address");
    let mut client = StockClient::new(endpoint.connect().await.expect("a connection"));
    let refused = client.reserve(ReserveRequest::default()).await.expect_err("no key, no stock");
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    assert!(refused.message().contains("data/keys/services.key"), "{refused}");
    assert!(crate::grpc::watch(&link.url).await.is_ok(), "what is left is for everybody");

    // Who has the key, but asks a process that does not run the part.
    let other = Link::to(&order_process(world, "").await).await;
    let lost = order_process(world, &other.url).await;
    order(&lost, &token, "k", 1).await.says_come_again("Nothing was done");
    assert_eq!(world.count(ORDERS).await, 0);
}

async fn the_orders_of_two_processes_meet(world: &World) {
    world.sale(60_000, 60_000).await;
    let stock = stock_process(world).await;
    let link = Link::to(&stock).await;
    let (one, two) = (order_process(world, &link.url).await, order_process(world, &link.url).await);
    let token = token(&one, world).await;
    let sent = (0..60).map(|n| {
        let (core, key) = (if n % 2 == 0 { &one } else { &two }, format!("k{n}"));
        let token = &token;
        async move { order(core, token, &key, 1).await }
    });
    let answers = join_all(sent).await;
    let with = |status: StatusCode| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(StatusCode::CREATED), with(StatusCode::CONFLICT)), (10, 50), "all there is, and not more");
    assert!(answers.iter().all(|answer| answer.status != StatusCode::CONFLICT || answer.body["code"] == "all_held"));
    assert_eq!((world.count(ORDERS).await, world.count(HELD).await), (10, 10));
}

async fn a_refusal_is_the_same_as_here(world: &World) {
    world.sale(60_000, 60_000).await;
    let link = Link::to(&stock_process(world).await).await;
    let (there, here) = (order_process(world, &link.url).await, order_process(world, "").await);
    let token = token(&there, world).await;
    let line = |product: &str, quantity: i64| json!({ "product_id": product, "quantity": quantity });
    for (n, body) in [
        json!({ "lines": [line("nothing", 1)] }),
        json!({ "lines": [] }),
        json!({ "lines": [line("p", 0)] }),
        json!({ "lines": [line("p", 5)] }),
        json!({ "lines": (0..17).map(|n| line(&format!("p{n}"), 1)).collect::<Vec<_>>() }),
        json!({ "lines": [line("p", 1)], "coupon": "NOSUCHCODE" }),
        json!({ "lines": [line("p", 1)], "coupon": "no code" }),
    ]
    .iter()
    .enumerate()
    {
        let there = send(&there, &token, &format!("there{n}"), body).await;
        let here = send(&here, &token, &format!("here{n}"), body).await;
        assert_eq!(there.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", there.body);
        assert_eq!((there.status, there.body), (here.status, here.body), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_busy_the_other_is_shows_here() {
    let world = World::sqlite().await;
    world.sale_of(&small(60_000, 60_000)).await;
    let (link, orders, token) = apart(&world).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (orders, stop) = (orders.clone(), stop.clone());
        async move { orders.run(stop).await }
    });
    let busy = || orders.shared.peers.busy(&orders.shared.stock);
    assert_eq!(order(&orders, &token, "k1", 1).await.status, StatusCode::CREATED);
    let heard = async {
        while busy().per_second == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.expect("heard of in time");
    link.is(Line::Down);
    let waits = async {
        while busy().in_flight == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (answer, in_time) =
        tokio::join!(order(&orders, &token, "k2", 1), tokio::time::timeout(Duration::from_secs(5), waits));
    assert!(in_time.is_ok(), "who waits for it is in flight");
    answer.says_come_again("Nobody knows yet");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(3), running).await.expect("it stops").expect("without a panic");
    assert_eq!(busy().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_is_waited_for_no_longer_than_people_wait() {
    let world = World::sqlite().await;
    world.sale_of(&small(60_000, 60_000)).await;
    let (link, orders, token) = apart(&world).await;
    link.is(Line::Mute);
    let answer = tokio::time::timeout(Duration::from_secs(12), order(&orders, &token, "k", 1)).await;
    answer.expect("well before the claim of its key ends").says_come_again("Nobody knows yet");
    assert_eq!(world.count(ORDERS).await, 1, "it was placed");
    link.is(Line::Open);
    for n in 0..8 {
        // What was swallowed on a connection is lost for good: those are given up, and no later order fails for it.
        let key = if n == 0 { String::from("k") } else { format!("k{n}") };
        let answer = order(&orders, &token, &key, 1).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{n}: {}", answer.body);
    }
    assert_eq!(world.count(ORDERS).await, 8);
}

#[tokio::test]
async fn who_runs_the_part_takes_its_orders_itself() {
    let world = World::sqlite().await;
    world.sale_of(&small(60_000, 60_000)).await;
    // One file of settings for all processes: its own address is in it, and nobody is there.
    let services = Services { payment: false, ..Services::ALL };
    let settings = Settings { services, stock_url: String::from("http://127.0.0.1:9"), ..Settings::default() };
    let core = core_with(&world, settings, KEY).await;
    let token = token(&core, &world).await;
    assert_eq!(order(&core, &token, "k", 1).await.status, StatusCode::CREATED);
}
