//! Claims as rows of the database, for any number of processes: who inserts the row runs the request. A process that dies leaves
//! a claim that lapses.

use super::{Begun, Call, Claim, store};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::Work;

/// How long a run may take before another one may take over: longer than the slowest request, a payment with its
/// provider's time-out. Taking over too early would do no harm, only work.
const RUN_MAX_MS: i64 = 15_000;

/// Claims requests.
pub(super) struct Rows(pub(super) Db);

impl Work for Rows {
    /// The call, and the claim's token if it gets one.
    type Member = (Call, [u8; 16]);
    type Outcome = Begun;

    async fn run(&self, calls: &[(Call, [u8; 16])]) -> Result<Vec<Begun>, DbError> {
        // A loss of power may undo it: who asks again runs again, and finds by its id what the first run did.
        in_tx!(self.0.unsynced(), tx, { begin_all(tx, calls).await })
    }
}

fn claimed(token: &[u8; 16]) -> Begun {
    Begun::Run(Claim { token: *token, place: None })
}

async fn begin_all(tx: &mut Tx, calls: &[(Call, [u8; 16])]) -> Result<Vec<Begun>, DbError> {
    let until = tx.now_ms().saturating_add(RUN_MAX_MS);
    match store::insert_all(tx, calls, until).await {
        Ok(()) => return Ok(calls.iter().map(|(_, token)| claimed(token)).collect()),
        Err(DbError::Duplicate) => {}
        Err(error) => return Err(error),
    }
    // Some key was used before: each by itself then. Rows that were written until here are known by their token.
    let mut begun = Vec::with_capacity(calls.len());
    for (call, token) in calls {
        begun.push(begin_one(tx, call, token, until).await?);
    }
    Ok(begun)
}

async fn begin_one(tx: &mut Tx, call: &Call, token: &[u8; 16], until: i64) -> Result<Begun, DbError> {
    match store::insert(tx, call, token, until).await {
        Ok(()) => return Ok(claimed(token)),
        Err(DbError::Duplicate) => {}
        Err(error) => return Err(error),
    }
    let Some(row) = store::read(tx, call).await? else { return Err(DbError::Shape("a row that was there")) };
    if row.claim == *token && row.answer.is_none() {
        return Ok(claimed(token));
    }
    if row.fingerprint != call.fingerprint {
        return Ok(Begun::KeyReused);
    }
    if let Some(answer) = row.answer {
        return Ok(Begun::Replay(answer));
    }
    let left = row.claimed_until.saturating_sub(tx.now_ms());
    if left > 0 || !store::take_over(tx, call, token, until).await? {
        return Ok(Begun::InProgress { retry_after_ms: left.max(1) });
    }
    Ok(claimed(token))
}
