//! The database, asked directly: what stands there is what counts, whatever the core says of it.

use std::collections::BTreeSet;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, MySqlConnection, SqliteConnection};

/// More than any story sells.
const STOCK_UP: &str = "update stock set capacity = capacity + 1000000, available = available + 1000000";
const ORDERS: &str = "select lower(hex(id)) from reservation";

/// Each must find nothing.
const WRONG: [&str; 4] = [
    "select count(*) from stock where available + held + sold <> capacity or available < 0 or held < 0 or sold < 0",
    "select count(*) from stock s where s.held <> (select coalesce(sum(case when m.kind = 'hold' then m.quantity \
     when m.kind in ('sell', 'release') then -m.quantity else 0 end), 0) from stock_movement m \
     where m.product_id = s.product_id)",
    "select count(*) from reservation r where (select count(*) from reservation_line l where l.reservation_id = r.id) <> 1",
    "select count(*) from reservation_line l left join reservation r on r.id = l.reservation_id where r.id is null",
];

pub(crate) enum Books {
    Sqlite(SqliteConnection),
    MariaDb(MySqlConnection),
}

impl Books {
    /// Of `sqlite://path` or `mysql://…`.
    pub(crate) async fn open(url: &str) -> Books {
        if url.starts_with("sqlite") {
            let options: SqliteConnectOptions = url.parse().expect("an address");
            return Books::Sqlite(options.connect().await.expect("the file"));
        }
        let options: MySqlConnectOptions = url.parse().expect("an address");
        Books::MariaDb(options.connect().await.expect("the server"))
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Books::Sqlite(books) => books.execute(sql).await.map(|_| ()),
            Books::MariaDb(books) => books.execute(sql).await.map(|_| ()),
        }
        .expect("a statement");
    }

    pub(crate) async fn stock_up(&mut self) {
        self.run(STOCK_UP).await;
    }

    async fn count(&mut self, sql: &'static str) -> i64 {
        match self {
            Books::Sqlite(books) => sqlx::query_scalar(sql).fetch_one(books).await,
            Books::MariaDb(books) => sqlx::query_scalar(sql).fetch_one(books).await,
        }
        .expect("a count")
    }

    /// The ids of all orders, as the API shows them.
    pub(crate) async fn orders(&mut self) -> BTreeSet<String> {
        let ids: Vec<String> = match self {
            Books::Sqlite(books) => sqlx::query_scalar(ORDERS).fetch_all(books).await,
            Books::MariaDb(books) => sqlx::query_scalar(ORDERS).fetch_all(books).await,
        }
        .expect("orders");
        ids.into_iter().map(|id| format!("order_{id}")).collect()
    }

    /// The sums add up.
    pub(crate) async fn agree(&mut self) {
        for sql in WRONG {
            assert_eq!(self.count(sql).await, 0, "{sql}");
        }
    }
}
