//! MySQL and MariaDB: the clock, and statements with their values.

use sqlx::mysql::MySqlDatabaseError;
use sqlx::{Executor, MySql};

use super::DbError;
use super::value::statements;

statements!(MySql);

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
