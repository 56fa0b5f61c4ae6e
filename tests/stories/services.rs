//! The parts of the core as processes of their own, talking by gRPC and the bus: on MariaDB and Redis Streams, and on one
//! SQLite file.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::harness::{App, House, Running, id, until};
use crate::journey::FAST;
use crate::roles::{database, server};
use crate::wire::free_port;

struct Parts {
    house: House,
    sandbox: Running,
    order: Running,
    /// In an `Option` to be killed.
    stock: Option<Running>,
    payment: Option<Running>,
    door: Running,
    /// What each part of the core is told: one file of settings for all of them.
    settings: Vec<String>,
    /// Where the stock and the payments are called.
    stock_listens: String,
    payment_listens: String,
}

/// More than a story orders.
const POSTERS: u64 = 20_000;

impl Parts {
    /// `more`: what all parts are told besides; `of_payment`: what only the payments are.
    fn start(more: &[String], of_payment: &[&str]) -> Self {
        let house = House::new();
        let (door_port, order_port, sandbox_port) = (free_port(), free_port(), free_port());
        let (stock_port, payment_port) = (free_port(), free_port());
        let sandbox = house.start_role(
            &["sandbox"],
            &[
                &format!("listen.sandbox=127.0.0.1:{sandbox_port}"),
                &format!("sandbox.webhook_url=http://127.0.0.1:{order_port}/webhooks/sandbox"),
            ],
        );
        let mut settings = vec![
            FAST.to_owned(),
            format!("demo.stock={POSTERS}"),
            format!("core.stock_url=http://127.0.0.1:{stock_port}"),
            format!("core.payment_url=http://127.0.0.1:{payment_port}"),
            format!("core.processor_url={}", sandbox.sandbox),
            String::from("core.processor_timeout_ms=1500"),
            format!("core.public_url=http://127.0.0.1:{door_port}"),
            format!("link.entry_keys_url=http://127.0.0.1:{door_port}/.waiting-room/jwks.json"),
        ];
        settings.extend_from_slice(more);
        let order = part(&house, "order", &settings, &[&format!("listen.core=127.0.0.1:{order_port}")]);
        let stock_listens = format!("listen.core_grpc=127.0.0.1:{stock_port}");
        let payment_listens = format!("listen.core_grpc=127.0.0.1:{payment_port}");
        let stock = part(&house, "stock", &settings, &[&stock_listens]);
        let of_payment: Vec<&str> = of_payment.iter().copied().chain([payment_listens.as_str()]).collect();
        let payment = part(&house, "payment", &settings, &of_payment);
        let door = house.start_role(
            &["waiting-room"],
            &[
                FAST,
                &format!("listen.door=127.0.0.1:{door_port}"),
                &format!("waiting_room.upstream={}", order.core),
                &format!("link.availability_url={}", order.core_grpc),
            ],
        );
        let (stock, payment) = (Some(stock), Some(payment));
        Self { house, sandbox, order, stock, payment, door, settings, stock_listens, payment_listens }
    }

    async fn are_ready(&self) {
        until("the orders know the door's keys", || async {
            let ready = reqwest::get(format!("{}/readyz", self.order.operator)).await;
            ready.is_ok_and(|ready| ready.status() == StatusCode::OK)
        })
        .await;
    }

    fn kill_payment(&mut self) {
        self.payment.take().expect("it runs").kill();
    }

    fn start_payment(&mut self) {
        self.payment = Some(part(&self.house, "payment", &self.settings, &[&self.payment_listens]));
    }

    fn kill_stock(&mut self) {
        self.stock.take().expect("it runs").kill();
    }

    fn start_stock(&mut self) {
        self.stock = Some(part(&self.house, "stock", &self.settings, &[&self.stock_listens]));
    }

    /// The checker finds nothing wrong.
    fn books_agree(&self, database: &str) {
        let books = concat!(env!("CARGO_MANIFEST_DIR"), "/k6/books.py");
        let ledger = self.house.path().join("data/sandbox.db");
        let asked = Command::new("python3").args([books, database]).arg(ledger).output().expect("python3 runs");
        let said = String::from_utf8_lossy(&asked.stdout);
        assert!(asked.status.success() && said.contains("ok  C4 outbox"), "{said}");
    }
}

fn part(house: &House, name: &str, settings: &[String], more: &[&str]) -> Running {
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain(more.iter().copied()).collect();
    house.start_role(&["core", "--services", name], &settings)
}

/// A checked-out order over this seat, and how paying it was answered.
async fn order_and_pay(app: &App, seat: &str, payment: &serde_json::Value) -> (String, StatusCode) {
    let (status, hold) = app.hold(&[seat]).await;
    assert_eq!(status, StatusCode::CREATED, "{hold}");
    let (status, order) = app.post(&format!("/holds/{}/checkout", id(&hold, "hold_id")), &json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let path = format!("/api/orders/{}", id(&order, "order_id"));
    let (status, _) = app.post(&format!("{path}/pay"), payment).await;
    (path, status)
}

async fn becomes(app: &App, path: &str, state: &str) {
    until(state, || async { app.get(path).await.1["state"] == state }).await;
}

#[tokio::test]
async fn an_order_goes_through_three_processes_and_outlives_each() {
    let (Some(redis), Some(mysql)) = (server("VESTIBULE_TEST_REDIS_URL"), server("VESTIBULE_TEST_MYSQL_URL")) else {
        return;
    };
    let database = database(&mysql, "services");
    let more = [format!("core.database_url={database}"), format!("core.bus={}", redis.replace("/0", "/5"))];
    let mut parts = Parts::start(&more, &[]);
    parts.are_ready().await;
    App::admitted(&parts.door.door).await.buy(&["A1"]).await;
    // A booking ends the visit, so each order has a visitor of its own.
    let (asker, quitter) = (App::admitted(&parts.door.door).await, App::admitted(&parts.door.door).await);

    // The payments are gone: nobody is charged, and nobody is told anything untrue.
    let card = json!({ "payment_method": "credit_card" });
    parts.kill_payment();
    let (asked, status) = order_and_pay(&asker, "A2", &card).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(asker.get(&asked).await.1["state"], "paying");
    let (given_up, _) = order_and_pay(&quitter, "A3", &card).await;
    let (status, cancelled) = quitter.post(&format!("{given_up}/cancel"), &json!({})).await;
    assert_eq!((status, &cancelled["state"]), (StatusCode::OK, &json!("closing")), "{cancelled}");

    // They are back: what was asked for meanwhile is done, in its order, and once.
    parts.start_payment();
    becomes(&asker, &asked, "booked").await;
    becomes(&quitter, &given_up, "released").await;
    let page = json!({ "payment_method": "credit_card", "return_url": "https://app.example/done" });
    let app = App::admitted(&parts.door.door).await;
    let (on_page, _) = order_and_pay(&app, "A4", &page).await;
    let action_url = id(&app.get(&on_page).await.1, "action_url");
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let approved = browser.post(action_url).form(&[("decision", "approve")]).send().await.expect("answers");
    assert_eq!(approved.status(), StatusCode::SEE_OTHER);
    becomes(&app, &on_page, "booked").await;

    parts.books_agree(&database);
    assert!(!parts.sandbox.sandbox.is_empty());
}

/// What one buyer was told.
struct Told {
    orders: Vec<String>,
    /// How often nobody could say.
    come_again: usize,
}

/// Orders a poster under a key until there is a word on it, which is told again under the same key.
async fn order_a_poster(app: &App, key: &str, told: &mut Told) {
    let body = json!({ "lines": [{ "product_id": "poster", "quantity": 1 }] });
    let ask = async || {
        let request = app.request(Method::POST, "/api/orders").header("idempotency-key", key).json(&body);
        let answer = request.send().await.expect("an answer");
        let (status, retry_after) = (answer.status(), answer.headers().contains_key(header::RETRY_AFTER));
        (status, retry_after, answer.json::<Value>().await.expect("JSON"))
    };
    loop {
        let (status, retry_after, answer) = ask().await;
        if status == StatusCode::CREATED {
            told.orders.push(id(&answer, "order_id"));
            let (_, _, again) = ask().await;
            assert_eq!(again["order_id"], answer["order_id"], "one key, one order");
            return;
        }
        assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("busy")), "{answer}");
        assert!(retry_after, "{answer}");
        told.come_again += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Buyers order under keys of their own while the process that takes the orders is killed, again and again.
async fn the_stock_is_killed_under_orders(parts: &mut Parts, kills: usize) -> (usize, Vec<App>) {
    let enough = Arc::new(AtomicBool::new(false));
    let mut buyers = Vec::new();
    for buyer in 0..6 {
        let app = App::admitted(&parts.door.door).await;
        let enough = Arc::clone(&enough);
        buyers.push(tokio::spawn(async move {
            let mut told = Told { orders: Vec::new(), come_again: 0 };
            for n in 0.. {
                if enough.load(Ordering::Relaxed) {
                    break;
                }
                order_a_poster(&app, &format!("buyer-{buyer}-{n}"), &mut told).await;
            }
            (app, told)
        }));
    }
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(400)).await;
        parts.kill_stock();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        parts.start_stock();
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    enough.store(true, Ordering::Relaxed);
    let (mut orders, mut come_again, mut apps) = (Vec::new(), 0, Vec::new());
    for buyer in buyers {
        let (app, told) = buyer.await.expect("a buyer who was told something else");
        orders.extend(told.orders);
        come_again += told.come_again;
        apps.push(app);
    }
    assert!(come_again > 0, "the stock was missed");
    let distinct: BTreeSet<&String> = orders.iter().collect();
    assert_eq!(distinct.len(), orders.len(), "each order is one");
    (orders.len(), apps)
}

#[tokio::test]
async fn orders_of_stock_outlive_the_process_that_takes_them() {
    let (Some(redis), Some(mysql)) = (server("VESTIBULE_TEST_REDIS_URL"), server("VESTIBULE_TEST_MYSQL_URL")) else {
        return;
    };
    let database = database(&mysql, "stock");
    let more = [format!("core.database_url={database}"), format!("core.bus={}", redis.replace("/0", "/6"))];
    let mut parts = Parts::start(&more, &[]);
    parts.are_ready().await;
    let (ordered, mut buyers) = the_stock_is_killed_under_orders(&mut parts, 3).await;
    let app = buyers.pop().expect("a buyer");
    let (_, poster) = app.get("/products/poster").await;
    assert_eq!(
        (&poster["held"], &poster["sold"]),
        (&json!(ordered), &json!(0)),
        "as many as people were told: {poster}"
    );
    let mut told = Told { orders: Vec::new(), come_again: 0 };
    order_a_poster(&app, "one-to-pay", &mut told).await;
    let path = format!("/api/orders/{}", told.orders[0]);
    let (status, paid) = app.post(&format!("{path}/pay"), &json!({ "payment_method": "credit_card" })).await;
    assert_eq!((status, &paid["state"]), (StatusCode::OK, &json!("booked")), "{paid}");
    parts.books_agree(&database);
}

#[tokio::test]
async fn nobody_waits_for_the_payments_next_look() {
    // By itself this process would look once a minute, and nobody waits that long here.
    let mut parts = Parts::start(&[], &["core.sweep_interval_ms=60000"]);
    parts.are_ready().await;
    let app = App::admitted(&parts.door.door).await;
    let charge =
        json!({ "amount": 1000, "currency": "USD", "payment_method": "credit_card", "description": "Order #1234" });
    let (status, charge) = app.post("/charge_create", &charge).await;
    assert_eq!(status, StatusCode::CREATED, "{charge}");
    let charge = format!("/transactions/{}", id(&charge, "transaction_id"));
    until("the charge is made", || async { app.get(&charge).await.1["status"] == "completed" }).await;

    let card = json!({ "payment_method": "credit_card" });
    let (asked, _) = order_and_pay(&app, "A1", &card).await;
    becomes(&app, &asked, "booked").await;

    // A page at the provider: its webhook comes to the orders, who tell the payments.
    let app = App::admitted(&parts.door.door).await;
    let page = json!({ "payment_method": "credit_card", "return_url": "https://app.example/done" });
    let (on_page, _) = order_and_pay(&app, "A2", &page).await;
    until("the page is known", || async { app.get(&on_page).await.1["action_url"].is_string() }).await;
    let action_url = id(&app.get(&on_page).await.1, "action_url");
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let approve = browser.post(action_url).form(&[("decision", "approve")]);
    assert_eq!(approve.send().await.expect("answers").status(), StatusCode::SEE_OTHER);
    becomes(&app, &on_page, "booked").await;

    // On one SQLite file the stock can go as well.
    let (ordered, buyers) = the_stock_is_killed_under_orders(&mut parts, 1).await;
    let (_, poster) = buyers[0].get("/products/poster").await;
    assert_eq!(poster["held"], json!(ordered), "as many as people were told: {poster}");
    parts.books_agree(&parts.house.path().join("data/core.db").display().to_string());
}
