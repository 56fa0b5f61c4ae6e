//! Statements on transactions: what the customer sees.

use super::{reservation_or_null, transaction_state};
use crate::base::{CustomerId, Money, ReservationId, TransactionId};
use crate::db::{Db, DbError, Row, Tx, params};
use crate::payment::state::Transaction;

const INSERT_TRANSACTION: &str = "\
    insert into transactions
        (id, customer_id, reservation_id, amount, currency, payment_method, description, customer_reference, state,
         version, created_at, updated_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, 'pending', 1, ?, ?)";

const TRANSACTION: &str = "\
    select id, customer_id, reservation_id, amount, currency, payment_method, description, customer_reference, state,
           created_at, updated_at
      from transactions
     where id = ?";

const TRANSACTION_OF_ORDER: &str = "\
    select id, customer_id, reservation_id, amount, currency, payment_method, description, customer_reference, state,
           created_at, updated_at
      from transactions
     where reservation_id = ?";

/// Newest first. The cursor is the last row's time and id; `''` as reference means all of the customer's.
const TRANSACTIONS_OF_CUSTOMER: &str = "\
    select id, customer_id, reservation_id, amount, currency, payment_method, description, customer_reference, state,
           created_at, updated_at
      from transactions
     where customer_id = ?
       and (? = '' or customer_reference = ?)
       and (created_at < ? or (created_at = ? and id < ?))
     order by created_at desc, id desc
     limit ?";

const MOVE_TRANSACTION: &str = "\
    update transactions
       set state = ?, version = version + 1, updated_at = ?
     where id = ?
       and state = ?";

const RENEW_TRANSACTION: &str = "update transactions set payment_method = ?, updated_at = ? where id = ?";

/// A transaction as it stands.
#[derive(Debug, Clone)]
pub(crate) struct TransactionRow {
    pub(crate) id: TransactionId,
    pub(crate) customer_id: CustomerId,
    pub(crate) reservation_id: Option<ReservationId>,
    pub(crate) money: Money,
    pub(crate) payment_method: String,
    pub(crate) description: String,
    pub(crate) customer_reference: Option<String>,
    pub(crate) state: Transaction,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// What a new transaction is for.
pub(in crate::payment) struct NewTransaction<'a> {
    pub(in crate::payment) id: TransactionId,
    pub(in crate::payment) customer_id: CustomerId,
    pub(in crate::payment) reservation_id: Option<ReservationId>,
    pub(in crate::payment) money: Money,
    pub(in crate::payment) payment_method: &'a str,
    pub(in crate::payment) description: &'a str,
    pub(in crate::payment) customer_reference: Option<&'a str>,
}

/// A page of a customer's transactions starts behind this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    pub(crate) created_at: i64,
    pub(crate) id: TransactionId,
}

pub(in crate::payment) async fn insert_transaction(tx: &mut Tx, new: &NewTransaction<'_>) -> Result<(), DbError> {
    let now = tx.now_ms();
    let values = params![
        new.id,
        new.customer_id,
        new.reservation_id,
        new.money.amount,
        new.money.currency,
        new.payment_method,
        new.description,
        new.customer_reference,
        now,
        now
    ];
    tx.execute(INSERT_TRANSACTION, values).await.map(|_| ())
}

pub(in crate::payment) async fn transaction_in(
    tx: &mut Tx,
    id: TransactionId,
) -> Result<Option<TransactionRow>, DbError> {
    tx.row(TRANSACTION, params![id]).await?.map(read_transaction).transpose()
}

pub(in crate::payment) async fn transaction_of_order_in(
    tx: &mut Tx,
    order: ReservationId,
) -> Result<Option<TransactionRow>, DbError> {
    tx.row(TRANSACTION_OF_ORDER, params![order]).await?.map(read_transaction).transpose()
}

pub(crate) async fn transaction(db: &Db, id: TransactionId) -> Result<Option<TransactionRow>, DbError> {
    db.row(TRANSACTION, params![id]).await?.map(read_transaction).transpose()
}

pub(crate) async fn transaction_of_order(db: &Db, order: ReservationId) -> Result<Option<TransactionRow>, DbError> {
    db.row(TRANSACTION_OF_ORDER, params![order]).await?.map(read_transaction).transpose()
}

/// Newest first, at most `max`; with a reference only those that carry it.
pub(crate) async fn transactions_of(
    db: &Db,
    customer: CustomerId,
    reference: Option<&str>,
    after: Option<After>,
    max: i64,
) -> Result<Vec<TransactionRow>, DbError> {
    let reference = reference.unwrap_or_default();
    let (at, id) = after.map_or((i64::MAX, Vec::new()), |after| (after.created_at, after.id.to_bytes()));
    let values = params![customer, reference, reference, at, at, id, max];
    db.rows(TRANSACTIONS_OF_CUSTOMER, values).await?.into_iter().map(read_transaction).collect()
}

/// Whether the transaction was still in `from`.
pub(in crate::payment) async fn move_transaction(
    tx: &mut Tx,
    id: TransactionId,
    from: Transaction,
    to: Transaction,
) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(MOVE_TRANSACTION, params![to.name(), now, id, from.name()]).await? == 1)
}

pub(in crate::payment) async fn renew_transaction(tx: &mut Tx, id: TransactionId, method: &str) -> Result<(), DbError> {
    let now = tx.now_ms();
    tx.execute(RENEW_TRANSACTION, params![method, now, id]).await.map(|_| ())
}

fn read_transaction(mut row: Row) -> Result<TransactionRow, DbError> {
    Ok(TransactionRow {
        id: row.transaction_id()?,
        customer_id: row.customer_id()?,
        reservation_id: reservation_or_null(&mut row)?,
        money: Money { amount: row.int()?, currency: row.currency()? },
        payment_method: row.text()?,
        description: row.text()?,
        customer_reference: row.text_or_null()?,
        state: transaction_state(&mut row)?,
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}
