//! The scripts' answers as the line's own values.

use crate::line::{Claimed, Joined, RoomState, Session, Snapshot};
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

/// What a snapshot looks like on the way; the order is that of `line.lua`.
type SnapshotRow = (u64, u64, u64, u64, u64, u64, u64, u32, u32, String, String, i64);

/// The answer of `ensure`, `tick`, `change` and `leave`.
pub(super) struct SnapshotAnswer(pub(super) Snapshot);

/// The answer of `join`.
pub(super) struct JoinAnswer(pub(super) Joined);

/// The answer of `claim`: verdicts in the order of the numbers.
pub(super) struct ClaimAnswer {
    snapshot: Snapshot,
    session_ms: i64,
    verdicts: Vec<(u8, i64)>,
}

impl FromRedisValue for SnapshotAnswer {
    fn from_redis_value(value: Value) -> Result<SnapshotAnswer, ParsingError> {
        let row: SnapshotRow = from_redis_value(value)?;
        let (version, epoch, issued, cursor, called_waiting, admitted, ..) = row;
        let (.., admitted_last_minute, rate_per_minute, burst, state, message, at_ms) = row;
        Ok(SnapshotAnswer(Snapshot {
            version,
            epoch,
            issued,
            cursor,
            called_waiting,
            admitted,
            admitted_last_minute,
            rate_per_minute,
            burst,
            state: room_state(&state)?,
            message,
            at_ms,
            ..Snapshot::default()
        }))
    }
}

impl FromRedisValue for JoinAnswer {
    fn from_redis_value(value: Value) -> Result<JoinAnswer, ParsingError> {
        let (SnapshotAnswer(snapshot), first, admitted, session_ms): (_, u64, u64, i64) = from_redis_value(value)?;
        let session = |number| Session::derive(snapshot.epoch, number, 0, session_ms);
        Ok(JoinAnswer(Joined { first, admitted: (first..first + admitted).map(session).collect(), snapshot }))
    }
}

impl FromRedisValue for ClaimAnswer {
    fn from_redis_value(value: Value) -> Result<ClaimAnswer, ParsingError> {
        let (SnapshotAnswer(snapshot), session_ms, verdicts): (_, i64, Vec<(u8, i64)>) = from_redis_value(value)?;
        Ok(ClaimAnswer { snapshot, session_ms, verdicts })
    }
}

impl ClaimAnswer {
    pub(super) fn of(self, numbers: &[u64]) -> (Vec<Claimed>, Snapshot) {
        let claimed = |(&number, &(verdict, value)): (&u64, &(u8, i64))| match verdict {
            0 => Claimed::Admitted(Session::derive(self.snapshot.epoch, number, value, self.session_ms)),
            1 => Claimed::NotCalled,
            2 => Claimed::NoBudget { retry_after_ms: value },
            3 => Claimed::Spent,
            _ => Claimed::Unknown,
        };
        (numbers.iter().zip(&self.verdicts).map(claimed).collect(), self.snapshot)
    }
}

fn room_state(word: &str) -> Result<RoomState, ParsingError> {
    RoomState::ALL
        .into_iter()
        .find(|state| state.as_str() == word)
        .ok_or_else(|| ParsingError::from(format!("no such room state: {word}")))
}
