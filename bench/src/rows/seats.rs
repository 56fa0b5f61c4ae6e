//! Seat holds under contention: 64 clients want 4 seats each of the same 24, in the order in which people click, and the 24
//! move on through the hall. Who gets them gives them back; a judge reads the database all the while.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{MySql, Pool, Sqlite};
use tokio::task::LocalSet;

use super::Finding;
use crate::core::{self, JSON};
use crate::http::{Connection, request, request_with};
use crate::servers::Bench;

const CLIENTS: usize = 64;
const WINDOW: usize = 24;
const WANTED: usize = 4;
const SCREENING: &str = "lighthouse-1900";
/// The 24 move on by so many seats so often.
const STEP: usize = 4;
const STEP_EVERY: Duration = Duration::from_millis(500);
const JUDGE_EVERY: Duration = Duration::from_millis(200);

/// Holds that have anything but all of their seats, or seats that belong to no living hold: there is never one.
const PARTIAL: &str = "\
    select (select count(*) from reservation r where r.state = 'held' and
              (select count(*) from seat s where s.reservation_id = r.id) <> 4)
         + (select count(*) from seat s left join reservation r on r.id = s.reservation_id
             where s.reservation_id is not null and (r.id is null or r.state <> 'held'))";
const DEADLOCKS: &str = "select cast(variable_value as signed) from information_schema.global_status \
                         where variable_name = 'INNODB_DEADLOCKS'";

enum Books {
    MariaDb(Pool<MySql>),
    Sqlite(Pool<Sqlite>),
}

impl Books {
    async fn partial(&self) -> Result<i64> {
        Ok(match self {
            Books::MariaDb(pool) => sqlx::query_scalar(PARTIAL).fetch_one(pool).await?,
            Books::Sqlite(pool) => sqlx::query_scalar(PARTIAL).fetch_one(pool).await?,
        })
    }
}

#[derive(Default)]
struct Seen {
    held: u64,
    taken: u64,
    /// Answers that say neither: what the database made of it has come through.
    surfaced: Vec<String>,
    took_ms: Vec<f64>,
}

pub(super) async fn measure(bench: &Bench) -> Result<Finding> {
    let server = bench.mariadb().await?;
    let url = format!("mysql://vestibule:vestibule@{}/core", server.address);
    let on_mariadb = core::start(bench, &url).await?;
    let pool = MySqlPoolOptions::new().max_connections(2).connect(&url).await?;
    let books = Books::MariaDb(pool.clone());
    let (mut held, first) = contend(bench, on_mariadb.address, &books).await?;
    let deadlocks: i64 = sqlx::query_scalar(DEADLOCKS).fetch_one(&pool).await?;
    drop((on_mariadb, server));

    let file: PathBuf = bench.folder("core-sqlite")?.join("core.db");
    let on_sqlite = core::start(bench, &format!("sqlite://{}", file.display())).await?;
    core::customer(on_sqlite.address, "first").await?;
    let options = SqliteConnectOptions::new().filename(&file).read_only(true).busy_timeout(Duration::from_secs(5));
    let books = Books::Sqlite(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?);
    let (well, second) = contend(bench, on_sqlite.address, &books).await?;
    held &= well;
    let finding = Finding::new(held, format!("MariaDB: {first}; SQLite: {second}"));
    Ok(finding.note(format!("MariaDB ended {deadlocks} deadlocks, which were repeated and seen by nobody")))
}

/// Whether it held, and the figures.
async fn contend(bench: &Bench, address: SocketAddr, books: &Books) -> Result<(bool, String)> {
    let mut customers = Vec::new();
    for client in 0..CLIENTS {
        customers.push(core::customer(address, &format!("client-{client}")).await?);
    }
    let seats = free_seats(address).await?;
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let (began, length) = (Instant::now(), Duration::from_secs(bench.runs(20, 4)));
    let end = began + length;
    let local = LocalSet::new();
    let clients: Vec<_> = customers
        .into_iter()
        .enumerate()
        .map(|(client, bearer)| {
            let (seen, seats) = (Rc::clone(&seen), seats.clone());
            local.spawn_local(async move { click(address, client, &bearer, &seats, (began, end), &seen).await })
        })
        .collect();
    let partial = local.run_until(async {
        let mut partial = 0;
        while Instant::now() < end {
            partial += books.partial().await?;
            tokio::time::sleep(JUDGE_EVERY).await;
        }
        for client in clients {
            client.await??;
        }
        Ok::<_, anyhow::Error>(partial + books.partial().await?)
    });
    let partial = partial.await?;
    let mut seen = seen.take();
    seen.took_ms.sort_by(f64::total_cmp);
    let p95 = seen.took_ms.get(seen.took_ms.len() * 95 / 100).copied().context("nobody got a seat")?;
    let text = format!(
        "{} holds of {WANTED} ({:.0} a second, p95 {p95:.0} ms), {} told that theirs are taken, {} deadlocks surfaced, \
         {partial} partial holds",
        seen.held,
        seen.held as f64 / length.as_secs_f64(),
        seen.taken,
        seen.surfaced.len(),
    );
    if let Some(first) = seen.surfaced.first() {
        bail!("{text}; the first that surfaced: {first}");
    }
    Ok((partial == 0 && seen.held > 0, text))
}

async fn free_seats(address: SocketAddr) -> Result<Vec<String>> {
    let mut connection = Connection::open(address).await?;
    let ask = request("GET", &format!("/screenings/{SCREENING}/seats"), &[("accept", "application/json")]);
    let map = connection.send(&ask).await?.json();
    let all = map["seats"].as_array().context("no seat map")?;
    let free = all.iter().filter(|seat| seat["state"] == "free").filter_map(|seat| seat["seat"].as_str());
    Ok(free.map(str::to_owned).collect())
}

/// One client until the end.
async fn click(
    address: SocketAddr,
    client: usize,
    bearer: &str,
    seats: &[String],
    (began, end): (Instant, Instant),
    seen: &RefCell<Seen>,
) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let headers = [JSON, ("accept", "application/json"), ("authorization", bearer)];
    let mut dice = (client as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    while Instant::now() < end {
        let from = usize::try_from(began.elapsed().as_millis() / STEP_EVERY.as_millis())? * STEP;
        let body = json!({ "seats": wish(seats, from, &mut dice) }).to_string();
        let sent = Instant::now();
        let reply =
            connection.send(&request_with("POST", &format!("/screenings/{SCREENING}/holds"), &headers, &body)).await?;
        let (status, said) = (reply.status, reply.json());
        match (status, said["code"].as_str(), said["hold_id"].as_str()) {
            (201, _, Some(hold)) => {
                {
                    let mut seen = seen.borrow_mut();
                    seen.held += 1;
                    seen.took_ms.push(sent.elapsed().as_secs_f64() * 1e3);
                }
                let back = connection.send(&request("DELETE", &format!("/holds/{hold}"), &headers)).await?;
                if !(200..300).contains(&back.status) {
                    let said = String::from_utf8_lossy(back.body).into_owned();
                    seen.borrow_mut().surfaced.push(format!("giving back: {} {said}", back.status));
                }
            }
            (409, Some("seats_taken"), _) => seen.borrow_mut().taken += 1,
            _ => seen.borrow_mut().surfaced.push(format!("{status} {said}")),
        }
    }
    Ok(())
}

/// Four different seats of the window, in no order.
fn wish<'a>(seats: &'a [String], from: usize, dice: &mut u64) -> Vec<&'a String> {
    let mut wanted = Vec::with_capacity(WANTED);
    while wanted.len() < WANTED {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let seat = &seats[(from + (*dice >> 33) as usize % WINDOW) % seats.len()];
        if !wanted.contains(&seat) {
            wanted.push(seat);
        }
    }
    wanted
}
