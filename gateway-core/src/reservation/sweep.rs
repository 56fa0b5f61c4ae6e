//! The sweeper: judges deadlines that nobody asked about. Seats are free at their deadline without it; it keeps the
//! books and the counters, and closes what was being paid.

use super::{State, step, store};
use crate::base::ReservationId;
use crate::db::{Db, DbError, in_tx};

/// How many are judged in one round; the next round follows at once while rounds are full.
const ROUND_MAX: i64 = 200;

/// How many are judged in one transaction: their commits cost as much as one, and the rows that everybody wants are not
/// locked for long.
const GROUP_MAX: usize = 32;

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) released: u64,
    /// Were being paid: the provider has to be asked.
    pub(crate) closing: u64,
    /// The provider stayed silent.
    pub(crate) review: u64,
    /// There may be more.
    pub(crate) full: bool,
}

/// One round. Several nodes may sweep at once: each reservation is judged under its lock.
pub(crate) async fn sweep(db: &Db) -> Result<Swept, DbError> {
    let mut due = store::due(db, db.now_ms().await?, ROUND_MAX).await?;
    let mut swept = Swept { full: i64::try_from(due.len()).is_ok_and(|n| n == ROUND_MAX), ..Swept::default() };
    due.sort_unstable();
    for group in due.chunks(GROUP_MAX) {
        match judge(db, group).await {
            Ok(states) => swept.add(&states),
            Err(error) if error.may_be_one_members() => swept.add(&judge_one_by_one(db, group).await?),
            Err(error) => return Err(error),
        }
    }
    Ok(swept)
}

impl Swept {
    fn add(&mut self, states: &[Option<State>]) {
        for state in states {
            match state {
                Some(State::Released) => self.released += 1,
                Some(State::Closing) => self.closing += 1,
                Some(State::Review) => self.review += 1,
                Some(
                    State::Held | State::Checkout | State::Paying | State::Booked | State::Cancelled | State::Reversed,
                )
                | None => {}
            }
        }
    }
}

async fn judge(db: &Db, group: &[ReservationId]) -> Result<Vec<Option<State>>, DbError> {
    in_tx!(db, tx, { step::lapse_all(tx, group).await })
}

/// One that cannot be judged must not keep what the others hold: it is logged in each round, and left.
async fn judge_one_by_one(db: &Db, group: &[ReservationId]) -> Result<Vec<Option<State>>, DbError> {
    let mut states = Vec::with_capacity(group.len());
    for id in group {
        match judge(db, std::slice::from_ref(id)).await {
            Ok(judged) => states.extend(judged),
            Err(error) if error.may_be_one_members() => tracing::error!(%error, order = %id, "cannot be released"),
            Err(error) => return Err(error),
        }
    }
    Ok(states)
}
