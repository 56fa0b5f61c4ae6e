//! Statements on transactions, attempts, refunds and the webhook inbox. Each guard stands in the `where`.

use super::state::{Attempt, Transaction};
use crate::base::{AttemptId, CustomerId, Money, RefundId, ReservationId, TransactionId};
use crate::db::{Db, DbError, Row, Sql, Tx, params};
use crate::reservation;

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

/// Locks the try and its transaction, and leaves the reservation to the reservation's own steps.
const ATTEMPT_LOCKED: Sql = Sql {
    sqlite: ATTEMPT,
    mysql: "\
    select a.id, a.transaction_id, t.reservation_id, a.state, t.state, a.reference, a.amount, a.currency,
           a.payment_method, a.payment_token, a.return_url, a.action_url, a.error_class, a.tries, a.created_at,
           cast(null as char)
      from attempt a
      join transactions t on t.id = a.transaction_id
     where a.id = ?
       for update",
};

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

/// Reservations that began to close since their try was last looked at.
const CLOSING_ATTEMPTS: &str = "\
    select a.id, a.due_at
      from reservation r
      join transactions t on t.reservation_id = r.id
      join attempt a on a.transaction_id = t.id
     where r.state = 'closing'
       and a.live = 1
       and a.updated_at <= r.updated_at
       and a.due_at is not null
     limit ?";

/// Closing, and no try that could still bring money.
const CLOSING_WITHOUT_ATTEMPT: &str = "\
    select r.id
      from reservation r
     where r.state = 'closing'
       and r.updated_at < ?
       and not exists (select 1
                         from transactions t
                         join attempt a on a.transaction_id = t.id
                        where t.reservation_id = r.id
                          and (a.live = 1 or a.state = 'captured'))
     limit ?";

/// Makes the try due at once, also one that was thought to be over: money may come late.
const HINT: &str = "\
    update attempt
       set due_at = ?
     where reference = ?
       and state <> 'captured'";

const ATTEMPT_BY_REFERENCE: &str = "select id from attempt where reference = ?";

const INSERT_REFUND: &str = "\
    insert into refund (id, attempt_id, cause, amount, state, tries, due_at, created_at, updated_at)
    values (?, ?, ?, ?, 'requested', 0, ?, ?, ?)";

const HAS_REFUND: &str = "select 1 from refund where attempt_id = ? and cause = ?";

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

const INSERT_WEBHOOK: &str = "\
    insert into webhook_inbox (provider, event_id, kind, reference, body, state, tries, due_at, received_at)
    values (?, ?, ?, ?, ?, ?, 0, ?, ?)";

const PARKED_WEBHOOKS: &str = "\
    select event_id, reference, tries
      from webhook_inbox
     where state = 'parked'
       and due_at <= ?
     limit ?";

const MOVE_WEBHOOK: &str = "\
    update webhook_inbox
       set state = ?, tries = tries + 1, due_at = ?
     where provider = ?
       and event_id = ?";

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

/// What a new transaction is for.
pub(super) struct NewTransaction<'a> {
    pub(super) id: TransactionId,
    pub(super) customer_id: CustomerId,
    pub(super) reservation_id: Option<ReservationId>,
    pub(super) money: Money,
    pub(super) payment_method: &'a str,
    pub(super) description: &'a str,
    pub(super) customer_reference: Option<&'a str>,
}

/// What a new try is.
pub(super) struct NewAttempt<'a> {
    pub(super) id: AttemptId,
    pub(super) transaction_id: TransactionId,
    pub(super) provider: &'static str,
    pub(super) money: Money,
    pub(super) payment_method: &'a str,
    pub(super) payment_token: Option<&'a str>,
    pub(super) return_url: Option<&'a str>,
    /// When the reconciler may look at it, epoch milliseconds.
    pub(super) due_at: i64,
}

/// What is to be written about a try.
pub(super) struct Move<'a> {
    pub(super) from: Attempt,
    pub(super) to: Attempt,
    pub(super) action_url: Option<&'a str>,
    pub(super) error_class: Option<&'a str>,
    pub(super) due_at: Option<i64>,
}

/// A refund that is due.
#[derive(Debug, Clone)]
pub(super) struct RefundRow {
    pub(super) id: RefundId,
    pub(super) due_at: i64,
    pub(super) attempt_id: AttemptId,
    pub(super) cause: String,
    pub(super) amount: i64,
    pub(super) tries: i64,
    pub(super) reference: String,
    pub(super) transaction_id: TransactionId,
    pub(super) transaction_state: Transaction,
}

/// A page of a customer's transactions starts behind this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    pub(crate) created_at: i64,
    pub(crate) id: TransactionId,
}

pub(super) async fn insert_transaction(tx: &mut Tx, new: &NewTransaction<'_>) -> Result<(), DbError> {
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

pub(super) async fn transaction_in(tx: &mut Tx, id: TransactionId) -> Result<Option<TransactionRow>, DbError> {
    tx.row(TRANSACTION, params![id]).await?.map(read_transaction).transpose()
}

pub(super) async fn transaction_of_order_in(
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
pub(super) async fn move_transaction(
    tx: &mut Tx,
    id: TransactionId,
    from: Transaction,
    to: Transaction,
) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(MOVE_TRANSACTION, params![to.name(), now, id, from.name()]).await? == 1)
}

pub(super) async fn renew_transaction(tx: &mut Tx, id: TransactionId, method: &str) -> Result<(), DbError> {
    let now = tx.now_ms();
    tx.execute(RENEW_TRANSACTION, params![method, now, id]).await.map(|_| ())
}

pub(super) async fn insert_attempt(tx: &mut Tx, new: &NewAttempt<'_>) -> Result<(), DbError> {
    let now = tx.now_ms();
    let n = match tx.row(NEXT_N, params![new.transaction_id]).await? {
        Some(mut row) => row.int()?,
        None => 1,
    };
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

pub(super) async fn attempt(db: &Db, id: AttemptId) -> Result<Option<AttemptRow>, DbError> {
    db.row(ATTEMPT, params![id]).await?.map(read_attempt).transpose()
}

pub(super) async fn attempt_in(tx: &mut Tx, id: AttemptId) -> Result<Option<AttemptRow>, DbError> {
    tx.row(ATTEMPT, params![id]).await?.map(read_attempt).transpose()
}

/// The try, locked until the transaction ends.
pub(super) async fn lock_attempt(tx: &mut Tx, id: AttemptId) -> Result<Option<AttemptRow>, DbError> {
    tx.row(ATTEMPT_LOCKED, params![id]).await?.map(read_attempt).transpose()
}

/// The last try of a transaction, if it had any.
pub(super) async fn latest_attempt_in(tx: &mut Tx, id: TransactionId) -> Result<Option<AttemptRow>, DbError> {
    match tx.row(LATEST_ATTEMPT, params![id]).await? {
        Some(mut row) => attempt_in(tx, row.attempt_id()?).await,
        None => Ok(None),
    }
}

/// The last try of a transaction, if it had any.
pub(crate) async fn latest_attempt(db: &Db, id: TransactionId) -> Result<Option<AttemptRow>, DbError> {
    match db.row(LATEST_ATTEMPT, params![id]).await? {
        Some(mut row) => attempt(db, row.attempt_id()?).await,
        None => Ok(None),
    }
}

/// Whether the try was still in `from`.
pub(super) async fn move_attempt(tx: &mut Tx, id: AttemptId, change: &Move<'_>) -> Result<bool, DbError> {
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

/// Tries to ask about, and when each was due: those of orders that began to close, then those whose time has come.
pub(super) async fn due_attempts(db: &Db, now: i64, max: i64) -> Result<Vec<(AttemptId, i64)>, DbError> {
    let mut rows = db.rows(CLOSING_ATTEMPTS, params![max]).await?;
    rows.extend(db.rows(DUE_ATTEMPTS, params![now, max]).await?);
    rows.into_iter().map(|mut row| Ok((row.attempt_id()?, row.int()?))).collect()
}

/// Whether the caller has the try until `until`.
pub(super) async fn claim_due(tx: &mut Tx, id: AttemptId, due_at: i64, until: i64) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(CLAIM_DUE, params![until, now, id, due_at]).await? == 1)
}

/// Whether nobody asked about this live try since `before`; then the caller has it until `until`.
pub(super) async fn claim_stale(tx: &mut Tx, id: AttemptId, before: i64, until: i64) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(CLAIM_STALE, params![now, until, id, before]).await? == 1)
}

pub(super) async fn closing_without_attempt(db: &Db, before: i64, max: i64) -> Result<Vec<ReservationId>, DbError> {
    let rows = db.rows(CLOSING_WITHOUT_ATTEMPT, params![before, max]).await?;
    rows.into_iter().map(|mut row| row.reservation_id()).collect()
}

/// Makes the try with this reference due now; its id, if there is one.
pub(super) async fn hint(tx: &mut Tx, reference: &str) -> Result<Option<AttemptId>, DbError> {
    let now = tx.now_ms();
    tx.execute(HINT, params![now, reference]).await?;
    let row = tx.row(ATTEMPT_BY_REFERENCE, params![reference]).await?;
    row.map(|mut row| row.attempt_id()).transpose()
}

/// Asks for money to be given back, once for each cause.
pub(super) async fn insert_refund(tx: &mut Tx, attempt: AttemptId, cause: &str, amount: i64) -> Result<(), DbError> {
    if tx.row(HAS_REFUND, params![attempt, cause]).await?.is_some() {
        return Ok(());
    }
    let now = tx.now_ms();
    let values = params![RefundId::new(now), attempt, cause, amount, now, now, now];
    tx.execute(INSERT_REFUND, values).await.map(|_| ())
}

pub(super) async fn due_refunds(db: &Db, now: i64, max: i64) -> Result<Vec<RefundRow>, DbError> {
    db.rows(DUE_REFUNDS, params![now, max]).await?.into_iter().map(read_refund).collect()
}

/// Whether the caller has the refund until `until`.
pub(super) async fn claim_refund(tx: &mut Tx, refund: &RefundRow, until: i64) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(CLAIM_REFUND, params![until, now, refund.id, refund.due_at]).await? == 1)
}

/// Whether the refund was still under way.
pub(super) async fn move_refund(
    tx: &mut Tx,
    id: RefundId,
    to: &'static str,
    due_at: Option<i64>,
) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(MOVE_REFUND, params![to, due_at, now, id]).await? == 1)
}

/// One event as it came in.
pub(super) struct NewWebhook<'a> {
    pub(super) provider: &'static str,
    pub(super) event_id: &'a str,
    pub(super) kind: &'a str,
    pub(super) reference: &'a str,
    pub(super) body: &'a [u8],
    pub(super) state: &'static str,
    pub(super) due_at: Option<i64>,
}

/// `Duplicate` when the event is there already.
pub(super) async fn insert_webhook(tx: &mut Tx, new: &NewWebhook<'_>) -> Result<(), DbError> {
    let now = tx.now_ms();
    let values = params![new.provider, new.event_id, new.kind, new.reference, new.body, new.state, new.due_at, now];
    tx.execute(INSERT_WEBHOOK, values).await.map(|_| ())
}

/// Parked events that are due: event id, reference, tries.
pub(super) async fn parked_webhooks(db: &Db, now: i64, max: i64) -> Result<Vec<(String, String, i64)>, DbError> {
    let rows = db.rows(PARKED_WEBHOOKS, params![now, max]).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?, row.int()?))).collect()
}

pub(super) async fn move_webhook(
    tx: &mut Tx,
    provider: &'static str,
    event_id: &str,
    to: &'static str,
    due_at: Option<i64>,
) -> Result<(), DbError> {
    tx.execute(MOVE_WEBHOOK, params![to, due_at, provider, event_id]).await.map(|_| ())
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

fn reservation_or_null(row: &mut Row) -> Result<Option<ReservationId>, DbError> {
    let bytes = row.bytes_or_null()?;
    bytes
        .map(|bytes| ReservationId::from_bytes(&bytes).ok_or(DbError::Shape("a reservation id of 16 bytes")))
        .transpose()
}

fn transaction_state(row: &mut Row) -> Result<Transaction, DbError> {
    Transaction::named(&row.text()?).ok_or(DbError::Shape("a transaction's state"))
}
