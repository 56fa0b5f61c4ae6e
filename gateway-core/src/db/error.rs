//! What can go wrong with a database, by what the caller must do about it.

use std::error::Error;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};

use super::mysql;

/// What a database said, in its own words.
type Cause = Arc<dyn Error + Send + Sync>;

/// A database error. Cheap to clone: what fails a group fails each of its members.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DbError {
    /// A row with this key is there already. Callers that expect it handle it; it does not end the transaction.
    #[error("a row with this key exists")]
    Duplicate,
    /// Too much at once, or a lock that was not given: try later.
    #[error("the database is busy")]
    Busy(#[source] Cause),
    /// It does not answer: try later.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Cause),
    /// The commit was sent and its answer did not come: the work is stored, or it is not.
    #[error("nobody knows yet whether this was stored")]
    CommitUnknown(#[source] Cause),
    /// It can be read, but not written to, at least for now: a replica.
    #[error("the database cannot be written to: {0}")]
    ReadOnly(String),
    /// Its settings, its address or its schema make it unfit. Trying again does not help.
    #[error("the database is not fit for use: {0}")]
    Settings(String),
    /// A statement failed in a way that is a mistake of ours.
    #[error("a statement failed")]
    Statement(#[source] Cause),
    /// A row does not have the shape that its reader expects.
    #[error("a row is not what was expected: {0}")]
    Shape(&'static str),
}

/// MySQL: deadlock found, which is also what a cluster says to a transaction that another node overtook; lock wait timed
/// out; the row has changed since the snapshot.
const MYSQL_LOCKS: [u16; 3] = [1213, 1205, 1020];

/// MySQL: a node that has no majority or is not in step; shutting down; read-only, in two ways; the connection was ended.
const MYSQL_GONE: [u16; 5] = [1047, 1053, 1290, 1836, 1927];

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match (error.sqlite_error_code(), extended) {
            (_, Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY)) => Self::Duplicate,
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => Self::Busy(Arc::new(error)),
            _ => Self::Statement(Arc::new(error)),
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(inner) = &error {
            if inner.is_unique_violation() {
                return Self::Duplicate;
            }
            return match mysql::number(inner.as_ref()) {
                Some(number) if MYSQL_LOCKS.contains(&number) => Self::Busy(Arc::new(error)),
                Some(number) if MYSQL_GONE.contains(&number) => Self::Unreachable(Arc::new(error)),
                _ => Self::Statement(Arc::new(error)),
            };
        }
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy(Arc::new(error));
        }
        let gone = matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed);
        let error = Arc::new(error);
        if gone { Self::Unreachable(error) } else { Self::Statement(error) }
    }
}

impl DbError {
    /// More than is done in a reasonable time waits already.
    pub(crate) fn too_much() -> Self {
        Self::Busy(Arc::new(sqlx::Error::PoolTimedOut))
    }

    /// What an error means when it came instead of the answer to a commit.
    pub(super) fn of_commit(error: impl Into<Self>) -> Self {
        match error.into() {
            // A victim of other transactions (a cluster says so at the commit) was rolled back.
            busy @ Self::Busy(_) => busy,
            Self::Unreachable(error) | Self::Statement(error) => Self::CommitUnknown(error),
            other @ (Self::Duplicate
            | Self::CommitUnknown(_)
            | Self::ReadOnly(_)
            | Self::Settings(_)
            | Self::Shape(_)) => other,
        }
    }

    /// Whether one member of a group may have caused it for all: bad data, a key that is taken.
    pub(crate) fn may_be_one_members(&self) -> bool {
        match self {
            Self::Duplicate | Self::Statement(_) | Self::Shape(_) => true,
            Self::Busy(_) | Self::Unreachable(_) | Self::CommitUnknown(_) | Self::ReadOnly(_) | Self::Settings(_) => {
                false
            }
        }
    }

    /// Whether another host of the same database might do better. No connection in time may mean that all are in use,
    /// or that nobody is there.
    pub(super) fn means_another_host(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::CommitUnknown(_) | Self::ReadOnly(_) => true,
            Self::Busy(error) => matches!(error.downcast_ref(), Some(sqlx::Error::PoolTimedOut)),
            Self::Duplicate | Self::Settings(_) | Self::Statement(_) | Self::Shape(_) => false,
        }
    }
}
