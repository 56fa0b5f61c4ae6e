//! The parts of the core as processes of their own, on MariaDB and Redis Streams.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{App, House, Running, id, until};
use crate::journey::FAST;
use crate::roles::{database, server};
use crate::wire::free_port;

struct Parts {
    house: House,
    sandbox: Running,
    order: Running,
    _stock: Running,
    payment: Running,
    door: Running,
    /// What each part of the core is told.
    settings: Vec<String>,
    database: String,
}

impl Parts {
    fn start(database: String, bus: &str) -> Self {
        let house = House::new();
        let (door_port, order_port, sandbox_port) = (free_port(), free_port(), free_port());
        let sandbox = house.start_role(
            &["sandbox"],
            &[
                &format!("listen.sandbox=127.0.0.1:{sandbox_port}"),
                &format!("sandbox.webhook_url=http://127.0.0.1:{order_port}/webhooks/sandbox"),
            ],
        );
        let settings = vec![
            FAST.to_owned(),
            format!("core.database_url={database}"),
            format!("core.bus={bus}"),
            format!("core.processor_url={}", sandbox.sandbox),
            String::from("core.processor_timeout_ms=1500"),
            format!("core.public_url=http://127.0.0.1:{door_port}"),
            format!("link.entry_keys_url=http://127.0.0.1:{door_port}/.waiting-room/jwks.json"),
        ];
        let order = part(&house, "order", &settings, &[&format!("listen.core=127.0.0.1:{order_port}")]);
        let (stock, payment) = (part(&house, "stock", &settings, &[]), part(&house, "payment", &settings, &[]));
        let door = house.start_role(
            &["waiting-room"],
            &[
                FAST,
                &format!("listen.door=127.0.0.1:{door_port}"),
                &format!("waiting_room.upstream={}", order.core),
                &format!("link.availability_url={}", order.core_grpc),
            ],
        );
        Self { house, sandbox, order, _stock: stock, payment, door, settings, database }
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
    let mut parts = Parts::start(database(&mysql, "services"), &redis.replace("/0", "/5"));
    until("the orders know the door's keys", || async {
        let ready = reqwest::get(format!("{}/readyz", parts.order.operator)).await;
        ready.is_ok_and(|ready| ready.status() == StatusCode::OK)
    })
    .await;
    App::admitted(&parts.door.door).await.buy(&["A1"]).await;
    // A booking ends the visit, so each order has a visitor of its own.
    let (asker, quitter) = (App::admitted(&parts.door.door).await, App::admitted(&parts.door.door).await);

    // The payments are gone: nobody is charged, and nobody is told anything untrue.
    let card = json!({ "payment_method": "credit_card" });
    let gone = std::mem::replace(&mut parts.payment, part(&parts.house, "stock", &parts.settings, &[]));
    gone.kill();
    let (asked, status) = order_and_pay(&asker, "A2", &card).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(asker.get(&asked).await.1["state"], "paying");
    let (given_up, _) = order_and_pay(&quitter, "A3", &card).await;
    let (status, cancelled) = quitter.post(&format!("{given_up}/cancel"), &json!({})).await;
    assert_eq!((status, &cancelled["state"]), (StatusCode::OK, &json!("closing")), "{cancelled}");

    // They are back: what was asked for meanwhile is done, in its order, and once.
    parts.payment = part(&parts.house, "payment", &parts.settings, &[]);
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

    let books = concat!(env!("CARGO_MANIFEST_DIR"), "/k6/books.py");
    let ledger = parts.house.path().join("data/sandbox.db");
    let asked = Command::new("python3").args([books, &parts.database]).arg(ledger).output().expect("python3 runs");
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success() && said.contains("ok  C4 outbox"), "{said}");
    assert!(!parts.sandbox.sandbox.is_empty());
}
