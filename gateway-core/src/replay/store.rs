//! Statements on kept answers.

use super::{Answer, Call};
use crate::db::{Bulk, Db, DbError, Row, Sql, Tx, Value, params};

const INSERT: &str = "\
    insert into idempotency
           (principal, route, idem_key, fingerprint, state, claim, claimed_until, created_at)
    values (?, ?, ?, ?, 'running', ?, ?, ?)";

static INSERT_ALL: Bulk = Bulk::rows(
    "\
    insert into idempotency
           (principal, route, idem_key, fingerprint, state, claim, claimed_until, created_at)
    values ",
    "(?, ?, ?, ?, 'running', ?, ?, ?)",
);

const READ: &str = "\
    select fingerprint, claim, claimed_until, status, headers, body
      from idempotency
     where principal = ?
       and route = ?
       and idem_key = ?";

const TAKE_OVER: &str = "\
    update idempotency
       set claim = ?, claimed_until = ?
     where principal = ?
       and route = ?
       and idem_key = ?
       and state = 'running'
       and claimed_until <= ?";

/// Where claims are rows, the rows are there and this updates many at once; elsewhere it inserts. MySQL assigns from left to
/// right, hence the state last.
static FILL_ALL: Bulk = Bulk::rows_or(
    "\
    insert into idempotency
           (principal, route, idem_key, fingerprint, state, claim, claimed_until, created_at, status, headers, body)
    values ",
    "(?, ?, ?, ?, 'done', ?, ?, ?, ?, ?, ?)",
    Sql {
        sqlite: "\
    on conflict (principal, route, idem_key) do update
       set state = 'done', status = excluded.status, headers = excluded.headers, body = excluded.body
     where state = 'running'
       and claim = excluded.claim",
        mysql: "\
    on duplicate key update
       status = if(state = 'running' and claim = values(claim), values(status), status),
       headers = if(state = 'running' and claim = values(claim), values(headers), headers),
       body = if(state = 'running' and claim = values(claim), values(body), body),
       state = if(state = 'running' and claim = values(claim), 'done', state)",
    },
);

static DELETE_ALL: Bulk = Bulk::any(
    "delete from idempotency where ",
    "(principal = ? and route = ? and idem_key = ? and state = 'running' and claim = ?)",
    "",
);

const DELETE_OLDER: &str = "delete from idempotency where created_at < ?";

/// A row as read back.
pub(super) struct Kept {
    pub(super) fingerprint: Vec<u8>,
    pub(super) claim: Vec<u8>,
    pub(super) claimed_until: i64,
    pub(super) answer: Option<Answer>,
}

pub(super) async fn insert(tx: &mut Tx, call: &Call, token: &[u8; 16], until: i64) -> Result<(), DbError> {
    let values = row(call, token, until, tx.now_ms());
    tx.execute(INSERT, values).await.map(|_| ())
}

pub(super) async fn insert_all(tx: &mut Tx, calls: &[(Call, [u8; 16])], until: i64) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let rows = calls.iter().map(|(call, token)| row(call, token, until, now_ms)).collect();
    tx.insert_all(&INSERT_ALL, rows).await
}

fn row(call: &Call, token: &[u8; 16], until: i64, now_ms: i64) -> Vec<Value> {
    let (route, key) = (call.route.as_str(), call.key.as_str());
    params![call.customer, route, key, call.fingerprint.as_slice(), token.as_slice(), until, now_ms]
}

pub(super) async fn read(tx: &mut Tx, call: &Call) -> Result<Option<Kept>, DbError> {
    tx.row(READ, name(call)).await?.map(kept_from).transpose()
}

/// The answer that is kept, with its request's fingerprint, outside of a transaction.
pub(super) async fn kept(db: &Db, call: &Call) -> Result<Option<(Vec<u8>, Answer)>, DbError> {
    let row = db.row(READ, name(call)).await?.map(kept_from).transpose()?;
    Ok(row.and_then(|kept| Some((kept.fingerprint, kept.answer?))))
}

fn name(call: &Call) -> Vec<Value> {
    params![call.customer, call.route.as_str(), call.key.as_str()]
}

fn kept_from(mut row: Row) -> Result<Kept, DbError> {
    let (fingerprint, claim, claimed_until) = (row.bytes()?, row.bytes()?, row.int()?);
    let (status, headers, body) = (row.int_or_null()?, row.text_or_null()?, row.bytes_or_null()?);
    let answer = match (status, headers, body) {
        (Some(status), Some(headers), Some(body)) => Some(Answer {
            status: u16::try_from(status).map_err(|_| DbError::Shape("an HTTP status"))?,
            headers: serde_json::from_str(&headers).map_err(|_| DbError::Shape("kept headers"))?,
            body,
        }),
        _ => None,
    };
    Ok(Kept { fingerprint, claim, claimed_until, answer })
}

pub(super) async fn take_over(tx: &mut Tx, call: &Call, token: &[u8; 16], until: i64) -> Result<bool, DbError> {
    let (route, key, token) = (call.route.as_str(), call.key.as_str(), token.as_slice());
    let values = params![token, until, call.customer, route, key, tx.now_ms()];
    Ok(tx.execute(TAKE_OVER, values).await? == 1)
}

/// Keeps these answers, each if its claim still holds.
pub(super) async fn fill_all(tx: &mut Tx, ends: &[(&Call, &[u8; 16], &Answer)]) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let mut rows = Vec::with_capacity(ends.len());
    for (call, token, answer) in ends {
        let headers = serde_json::to_string(&answer.headers).map_err(|_| DbError::Shape("headers to keep"))?;
        let mut values = row(call, token, now_ms, now_ms);
        values.extend(params![i64::from(answer.status), headers, answer.body.as_slice()]);
        rows.push(values);
    }
    tx.insert_all(&FILL_ALL, rows).await
}

/// Gives these claims back, each if it still holds.
pub(super) async fn delete_all(tx: &mut Tx, ends: &[(&Call, &[u8; 16])]) -> Result<(), DbError> {
    let condition = |(call, token): &(&Call, &[u8; 16])| {
        params![call.customer, call.route.as_str(), call.key.as_str(), token.as_slice()]
    };
    tx.insert_all(&DELETE_ALL, ends.iter().map(condition).collect()).await
}

pub(super) async fn delete_older(tx: &mut Tx, before: i64) -> Result<u64, DbError> {
    tx.execute(DELETE_OLDER, params![before]).await
}
