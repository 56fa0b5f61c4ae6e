//! The line in Redis, behind Sentinel or in a cluster: one script per operation, timed by the server's clock. The rules
//! are in the scripts and are those of the pure `Line`; this is the shell around them.

mod answer;
mod connection;
mod joining;
mod key;
mod scan;
mod script;
mod server;

use self::{
    answer::{ChangesAnswer, ClaimAnswer, Learn, MovesAnswer, Seen, SessionsAnswer, SnapshotAnswer},
    connection::Connection,
    joining::JoinAnswer,
    key::keys,
    script::{Operation, Scripts},
    server::RESPONSE_TIMEOUT,
};
use super::{Answer, LineStore, OpenError, StoreError, check_batch, check_proved, check_size, check_who};
use crate::line::{
    Audit, Claimed, Generations, Joined, Joiner, LANES_MAX, Move, Renewal, RoomChange, RoomInitial, Snapshot,
    check_room_name, no_such_lane,
};
use redis::FromRedisValue;
use serde::Serialize;
use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Tells a script to read the server's clock. Only tests send a time.
const SERVER_TIME: i64 = 0;

/// The life of a line that is known from a snapshot alone.
const UNKNOWN_LIFE: u64 = 0;

/// Lines in Redis, shared by any number of nodes.
pub struct RedisStore {
    connection: Connection,
    scripts: Scripts,
    /// What this node knows of each room, in case the server loses it. A std mutex: never held across an `.await`.
    known: Mutex<HashMap<String, Known>>,
}

/// What a node knows of a room by itself.
#[derive(Clone)]
struct Known {
    /// The lanes whose keys a script is given.
    lanes: usize,
    initial: RoomInitial,
    /// The youngest state that a script answered with.
    highest: Option<Seen>,
    /// The server's clock in epoch milliseconds, and when it said so.
    clock: Option<(i64, Instant)>,
}

/// Why a script did not run.
enum Refused {
    /// The server has no such room, or an older state of it than this node has seen.
    Lost,
    /// The room has so many lanes: more than the script was given keys for. Nothing happened.
    MoreLanes(usize),
    Failed(StoreError),
}

impl RedisStore {
    /// Connects to `redis://host:port/db`, `redis+cluster://host:port,host:port`, or the master of
    /// `redis+sentinel://host:port,host:port/service/db`.
    ///
    /// # Errors
    /// [`OpenError::Address`], [`OpenError::Unreachable`], or [`OpenError::Unsafe`] if the server would evict lines
    /// when its memory is full.
    pub async fn open(address: &str) -> Result<RedisStore, OpenError> {
        let connection = Connection::open(address).await?;
        Ok(RedisStore { connection, scripts: Scripts::new(), known: Mutex::default() })
    }

    /// Clears the room; whether there was one.
    pub(super) async fn forget(&self, room: &str) -> Result<bool, OpenError> {
        let keys = keys(room, LANES_MAX);
        let cleared = self.connection.run(&script::forget(), &keys, &state_of(SERVER_TIME, None), &[]).await;
        cleared.map(|cleared: u64| cleared > 0).map_err(|error| OpenError::Unreachable(error.to_string()))
    }

    /// Runs one operation. A room that the server has lost, or holds an older state of, is restored from what this node
    /// knows before anything else happens to it.
    async fn call<T: FromRedisValue + Learn>(
        &self,
        operation: Operation,
        room: &str,
        now_ms: i64,
        arguments: &[Vec<u8>],
    ) -> Result<T, StoreError> {
        let mut answer = self.call_once(operation, room, now_ms, arguments).await;
        if let Err(Refused::MoreLanes(lanes)) = answer {
            self.set_lanes(room, lanes);
            answer = self.call_once(operation, room, now_ms, arguments).await;
        }
        if let Err(Refused::Lost) = answer {
            self.restore_known(room, now_ms).await?;
            answer = self.call_once(operation, room, now_ms, arguments).await;
        }
        answer.map_err(|refused| refused.or_no_room(room))
    }

    async fn restore_known(&self, room: &str, now_ms: i64) -> Result<Snapshot, StoreError> {
        let Some(Known { initial, highest: Some(Seen { snapshot, .. }), .. }) = self.known(room) else {
            return Err(StoreError::NoRoom(room.to_owned()));
        };
        let arguments = [json(&snapshot), text(initial.session_ms), json(&initial.lanes)];
        let restored = self.call_once(Operation::Restore, room, now_ms, &arguments).await;
        let SnapshotAnswer(Seen { snapshot: after, life }) = restored.map_err(|refused| refused.or_no_room(room))?;
        tracing::error!(
            room,
            life,
            issued_before = snapshot.issued(),
            issued = after.issued(),
            same_line = after.epoch == snapshot.epoch,
            "the store had lost the line, or an older state of it: it was restored"
        );
        Ok(after)
    }

    async fn call_once<T: FromRedisValue + Learn>(
        &self,
        operation: Operation,
        room: &str,
        now_ms: i64,
        arguments: &[Vec<u8>],
    ) -> Result<T, Refused> {
        let known = self.known(room);
        // These two may add lanes.
        let adds = matches!(operation, Operation::Ensure | Operation::Restore);
        let lanes = if adds { LANES_MAX } else { known.as_ref().map_or(1, |known| known.lanes) };
        let state = state_of(now_ms, known);
        let answer = self.connection.run(self.scripts.of(operation), &keys(room, lanes), &state, arguments).await;
        let answer: T = answer.map_err(|error| match error.code() {
            Some("NOROOM" | "BEHIND") => Refused::Lost,
            Some("FULL") => Refused::Failed(StoreError::Full),
            Some("CLOSED") => Refused::Failed(StoreError::Closed),
            Some("PROOF") => Refused::Failed(StoreError::Proof),
            Some("NOLANE") => Refused::Failed(StoreError::NoLane),
            Some("NOSUCHLANE") => Refused::Failed(no_such_lane(error.detail().unwrap_or_default()).into()),
            Some("LANES") => {
                let lanes = error.detail().and_then(|lanes| lanes.trim().parse().ok());
                Refused::MoreLanes(lanes.unwrap_or(LANES_MAX).min(LANES_MAX))
            }
            // Or its clock jumped: the next call learns it anew.
            Some("LATE") => {
                self.set_clock(room, None);
                Refused::Failed(StoreError::Unreachable(error.to_string()))
            }
            Some(_) | None => Refused::Failed(StoreError::Unreachable(error.to_string())),
        })?;
        self.learn(room, answer.seen());
        if now_ms == SERVER_TIME {
            self.set_clock(room, Some((answer.seen().snapshot.at_ms, Instant::now())));
        }
        Ok(answer)
    }

    fn know(&self, room: &str, initial: &RoomInitial) -> Result<(), StoreError> {
        check_room_name(room)?;
        initial.check()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(room.to_owned());
        known.or_insert_with(|| Known { lanes: 1, initial: initial.clone(), highest: None, clock: None }).initial =
            initial.clone();
        Ok(())
    }

    fn known(&self, room: &str) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(room).cloned()
    }

    fn set_lanes(&self, room: &str, lanes: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(room) {
            known.lanes = known.lanes.max(lanes);
        }
    }

    fn set_clock(&self, room: &str, clock: Option<(i64, Instant)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(room) {
            known.clock = clock;
        }
    }

    fn learn(&self, room: &str, seen: &Seen) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(room)
            && known.highest.as_ref().is_none_or(|highest| seen.supersedes(highest))
        {
            known.lanes = known.lanes.max(seen.snapshot.lanes.len());
            known.highest = Some(seen.clone());
        }
    }

    async fn ensure_at(&self, room: &str, now_ms: i64, initial: &RoomInitial) -> Result<Snapshot, StoreError> {
        self.know(room, initial)?;
        let answer: SnapshotAnswer = self.call(Operation::Ensure, room, now_ms, &[json(initial)]).await?;
        Ok(answer.0.snapshot)
    }

    /// What the node knows by itself counts as well, if it is younger.
    async fn restore_at(
        &self,
        room: &str,
        now_ms: i64,
        initial: &RoomInitial,
        highest: &Snapshot,
    ) -> Result<Snapshot, StoreError> {
        self.know(room, initial)?;
        if self.known(room).is_none_or(|known| known.highest.is_none()) {
            self.learn(room, &Seen { snapshot: highest.clone(), life: UNKNOWN_LIFE });
        }
        self.restore_known(room, now_ms).await
    }

    async fn join_at(&self, room: &str, now_ms: i64, joiners: &[Joiner], nonce: u64) -> Result<Joined, StoreError> {
        check_size("joiners", joiners.len())?;
        let arguments = joining::arguments(joiners, nonce);
        let answer: JoinAnswer = self.call(Operation::Join, room, now_ms, &arguments).await?;
        Ok(answer.joined())
    }

    async fn claim_at(
        &self,
        room: &str,
        now_ms: i64,
        epoch: u64,
        numbers: &[u64],
    ) -> Result<(Vec<Claimed>, Snapshot), StoreError> {
        check_size("numbers", numbers.len())?;
        let arguments: Vec<_> = [epoch].iter().chain(numbers).map(text).collect();
        let answer: ClaimAnswer = self.call(Operation::Claim, room, now_ms, &arguments).await?;
        Ok(answer.of(numbers))
    }

    async fn tick_at(&self, room: &str, now_ms: i64) -> Result<Snapshot, StoreError> {
        let answer: SnapshotAnswer = self.call(Operation::Tick, room, now_ms, &[]).await?;
        Ok(answer.0.snapshot)
    }

    async fn change_at(&self, room: &str, now_ms: i64, who: &str, change: &RoomChange) -> Result<Snapshot, StoreError> {
        check_who(who)?;
        change.check()?;
        let arguments = [json(change), json(who)];
        let answer: SnapshotAnswer = self.call(Operation::Change, room, now_ms, &arguments).await?;
        Ok(answer.0.snapshot)
    }

    async fn changes_at(&self, room: &str, now_ms: i64) -> Result<Vec<Audit>, StoreError> {
        let answer: ChangesAnswer = self.call(Operation::Changes, room, now_ms, &[]).await?;
        Ok(answer.changes)
    }

    async fn seen_at(&self, room: &str, now_ms: i64, positions: &[u64]) -> Result<Snapshot, StoreError> {
        check_batch("positions", positions.len())?;
        let arguments: Vec<_> = positions.iter().map(text).collect();
        let answer: SnapshotAnswer = self.call(Operation::Seen, room, now_ms, &arguments).await?;
        Ok(answer.0.snapshot)
    }

    async fn sessions_at(
        &self,
        room: &str,
        now_ms: i64,
        renew: &[String],
        end: &[String],
    ) -> Result<(Vec<Renewal>, Snapshot), StoreError> {
        check_batch("renew", renew.len())?;
        check_batch("end", end.len())?;
        let arguments: Vec<_> = std::iter::once(text(renew.len())).chain(renew.iter().chain(end).map(text)).collect();
        let answer: SessionsAnswer = self.call(Operation::Sessions, room, now_ms, &arguments).await?;
        Ok(answer.of())
    }

    async fn moves_at(
        &self,
        room: &str,
        now_ms: i64,
        epoch: u64,
        moves: &[Move],
    ) -> Result<(Generations, Snapshot), StoreError> {
        check_batch("moves", moves.len())?;
        let mut arguments = vec![text(epoch)];
        for one in moves {
            let from = one.from.map_or_else(|| text(-1), text);
            arguments.extend([text(one.number), text(one.position), from, text(one.to)]);
        }
        let answer: MovesAnswer = self.call(Operation::Moves, room, now_ms, &arguments).await?;
        Ok(answer.of())
    }

    async fn heal_at(&self, room: &str, now_ms: i64, epoch: u64, numbers: &[u64]) -> Result<Snapshot, StoreError> {
        check_proved(numbers)?;
        let arguments: Vec<_> = [epoch].iter().chain(numbers).map(text).collect();
        let answer: SnapshotAnswer = self.call(Operation::Heal, room, now_ms, &arguments).await?;
        Ok(answer.0.snapshot)
    }

    async fn leave_at(&self, room: &str, now_ms: i64, number: u64) -> Result<Snapshot, StoreError> {
        let answer: SnapshotAnswer = self.call(Operation::Leave, room, now_ms, &[text(number)]).await?;
        Ok(answer.0.snapshot)
    }
}

impl LineStore for RedisStore {
    fn ensure<'a>(&'a self, room: &'a str, initial: &'a RoomInitial) -> Answer<'a, Snapshot> {
        Box::pin(self.ensure_at(room, SERVER_TIME, initial))
    }

    fn join<'a>(&'a self, room: &'a str, joiners: &'a [Joiner]) -> Answer<'a, Joined> {
        Box::pin(self.join_at(room, SERVER_TIME, joiners, rand::random()))
    }

    fn claim<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, (Vec<Claimed>, Snapshot)> {
        Box::pin(self.claim_at(room, SERVER_TIME, epoch, numbers))
    }

    fn tick<'a>(&'a self, room: &'a str) -> Answer<'a, Snapshot> {
        Box::pin(self.tick_at(room, SERVER_TIME))
    }

    fn change<'a>(&'a self, room: &'a str, who: &'a str, change: &'a RoomChange) -> Answer<'a, Snapshot> {
        Box::pin(self.change_at(room, SERVER_TIME, who, change))
    }

    fn leave<'a>(&'a self, room: &'a str, number: u64) -> Answer<'a, Snapshot> {
        Box::pin(self.leave_at(room, SERVER_TIME, number))
    }

    fn moves<'a>(&'a self, room: &'a str, epoch: u64, moves: &'a [Move]) -> Answer<'a, (Generations, Snapshot)> {
        Box::pin(self.moves_at(room, SERVER_TIME, epoch, moves))
    }

    fn seen<'a>(&'a self, room: &'a str, positions: &'a [u64]) -> Answer<'a, Snapshot> {
        Box::pin(self.seen_at(room, SERVER_TIME, positions))
    }

    fn sessions<'a>(
        &'a self,
        room: &'a str,
        renew: &'a [String],
        end: &'a [String],
    ) -> Answer<'a, (Vec<Renewal>, Snapshot)> {
        Box::pin(self.sessions_at(room, SERVER_TIME, renew, end))
    }

    fn restore<'a>(&'a self, room: &'a str, initial: &'a RoomInitial, highest: &'a Snapshot) -> Answer<'a, Snapshot> {
        Box::pin(self.restore_at(room, SERVER_TIME, initial, highest))
    }

    fn heal<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, Snapshot> {
        Box::pin(self.heal_at(room, SERVER_TIME, epoch, numbers))
    }

    fn changes<'a>(&'a self, room: &'a str) -> Answer<'a, Vec<Audit>> {
        Box::pin(self.changes_at(room, SERVER_TIME))
    }
}

/// The first argument of every script: when it is, until when the answer is waited for, and the youngest state of the
/// line that this node has seen. A server that stood still must not let people in whose requests are long over.
fn state_of(now_ms: i64, known: Option<Known>) -> String {
    let (highest, clock) = known.map_or((None, None), |known| (known.highest, known.clock));
    let in_ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
    let late_ms = |(at_ms, said): (i64, Instant)| at_ms + in_ms(said.elapsed()) + in_ms(RESPONSE_TIMEOUT);
    let late_ms = clock.filter(|_| now_ms == SERVER_TIME).map_or(0, late_ms);
    let (epoch, version, life) =
        highest.map_or((0, 0, 0), |seen| (seen.snapshot.epoch, seen.snapshot.version, seen.life));
    format!("{now_ms} {late_ms} {epoch} {version} {life}")
}

impl Refused {
    fn or_no_room(self, room: &str) -> StoreError {
        match self {
            Refused::Lost | Refused::MoreLanes(_) => StoreError::NoRoom(room.to_owned()),
            Refused::Failed(error) => error,
        }
    }
}

fn text(value: impl Display) -> Vec<u8> {
    format!("{value}").into_bytes()
}

/// Plain data always has a JSON form; a script refuses an empty one.
fn json(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
