//! The two roles as processes of their own, on Redis (single and cluster) and MariaDB, as in `deploy/example.toml`.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{App, House, Running, SCREENING, id, read, until};
use crate::journey::FAST;
use crate::wire::free_port;

/// A server that `deploy/verify` started. Without it a story is skipped, loudly; in CI that is a failure.
#[expect(clippy::disallowed_methods, reason = "where deploy/verify started its servers")]
pub(crate) fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set: run deploy/verify");
        eprintln!("skipped: {variable} is not set; deploy/verify starts the server and sets it");
    }
    found
}

/// A database of this story alone.
pub(crate) fn database(server: &str, name: &str) -> String {
    let name = format!("story_{name}_{}", std::process::id());
    let (login, address) = server.trim_start_matches("mysql://").split_once('@').expect("user:password@host:port");
    let (user, password) = login.split_once(':').expect("user:password");
    let (host, port) = address.split_once(':').expect("host:port");
    let made = Command::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "-h", host, "-P", port, "-u", user, &format!("-p{password}")])
        .args(["-e", &format!("create database {name}")])
        .status()
        .expect("the mariadb client runs");
    assert!(made.success());
    format!("{server}/{name}")
}

struct Apart {
    _sandbox: Running,
    core: Running,
    door: Running,
    _houses: [House; 1],
}

/// Sandbox, core and door as three processes that share only their keys and their servers.
fn apart(store: &str, database: &str) -> Apart {
    let house = House::new();
    let of = |url: &str| url.trim_start_matches("http://").to_owned();
    let any_door = free_port();
    let sandbox_port = free_port();
    let core_port = free_port();
    let sandbox = house.start_role(
        &["sandbox"],
        &[
            &format!("listen.sandbox=127.0.0.1:{sandbox_port}"),
            &format!("sandbox.webhook_url=http://127.0.0.1:{core_port}/webhooks/sandbox"),
        ],
    );
    let core = house.start_role(
        &["core"],
        &[
            FAST,
            &format!("listen.core=127.0.0.1:{core_port}"),
            &format!("core.database_url={database}"),
            &format!("core.processor_url={}", sandbox.sandbox),
            &format!("core.public_url=http://127.0.0.1:{any_door}"),
            &format!("link.entry_keys_url=http://127.0.0.1:{any_door}/.waiting-room/jwks.json"),
        ],
    );
    let door = house.start_role(
        &["waiting-room"],
        &[
            FAST,
            &format!("listen.door=127.0.0.1:{any_door}"),
            &format!("waiting_room.store={store}"),
            &format!("waiting_room.upstream=http://{}", of(&core.core)),
            &format!("link.availability_url=http://{}", of(&core.core_grpc)),
        ],
    );
    Apart { _sandbox: sandbox, core, door, _houses: [house] }
}

async fn whole_journey(apart: &Apart) {
    until("the core knows the door's keys", || async {
        let ready = reqwest::get(format!("{}/readyz", apart.core.operator)).await;
        ready.is_ok_and(|ready| ready.status() == StatusCode::OK)
    })
    .await;
    let app = App::admitted(&apart.door.door).await;
    let order = app.buy(&["A1", "A2"]).await;
    assert_eq!(app.get(&format!("/api/orders/{}", id(&order, "order_id"))).await.1["state"], "booked");
    assert_eq!(App::admitted(&apart.door.door).await.seat_state("A2").await, "sold");

    until("the door tells what is left to sell", || async {
        let mut visitor = App::new(&apart.door.door);
        visitor.join().await["remaining"]["free"].as_u64().is_some()
    })
    .await;

    let mut around = App::new(&apart.core.core);
    around.customer.clone_from(&app.customer);
    let (status, problem) = around.get(&format!("/screenings/{SCREENING}/seats")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("entry_required")), "{problem}");
}

#[tokio::test]
async fn the_roles_apart_on_redis_and_mariadb() {
    let (Some(redis), Some(mysql)) = (server("VESTIBULE_TEST_REDIS_URL"), server("VESTIBULE_TEST_MYSQL_URL")) else {
        return;
    };
    let redis = redis.replace("/0", "/1");
    whole_journey(&apart(&redis, &database(&mysql, "single"))).await;
}

#[tokio::test]
async fn the_roles_apart_on_a_redis_cluster_and_mariadb() {
    let (Some(cluster), Some(mysql)) = (server("VESTIBULE_TEST_REDIS_CLUSTER_URL"), server("VESTIBULE_TEST_MYSQL_URL"))
    else {
        return;
    };
    whole_journey(&apart(&cluster, &database(&mysql, "cluster"))).await;
}

#[tokio::test]
async fn a_door_that_is_killed_comes_back_and_everybody_keeps_their_place() {
    let (Some(redis), Some(mysql)) = (server("VESTIBULE_TEST_REDIS_URL"), server("VESTIBULE_TEST_MYSQL_URL")) else {
        return;
    };
    let redis = redis.replace("/0", "/2");
    let Apart { _sandbox, core, door, _houses: [house] } = apart(&redis, &database(&mysql, "door"));
    door.set_room(&json!({ "rate_per_minute": 3, "burst": 1 })).await;
    let mut apps = Vec::new();
    for _ in 0..15 {
        let mut app = App::new(&door.door);
        let facts = app.join().await;
        if app.entry.is_none() {
            apps.push((app, facts["position"].as_u64()));
        }
    }
    let address = door.door.trim_start_matches("http://").to_owned();
    door.kill();
    let again = house.start_role(
        &["waiting-room"],
        &[
            FAST,
            &format!("listen.door={address}"),
            &format!("waiting_room.store={redis}"),
            &format!("waiting_room.upstream={}", core.core),
        ],
    );
    for (app, before) in &apps {
        let (status, facts) = app.poll().await;
        assert_eq!((status, &facts["rate_per_minute"]), (StatusCode::OK, &json!(3)), "{facts}");
        assert!(facts["position"].as_u64() <= *before, "{facts}");
    }
    let (status, films) = read(reqwest::Client::new().get(format!("{}/films", again.door))).await;
    assert_eq!(status, StatusCode::OK, "{films}");
}
