//! SQLite: one writer connection, some readers, every commit on the disk before it is acknowledged.

use std::path::Path;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Executor, Sqlite};

use super::{ACQUIRE_TIMEOUT, DbError, Pools, Row, Value};

/// Readers beside the writer.
const READERS_MAX: u32 = 4;

/// How long SQLite itself waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn connect(path: &str) -> Result<Pools, DbError> {
    let path = path.split('?').next().unwrap_or(path);
    if path.is_empty() || path == ":memory:" {
        return Err(DbError::Settings(String::from("SQLite needs a file")));
    }
    make_folder(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let writer = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    let writer = writer.connect_with(options.clone()).await?;
    let readers = SqlitePoolOptions::new().max_connections(READERS_MAX).acquire_timeout(ACQUIRE_TIMEOUT);
    let readers = readers.connect_with(options.pragma("query_only", "on")).await?;
    Ok(Pools::Sqlite { writer, readers })
}

fn make_folder(path: &str) -> Result<(), DbError> {
    match Path::new(path).parent() {
        Some(folder) => std::fs::create_dir_all(folder)
            .map_err(|error| DbError::Settings(format!("the folder of {path} cannot be made: {error}"))),
        None => Ok(()),
    }
}

pub(super) async fn rows<'e>(
    on: impl Executor<'e, Database = Sqlite>,
    sql: &'static str,
    params: Vec<Value>,
) -> Result<Vec<Row>, DbError> {
    let rows = bound(sql, params).fetch_all(on).await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

pub(super) async fn execute<'e>(
    on: impl Executor<'e, Database = Sqlite>,
    sql: &'static str,
    params: Vec<Value>,
) -> Result<u64, DbError> {
    Ok(bound(sql, params).execute(on).await?.rows_affected())
}

fn bound(sql: &'static str, params: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    params.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}
