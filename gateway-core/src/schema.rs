//! The core's schema: the migrations of both dialects, embedded. Both end in the same tables and columns.

use crate::db::Migrations;

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");
static MYSQL: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/mysql");

/// What [`crate::db::Db::migrate`] runs for the core.
pub(crate) const MIGRATIONS: Migrations = Migrations { sqlite: &SQLITE, mysql: &MYSQL };

#[cfg(test)]
mod tests;
