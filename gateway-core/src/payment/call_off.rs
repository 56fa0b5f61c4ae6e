//! Money of booked orders that are given back: the order's step and the wish to give back all of its money are one commit.
//! The reconciler sends the refund, and asks until it is known.

use super::Payments;
use super::record::cause;
use super::store;
use crate::base::{CustomerId, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::reservation::after::{self, By, CalledOff};

impl Payments {
    /// Cancels a customer's booked order, as long as its sale allows it.
    pub(crate) async fn call_off(&self, order: ReservationId, owner: CustomerId) -> Result<CalledOff, DbError> {
        let called_off = in_tx!(self.db(), tx, { call_off(tx, order, By::Customer(owner)).await })?;
        if matches!(called_off, CalledOff::Now(_)) {
            self.shared.due.notify_one();
        }
        Ok(called_off)
    }
}

/// Cancels a booked order, and asks for what was paid for it to be given back.
pub(crate) async fn call_off(tx: &mut Tx, order: ReservationId, by: By) -> Result<CalledOff, DbError> {
    let called_off = after::call_off(tx, order, by).await?;
    if matches!(called_off, CalledOff::Now(_)) {
        for (attempt, amount) in store::captured_of(tx, order).await? {
            store::insert_refund(tx, attempt, cause::CANCELLED, amount).await?;
        }
    }
    Ok(called_off)
}

/// The tries to pay an order, the first one first: reference, state, and amount.
pub(crate) async fn tries_of(db: &Db, order: ReservationId) -> Result<Vec<(String, String, i64)>, DbError> {
    store::tries_of(db, order).await
}
