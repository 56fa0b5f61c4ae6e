//! The sweeper: judges deadlines that nobody asked about. Seats are free at their deadline without it; it keeps the
//! books and the counters, and closes what was being paid.

use super::{State, step, store};
use crate::db::{Db, DbError, in_tx};

/// How many are judged in one round; the next round follows at once while rounds are full.
const ROUND_MAX: i64 = 200;

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
    let due = store::due(db, db.now_ms().await?, ROUND_MAX).await?;
    let mut swept = Swept { full: i64::try_from(due.len()).is_ok_and(|n| n == ROUND_MAX), ..Swept::default() };
    for id in due {
        match in_tx!(db, tx, { step::lapse(tx, id).await })? {
            Some(State::Released) => swept.released += 1,
            Some(State::Closing) => swept.closing += 1,
            Some(State::Review) => swept.review += 1,
            Some(State::Held | State::Checkout | State::Paying | State::Booked) | None => {}
        }
    }
    Ok(swept)
}
