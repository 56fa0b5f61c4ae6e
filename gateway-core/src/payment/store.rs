//! Statements of payments, one file for each table they move. Each guard stands in the `where`.

mod attempt;
mod inbox;
mod of_order;
mod refund;
mod transaction;

pub(super) use attempt::*;
pub(super) use inbox::*;
pub(super) use of_order::*;
pub(super) use refund::*;
pub(crate) use transaction::{After, TransactionRow, transaction, transactions_of};
pub(super) use transaction::{
    NewTransaction, insert_transaction, move_transaction, renew_transaction, transaction_in, transaction_of_order,
    transaction_of_order_in,
};

use super::state::Transaction;
use crate::base::ReservationId;
use crate::db::{DbError, Row};

fn reservation_or_null(row: &mut Row) -> Result<Option<ReservationId>, DbError> {
    let bytes = row.bytes_or_null()?;
    bytes
        .map(|bytes| ReservationId::from_bytes(&bytes).ok_or(DbError::Shape("a reservation id of 16 bytes")))
        .transpose()
}

fn transaction_state(row: &mut Row) -> Result<Transaction, DbError> {
    Transaction::named(&row.text()?).ok_or(DbError::Shape("a transaction's state"))
}
