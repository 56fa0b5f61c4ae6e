//! Statements on all tries of one order.

use crate::base::{AttemptId, ReservationId};
use crate::db::{Db, DbError, Tx, params};

/// Where money is, and none has gone back for any cause.
const CAPTURED_OF: &str = "\
    select a.id, a.amount
      from transactions t
      join attempt a on a.transaction_id = t.id
     where t.reservation_id = ?
       and a.state = 'captured'
       and not exists (select 1 from refund f where f.attempt_id = a.id)
     order by a.id";

const TRIES_OF: &str = "\
    select a.reference, a.state, a.amount
      from transactions t
      join attempt a on a.transaction_id = t.id
     where t.reservation_id = ?
     order by a.n";

pub(in crate::payment) async fn captured_of(
    tx: &mut Tx,
    order: ReservationId,
) -> Result<Vec<(AttemptId, i64)>, DbError> {
    let rows = tx.rows(CAPTURED_OF, params![order]).await?;
    rows.into_iter().map(|mut row| Ok((row.attempt_id()?, row.int()?))).collect()
}

pub(in crate::payment) async fn tries_of(db: &Db, order: ReservationId) -> Result<Vec<(String, String, i64)>, DbError> {
    let rows = db.rows(TRIES_OF, params![order]).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?, row.int()?))).collect()
}
