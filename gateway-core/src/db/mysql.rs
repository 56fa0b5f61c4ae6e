//! MySQL and MariaDB: read committed, short lock waits, and settings that do not bend what is written.

use std::str::FromStr;

use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlPoolOptions};
use sqlx::query::Query;
use sqlx::{Executor, MySql, Pool};

use super::{ACQUIRE_TIMEOUT, CONNECTIONS_MAX, DbError, Pools, Row, Value};

/// Every session. No rule of ours relies on the isolation level; this one only locks less. Whoever waits three
/// seconds for a row is told to try again instead of waiting for the server's usual fifty.
const SESSION_ISOLATION: &str = "set session transaction isolation level read committed";
const SESSION_LOCK_WAIT: &str = "set session innodb_lock_wait_timeout = 3";

const SQL_MODE: &str = "select @@sql_mode";

/// The session's time zone is UTC, so this is the epoch whatever the server's zone.
const NOW: &str = "select cast(unix_timestamp(now(3)) * 1000 as signed)";

pub(super) async fn connect(url: &str) -> Result<Pools, DbError> {
    let options = MySqlConnectOptions::from_str(url).map_err(|error| DbError::Settings(error.to_string()))?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(DbError::Settings(String::from("database_url names no database")));
    }
    let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute(SESSION_ISOLATION).await?;
            connection.execute(SESSION_LOCK_WAIT).await?;
            Ok(())
        })
    });
    let pool = pool.connect_with(options).await.map_err(unreachable_if_timed_out)?;
    refuse_lax_mode(&pool).await?;
    Ok(Pools::MySql(pool))
}

/// While connecting, waiting in vain means that nobody is there, not that too many are.
fn unreachable_if_timed_out(error: sqlx::Error) -> DbError {
    if matches!(error, sqlx::Error::PoolTimedOut) { DbError::Unreachable(error.into()) } else { error.into() }
}

/// Without strict mode the server cuts text that is too long and clamps numbers that are out of range.
async fn refuse_lax_mode(pool: &Pool<MySql>) -> Result<(), DbError> {
    let mode = match rows(pool, SQL_MODE, Vec::new()).await?.first_mut() {
        Some(row) => row.text()?,
        None => String::new(),
    };
    if mode.contains("STRICT_TRANS_TABLES") || mode.contains("STRICT_ALL_TABLES") {
        return Ok(());
    }
    Err(DbError::Settings(format!("sql_mode must contain STRICT_TRANS_TABLES, it is {mode:?}")))
}

pub(super) async fn now_ms<'e>(on: impl Executor<'e, Database = MySql>) -> Result<i64, DbError> {
    match rows(on, NOW, Vec::new()).await?.first_mut() {
        Some(row) => row.int(),
        None => Err(DbError::Shape("the time")),
    }
}

pub(super) async fn rows<'e>(
    on: impl Executor<'e, Database = MySql>,
    sql: &'static str,
    params: Vec<Value>,
) -> Result<Vec<Row>, DbError> {
    let rows = bound(sql, params).fetch_all(on).await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

pub(super) async fn execute<'e>(
    on: impl Executor<'e, Database = MySql>,
    sql: &'static str,
    params: Vec<Value>,
) -> Result<u64, DbError> {
    Ok(bound(sql, params).execute(on).await?.rows_affected())
}

fn bound(sql: &'static str, params: Vec<Value>) -> Query<'static, MySql, MySqlArguments> {
    params.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}
