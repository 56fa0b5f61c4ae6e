//! Orders a second of one hot item: over HTTP through a core as it is, and straight against the same database with one
//! transaction for each order, on the same tables.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rusqlite::{Transaction, TransactionBehavior};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{MySql, Pool};
use tokio::task::LocalSet;

use super::Finding;
use crate::core::{self, JSON};
use crate::figure::Figures;
use crate::http::{Connection, request_with};
use crate::servers::Bench;

const CONNECTIONS: usize = 256;
const TIMES_MARIADB: f64 = 3.0;
const P95_MAX: Duration = Duration::from_millis(150);
/// How many times SQLite must be beaten on a disk that syncs fast, and on one that syncs slowly; between them, in proportion.
const TIMES_SQLITE: (f64, f64) = (1.5, 10.0);
const SYNC_MS: (f64, f64) = (0.2, 1.0);
/// More than any run sells.
const STOCK: i64 = 100_000_000;

const STOCK_UP: &str =
    "update stock set capacity = capacity + ?, available = available + ? where product_id = 'poster'";
const CUSTOMER: &str = "select id from customer limit 1";
const SOLD: &str = "select held from stock where product_id = 'poster'";
const STORED: &str = "select cast(sum(quantity) as signed) from stock_movement where product_id = 'poster'";

const INSERT: &str = "\
    insert into reservation (id, sale_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, version,
                             created_at, updated_at)
    values (?, 'demo', ?, 'checkout', ?, ?, 420000, 2500, 'EUR', 1, 0, 0)";
const INSERT_LINE: &str = "\
    insert into reservation_line (reservation_id, line_no, product_id, title, quantity, price)
    values (?, 1, 'poster', 'Signed poster', 1, 2500)";
const MOVED: &str = "\
    insert into stock_movement (reservation_id, line_no, kind, product_id, quantity, at_ms)
    values (?, 1, 'hold', 'poster', 1, 0)";
const TAKE: &str = "update stock set available = available - 1, held = held + 1 where product_id = 'poster'";
const LOOK: &str = "select available from stock where product_id = 'poster'";
const LOOK_LOCKED: &str = "select available from stock where product_id = 'poster' for update";
const FAR_AWAY: i64 = i64::MAX / 2;

pub(super) async fn mariadb(bench: &Bench) -> Result<Finding> {
    let server = bench.mariadb().await?;
    let url = format!("mysql://vestibule:vestibule@{}/core", server.address);
    let pool = MySqlPoolOptions::new().max_connections(32).connect(&url).await?;
    let core = core::start(bench, &url).await?;
    let order = an_order(core.address).await?;
    sqlx::query(STOCK_UP).bind(STOCK).bind(STOCK).execute(&pool).await?;
    let customer: Vec<u8> = sqlx::query_scalar(CUSTOMER).fetch_one(&pool).await?;
    let mut runs = Runs::default();
    for _ in 0..bench.runs(3, 1) {
        runs.http(core.address, &order, bench.runs(8, 3)).await?;
        // As many connections as serve it best; the reference found 8 as good as 32.
        let mut alone: f64 = 0.0;
        for connections in [8, 32] {
            let seconds = bench.runs(6, 3);
            alone = alone.max(straight(connections, seconds, || one_mariadb(&pool, &customer)).await?);
        }
        runs.alone.push(alone);
    }
    let books: (i64, i64) =
        (sqlx::query_scalar(SOLD).fetch_one(&pool).await?, sqlx::query_scalar(STORED).fetch_one(&pool).await?);
    runs.finding(books, TIMES_MARIADB, Some(P95_MAX), "select for update, straight")
}

pub(super) async fn sqlite(bench: &Bench) -> Result<Finding> {
    let folder = bench.folder("core-sqlite")?;
    let sync_ms = sync_ms(&folder)?;
    let file = folder.join("core.db");
    let core = core::start(bench, &format!("sqlite://{}", file.display())).await?;
    let order = an_order(core.address).await?;
    let books = rusqlite::Connection::open(&file)?;
    for (name, value) in [("journal_mode", "wal"), ("synchronous", "full"), ("foreign_keys", "on")] {
        books.pragma_update(None, name, value)?;
    }
    books.execute(STOCK_UP, (STOCK, STOCK))?;
    let customer: Vec<u8> = books.query_row(CUSTOMER, (), |row| row.get(0))?;
    let mut runs = Runs::default();
    for _ in 0..bench.runs(3, 1) {
        runs.http(core.address, &order, bench.runs(8, 3)).await?;
        runs.alone.push(straight(1, bench.runs(6, 3), || async { one_sqlite(&books, &customer) }).await?);
    }
    let stored = STORED.replace("cast(sum(quantity) as signed)", "sum(quantity)");
    let one = |sql: &str| books.query_row(sql, (), |row| row.get::<_, i64>(0));
    let books = (one(SOLD)?, one(&stored)?);
    let share = ((sync_ms - SYNC_MS.0) / (SYNC_MS.1 - SYNC_MS.0)).clamp(0.0, 1.0);
    let times_min = TIMES_SQLITE.0 + share * (TIMES_SQLITE.1 - TIMES_SQLITE.0);
    let finding = runs.finding(books, times_min, None, "straight")?;
    Ok(Finding {
        measured: format!("{}; a sync takes {sync_ms:.2} ms, so ≥ {times_min:.1}", finding.measured),
        ..finding
    })
}

/// The bytes of an order of one poster by a new customer, without an idempotency key.
async fn an_order(address: SocketAddr) -> Result<Vec<u8>> {
    let bearer = core::customer(address, "bench").await?;
    let body = r#"{"lines":[{"product_id":"poster","quantity":1}]}"#;
    Ok(request_with("POST", "/api/orders", &[JSON, ("authorization", &bearer)], body))
}

#[derive(Default)]
struct Runs {
    grouped: Vec<f64>,
    alone: Vec<f64>,
    p95_ms: Vec<f64>,
    answered: u64,
    notes: Vec<String>,
}

impl Runs {
    /// So many connections, each with its next order as soon as the last one is answered.
    async fn http(&mut self, address: SocketAddr, order: &[u8], seconds: u64) -> Result<()> {
        let took: Rc<RefCell<Vec<f64>>> = Rc::default();
        let local = LocalSet::new();
        let mut tasks = Vec::new();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(address).await?);
        }
        let began = Instant::now();
        let end = began + Duration::from_secs(seconds);
        for mut connection in connections {
            let (took, order) = (Rc::clone(&took), order.to_vec());
            tasks.push(local.spawn_local(async move {
                while Instant::now() < end {
                    let sent = Instant::now();
                    let reply = connection.send(&order).await?;
                    if reply.status != 201 {
                        bail!("{} instead of 201: {}", reply.status, String::from_utf8_lossy(reply.body));
                    }
                    took.borrow_mut().push(sent.elapsed().as_secs_f64() * 1e3);
                }
                Ok(())
            }));
        }
        let all = async {
            for task in tasks {
                task.await??;
            }
            Ok::<(), anyhow::Error>(())
        };
        local.run_until(all).await?;
        let seconds = began.elapsed().as_secs_f64();
        let mut took = took.take();
        took.sort_by(f64::total_cmp);
        let p95 = took.get(took.len() * 95 / 100).copied().context("no order was answered")?;
        self.answered += u64::try_from(took.len())?;
        self.grouped.push(took.len() as f64 / seconds);
        self.p95_ms.push(p95);
        Ok(())
    }

    fn finding(self, books: (i64, i64), times_min: f64, p95_max: Option<Duration>, alone: &str) -> Result<Finding> {
        let pairs = self.grouped.iter().zip(&self.alone);
        let times = Figures::new(pairs.map(|(grouped, alone)| grouped / alone).collect());
        let (grouped, single, p95) = (Figures::new(self.grouped), Figures::new(self.alone), Figures::new(self.p95_ms));
        let exact = books.0 == books.1 && u64::try_from(books.0)? >= self.answered;
        let in_time = p95_max.is_none_or(|max| p95.median() < max.as_secs_f64() * 1e3);
        let measured = format!(
            "{grouped:.0} orders a second over HTTP, {times:.1} times one transaction an order ({single:.0} {alone}); \
             p95 {p95:.0} ms; books {}",
            if exact { "exact" } else { "WRONG" }
        );
        let finding = Finding::new(times.median() >= times_min && in_time && exact, measured);
        Ok(self.notes.into_iter().fold(finding, Finding::note))
    }
}

/// Orders a second, one transaction each, from so many tasks.
async fn straight<F: Future<Output = Result<()>>>(tasks: usize, seconds: u64, one: impl Fn() -> F) -> Result<f64> {
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let count = RefCell::new(0.0);
    let task = || async {
        while Instant::now() < end {
            one().await?;
            *count.borrow_mut() += 1.0;
        }
        Ok::<(), anyhow::Error>(())
    };
    futures_util::future::try_join_all((0..tasks).map(|_| task())).await?;
    Ok(count.take() / began.elapsed().as_secs_f64())
}

/// The way that books teach: look with a lock, write, commit.
async fn one_mariadb(pool: &Pool<MySql>, customer: &[u8]) -> Result<()> {
    let id = uuid::Uuid::now_v7().into_bytes().to_vec();
    let mut tx = pool.begin().await?;
    let available: i64 = sqlx::query_scalar(LOOK_LOCKED).fetch_one(&mut *tx).await?;
    if available < 1 {
        bail!("sold out");
    }
    sqlx::query(INSERT).bind(&id).bind(customer).bind(FAR_AWAY).bind(FAR_AWAY).execute(&mut *tx).await?;
    for statement in [INSERT_LINE, MOVED] {
        sqlx::query(statement).bind(&id).execute(&mut *tx).await?;
    }
    sqlx::query(TAKE).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// The same on SQLite, where the transaction is the lock.
fn one_sqlite(books: &rusqlite::Connection, customer: &[u8]) -> Result<()> {
    let id = uuid::Uuid::now_v7().into_bytes();
    let tx = Transaction::new_unchecked(books, TransactionBehavior::Immediate)?;
    let available: i64 = tx.prepare_cached(LOOK)?.query_row((), |row| row.get(0))?;
    if available < 1 {
        bail!("sold out");
    }
    tx.prepare_cached(INSERT)?.execute((id.as_slice(), customer, FAR_AWAY, FAR_AWAY))?;
    for statement in [INSERT_LINE, MOVED] {
        tx.prepare_cached(statement)?.execute([id.as_slice()])?;
    }
    tx.prepare_cached(TAKE)?.execute(())?;
    Ok(tx.commit()?)
}

/// How long the disk takes to sync 4 KiB, in milliseconds: the median of many.
fn sync_ms(folder: &Path) -> Result<f64> {
    let mut file = File::create(folder.join("sync"))?;
    let mut took = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 4_096])?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Figures::new(took).median())
}
