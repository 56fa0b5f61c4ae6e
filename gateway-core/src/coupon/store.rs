//! Statements on campaigns and coupons.

use std::collections::HashMap;

use crate::base::CustomerId;
use crate::db::{Bulk, DbError, Sql, Tx, Value, params};

const REMAINING_LOCKED: Sql = Sql {
    sqlite: "select remaining from campaign where id = ?",
    mysql: "select remaining from campaign where id = ? for update",
};

static CODES: Bulk = Bulk::keys(
    "\
    select customer_id, code
      from coupon
     where campaign_id = ?
       and customer_id in (",
    Sql { sqlite: ")", mysql: ")" },
);

const TAKE: &str = "\
    update campaign
       set remaining = remaining - ?
     where id = ?
       and remaining >= ?";

static INSERT: Bulk =
    Bulk::rows("insert into coupon (campaign_id, customer_id, code, issued_at) values ", "(?, ?, ?, ?)");

/// How many are left, with the campaign locked until the transaction ends. `None` when there is no such campaign.
pub(super) async fn lock_remaining(tx: &mut Tx, campaign: &str) -> Result<Option<i64>, DbError> {
    tx.row(REMAINING_LOCKED, params![campaign]).await?.map(|mut row| row.int()).transpose()
}

/// The codes that these customers have.
pub(super) async fn codes(
    tx: &mut Tx,
    campaign: &str,
    customers: impl Iterator<Item = CustomerId>,
) -> Result<HashMap<CustomerId, String>, DbError> {
    let customers: Vec<Value> = customers.map(Value::from).collect();
    let rows = tx.rows_of(&CODES, &[Value::from(campaign)], &customers).await?;
    rows.into_iter().map(|mut row| Ok((row.customer_id()?, row.text()?))).collect()
}

pub(super) async fn take(tx: &mut Tx, campaign: &str, many: usize) -> Result<bool, DbError> {
    let many = i64::try_from(many).map_err(|_| DbError::Shape("a group of a size that fits"))?;
    Ok(tx.execute(TAKE, params![many, campaign, many]).await? == 1)
}

pub(super) async fn insert_all(tx: &mut Tx, campaign: &str, new: &[(CustomerId, &str)]) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let rows = new.iter().map(|(customer, code)| params![campaign, *customer, *code, now_ms]).collect();
    tx.insert_all(&INSERT, rows).await
}
