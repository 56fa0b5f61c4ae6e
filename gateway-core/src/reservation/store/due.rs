//! Whose time is over next.

use crate::db::{Db, DbError, Row, Tx, Value, params};

/// Of each of the two states the first by the index, so that a crowd of holds is not gone through.
const NEXT_DUE_ON_PRODUCT: &str = "\
    select min(due_at)
      from (select due_at
              from (select r.due_at
                      from reservation r
                     where r.state = 'held'
                       and r.due_at > ?
                       and exists (select 1
                                     from reservation_line l
                                    where l.reservation_id = r.id
                                      and l.product_id = ?)
                     order by r.due_at
                     limit 1) held
             union all
            select due_at
              from (select r.due_at
                      from reservation r
                     where r.state = 'checkout'
                       and r.due_at > ?
                       and exists (select 1
                                     from reservation_line l
                                    where l.reservation_id = r.id
                                      and l.product_id = ?)
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
