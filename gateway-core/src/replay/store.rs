//! Statements on kept answers.

use super::{Answer, Call, Claim};
use crate::db::{Bulk, DbError, Sql, Tx, Value, params};

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

/// The rows are there, so this is an update of many at once. MySQL assigns from left to right, hence the state last.
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

pub(super) async fn insert(tx: &mut Tx, call: &Call, claim: &Claim, until: i64) -> Result<(), DbError> {
    let values = row(call, claim, until, tx.now_ms());
    tx.execute(INSERT, values).await.map(|_| ())
}

pub(super) async fn insert_all(tx: &mut Tx, claimed: &[(&Call, &Claim)], until: i64) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let rows = claimed.iter().map(|(call, claim)| row(call, claim, until, now_ms)).collect();
    tx.insert_all(&INSERT_ALL, rows).await
}

fn row(call: &Call, claim: &Claim, until: i64, now_ms: i64) -> Vec<Value> {
    let (route, key) = (call.route.as_str(), call.key.as_str());
    let (print, token) = (call.fingerprint.as_slice(), claim.token.as_slice());
    params![call.customer, route, key, print, token, until, now_ms]
}

pub(super) async fn read(tx: &mut Tx, call: &Call) -> Result<Option<Kept>, DbError> {
    let found = tx.row(READ, params![call.customer, call.route.as_str(), call.key.as_str()]).await?;
    let Some(mut row) = found else { return Ok(None) };
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
    Ok(Some(Kept { fingerprint, claim, claimed_until, answer }))
}

pub(super) async fn take_over(tx: &mut Tx, call: &Call, claim: &Claim, until: i64) -> Result<bool, DbError> {
    let (route, key, token) = (call.route.as_str(), call.key.as_str(), claim.token.as_slice());
    let values = params![token, until, call.customer, route, key, tx.now_ms()];
    Ok(tx.execute(TAKE_OVER, values).await? == 1)
}

/// Keeps these answers, each if its claim still holds.
pub(super) async fn fill_all(tx: &mut Tx, ends: &[(&Call, &Claim, &Answer)]) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let mut rows = Vec::with_capacity(ends.len());
    for (call, claim, answer) in ends {
        let headers = serde_json::to_string(&answer.headers).map_err(|_| DbError::Shape("headers to keep"))?;
        let mut values = row(call, claim, now_ms, now_ms);
        values.extend(params![i64::from(answer.status), headers, answer.body.as_slice()]);
        rows.push(values);
    }
    tx.insert_all(&FILL_ALL, rows).await
}

/// Gives these claims back, each if it still holds.
pub(super) async fn delete_all(tx: &mut Tx, ends: &[(&Call, &Claim)]) -> Result<(), DbError> {
    let condition = |(call, claim): &(&Call, &Claim)| {
        params![call.customer, call.route.as_str(), call.key.as_str(), claim.token.as_slice()]
    };
    tx.insert_all(&DELETE_ALL, ends.iter().map(condition).collect()).await
}

pub(super) async fn delete_older(tx: &mut Tx, before: i64) -> Result<u64, DbError> {
    tx.execute(DELETE_OLDER, params![before]).await
}
