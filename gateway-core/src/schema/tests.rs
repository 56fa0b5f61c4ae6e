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
