//! Where lines live: the trait `LineStore` and what can go wrong. Rules of the line are not here but in `line`.

mod group;
mod memory;
mod redis;

pub use self::{group::GroupedStore, memory::MemoryStore, redis::RedisStore};

use crate::{
    Clock,
    line::{
        Audit, Claimed, Generations, Invalid, Joined, Joiner, LANES_MAX, Move, Refused, Renewal, RoomChange,
        RoomInitial, Snapshot, check_room_name,
    },
};
use futures_util::future::BoxFuture;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The most numbers one `join` takes and one `claim` asks for: bounds the time a call holds the store.
pub const GROUP_MAX: usize = 1_024;

/// The most positions one `seen` takes, and the most sessions one `sessions` renews or ends.
pub const BATCH_MAX: usize = 8_192;

/// The longest name of an operator, in bytes.
pub const WHO_BYTES_MAX: usize = 200;

/// The changes of a room that are kept.
pub const CHANGES_MAX: usize = crate::line::rule::CHANGES_MAX;

/// The future of a store's answer: boxed, so that the trait can be used as `dyn LineStore`.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The one boundary between the door and the line. All implementations pass one contract suite.
///
/// Every operation is atomic and may be called by any number of nodes at the same time. An operation that answered
/// is kept: `kill -9` afterwards does not undo it. One that failed with [`StoreError::Unreachable`] may have taken
/// effect: a repeated `join` burns numbers, a repeated `claim` gets the same session.
pub trait LineStore: Send + Sync {
    /// Begins the room with `initial` if the store has no such room; otherwise only `initial.session_ms` and
    /// `initial.lanes` are taken over: lanes named for the first time come last, weights follow where the settings changed
    /// them, and no lane goes. To be called for each room before anything else.
    fn ensure<'a>(&'a self, room: &'a str, initial: &'a RoomInitial) -> Answer<'a, Snapshot>;

    /// Gives each joiner (1 ..= [`GROUP_MAX`]) the next number of its lane; lets the first ones in at once if the room is
    /// calm (nobody waits) and the meter allows. An identity that has a number gets that one again. Fails if nobody of
    /// them gets anything.
    fn join<'a>(&'a self, room: &'a str, joiners: &'a [Joiner]) -> Answer<'a, Joined>;

    /// Asks to go in with these numbers of this epoch (at most [`GROUP_MAX`]); answers in their order. The only way in
    /// besides the calm `join`. In another epoch they are all [`Claimed::Unknown`] and nothing is spent.
    fn claim<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, (Vec<Claimed>, Snapshot)>;

    /// Calls the next people if it is time. Any node may call it at any time; the door does every 250 ms. It never
    /// passes `issued`.
    fn tick<'a>(&'a self, room: &'a str) -> Answer<'a, Snapshot>;

    /// Changes what an operator may change, for all nodes, from now on; `who` (at most [`WHO_BYTES_MAX`]) is kept with it.
    fn change<'a>(&'a self, room: &'a str, who: &'a str, change: &'a RoomChange) -> Answer<'a, Snapshot>;

    /// Gives this number up: it can no longer claim and holds nobody up. A session that it already has goes on.
    fn leave<'a>(&'a self, room: &'a str, number: u64) -> Answer<'a, Snapshot>;

    /// Lets places of this epoch go on with another device (at most [`BATCH_MAX`]), each if it has the generation that is
    /// named; answers with the generations of all places that ever did. In another epoch nothing moves.
    fn moves<'a>(&'a self, room: &'a str, epoch: u64, moves: &'a [Move]) -> Answer<'a, (Generations, Snapshot)>;

    /// The holders of these positions (at most [`BATCH_MAX`]) were heard of a moment ago. Nodes send what they heard
    /// near the front, once a second.
    fn seen<'a>(&'a self, room: &'a str, positions: &'a [u64]) -> Answer<'a, Snapshot>;

    /// Sessions that were used a moment ago (they go on if the room renews) and sessions that are over, by their ids;
    /// at most [`BATCH_MAX`] of each; answers of the used ones in their order. One whose number was never used up, because
    /// it went in before a loss or without the store, is inside from now on, and its number is used up: only ids of
    /// verified tokens may be told.
    fn sessions<'a>(
        &'a self,
        room: &'a str,
        renew: &'a [String],
        end: &'a [String],
    ) -> Answer<'a, (Vec<Renewal>, Snapshot)>;

    /// Brings back a line that this store has lost, or holds an older state of: `highest` is the youngest snapshot a
    /// node has seen. Every node may call it, in any order; what is higher stays.
    fn restore<'a>(&'a self, room: &'a str, initial: &'a RoomInitial, highest: &'a Snapshot) -> Answer<'a, Snapshot>;

    /// Tickets that were verified have these numbers of one epoch, the highest of each lane. Numbers are given out above them; a line that has just begun goes on as the older one of the
    /// tickets, with the numbers of that one. The answer is the line that there is then.
    fn heal<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, Snapshot>;

    /// The last [`CHANGES_MAX`] changes by operators, oldest first.
    fn changes<'a>(&'a self, room: &'a str) -> Answer<'a, Vec<Audit>>;
}

/// What went wrong, by what the caller can do about it. It never lets anybody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer, or not in time. Try later; the effect is unknown.
    #[error("the line's store cannot be reached: {0}")]
    Unreachable(String),
    /// Too many calls are queued before this one. Nothing happened; try later.
    #[error("too many calls are waiting for the line's store")]
    Busy,
    /// No such room: `ensure` was not called.
    #[error("the store has no room \"{0}\"")]
    NoRoom(String),
    /// As many people wait as may, or the room has given out all its numbers.
    #[error("the room is full")]
    Full,
    /// Nobody joins now, by the room's state or schedule; the snapshot tells which.
    #[error("the room takes nobody in now")]
    Closed,
    /// The room has no lane of this index: this store's line is older than this node's settings.
    #[error("the room has no such lane")]
    NoLane,
    /// This proof of work was used before.
    #[error("this proof of work was used before")]
    Proof,
    /// A value is out of range. Nothing happened.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> StoreError {
        match refused {
            Refused::Full => StoreError::Full,
            Refused::Closed => StoreError::Closed,
            Refused::NoLane => StoreError::NoLane,
            Refused::Proof => StoreError::Proof,
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It did not answer. It may later: the one error worth a retry.
    #[error("the line's store cannot be reached: {0}")]
    Unreachable(String),
    /// The address is none of `memory`, `redis://…`, `redis+cluster://…`, `redis+sentinel://…`.
    #[error("not a store address: {0}")]
    Address(String),
    /// The server answers but must not be used as it is set up.
    #[error("the line's store is set up unsafely: {0}")]
    Unsafe(String),
    /// Another process has the journal open.
    #[error("{} is locked: another process uses this journal directory", .0.display())]
    InUse(PathBuf),
    /// The journal was changed by someone else, or its disk is failing. Nothing was written to it.
    #[error("{} is damaged at byte {offset}: {reason}; restore it from a backup, or move it away to begin anew", path.display())]
    Damaged {
        /// The journal file.
        path: PathBuf,
        /// Where the first unreadable record begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// Opens the store at `address` with joins and claims grouped: `memory` (journalled in `journal_dir`, timed by
/// `clock`), `redis://host:port/db`, `redis+cluster://host:port,host:port` or
/// `redis+sentinel://host:port,host:port/service/db` (timed by the server).
///
/// # Errors
/// [`OpenError::Unreachable`] may pass; the others need someone to change something.
pub async fn open(address: &str, journal_dir: &Path, clock: Clock) -> Result<Arc<dyn LineStore>, OpenError> {
    let store: Arc<dyn LineStore> = match address {
        "memory" => Arc::new(MemoryStore::open(journal_dir, clock)?),
        _ => Arc::new(RedisStore::open(address).await?),
    };
    Ok(Arc::new(GroupedStore::new(store)))
}

/// Clears the line of a room for good, from the store at `address`; whether there was one. No door may have the room in
/// its settings: it would bring the line back, from what it knows.
///
/// # Errors
/// As [`open`]; [`OpenError::InUse`] where a door has the journals open.
pub async fn forget(address: &str, journal_dir: &Path, room: &str) -> Result<bool, OpenError> {
    check_room_name(room).map_err(|invalid| OpenError::Address(invalid.to_string()))?;
    match address {
        "memory" => memory::forget(journal_dir, room),
        _ => RedisStore::open(address).await?.forget(room).await,
    }
}

/// The rooms whose lines the store at `address` keeps, in order: those that doors have, and those that were taken out of
/// the settings and not forgotten.
///
/// # Errors
/// As [`open`].
pub async fn rooms(address: &str, journal_dir: &Path) -> Result<Vec<String>, OpenError> {
    let mut rooms = match address {
        "memory" => memory::rooms(journal_dir)?,
        _ => RedisStore::open(address).await?.rooms().await?,
    };
    rooms.sort_unstable();
    rooms.dedup();
    Ok(rooms)
}

/// Whether a call's size is allowed.
fn check_size(field: &'static str, size: usize) -> Result<(), StoreError> {
    if (1..=GROUP_MAX).contains(&size) {
        Ok(())
    } else {
        Err(Invalid { field, range: format!("1 to {GROUP_MAX}") }.into())
    }
}

/// Whether a batch's size is allowed; an empty one is.
fn check_batch(field: &'static str, size: usize) -> Result<(), StoreError> {
    if size <= BATCH_MAX { Ok(()) } else { Err(Invalid { field, range: format!("at most {BATCH_MAX}") }.into()) }
}

/// Whether these may be the highest numbers of lanes.
fn check_proved(numbers: &[u64]) -> Result<(), StoreError> {
    if (1..=LANES_MAX).contains(&numbers.len()) {
        Ok(())
    } else {
        Err(Invalid { field: "numbers", range: format!("1 to {LANES_MAX}") }.into())
    }
}

fn check_who(who: &str) -> Result<(), StoreError> {
    if who.len() <= WHO_BYTES_MAX {
        Ok(())
    } else {
        Err(Invalid { field: "who", range: format!("at most {WHO_BYTES_MAX} bytes") }.into())
    }
}
