//! MySQL and MariaDB: the clock, and statements with their values.

use sqlx::mysql::{MySqlArguments, MySqlDatabaseError};
use sqlx::query::Query;
use sqlx::{Executor, MySql};

use super::{DbError, Row, Value};

/// The session's time zone is UTC, so this is the epoch whatever the server's zone.
const NOW: &str = "select cast(unix_timestamp(now(3)) * 1000 as signed)";

/// The number that the server gives an error.
pub(super) fn number(error: &dyn sqlx::error::DatabaseError) -> Option<u16> {
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
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
