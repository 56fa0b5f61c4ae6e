//! The line in Redis or Redis Cluster: one script per operation, timed by the server's clock. The rules are in the
//! scripts and are those of the pure `Line`; this is the shell around them.

mod answer;
mod connection;
mod script;

use self::{
    answer::{ClaimAnswer, JoinAnswer, SnapshotAnswer},
    connection::Connection,
    script::{Operation, Scripts},
};
use super::{Answer, LineStore, OpenError, StoreError, check_batch, check_size, check_who};
use crate::line::{Audit, Claimed, Invalid, Joined, RoomChange, RoomInitial, RoomState, Snapshot, check_room_name};
use redis::FromRedisValue;
use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Mutex, PoisonError},
};

/// Tells a script to read the server's clock. Only tests send a time.
const SERVER_TIME: i64 = 0;

/// Lines in Redis, shared by any number of nodes.
pub struct RedisStore {
    connection: Connection,
    scripts: Scripts,
    /// What each room begins with, in case the server has lost it. A std mutex: never held across an `.await`.
    initials: Mutex<HashMap<String, RoomInitial>>,
}

impl RedisStore {
    /// Connects to `redis://host:port/db` or `redis+cluster://host:port,host:port`.
    ///
    /// # Errors
    /// [`OpenError::Address`], [`OpenError::Unreachable`], or [`OpenError::Unsafe`] if the server would evict lines
    /// when its memory is full.
    pub async fn open(address: &str) -> Result<RedisStore, OpenError> {
        let connection = Connection::open(address).await?;
        Ok(RedisStore { connection, scripts: Scripts::new(), initials: Mutex::default() })
    }

    /// Runs one operation. A room that the server has lost is begun anew, with another epoch, and it runs again.
    async fn call<T: FromRedisValue>(
        &self,
        operation: Operation,
        room: &str,
        now_ms: i64,
        arguments: &[Vec<u8>],
    ) -> Result<T, StoreError> {
        match self.call_once(operation, room, now_ms, arguments).await {
            Err(StoreError::NoRoom(_)) => {
                let initial = self.initials.lock().unwrap_or_else(PoisonError::into_inner).get(room).cloned();
                let initial = initial.ok_or_else(|| StoreError::NoRoom(room.to_owned()))?;
                tracing::error!(room, "the store has lost the room: it begins anew, with a new epoch");
                let _: SnapshotAnswer =
                    self.call_once(Operation::Ensure, room, now_ms, &ensure_arguments(&initial)).await?;
                self.call_once(operation, room, now_ms, arguments).await
            }
            answer => answer,
        }
    }

    async fn call_once<T: FromRedisValue>(
        &self,
        operation: Operation,
        room: &str,
        now_ms: i64,
        arguments: &[Vec<u8>],
    ) -> Result<T, StoreError> {
        let answer = self.connection.run(self.scripts.of(operation), &keys(room), now_ms, arguments).await;
        answer.map_err(|error| match error.code() {
            Some("NOROOM") => StoreError::NoRoom(room.to_owned()),
            Some("FULL") => StoreError::Full,
            Some(_) | None => StoreError::Unreachable(error.to_string()),
        })
    }

    async fn ensure_at(&self, room: &str, now_ms: i64, initial: &RoomInitial) -> Result<Snapshot, StoreError> {
        check_room_name(room)?;
        initial.check()?;
        self.initials.lock().unwrap_or_else(PoisonError::into_inner).insert(room.to_owned(), initial.clone());
        let answer: SnapshotAnswer = self.call(Operation::Ensure, room, now_ms, &ensure_arguments(initial)).await?;
        Ok(answer.0)
    }

    async fn join_at(&self, room: &str, now_ms: i64, count: u32) -> Result<Joined, StoreError> {
        check_size("count", count as usize)?;
        let answer: JoinAnswer = self.call(Operation::Join, room, now_ms, &[text(count)]).await?;
        Ok(answer.0)
    }

    async fn claim_at(&self, room: &str, now_ms: i64, numbers: &[u64]) -> Result<(Vec<Claimed>, Snapshot), StoreError> {
        check_size("numbers", numbers.len())?;
        let arguments: Vec<_> = numbers.iter().map(text).collect();
        let answer: ClaimAnswer = self.call(Operation::Claim, room, now_ms, &arguments).await?;
        Ok(answer.of(numbers))
    }

    async fn tick_at(&self, room: &str, now_ms: i64) -> Result<Snapshot, StoreError> {
        let answer: SnapshotAnswer = self.call(Operation::Tick, room, now_ms, &[]).await?;
        Ok(answer.0)
    }

    async fn change_at(&self, room: &str, now_ms: i64, change: &RoomChange) -> Result<Snapshot, StoreError> {
        change.check()?;
        let answer: SnapshotAnswer = self.call(Operation::Change, room, now_ms, &change_arguments(change)).await?;
        Ok(answer.0)
    }

    async fn leave_at(&self, room: &str, now_ms: i64, number: u64) -> Result<Snapshot, StoreError> {
        let answer: SnapshotAnswer = self.call(Operation::Leave, room, now_ms, &[text(number)]).await?;
        Ok(answer.0)
    }
}

impl LineStore for RedisStore {
    fn ensure<'a>(&'a self, room: &'a str, initial: &'a RoomInitial) -> Answer<'a, Snapshot> {
        Box::pin(self.ensure_at(room, SERVER_TIME, initial))
    }

    fn join<'a>(&'a self, room: &'a str, count: u32) -> Answer<'a, Joined> {
        Box::pin(self.join_at(room, SERVER_TIME, count))
    }

    fn claim<'a>(&'a self, room: &'a str, _: u64, numbers: &'a [u64]) -> Answer<'a, (Vec<Claimed>, Snapshot)> {
        Box::pin(self.claim_at(room, SERVER_TIME, numbers))
    }

    fn tick<'a>(&'a self, room: &'a str) -> Answer<'a, Snapshot> {
        Box::pin(self.tick_at(room, SERVER_TIME))
    }

    fn change<'a>(&'a self, room: &'a str, who: &'a str, change: &'a RoomChange) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            check_who(who)?;
            self.change_at(room, SERVER_TIME, change).await
        })
    }

    fn leave<'a>(&'a self, room: &'a str, number: u64) -> Answer<'a, Snapshot> {
        Box::pin(self.leave_at(room, SERVER_TIME, number))
    }

    fn seen<'a>(&'a self, _: &'a str, positions: &'a [u64]) -> Answer<'a, Snapshot> {
        Box::pin(async move { check_batch("positions", positions.len()).and_then(|()| not_here("seen")) })
    }

    fn sessions<'a>(&'a self, _: &'a str, renew: &'a [String], end: &'a [String]) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            check_batch("renew", renew.len())?;
            check_batch("end", end.len())?;
            not_here("sessions")
        })
    }

    fn restore<'a>(&'a self, _: &'a str, _: &'a RoomInitial, _: &'a Snapshot) -> Answer<'a, Snapshot> {
        Box::pin(async { not_here("restore") })
    }

    fn changes<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<Audit>> {
        Box::pin(async { not_here("changes") })
    }
}

/// The operation is one of the memory store only.
fn not_here<T>(field: &'static str) -> Result<T, StoreError> {
    Err(Invalid { field, range: "asked of the memory store".to_owned() }.into())
}

/// The keys of a room. What stands in braces decides the cluster slot, so all of a room is on one server.
fn keys(room: &str) -> [String; 4] {
    ["line", "spent", "recent0", "recent1"].map(|part| format!("vestibule:{{{room}}}:{part}"))
}

fn ensure_arguments(initial: &RoomInitial) -> [Vec<u8>; 5] {
    [
        text(initial.rate_per_minute),
        text(initial.burst),
        text(initial.session_ms),
        text(initial.state.as_str()),
        text(&initial.message),
    ]
}

fn change_arguments(change: &RoomChange) -> [Vec<u8>; 5] {
    [
        change.rate_per_minute.map(text).unwrap_or_default(),
        change.burst.map(text).unwrap_or_default(),
        change.state.map(RoomState::as_str).map(text).unwrap_or_default(),
        change.message.as_ref().map(|_| text(1)).unwrap_or_default(),
        change.message.as_ref().map(text).unwrap_or_default(),
    ]
}

fn text(value: impl Display) -> Vec<u8> {
    format!("{value}").into_bytes()
}

#[cfg(test)]
mod tests;
