//! Whose time is over, and whose is over next. What keeps a product is found by its deadline, and not by the index of lines by
//! product: that one leads to all that were ever sold.

use std::collections::BTreeMap;

use crate::base::ReservationId;
use crate::db::{Db, DbError, Row, Tx, Value, params};

const LAPSED_ON_PRODUCT: &str = "\
    select r.id
      from reservation r
     where r.state in ('held', 'checkout')
       and r.due_at <= ?
       and case when ? in (select l.product_id
                             from reservation_line l
                            where l.reservation_id = r.id) then 1 else 0 end = 1
     order by r.due_at
     limit ?";

/// Orders first, by their deadline: there are few whose time is over and who still keep something.
const LAPSED_STOCK: &str = "\
    select l.product_id, l.quantity
      from reservation r
     cross join reservation_line l on l.reservation_id = r.id
     where r.state in ('held', 'checkout')
       and r.due_at <= ?
       and l.product_id is not null";

/// Of each of the two states the first by the index, so that a crowd of holds is not gone through.
const NEXT_DUE_ON_PRODUCT: &str = "\
    select min(due_at)
      from (select due_at
              from (select r.due_at
                      from reservation r
                     where r.state = 'held'
                       and r.due_at > ?
                       and case when ? in (select l.product_id
                                             from reservation_line l
                                            where l.reservation_id = r.id) then 1 else 0 end = 1
                     order by r.due_at
                     limit 1) held
             union all
            select due_at
              from (select r.due_at
                      from reservation r
                     where r.state = 'checkout'
                       and r.due_at > ?
                       and case when ? in (select l.product_id
                                             from reservation_line l
                                            where l.reservation_id = r.id) then 1 else 0 end = 1
                     order by r.due_at
                     limit 1) ordered) next_due";

const NEXT_FREE_OF_SCREENING: &str = "\
    select min(free_after)
      from seat
     where screening_id = ?
       and state in ('held', 'pending')
       and free_after > ?";

fn next_due(product: &str, now_ms: i64) -> Vec<Value> {
    params![now_ms, product, now_ms, product]
}

fn first(row: Option<Row>) -> Result<Option<i64>, DbError> {
    row.map_or(Ok(None), |mut row| row.int_or_null())
}

pub(in crate::reservation) async fn next_due_on(tx: &mut Tx, product: &str) -> Result<Option<i64>, DbError> {
    let values = next_due(product, tx.now_ms());
    first(tx.row(NEXT_DUE_ON_PRODUCT, values).await?)
}

/// The same, for showing.
pub(in crate::reservation) async fn next_due_of(db: &Db, product: &str, now_ms: i64) -> Result<Option<i64>, DbError> {
    first(db.row(NEXT_DUE_ON_PRODUCT, next_due(product, now_ms)).await?)
}

pub(in crate::reservation) async fn next_free_of(
    db: &Db,
    screening: &str,
    now_ms: i64,
) -> Result<Option<i64>, DbError> {
    first(db.row(NEXT_FREE_OF_SCREENING, params![screening, now_ms]).await?)
}

pub(in crate::reservation) async fn lapsed_on(
    tx: &mut Tx,
    product: &str,
    limit: i64,
) -> Result<Vec<ReservationId>, DbError> {
    let rows = tx.rows(LAPSED_ON_PRODUCT, params![tx.now_ms(), product, limit]).await?;
    rows.into_iter().map(|mut row| row.reservation_id()).collect()
}

/// How many of each product are kept beyond their deadline.
pub(in crate::reservation) async fn lapsed_stock(tx: &mut Tx) -> Result<BTreeMap<String, i64>, DbError> {
    let mut lapsed: BTreeMap<String, i64> = BTreeMap::new();
    for mut row in tx.rows(LAPSED_STOCK, params![tx.now_ms()]).await? {
        let (product, quantity) = (row.text()?, row.int()?);
        *lapsed.entry(product).or_default() += quantity;
    }
    Ok(lapsed)
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn nothing_goes_through_all_that_were_ever_sold() {
        let world = World::sqlite().await;
        let mut connection = SqliteConnection::connect(&world.url).await.expect("the database");
        for statement in [LAPSED_ON_PRODUCT, LAPSED_STOCK, NEXT_DUE_ON_PRODUCT] {
            let explain = sqlx::query(AssertSqlSafe(format!("explain query plan {statement}")));
            let plan = explain.fetch_all(&mut connection).await.expect("a plan");
            let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            assert!(plan.iter().any(|step| step.contains("reservation_due")), "{plan:#?}");
            assert!(plan.iter().all(|step| !step.contains("reservation_line_product")), "{plan:#?}");
        }
    }
}
