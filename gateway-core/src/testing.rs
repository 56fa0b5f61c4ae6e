//! Databases for tests: a fresh one for each, on SQLite always, and on MariaDB where `VESTIBULE_TEST_MYSQL_URL` names
//! a server. At the end of a story the books must agree.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};

use crate::base::{Clock, CustomerId};
use crate::catalogue::{self, Campaign, Catalogue, FilmEntry, Hall, HallRow, ProductEntry, SaleEntry, ScreeningEntry};
use crate::coupon::Coupons;
use crate::db::{Db, DbError, in_tx, params};
use crate::replay::Replays;
use crate::reservation::StockOrders;
use crate::schema;

/// Runs each story on each database.
macro_rules! on_every_database {
    ($($story:ident),* $(,)?) => {
        mod on_sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let world = $crate::testing::World::sqlite().await;
                super::$story(&world).await;
                world.the_books_agree().await;
                world.close().await;
            }
        )* }
        mod on_mariadb { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let Some(world) = $crate::testing::World::mariadb().await else { return };
                super::$story(&world).await;
                world.the_books_agree().await;
                world.close().await;
            }
        )* }
    };
}
pub(crate) use on_every_database;

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) stock: StockOrders,
    pub(crate) coupons: Coupons,
    pub(crate) replays: Replays,
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
}

pub(crate) fn clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "a test stands where the binary does: it injects the clock")]
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        i64::try_from(since.as_millis()).expect("before the far future")
    })
}

/// The server to test on, if there is one. In CI there must be.
pub(crate) fn mysql_url() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings file")]
    let (url, ci) = (std::env::var("VESTIBULE_TEST_MYSQL_URL"), std::env::var("CI"));
    if url.is_err() {
        assert!(ci.as_deref() != Ok("true"), "CI needs VESTIBULE_TEST_MYSQL_URL");
        #[expect(clippy::print_stderr, reason = "a skipped leg is loud")]
        {
            eprintln!("SKIPPED on MariaDB: VESTIBULE_TEST_MYSQL_URL is not set");
        }
    }
    url.ok()
}

/// How many random events a machine is tried with.
#[expect(clippy::disallowed_methods, reason = "how long tests take is not a setting of the program")]
pub(crate) fn events() -> u64 {
    std::env::var("VESTIBULE_TEST_EVENTS").ok().and_then(|events| events.parse().ok()).unwrap_or(1_000_000)
}

/// Says what a story came to, as a line that `deploy/bench` reads.
#[expect(clippy::print_stderr, reason = "it is read from there")]
pub(crate) fn tell(story: &str, mut figures: serde_json::Value) {
    figures["story"] = story.into();
    eprintln!("\n{figures}");
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("core.db").display());
        Self::at(url, Some(folder)).await
    }

    pub(crate) async fn mariadb() -> Option<Self> {
        let server = mysql_url()?;
        let name = format!("core_{:016x}", rand::random::<u64>());
        let mut connection = MySqlConnection::connect(&server).await.expect("the test server");
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a database");
        Some(Self::at(format!("{}/{name}", server.trim_end_matches('/')), None).await)
    }

    async fn at(url: String, folder: Option<tempfile::TempDir>) -> Self {
        let db = Db::connect(&url, clock()).await.expect("a database");
        db.migrate(&schema::MIGRATIONS).await.expect("migrations");
        Self {
            stock: StockOrders::on(db.clone()),
            coupons: Coupons::on(db.clone()),
            replays: Replays::on(&db, db.answering(false)),
            db,
            url,
            _folder: folder,
        }
    }

    /// Takes a database on a server away again. After a failure it stays, to be looked at.
    pub(crate) async fn close(self) {
        if let Some((server, name)) = self.url.rsplit_once('/').filter(|(server, _)| server.starts_with("mysql")) {
            let mut connection = MySqlConnection::connect(server).await.expect("the test server");
            connection.execute(AssertSqlSafe(format!("drop database {name}"))).await.expect("no database");
        }
    }

    /// A sale: screening `s` with seats A1–A10 and B1–B10, ten of product `p`, five coupons of `c`.
    pub(crate) async fn sale(&self, hold_ms: i64, pay_ms: i64) {
        self.sale_of(&small(hold_ms, pay_ms)).await;
    }

    /// Any sale.
    pub(crate) async fn sale_of(&self, catalogue: &Catalogue) {
        catalogue::seed(&self.db, catalogue).await.expect("a catalogue");
    }

    pub(crate) async fn customer(&self) -> CustomerId {
        let id = CustomerId::derived(rand::random());
        let email = format!("{id}@example.org");
        let done: Result<u64, DbError> = in_tx!(self.db, tx, {
            let values = params![id, email.as_str(), "x", 0_i64];
            tx.execute("insert into customer (id, email, password_hash, created_at) values (?, ?, ?, ?)", values).await
        });
        done.expect("a customer");
        id
    }

    /// Ends a campaign now, by the database's clock.
    pub(crate) async fn end_campaign(&self, campaign: &str) {
        let done: Result<u64, DbError> = in_tx!(self.db, tx, {
            tx.execute("update campaign set ends_at = ? where id = ?", params![tx.now_ms(), campaign]).await
        });
        assert_eq!(done.expect("a campaign"), 1);
    }

    /// A number that a statement counts.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        self.db.row(sql, params![]).await.expect("a row").expect("one row").int().expect("a number")
    }

    /// Nothing is kept, sold or free that the reservations do not account for.
    pub(crate) async fn the_books_agree(&self) {
        const PAIRS: [(&str, &str, &str); 5] = [
            (
                "coupons in use",
                "select count(*) from coupon_use u join reservation r on r.id = u.reservation_id \
                  where r.coupon_code = u.code",
                "select count(*) from reservation \
                  where coupon_code is not null and state in ('checkout', 'paying', 'closing', 'review', 'booked')",
            ),
            (
                "stock held",
                "select cast(coalesce(sum(held), 0) as signed) from stock",
                "select cast(coalesce(sum(l.quantity), 0) as signed) from reservation_line l \
                   join reservation r on r.id = l.reservation_id \
                  where l.product_id is not null \
                    and r.state in ('held', 'checkout', 'paying', 'closing', 'review')",
            ),
            (
                "stock sold",
                "select cast(coalesce(sum(sold), 0) as signed) from stock",
                "select cast(coalesce(sum(l.quantity), 0) as signed) from reservation_line l \
                   join reservation r on r.id = l.reservation_id \
                  where l.product_id is not null and r.state = 'booked'",
            ),
            (
                "seats kept",
                "select count(*) from seat where state in ('held', 'pending')",
                "select count(*) from reservation_line l join reservation r on r.id = l.reservation_id \
                  where l.seat_no is not null and r.state in ('held', 'checkout', 'paying', 'closing', 'review')",
            ),
            (
                "seats sold",
                "select count(*) from seat where state = 'sold'",
                "select count(*) from reservation_line l join reservation r on r.id = l.reservation_id \
                  where l.seat_no is not null and r.state = 'booked'",
            ),
        ];
        for (what, left, right) in PAIRS {
            assert_eq!(self.count(left).await, self.count(right).await, "{what}");
        }
        let broken = "select count(*) from stock where available + held + sold <> capacity or available < 0";
        assert_eq!(self.count(broken).await, 0);
        let dead = "select count(*) from coupon_use u join reservation r on r.id = u.reservation_id \
                     where r.state not in ('checkout', 'paying', 'closing', 'review', 'booked')";
        assert_eq!(self.count(dead).await, 0, "coupons kept by dead orders");
    }
}

/// A catalogue small enough to sell out.
pub(crate) fn small(hold_ms: i64, pay_ms: i64) -> Catalogue {
    let row = |row: &str| HallRow {
        row: row.to_owned(),
        section: String::from("Stalls"),
        price: 1_250,
        seats: String::from("sssss.sssss"),
    };
    let text = String::from;
    Catalogue {
        films: vec![FilmEntry {
            id: text("f"),
            title: text("Film"),
            synopsis: text("Something happens."),
            genre: text("Drama"),
            minutes: 90,
            poster_url: text("/static/posters/f.svg"),
        }],
        halls: vec![Hall { name: text("Hall"), rows: vec![row("A"), row("B")] }],
        sales: vec![SaleEntry {
            id: text("sale"),
            title: text("Sale"),
            currency: text("EUR"),
            hold_ms,
            pay_ms,
            seats_max: 8,
            screenings: vec![ScreeningEntry { id: text("s"), film: text("f"), hall: text("Hall"), starts_at: 0 }],
            products: vec![ProductEntry {
                id: text("p"),
                title: text("Poster"),
                price: 500,
                per_order_max: 4,
                stock: 10,
                per_customer_max: None,
            }],
            campaigns: vec![Campaign { id: text("c"), coupons: 5, percent_off_bp: 1_250, ..Campaign::default() }],
            ..SaleEntry::default()
        }],
    }
}
