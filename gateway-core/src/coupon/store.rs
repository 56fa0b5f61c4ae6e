//! Statements on campaigns and coupons.

use crate::base::CustomerId;
use crate::db::{DbError, Tx, params};

const CODE: &str = "select code from coupon where campaign_id = ? and customer_id = ?";

const TAKE: &str = "\
    update campaign
       set remaining = remaining - 1
     where id = ?
       and remaining >= 1";

const EXISTS: &str = "select 1 from campaign where id = ?";

const INSERT: &str = "insert into coupon (campaign_id, customer_id, code, issued_at) values (?, ?, ?, ?)";

pub(super) async fn code(tx: &mut Tx, campaign: &str, customer: CustomerId) -> Result<Option<String>, DbError> {
    tx.row(CODE, params![campaign, customer]).await?.map(|mut row| row.text()).transpose()
}

pub(super) async fn take(tx: &mut Tx, campaign: &str) -> Result<bool, DbError> {
    Ok(tx.execute(TAKE, params![campaign]).await? == 1)
}

pub(super) async fn exists(tx: &mut Tx, campaign: &str) -> Result<bool, DbError> {
    Ok(tx.row(EXISTS, params![campaign]).await?.is_some())
}

pub(super) async fn insert(tx: &mut Tx, campaign: &str, customer: CustomerId, code: &str) -> Result<(), DbError> {
    tx.execute(INSERT, params![campaign, customer, code, tx.now_ms()]).await.map(|_| ())
}
