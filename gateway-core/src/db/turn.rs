//! Who answers from a SQLite file: one process, which may keep in memory what several would have to write down; or several.

use std::fs::{File, OpenOptions, TryLockError};
use std::sync::Arc;

use super::DbError;

/// How many processes may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    Alone,
    AmongMany,
}

/// The right to answer. Given up when it is dropped, and when its process ends, however that ends.
#[derive(Debug)]
pub(crate) struct Turn {
    _locked: Option<File>,
}

#[derive(Debug, thiserror::Error)]
enum NoTurn {
    #[error(
        "another process answers customers from {0} and has locked {0}-lock. On SQLite one does, unless all of them have \
         core.many_order_processes = true; or use MariaDB"
    )]
    Taken(String),
    #[error("{0}-lock cannot be locked: {1}")]
    Unlockable(String, std::io::Error),
}

impl Turn {
    /// Where nobody has to ask.
    pub(super) const FREE: Self = Self { _locked: None };
}

/// Locks a file beside the database, alone or with others: to open and close the database itself would take SQLite's own
/// locks away.
///
/// # Errors
/// Another process has it: that may pass.
pub(super) fn take(path: &str, answering: Answering) -> Result<Turn, DbError> {
    let unlockable = |error| DbError::Busy(Arc::new(NoTurn::Unlockable(path.to_owned(), error)));
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(format!("{path}-lock"));
    let file = file.map_err(unlockable)?;
    let locked = match answering {
        Answering::Alone => file.try_lock(),
        Answering::AmongMany => file.try_lock_shared(),
    };
    match locked {
        Ok(()) => Ok(Turn { _locked: Some(file) }),
        Err(TryLockError::WouldBlock) => Err(DbError::Busy(Arc::new(NoTurn::Taken(path.to_owned())))),
        Err(TryLockError::Error(error)) => Err(unlockable(error)),
    }
}
