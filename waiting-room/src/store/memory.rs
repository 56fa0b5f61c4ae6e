//! The line in this process: a pure `Line` behind a lock, journalled so that `kill -9` loses nothing that was
//! answered. One process only; the model that every other store must agree with.

mod journal;

use self::journal::Journal;
use super::{Answer, LineStore, OpenError, StoreError, check_batch, check_proved, check_size, check_who};
use crate::{
    Clock,
    line::{
        Audit, Claimed, Effect, Generations, Joined, Joiner, Line, Move, Renewal, RoomChange, RoomInitial, Snapshot,
        check_room_name, effect_of,
    },
};
use std::{
    collections::HashMap,
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

/// Holds the lock of a journal directory; empty.
const LOCK_FILE: &str = "journal.lock";

/// Lines in memory, one journal file a room.
pub struct MemoryStore {
    dir: PathBuf,
    clock: Clock,
    // Std mutexes: never held across an `.await`. A critical section is a few map operations and one short write that
    // the operating system buffers.
    rooms: Mutex<HashMap<String, Arc<Mutex<Room>>>>,
    /// Locked for as long as this store lives.
    _lock: File,
}

struct Room {
    line: Line,
    journal: Journal,
}

impl MemoryStore {
    /// Locks `dir` (made if missing), reads every journal in it and rewrites it compactly.
    ///
    /// # Errors
    /// [`OpenError::InUse`], [`OpenError::Damaged`] or [`OpenError::File`].
    pub fn open(dir: &Path, clock: Clock) -> Result<MemoryStore, OpenError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file_error(dir))?;
        let lock = lock(&dir.join(LOCK_FILE))?;
        let mut rooms = HashMap::new();
        for (room, line) in journal::read_all(dir)? {
            let journal = Journal::create(dir, &room, &line).map_err(file_error(dir))?;
            rooms.insert(room, Arc::new(Mutex::new(Room { line, journal })));
        }
        Ok(MemoryStore { dir: dir.to_owned(), clock, rooms: Mutex::new(rooms), _lock: lock })
    }

    fn room(&self, room: &str) -> Result<Arc<Mutex<Room>>, StoreError> {
        held(&self.rooms)?.get(room).cloned().ok_or_else(|| StoreError::NoRoom(room.to_owned()))
    }

    /// Runs one operation on a room that was brought up to now.
    fn with<T>(&self, room: &str, run: impl FnOnce(&mut Room) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.settled(room, |room| {
            let opening = room.line.decide_open();
            room.commit(opening)?;
            run(room)
        })
    }

    /// The same, before an opening that is due.
    fn settled<T>(&self, room: &str, run: impl FnOnce(&mut Room) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let room = self.room(room)?;
        let mut room = held(&room)?;
        // The clock is read under the lock, so that its readings arrive in order.
        let now_ms = (self.clock)();
        room.line.settle(now_ms);
        run(&mut room)
    }

    /// Begins the room if there is none.
    fn begin(&self, room: &str, initial: &RoomInitial) -> Result<(), StoreError> {
        check_room_name(room)?;
        initial.check()?;
        let mut rooms = held(&self.rooms)?;
        if !rooms.contains_key(room) {
            let line = Line::begin((self.clock)(), initial);
            let journal = Journal::create(&self.dir, room, &line).map_err(|error| unwritable(&error))?;
            rooms.insert(room.to_owned(), Arc::new(Mutex::new(Room { line, journal })));
        }
        Ok(())
    }

    fn ensure_now(&self, room: &str, initial: &RoomInitial) -> Result<Snapshot, StoreError> {
        self.begin(room, initial)?;
        self.with(room, |room| {
            let effect = room.line.decide_ensure(initial);
            room.commit(effect)
        })
    }

    fn join_now(&self, room: &str, joiners: &[Joiner]) -> Result<Joined, StoreError> {
        check_size("joiners", joiners.len())?;
        self.with(room, |room| {
            let mut joining = room.line.decide_join(joiners, rand::random());
            if let Some(refused) = joining.refused() {
                return Err(refused.into());
            }
            let effect = joining.effect.take();
            room.commit(effect)?;
            Ok(room.line.joined(&joining))
        })
    }

    fn claim_now(&self, room: &str, epoch: u64, numbers: &[u64]) -> Result<(Vec<Claimed>, Snapshot), StoreError> {
        check_size("numbers", numbers.len())?;
        self.with(room, |room| {
            room.line.note_asking(epoch, numbers);
            let verdicts = room.line.decide_claims(epoch, numbers);
            room.commit(effect_of(numbers, &verdicts))?;
            room.line.note_asked(numbers, &verdicts);
            Ok((room.line.claimed(numbers, &verdicts), room.line.snapshot()))
        })
    }
}

impl Room {
    /// Writes the effect down, then puts it in force. If it cannot be written, nothing happened.
    fn commit(&mut self, effect: Option<Effect>) -> Result<Snapshot, StoreError> {
        if let Some(effect) = effect {
            let entry = self.line.entry(effect);
            self.journal.append(&entry).map_err(|error| unwritable(&error))?;
            self.line.apply(&entry);
            self.journal.compact_if_large(&self.line);
        }
        Ok(self.line.snapshot())
    }
}

impl LineStore for MemoryStore {
    fn ensure<'a>(&'a self, room: &'a str, initial: &'a RoomInitial) -> Answer<'a, Snapshot> {
        Box::pin(async move { self.ensure_now(room, initial) })
    }

    fn join<'a>(&'a self, room: &'a str, joiners: &'a [Joiner]) -> Answer<'a, Joined> {
        Box::pin(async move { self.join_now(room, joiners) })
    }

    fn claim<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, (Vec<Claimed>, Snapshot)> {
        Box::pin(async move { self.claim_now(room, epoch, numbers) })
    }

    fn tick<'a>(&'a self, room: &'a str) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            self.with(room, |room| {
                let effect = room.line.decide_tick();
                room.commit(effect)
            })
        })
    }

    fn change<'a>(&'a self, room: &'a str, who: &'a str, change: &'a RoomChange) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            check_who(who)?;
            change.check()?;
            self.with(room, |room| {
                room.line.check_change(change)?;
                let effect = room.line.decide_change(who, change);
                room.commit(effect)
            })
        })
    }

    fn leave<'a>(&'a self, room: &'a str, number: u64) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            self.with(room, |room| {
                let effect = room.line.decide_leave(number);
                room.commit(effect)
            })
        })
    }

    fn moves<'a>(&'a self, room: &'a str, epoch: u64, moves: &'a [Move]) -> Answer<'a, (Generations, Snapshot)> {
        Box::pin(async move {
            check_batch("moves", moves.len())?;
            self.with(room, |room| {
                let effect = room.line.decide_moves(epoch, moves);
                let snapshot = room.commit(effect)?;
                Ok((room.line.generations(), snapshot))
            })
        })
    }

    fn seen<'a>(&'a self, room: &'a str, positions: &'a [u64]) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            check_batch("positions", positions.len())?;
            self.with(room, |room| {
                room.line.see(positions);
                Ok(room.line.snapshot())
            })
        })
    }

    fn sessions<'a>(
        &'a self,
        room: &'a str,
        renew: &'a [String],
        end: &'a [String],
    ) -> Answer<'a, (Vec<Renewal>, Snapshot)> {
        Box::pin(async move {
            check_batch("renew", renew.len())?;
            check_batch("end", end.len())?;
            self.with(room, |room| {
                let sessions = room.line.decide_sessions(renew, end);
                Ok((sessions.answers, room.commit(sessions.effect)?))
            })
        })
    }

    fn restore<'a>(&'a self, room: &'a str, initial: &'a RoomInitial, highest: &'a Snapshot) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            self.begin(room, initial)?;
            self.settled(room, |room| {
                let effect = room.line.decide_restore(highest);
                room.commit(effect)
            })
        })
    }

    fn heal<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            check_proved(numbers)?;
            self.with(room, |room| {
                let effect = room.line.decide_heal(epoch, numbers);
                room.commit(effect)
            })
        })
    }

    fn changes<'a>(&'a self, room: &'a str) -> Answer<'a, Vec<Audit>> {
        Box::pin(async move { self.with(room, |room| Ok(room.line.changes())) })
    }
}

/// The rooms that have journals, whoever has these open.
pub(super) fn rooms(dir: &Path) -> Result<Vec<String>, OpenError> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    Ok(journal::all(dir)?.into_iter().map(|(room, _)| room).collect())
}

/// Removes the journal of a room that no process has open; whether there was one.
pub(super) fn forget(dir: &Path, room: &str) -> Result<bool, OpenError> {
    if !dir.is_dir() {
        return Ok(false);
    }
    let _lock = lock(&dir.join(LOCK_FILE))?;
    journal::remove(dir, room)
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(file_error(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}

/// A lock whose holder panicked guards a line that may be half changed; it stays shut until a restart reads the
/// journal again.
fn held<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, StoreError> {
    mutex.lock().map_err(|_| StoreError::Unreachable("an earlier call failed half-way; restart to recover".to_owned()))
}

fn unwritable(error: &std::io::Error) -> StoreError {
    StoreError::Unreachable(format!("the journal cannot be written: {error}"))
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::File { path, source }
}

#[cfg(test)]
mod tests;
