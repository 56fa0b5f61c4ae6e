//! Statements on refunds.

use super::transaction_state;
use crate::base::{AttemptId, RefundId, TransactionId};
use crate::db::{Db, DbError, Row, Tx, params};
use crate::payment::state::Transaction;

const INSERT_REFUND: &str = "\
    insert into refund (id, attempt_id, cause, amount, state, tries, due_at, created_at, updated_at)
    values (?, ?, ?, ?, 'requested', 0, ?, ?, ?)";

/// Whatever the cause was: each refund is of all that the try took.
const HAS_REFUND: &str = "select 1 from refund where attempt_id = ?";

const DUE_REFUNDS: &str = "\
    select f.id, f.due_at, f.attempt_id, f.cause, f.amount, f.tries, a.reference, a.transaction_id, t.state
      from refund f
      join attempt a on a.id = f.attempt_id
      join transactions t on t.id = a.transaction_id
     where f.state in ('requested', 'sending', 'unknown')
       and f.due_at <= ?
     order by f.due_at
     limit ?";

const CLAIM_REFUND: &str = "\
    update refund
       set state = 'sending', tries = tries + 1, due_at = ?, updated_at = ?
     where id = ?
       and due_at = ?";

const MOVE_REFUND: &str = "\
    update refund
       set state = ?, due_at = ?, updated_at = ?
     where id = ?
       and state in ('sending', 'unknown')";

/// A refund that is due.
#[derive(Debug, Clone)]
pub(in crate::payment) struct RefundRow {
    pub(in crate::payment) id: RefundId,
    pub(in crate::payment) due_at: i64,
    pub(in crate::payment) attempt_id: AttemptId,
    pub(in crate::payment) cause: String,
    pub(in crate::payment) amount: i64,
    pub(in crate::payment) tries: i64,
    pub(in crate::payment) reference: String,
    pub(in crate::payment) transaction_id: TransactionId,
    pub(in crate::payment) transaction_state: Transaction,
}

/// Asks for the money of a try to be given back, once.
pub(in crate::payment) async fn insert_refund(
    tx: &mut Tx,
    attempt: AttemptId,
    cause: &str,
    amount: i64,
) -> Result<(), DbError> {
    if tx.row(HAS_REFUND, params![attempt]).await?.is_some() {
        return Ok(());
    }
    let now = tx.now_ms();
    let values = params![RefundId::new(now), attempt, cause, amount, now, now, now];
    tx.execute(INSERT_REFUND, values).await.map(|_| ())
}

pub(in crate::payment) async fn due_refunds(db: &Db, now: i64, max: i64) -> Result<Vec<RefundRow>, DbError> {
    db.rows(DUE_REFUNDS, params![now, max]).await?.into_iter().map(read_refund).collect()
}

/// Whether the caller has the refund until `until`.
pub(in crate::payment) async fn claim_refund(tx: &mut Tx, refund: &RefundRow, until: i64) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(CLAIM_REFUND, params![until, now, refund.id, refund.due_at]).await? == 1)
}

/// Whether the refund was still under way.
pub(in crate::payment) async fn move_refund(
    tx: &mut Tx,
    id: RefundId,
    to: &'static str,
    due_at: Option<i64>,
) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(MOVE_REFUND, params![to, due_at, now, id]).await? == 1)
}

fn read_refund(mut row: Row) -> Result<RefundRow, DbError> {
    Ok(RefundRow {
        id: row.refund_id()?,
        due_at: row.int()?,
        attempt_id: row.attempt_id()?,
        cause: row.text()?,
        amount: row.int()?,
        tries: row.int()?,
        reference: row.text()?,
        transaction_id: row.transaction_id()?,
        transaction_state: transaction_state(&mut row)?,
    })
}
