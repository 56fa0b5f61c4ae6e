//! Both dialects end in the same tables and columns, and twice is no more than once.

use std::collections::BTreeSet;

use super::MIGRATIONS;
use crate::catalogue::{self, Catalogue, Seeded};
use crate::db::{Sql, params};
use crate::testing::{World, on_every_database};

const COLUMNS: Sql = Sql {
    sqlite: "select m.name, c.name from sqlite_schema m join pragma_table_info(m.name) c where m.type = 'table'",
    mysql: "select table_name, column_name from information_schema.columns where table_schema = database()",
};

on_every_database!(migrating_twice_is_fine, the_demo_is_seeded_once);

async fn columns(world: &World) -> BTreeSet<(String, String)> {
    let rows = world.db.rows(COLUMNS, params![]).await.expect("the columns");
    let all = rows.into_iter().map(|mut row| (row.text().expect("a table"), row.text().expect("a column")));
    all.filter(|(table, _)| !table.starts_with("_sqlx") && !table.starts_with("sqlite_")).collect()
}

#[tokio::test]
async fn both_dialects_end_in_the_same_schema() {
    let Some(mariadb) = World::mariadb().await else { return };
    let (mysql, sqlite) = (columns(&mariadb).await, columns(&World::sqlite().await).await);
    assert!(mysql.len() > 80, "{}", mysql.len());
    assert_eq!(mysql, sqlite);
    mariadb.close().await;
}

async fn migrating_twice_is_fine(world: &World) {
    world.db.migrate(&MIGRATIONS).await.expect("nothing to do");
}

async fn the_demo_is_seeded_once(world: &World) {
    let demo = Catalogue::demo(1_700_000_000_000);
    let first = catalogue::seed(&world.db, &demo).await.expect("seeded");
    let seats = world.count("select count(*) from seat").await.unsigned_abs();
    let new = Seeded { sales: 1, films: 3, screenings: 6, products: 1, seats, campaigns: 1, differences: Vec::new() };
    assert_eq!(first, new);
    assert_eq!(catalogue::seed(&world.db, &demo).await.expect("seeded"), Seeded::default());
    let hall = catalogue::screening(&world.db, "lighthouse-1900").await.expect("a read").expect("a screening");
    assert!((190..=210).contains(&hall.left.total()), "{:?}", hall.left);
    assert_eq!(world.count("select count(*) from seat where kind = 'wheelchair'").await, 6 * 4);
    let left = catalogue::remaining(&world.db).await.expect("the rest");
    assert_eq!(left[0].left.free, hall.left.total() * 6 + 100);
}

/// What the first release's schema holds of an order that is booked and paid.
const SOLD: &str = "\
    insert into sale (id, title, currency, hold_ms, pay_ms, seats_max) values ('s', 'S', 'EUR', 1, 1, 8);
    insert into customer (id, email, password_hash, created_at) values ('cccccccccccccccc', 'e', 'p', 1);
    insert into product (id, sale_id, title, price, per_order_max, place) values ('p', 's', 'P', 5, 4, 0);
    insert into stock (product_id, capacity, available, held, sold) values ('p', 3, 2, 0, 1);
    insert into reservation (id, sale_id, customer_id, state, pay_ms, amount, currency, version, created_at, updated_at)
        values ('rrrrrrrrrrrrrrrr', 's', 'cccccccccccccccc', 'booked', 1, 5, 'EUR', 4, 1, 1);
    insert into reservation_line (reservation_id, line_no, product_id, title, quantity, price)
        values ('rrrrrrrrrrrrrrrr', 1, 'p', 'P', 1, 5);
    insert into stock_movement (reservation_id, line_no, kind, product_id, quantity, at_ms)
        values ('rrrrrrrrrrrrrrrr', 1, 'hold', 'p', 1, 1), ('rrrrrrrrrrrrrrrr', 1, 'sell', 'p', 1, 2);";

/// Tables that 0003 makes anew keep every row, and what refers to them still finds it.
const KEPT: &str = "\
    select count(*) from reservation r
      join reservation_line l on l.reservation_id = r.id
      join stock_movement m on m.reservation_id = r.id and m.line_no = l.line_no
     where r.state = 'booked' and r.extended = 0 and m.kind in ('hold', 'sell')";

/// The parts of the schema that were there, then rows, then 0003; then whether a row that refers to nothing is refused.
macro_rules! kept_by_0003 {
    ($connection:expr, $dialect:literal, $blob:expr) => {{
        use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
        let mut tx = $connection.begin().await.expect("a transaction");
        for text in [
            include_str!(concat!("../../../migrations/", $dialect, "/0001_core.sql")).to_owned(),
            include_str!(concat!("../../../migrations/", $dialect, "/0002_payments.sql")).to_owned(),
            $blob(SOLD),
        ] {
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *tx).await.expect("as it was");
        }
        tx.commit().await.expect("as it was");
        let mut tx = $connection.begin().await.expect("a transaction");
        let next = include_str!(concat!("../../../migrations/", $dialect, "/0003_catalogue.sql"));
        sqlx::raw_sql(next).execute(&mut *tx).await.expect("migrated");
        tx.commit().await.expect("nothing refers to what is not there");
        let kept: i64 = $connection.fetch_one(KEPT).await.expect("a count").get(0);
        assert_eq!(kept, 2);
        let orphan = $blob("update reservation_line set reservation_id = 'xxxxxxxxxxxxxxxx'");
        assert!(sqlx::raw_sql(AssertSqlSafe(orphan)).execute(&mut $connection).await.is_err(), "the key still holds");
        let done = $blob("update reservation set state = 'cancelled' where id = 'rrrrrrrrrrrrrrrr'");
        let done = sqlx::raw_sql(AssertSqlSafe(done)).execute(&mut $connection).await.expect("a new state");
        assert_eq!(done.rows_affected(), 1);
    }};
}

#[tokio::test]
async fn what_was_sold_before_is_there_after_on_sqlite() {
    use sqlx::Connection as _;
    let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.expect("a database");
    // Ids are bytes there, and text is none.
    let blob = |text: &str| {
        ["cccccccccccccccc", "rrrrrrrrrrrrrrrr", "xxxxxxxxxxxxxxxx"]
            .into_iter()
            .fold(text.to_owned(), |text, id| text.replace(&format!("'{id}'"), &format!("cast('{id}' as blob)")))
    };
    kept_by_0003!(connection, "sqlite", blob);
}

#[tokio::test]
async fn what_was_sold_before_is_there_after_on_mariadb() {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
    let Some(server) = crate::testing::mysql_url() else { return };
    let name = format!("core_{:016x}", rand::random::<u64>());
    let mut connection = sqlx::MySqlConnection::connect(&server).await.expect("the test server");
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a database");
    let url = format!("{}/{name}", server.trim_end_matches('/'));
    let mut connection = sqlx::MySqlConnection::connect(&url).await.expect("the database");
    kept_by_0003!(connection, "mysql", str::to_owned);
    connection.execute(AssertSqlSafe(format!("drop database {name}"))).await.expect("no database");
}
