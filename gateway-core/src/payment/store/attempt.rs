//! Statements on tries, and on the reservations that wait for one to end.

use std::collections::HashMap;

use super::{reservation_or_null, transaction_state};
use crate::base::{AttemptId, Money, ReservationId, TransactionId};
use crate::db::{Bulk, Db, DbError, Row, Sql, Tx, Value, params};
use crate::payment::state::{Attempt, Transaction};
use crate::reservation;

const INSERT_ATTEMPT: &str = "\
    insert into attempt
        (id, transaction_id, n, live, provider, reference, state, amount, currency, payment_method, payment_token,
         return_url, tries, due_at, created_at, updated_at)
    values (?, ?, ?, 1, ?, ?, 'sending', ?, ?, ?, ?, ?, 0, ?, ?, ?)";

const NEXT_N: &str = "select coalesce(max(n), 0) + 1 from attempt where transaction_id = ?";

const ATTEMPT: &str = "\
    select a.id, a.transaction_id, t.reservation_id, a.state, t.state, a.reference, a.amount, a.currency,
           a.payment_method, a.payment_token, a.return_url, a.action_url, a.error_class, a.tries, a.created_at, r.state
      from attempt a
      join transactions t on t.id = a.transaction_id
      left join reservation r on r.id = t.reservation_id
     where a.id = ?";

/// Locks tries and their transactions, and leaves the reservations to the reservations' own steps.
static ATTEMPTS_LOCKED: Bulk = Bulk::keys(
    "\
    select a.id, a.transaction_id, t.reservation_id, a.state, t.state, a.reference, a.amount, a.currency,
           a.payment_method, a.payment_token, a.return_url, a.action_url, a.error_class, a.tries, a.created_at,
           cast(null as char)
      from attempt a
      join transactions t on t.id = a.transaction_id
     where a.id in (",
    Sql { sqlite: ") order by a.id", mysql: ") order by a.id for update" },
);

const LATEST_ATTEMPT: &str = "select id from attempt where transaction_id = ? order by n desc limit 1";

/// A try that is over needs its token no more. Its last error stays when the news has none of its own.
const MOVE_ATTEMPT: &str = "\
    update attempt
       set state = ?, live = ?, action_url = coalesce(?, action_url), error_class = ?,
           payment_token = case when ? is null then null else payment_token end,
           tries = tries + 1, due_at = ?, updated_at = ?
     where id = ?
       and state = ?";

/// Whoever moves `due_at` forward has the attempt for that long; nobody else asks the provider meanwhile.
const CLAIM_DUE: &str = "update attempt set due_at = ?, updated_at = ? where id = ? and due_at = ?";

const CLAIM_STALE: &str = "update attempt set updated_at = ?, due_at = ? where id = ? and live = 1 and updated_at <= ? and due_at is not null";

const DUE_ATTEMPTS: &str = "\
    select id, due_at
      from attempt
     where state in ('sending', 'sent', 'requires_action', 'unknown', 'failed', 'cancelled')
       and due_at <= ?
     order by due_at
     limit ?";

const LIVE_ATTEMPT: &str = "\
    select a.id
      from transactions t
      join attempt a on a.transaction_id = t.id
     where t.reservation_id = ?
       and a.live = 1";

const CAPTURED: &str = "\
    select 1
      from transactions t
      join attempt a on a.transaction_id = t.id
     where t.reservation_id = ?
       and a.state = 'captured'";

const MAKE_DUE: &str = "update attempt set due_at = ? where id = ? and live = 1";

/// Makes the try due at once, also one that was thought to be over: money may come late.
const HINT: &str = "\
    update attempt
       set due_at = ?
     where reference = ?
       and state <> 'captured'";

const ATTEMPT_BY_REFERENCE: &str = "select id from attempt where reference = ?";

/// One try, with what it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRow {
    pub(crate) id: AttemptId,
    pub(crate) transaction_id: TransactionId,
    pub(crate) reservation_id: Option<ReservationId>,
    pub(crate) state: Attempt,
    pub(crate) transaction_state: Transaction,
    pub(crate) reference: String,
    pub(crate) money: Money,
    pub(crate) method: String,
    pub(crate) token: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) action_url: Option<String>,
    pub(crate) error_class: Option<String>,
    pub(crate) tries: i64,
    pub(crate) created_at: i64,
    /// As it was when this was read without a lock.
    pub(crate) reservation_state: Option<reservation::State>,
}

/// What a new try is.
pub(in crate::payment) struct NewAttempt<'a> {
    pub(in crate::payment) id: AttemptId,
    pub(in crate::payment) transaction_id: TransactionId,
    /// Whether its transaction is new as well.
    pub(in crate::payment) is_first: bool,
    pub(in crate::payment) provider: &'static str,
    pub(in crate::payment) money: Money,
    pub(in crate::payment) payment_method: &'a str,
    pub(in crate::payment) payment_token: Option<&'a str>,
    pub(in crate::payment) return_url: Option<&'a str>,
    /// When the reconciler may look at it, epoch milliseconds.
    pub(in crate::payment) due_at: i64,
}

/// What is to be written about a try.
pub(in crate::payment) struct Move<'a> {
    pub(in crate::payment) from: Attempt,
    pub(in crate::payment) to: Attempt,
    pub(in crate::payment) action_url: Option<&'a str>,
    pub(in crate::payment) error_class: Option<&'a str>,
    pub(in crate::payment) due_at: Option<i64>,
}

pub(in crate::payment) async fn insert_attempt(tx: &mut Tx, new: &NewAttempt<'_>) -> Result<(), DbError> {
    let now = tx.now_ms();
    let n = if new.is_first { 1 } else { next_n(tx, new.transaction_id).await? };
    let values = params![
        new.id,
        new.transaction_id,
        n,
        new.provider,
        new.id.to_string(),
        new.money.amount,
        new.money.currency,
        new.payment_method,
        new.payment_token,
        new.return_url,
        new.due_at,
        now,
        now
    ];
    tx.execute(INSERT_ATTEMPT, values).await.map(|_| ())
}

async fn next_n(tx: &mut Tx, transaction: TransactionId) -> Result<i64, DbError> {
    match tx.row(NEXT_N, params![transaction]).await? {
        Some(mut row) => row.int(),
        None => Ok(1),
    }
}

pub(in crate::payment) async fn attempt(db: &Db, id: AttemptId) -> Result<Option<AttemptRow>, DbError> {
    db.row(ATTEMPT, params![id]).await?.map(read_attempt).transpose()
}

/// Those of these tries that there are, locked until the transaction ends. `ids` is sorted.
pub(in crate::payment) async fn lock_attempts(
    tx: &mut Tx,
    ids: &[AttemptId],
) -> Result<HashMap<AttemptId, AttemptRow>, DbError> {
    let keys: Vec<Value> = ids.iter().copied().map(Value::from).collect();
    let rows = tx.rows_of(&ATTEMPTS_LOCKED, &[], &keys).await?;
    rows.into_iter().map(|row| read_attempt(row).map(|attempt| (attempt.id, attempt))).collect()
}

/// The last try of a transaction, if it had any.
pub(crate) async fn latest_attempt(db: &Db, id: TransactionId) -> Result<Option<AttemptRow>, DbError> {
    match db.row(LATEST_ATTEMPT, params![id]).await? {
        Some(mut row) => attempt(db, row.attempt_id()?).await,
        None => Ok(None),
    }
}

/// Whether the try was still in `from`.
pub(in crate::payment) async fn move_attempt(tx: &mut Tx, id: AttemptId, change: &Move<'_>) -> Result<bool, DbError> {
    let now = tx.now_ms();
    let live = change.to.is_live().then_some(1_i64);
    let values = params![
        change.to.name(),
        live,
        change.action_url,
        change.error_class,
        live,
        change.due_at,
        now,
        id,
        change.from.name()
    ];
    Ok(tx.execute(MOVE_ATTEMPT, values).await? == 1)
}

/// Tries to ask about, and when each was due.
pub(in crate::payment) async fn due_attempts(db: &Db, now: i64, max: i64) -> Result<Vec<(AttemptId, i64)>, DbError> {
    let rows = db.rows(DUE_ATTEMPTS, params![now, max]).await?;
    rows.into_iter().map(|mut row| Ok((row.attempt_id()?, row.int()?))).collect()
}

/// The order's try that may still bring money.
pub(in crate::payment) async fn live_attempt(tx: &mut Tx, order: ReservationId) -> Result<Option<AttemptId>, DbError> {
    tx.row(LIVE_ATTEMPT, params![order]).await?.map(|mut row| row.attempt_id()).transpose()
}

/// Whether a try of the order brought money.
pub(in crate::payment) async fn is_captured(tx: &mut Tx, order: ReservationId) -> Result<bool, DbError> {
    Ok(tx.row(CAPTURED, params![order]).await?.is_some())
}

/// Makes a live try due now.
pub(in crate::payment) async fn make_due(tx: &mut Tx, id: AttemptId) -> Result<(), DbError> {
    let now = tx.now_ms();
    tx.execute(MAKE_DUE, params![now, id]).await.map(|_| ())
}

/// Whether the caller has the try until `until`.
pub(in crate::payment) async fn claim_due(
    tx: &mut Tx,
    id: AttemptId,
    due_at: i64,
    until: i64,
) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(CLAIM_DUE, params![until, now, id, due_at]).await? == 1)
}

/// Whether nobody asked about this live try since `before`; then the caller has it until `until`.
pub(in crate::payment) async fn claim_stale(
    tx: &mut Tx,
    id: AttemptId,
    before: i64,
    until: i64,
) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(CLAIM_STALE, params![now, until, id, before]).await? == 1)
}

/// Makes the try with this reference due now; its id, if there is one.
pub(in crate::payment) async fn hint(tx: &mut Tx, reference: &str) -> Result<Option<AttemptId>, DbError> {
    let now = tx.now_ms();
    tx.execute(HINT, params![now, reference]).await?;
    let row = tx.row(ATTEMPT_BY_REFERENCE, params![reference]).await?;
    row.map(|mut row| row.attempt_id()).transpose()
}

fn read_attempt(mut row: Row) -> Result<AttemptRow, DbError> {
    Ok(AttemptRow {
        id: row.attempt_id()?,
        transaction_id: row.transaction_id()?,
        reservation_id: reservation_or_null(&mut row)?,
        state: Attempt::named(&row.text()?).ok_or(DbError::Shape("an attempt's state"))?,
        transaction_state: transaction_state(&mut row)?,
        reference: row.text()?,
        money: Money { amount: row.int()?, currency: row.currency()? },
        method: row.text()?,
        token: row.text_or_null()?,
        return_url: row.text_or_null()?,
        action_url: row.text_or_null()?,
        error_class: row.text_or_null()?,
        tries: row.int()?,
        created_at: row.int()?,
        reservation_state: row.text_or_null()?.and_then(|state| reservation::State::parse(&state)),
    })
}
