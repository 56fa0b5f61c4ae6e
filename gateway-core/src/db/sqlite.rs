//! SQLite: one connection that writes, some that read, every commit on the disk before it is acknowledged.
//!
//! A statement is a call into SQLite from wherever it is wanted. Most take some tens of microseconds: handed to a thread and
//! awaited, each would cost two switches of threads, and more time than it takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, migrate};

use super::{DbError, Pools, Readers, Row, Value, Writer};

/// How long another process that holds the file is waited for.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How many prepared statements a connection keeps: ours, the bulk ones in each of their sizes.
const STATEMENTS_MAX: usize = 512;

pub(super) async fn connect(path: &str) -> Result<Pools, DbError> {
    let path = path.split('?').next().unwrap_or(path);
    if path.is_empty() || path == ":memory:" {
        return Err(DbError::Settings(String::from("SQLite needs a file")));
    }
    make_folder(path)?;
    let writer = Writer::open(path).map_err(|error| unwritable(path, error))?;
    refuse_unfit(&writer, path).await?;
    Ok(Pools::Sqlite { path: path.into(), writer, readers: Readers::open(path)? })
}

pub(super) fn open(path: &str) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    // Otherwise a statement with `limit ?` is prepared anew for each value, which takes longer than to run it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What a statement keeps aside while it runs: otherwise a file each, made and deleted.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Brings the schema up to date, on a connection of its own.
pub(super) async fn migrate(path: &str, migrations: &migrate::Migrator) -> Result<(), migrate::MigrateError> {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection: SqliteConnection = options.connect().await?;
    migrations.run(&mut connection).await
}

pub(super) fn rows(on: &Connection, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>, rusqlite::Error> {
    let mut statement = on.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(params))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|at| row.get(at)).collect::<Result<Vec<rusqlite::types::Value>, _>>()?;
        all.push(values.into());
    }
    Ok(all)
}

pub(super) fn execute(on: &Connection, sql: &'static str, params: Vec<Value>) -> Result<u64, rusqlite::Error> {
    let changed = on.prepare_cached(sql)?.execute(params_from_iter(params))?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// For what may take as long as a disk: on a thread that is there for waiting. Once begun it goes on to its end, whether
/// anybody still listens or not.
pub(super) async fn at_the_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, rusqlite::Error> + Send + 'static,
) -> Result<T, DbError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(ended) => Err(DbError::Unreachable(Arc::new(ended))),
    }
}

/// What `pragma synchronous` calls NORMAL: the log is synced before it is copied, and by [`super::log`] before a commit is
/// acknowledged.
const SYNCHRONOUS_NORMAL: i64 = 1;

/// SQLite keeps silent where it could not do what it was asked for.
async fn refuse_unfit(writer: &Writer, path: &str) -> Result<(), DbError> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    if let Some(kind) = network_file_system(&mounts, &absolute) {
        return Err(DbError::Settings(format!(
            "{path} lies on a network file system ({kind}), where SQLite loses data: use a local disk, or MariaDB"
        )));
    }
    let alone = writer.alone().await?;
    let (journal, sync, keys) = (
        one(alone.connection(), "pragma journal_mode")?.text()?,
        one(alone.connection(), "pragma synchronous")?.int()?,
        one(alone.connection(), "pragma foreign_keys")?.int()?,
    );
    drop(alone);
    if (journal.as_str(), sync, keys) != ("wal", SYNCHRONOUS_NORMAL, 1) {
        return Err(DbError::Settings(format!(
            "{path} takes neither journal_mode=wal, synchronous=normal nor foreign_keys=on, or not all of them: it has \
             {journal}, {sync} and {keys}; use a local disk"
        )));
    }
    // Takes the lock that every write takes, and so finds out whether the file can be written to at all.
    writer.begin().await.map(drop).map_err(|error| unwritable(path, error))
}

fn one(writer: &Connection, ask: &'static str) -> Result<Row, DbError> {
    rows(writer, ask, Vec::new())?.into_iter().next().ok_or(DbError::Shape("what SQLite is set to"))
}

/// A file that cannot be written to is a mistake in the settings; trying again does not help.
fn unwritable(path: &str, error: DbError) -> DbError {
    let DbError::Statement(cause) = &error else { return error };
    let code = cause.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
    if matches!(code, Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) {
        return DbError::Settings(format!("{path} cannot be written to: the file and its folder must be writable"));
    }
    error
}

/// The kind of the network file system that a file lies on, by what Linux says of its mounts: the longest mount point
/// wins. SQLite's log needs memory that all processes share, and its locks must be true.
fn network_file_system<'a>(mounts: &'a str, file: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let (left, right) = line.split_once(" - ")?;
        Some((left.split(' ').nth(4)?, right.split(' ').next()?))
    };
    let under = mounts.lines().filter_map(mount).filter(|(point, _)| file.starts_with(point));
    let (_, kind) = under.max_by_key(|(point, _)| point.len())?;
    let network = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs"];
    network.contains(&kind).then_some(kind)
}

fn make_folder(path: &str) -> Result<(), DbError> {
    match Path::new(path).parent() {
        Some(folder) => std::fs::create_dir_all(folder)
            .map_err(|error| DbError::Settings(format!("the folder of {path} cannot be made: {error}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_prepared_once_whatever_its_limit_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = open(&folder.path().join("core.db").display().to_string()).expect("a file");
        connection.execute("create table t (n integer)", []).expect("a table");
        let mut statement = connection.prepare("select n from t where n <= ? limit ?").expect("a statement");
        for n in 1..10 {
            assert!(!statement.exists([n, n]).expect("rows"));
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }

    #[test]
    fn files_on_network_file_systems_are_known() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda rw\n\
                      30 22 0:40 / /srv rw,relatime shared:1 - nfs4 server:/srv rw\n\
                      31 30 8:2 / /srv/local rw - xfs /dev/sdb rw\n";
        let kind = |file: &str| network_file_system(mounts, Path::new(file));
        assert_eq!(kind("/srv/shop/core.db"), Some("nfs4"));
        assert_eq!(kind("/srv/local/core.db"), None);
        assert_eq!(kind("/srvother/core.db"), None);
        assert_eq!(network_file_system("", Path::new("/core.db")), None);
    }
}
