//! The scripts' answers as the line's own values.

use crate::line::{Audit, Claimed, Generations, Joined, Method, Phase, Ramp, RoomState, Session, Snapshot};
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

/// What a snapshot looks like on the way: numbers and words, each in the order of `line.lua`.
type SnapshotRow = (Vec<i64>, Vec<String>);

/// The line as a script left it. Every answer has one.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) snapshot: Snapshot,
    /// How often the line was begun or restored.
    pub(super) life: u64,
}

impl Seen {
    /// Whether this one replaces `other`: replies may overtake each other on the way.
    pub(super) fn supersedes(&self, other: &Seen) -> bool {
        self.snapshot.epoch != other.snapshot.epoch
            || (self.life, self.snapshot.version) >= (other.life, other.snapshot.version)
    }
}

/// An answer that a node learns from.
pub(super) trait Learn {
    fn seen(&self) -> &Seen;
}

/// The answer of `ensure`, `tick`, `change`, `leave` and `restore`.
pub(super) struct SnapshotAnswer(pub(super) Seen);

/// The answer of `join`.
pub(super) struct JoinAnswer {
    seen: Seen,
    first: u64,
    admitted: u64,
    session_ms: i64,
}

/// The answer of `changes`.
pub(super) struct ChangesAnswer {
    seen: Seen,
    pub(super) changes: Vec<Audit>,
}

/// The answer of `moves`.
pub(super) struct MovesAnswer {
    seen: Seen,
    generations: Generations,
}

/// The answer of `claim`: verdicts in the order of the numbers.
pub(super) struct ClaimAnswer {
    seen: Seen,
    verdicts: Vec<(u8, i64, i64)>,
}

impl FromRedisValue for SnapshotAnswer {
    fn from_redis_value(value: Value) -> Result<SnapshotAnswer, ParsingError> {
        let (numbers, words): SnapshotRow = from_redis_value(value)?;
        let number = |index: usize| numbers.get(index).copied().ok_or_else(|| short("a number"));
        let count = |index: usize| number(index).and_then(|value| u64::try_from(value).map_err(|_| short("a count")));
        let small = |index: usize| number(index).and_then(|value| u32::try_from(value).map_err(|_| short("a rate")));
        let word = |index: usize| words.get(index).map(String::as_str).ok_or_else(|| short("a word"));
        let time = |index: usize| number(index).map(|at_ms| (at_ms > 0).then_some(at_ms));
        let ramp = Ramp { to_per_minute: small(20)?, over_ms: number(21)? };
        let snapshot = Snapshot {
            version: count(0)?,
            epoch: count(1)?,
            issued: count(2)?,
            cursor: count(3)?,
            called_waiting: count(4)?,
            admitted: count(5)?,
            admitted_last_minute: count(6)?,
            rate_per_minute: small(7)?,
            burst: small(8)?,
            state: of_word(&RoomState::ALL, RoomState::as_str, word(0)?)?,
            message: word(1)?.to_owned(),
            at_ms: number(9)?,
            present: count(11)?,
            active: count(12)?,
            max_active: small(13)?,
            session_renewal: number(14)? == 1,
            queue_max: count(15)?,
            method: of_word(&Method::ALL, Method::as_str, word(2)?)?,
            prequeue_at_ms: time(16)?,
            opens_at_ms: time(17)?,
            closes_at_ms: time(18)?,
            phase: of_word(&Phase::ALL, Phase::as_str, word(3)?)?,
            ramp: (ramp.over_ms > 0).then_some(ramp),
            drawn: count(19)?,
            digest: word(4)?.to_owned(),
            moves: count(22)?,
        };
        let life = count(10)?;
        Ok(SnapshotAnswer(Seen { snapshot, life }))
    }
}

impl FromRedisValue for JoinAnswer {
    fn from_redis_value(value: Value) -> Result<JoinAnswer, ParsingError> {
        let (SnapshotAnswer(seen), first, admitted, session_ms) = from_redis_value(value)?;
        Ok(JoinAnswer { seen, first, admitted, session_ms })
    }
}

impl JoinAnswer {
    pub(super) fn joined(self) -> Joined {
        let JoinAnswer { seen: Seen { snapshot, .. }, first, admitted, session_ms } = self;
        let session = |number| Session::derive(snapshot.epoch, number, 0, session_ms);
        Joined { first, admitted: (first..first + admitted).map(session).collect(), snapshot }
    }
}

impl FromRedisValue for MovesAnswer {
    fn from_redis_value(value: Value) -> Result<MovesAnswer, ParsingError> {
        let (SnapshotAnswer(seen), generations): (_, Vec<(u64, u64)>) = from_redis_value(value)?;
        Ok(MovesAnswer { seen, generations: generations.into_iter().collect() })
    }
}

impl MovesAnswer {
    pub(super) fn of(self) -> (Generations, Snapshot) {
        (self.generations, self.seen.snapshot)
    }
}

impl Learn for MovesAnswer {
    fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl FromRedisValue for ChangesAnswer {
    fn from_redis_value(value: Value) -> Result<ChangesAnswer, ParsingError> {
        let (SnapshotAnswer(seen), texts): (_, Vec<String>) = from_redis_value(value)?;
        let changes: Result<Vec<Audit>, _> = texts.iter().map(|text| serde_json::from_str(text)).collect();
        Ok(ChangesAnswer { seen, changes: changes.map_err(|error| ParsingError::from(error.to_string()))? })
    }
}

impl Learn for ChangesAnswer {
    fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl Learn for SnapshotAnswer {
    fn seen(&self) -> &Seen {
        &self.0
    }
}

impl Learn for JoinAnswer {
    fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl Learn for ClaimAnswer {
    fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl FromRedisValue for ClaimAnswer {
    fn from_redis_value(value: Value) -> Result<ClaimAnswer, ParsingError> {
        let (SnapshotAnswer(seen), verdicts) = from_redis_value(value)?;
        Ok(ClaimAnswer { seen, verdicts })
    }
}

impl ClaimAnswer {
    pub(super) fn of(self, numbers: &[u64]) -> (Vec<Claimed>, Snapshot) {
        let claimed = |(&number, &(verdict, value, session_ms)): (&u64, &(u8, i64, i64))| match verdict {
            0 => Claimed::Admitted(Session::derive(self.seen.snapshot.epoch, number, value, session_ms)),
            1 => Claimed::NotCalled,
            2 => Claimed::NoBudget { retry_after_ms: value },
            3 => Claimed::Spent,
            _ => Claimed::Unknown,
        };
        (numbers.iter().zip(&self.verdicts).map(claimed).collect(), self.seen.snapshot)
    }
}

fn short(what: &str) -> ParsingError {
    ParsingError::from(format!("{what} is missing in a snapshot"))
}

/// The one of `all` that this is the word for.
fn of_word<T: Copy>(all: &[T], as_str: fn(T) -> &'static str, word: &str) -> Result<T, ParsingError> {
    let found = all.iter().copied().find(|&value| as_str(value) == word);
    found.ok_or_else(|| ParsingError::from(format!("no such state, method or phase: {word}")))
}
