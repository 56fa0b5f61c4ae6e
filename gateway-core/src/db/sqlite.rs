//! SQLite: one writer connection, some readers, every commit on the disk before it is acknowledged.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection};

use super::value::statements;
use super::{DbError, Pools, Readers, Row, Writer};

statements!(Sqlite);

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
    let writer = Writer::connect(options.clone()).await.map_err(|error| unwritable(path, error))?;
    refuse_unfit(&writer, path).await?;
    let readers = Readers::connect(options.pragma("query_only", "on")).await?;
    Ok(Pools::Sqlite { writer, readers })
}

/// What `pragma synchronous` calls FULL.
const SYNCHRONOUS_FULL: i64 = 2;

/// SQLite keeps silent where it could not do what it was asked for.
async fn refuse_unfit(writer: &Writer, path: &str) -> Result<(), DbError> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    if let Some(kind) = network_file_system(&mounts, &absolute) {
        return Err(DbError::Settings(format!(
            "{path} lies on a network file system ({kind}), where SQLite loses data: use a local disk, or MariaDB"
        )));
    }
    let mut alone = writer.alone().await?;
    let (journal, sync, keys) = (
        one(alone.connection(), "pragma journal_mode").await?.text()?,
        one(alone.connection(), "pragma synchronous").await?.int()?,
        one(alone.connection(), "pragma foreign_keys").await?.int()?,
    );
    drop(alone);
    if (journal.as_str(), sync, keys) != ("wal", SYNCHRONOUS_FULL, 1) {
        return Err(DbError::Settings(format!(
            "{path} takes neither journal_mode=wal, synchronous=full nor foreign_keys=on, or not all of them: it has \
             {journal}, {sync} and {keys}; use a local disk"
        )));
    }
    // Takes the lock that every write takes, and so finds out whether the file can be written to at all.
    match writer.begin().await {
        Ok(probe) => Ok(probe.roll_back().await?),
        Err(error) => Err(unwritable(path, error)),
    }
}

async fn one(writer: &mut SqliteConnection, ask: &'static str) -> Result<Row, DbError> {
    rows(writer, ask, Vec::new()).await?.into_iter().next().ok_or(DbError::Shape("what SQLite is set to"))
}

/// SQLite's primary codes for a file that it cannot write to or open, the low byte of the extended code.
const UNWRITABLE: [u32; 2] = [8, 14];

/// A file that cannot be written to is a mistake in the settings; trying again does not help.
fn unwritable(path: &str, error: sqlx::Error) -> DbError {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    if code.is_some_and(|code| UNWRITABLE.contains(&(code & 0xff))) {
        return DbError::Settings(format!("{path} cannot be written to: the file and its folder must be writable"));
    }
    error.into()
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
    use super::*;

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
