//! The scripts' answers as the line's own values.

use crate::line::{
    Audit, Claimed, Generations, LaneSnapshot, Method, Phase, Ramp, Renewal, RoomState, Session, Snapshot,
};
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

/// What a snapshot looks like on the way: numbers, words and lanes, each in the order of `line.lua`.
type SnapshotRow = (Vec<i64>, Vec<String>, Vec<LaneRow>);
type LaneRow = (String, String, u32, u64, u64, u64, u64, u64, Vec<(u64, u64)>);

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

/// The answer of `sessions`: of those that were used, in their order.
pub(super) struct SessionsAnswer {
    seen: Seen,
    answers: Vec<u8>,
}

/// The answer of `claim`: verdicts in the order of the numbers.
pub(super) struct ClaimAnswer {
    seen: Seen,
    verdicts: Vec<(u8, i64, i64)>,
}

impl FromRedisValue for SnapshotAnswer {
    fn from_redis_value(value: Value) -> Result<SnapshotAnswer, ParsingError> {
        let (numbers, words, lanes): SnapshotRow = from_redis_value(value)?;
        let number = |index: usize| numbers.get(index).copied().ok_or_else(|| short("a number"));
        let count = |index: usize| number(index).and_then(|value| u64::try_from(value).map_err(|_| short("a count")));
        let small = |index: usize| number(index).and_then(|value| u32::try_from(value).map_err(|_| short("a rate")));
        let word = |index: usize| words.get(index).map(String::as_str).ok_or_else(|| short("a word"));
        let time = |index: usize| number(index).map(|at_ms| (at_ms > 0).then_some(at_ms));
        let ramp = Ramp { to_per_minute: small(15)?, over_ms: number(16)? };
        let snapshot = Snapshot {
            version: count(0)?,
            epoch: count(1)?,
            lanes: lanes.into_iter().map(lane).collect(),
            admitted: count(2)?,
            admitted_last_minute: count(3)?,
            rate_per_minute: small(4)?,
            burst: small(5)?,
            state: of_word(&RoomState::ALL, RoomState::as_str, word(0)?)?,
            message: word(1)?.to_owned(),
            at_ms: number(6)?,
            active: count(8)?,
            max_active: small(9)?,
            session_renewal: number(10)? == 1,
            queue_max: count(11)?,
            method: of_word(&Method::ALL, Method::as_str, word(2)?)?,
            prequeue_at_ms: time(12)?,
            opens_at_ms: time(13)?,
            closes_at_ms: time(14)?,
            phase: of_word(&Phase::ALL, Phase::as_str, word(3)?)?,
            ramp: (ramp.over_ms > 0).then_some(ramp),
            moves: count(17)?,
        };
        let life = count(7)?;
        Ok(SnapshotAnswer(Seen { snapshot, life }))
    }
}

fn lane((name, digest, weight, issued, cursor, called_waiting, present, drawn, skipped): LaneRow) -> LaneSnapshot {
    LaneSnapshot { name, weight, issued, cursor, called_waiting, present, drawn, digest, skipped }
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

impl FromRedisValue for SessionsAnswer {
    fn from_redis_value(value: Value) -> Result<SessionsAnswer, ParsingError> {
        let (SnapshotAnswer(seen), answers) = from_redis_value(value)?;
        Ok(SessionsAnswer { seen, answers })
    }
}

impl SessionsAnswer {
    pub(super) fn of(self) -> (Vec<Renewal>, Snapshot) {
        let renewal = |&answer: &u8| match answer {
            0 => Renewal::GoesOn,
            1 => Renewal::Over,
            _ => Renewal::Unknown,
        };
        (self.answers.iter().map(renewal).collect(), self.seen.snapshot)
    }
}

impl Learn for SessionsAnswer {
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

pub(super) fn short(what: &str) -> ParsingError {
    ParsingError::from(format!("{what} is missing in a snapshot"))
}

/// The one of `all` that this is the word for.
fn of_word<T: Copy>(all: &[T], as_str: fn(T) -> &'static str, word: &str) -> Result<T, ParsingError> {
    let found = all.iter().copied().find(|&value| as_str(value) == word);
    found.ok_or_else(|| ParsingError::from(format!("no such state, method or phase: {word}")))
}
