//! Statements on customers.

use crate::base::CustomerId;
use crate::db::{Bulk, Db, DbError, Tx, params};

const BY_EMAIL: &str = "select id, password_hash from customer where email = ?";

const EMAIL: &str = "select email from customer where id = ?";

const INSERT: &str = "insert into customer (id, email, password_hash, created_at) values (?, ?, ?, ?)";

static INSERT_ALL: Bulk =
    Bulk::rows("insert into customer (id, email, password_hash, created_at) values ", "(?, ?, ?, ?)");

pub(super) async fn by_email(db: &Db, email: &str) -> Result<Option<(CustomerId, String)>, DbError> {
    let row = db.row(BY_EMAIL, params![email]).await?;
    row.map(|mut row| Ok((row.customer_id()?, row.text()?))).transpose()
}

pub(super) async fn email(db: &Db, id: CustomerId) -> Result<Option<String>, DbError> {
    db.row(EMAIL, params![id]).await?.map(|mut row| row.text()).transpose()
}

pub(super) async fn insert(tx: &mut Tx, id: CustomerId, email: &str, hash: &str) -> Result<(), DbError> {
    tx.execute(INSERT, params![id, email, hash, tx.now_ms()]).await.map(|_| ())
}

/// Customers whose password nobody knows: `hash` is what no password makes.
pub(super) async fn insert_all(tx: &mut Tx, new: &[(CustomerId, String)], hash: &str) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let rows = new.iter().map(|(id, email)| params![*id, email.as_str(), hash, now_ms]).collect();
    tx.insert_all(&INSERT_ALL, rows).await
}
