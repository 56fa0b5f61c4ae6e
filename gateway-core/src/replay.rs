//! Repeated requests: one effect, the same answer again. Keeps answers; what a request does is none of its business.
//!
//! The row is claimed before the request runs and filled after it. A process that dies in between leaves a claim that
//! lapses; the next run finds its own effect, because the effect's id is derived from the same key ([`Call::seed`]).

mod store;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest;

use crate::base::CustomerId;
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::{Unserved, Work, Writers};
use crate::metrics::{self, Keyed};

/// How long a run may take before another one may take over: longer than the slowest request, a payment with its
/// provider's time-out. Taking over too early would do no harm, only work.
const RUN_MAX_MS: i64 = 15_000;

/// How long an answer is kept: clients that retry for longer than a day have given up.
const KEEP_MS: i64 = 24 * 3_600_000;

/// Longer keys are refused.
pub(crate) const KEY_CHARS_MAX: usize = 255;

/// A request that may come again.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) customer: CustomerId,
    /// Method and path.
    pub(crate) route: String,
    pub(crate) key: String,
    /// Of all that makes the request this request.
    pub(crate) fingerprint: [u8; 32],
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The headers that belong to the answer, name and value.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status)
    }
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Run it, then [`Replays::finish`] or [`Replays::forget`].
    Run(Claim),
    /// It ran before: this was the answer.
    Replay(Answer),
    /// The key came with another request before.
    KeyReused,
    /// It is running right now.
    InProgress { retry_after_ms: i64 },
}

/// The right to run a request. Lapses, so it is proved again when the answer is stored.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    token: [u8; 16],
}

impl Call {
    /// 16 bytes that follow from customer, route, key and `what`: the seed of an effect's id.
    pub(crate) fn seed(&self, what: &str) -> [u8; 16] {
        let customer = self.customer.to_string();
        let hash = sha256(&[customer.as_bytes(), self.route.as_bytes(), self.key.as_bytes(), what.as_bytes()]);
        let mut seed = [0; 16];
        seed.copy_from_slice(&hash[..16]);
        seed
    }
}

/// A hash of parts that cannot run into each other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// The writers of claims and answers. Every request with a key writes both, so both go in groups.
pub(crate) struct Replays(Writers<Keys>);

/// The pools: keys are different rows, and one commit for all of them is what it is about. Where one transaction writes at
/// a time, claims and answers share it; elsewhere they go side by side.
const BEGINS: &str = "begins";
const ENDS: &str = "ends";

/// Claims requests and ends runs.
pub(crate) struct Keys(Db);

/// What happens to a key.
pub(crate) enum Step {
    Begin(Call, Claim),
    End(Ended),
}

impl Step {
    /// Whether a loss of power must not undo it. A claim may be lost, and so may a refusal: who asks again runs again, and
    /// finds by its id what the first run did.
    fn has_to_last(&self) -> bool {
        match self {
            Self::Begin(..) => false,
            Self::End(ended) => ended.answer.as_ref().is_some_and(|answer| !answer.is_refusal()),
        }
    }
}

/// A run that is over.
pub(crate) struct Ended {
    call: Call,
    claim: Claim,
    /// What to keep, if the request failed in no way that is worth another try.
    answer: Option<Answer>,
}

impl Replays {
    pub(crate) fn on(db: &Db) -> Self {
        Self(Writers::new(Keys(db.clone())))
    }

    /// Claims the request, or says what became of it.
    pub(crate) async fn begin(&self, call: &Call) -> Result<Begun, Unserved> {
        let claim = Claim { token: rand::random() };
        let begun = self.0.submit(BEGINS, Step::Begin(call.clone(), claim)).await?;
        let begun = begun.ok_or(Unserved::Failed(DbError::Shape("a claim for each beginning")))?;
        metrics::keyed(match begun {
            Begun::Run(_) => Keyed::Run,
            Begun::Replay(_) => Keyed::Replayed,
            Begun::KeyReused => Keyed::KeyReused,
            Begun::InProgress { .. } => Keyed::InProgress,
        });
        Ok(begun)
    }

    /// Keeps the answer, unless another run has taken over meanwhile: then that one's answer counts.
    pub(crate) async fn finish(&self, call: &Call, claim: &Claim, answer: &Answer) -> Result<(), Unserved> {
        self.end(call, claim, Some(answer.clone())).await
    }

    /// Gives the claim back: the request failed in a way that is worth another try.
    pub(crate) async fn forget(&self, call: &Call, claim: &Claim) -> Result<(), Unserved> {
        self.end(call, claim, None).await
    }

    async fn end(&self, call: &Call, claim: &Claim, answer: Option<Answer>) -> Result<(), Unserved> {
        let pool = if self.0.work().0.has_one_writer() { BEGINS } else { ENDS };
        let ended = Ended { call: call.clone(), claim: claim.clone(), answer };
        self.0.submit(pool, Step::End(ended)).await.map(|_| ())
    }
}

impl Work for Keys {
    type Member = Step;
    /// What became of a beginning.
    type Outcome = Option<Begun>;

    async fn run(&self, steps: &[Step]) -> Result<Vec<Option<Begun>>, DbError> {
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Begin(call, claim) => begins.push((call, claim)),
                Step::End(ended) => ends.push(ended),
            }
        }
        let db = self.0.synced(steps.iter().any(Step::has_to_last));
        let mut begun = in_tx!(db, tx, {
            // An answer is there before somebody asks for it.
            end_all(tx, &ends).await?;
            begin_all(tx, &begins).await
        })?
        .into_iter();
        Ok(steps.iter().map(|step| if matches!(step, Step::Begin(..)) { begun.next() } else { None }).collect())
    }
}

async fn begin_all(tx: &mut Tx, begins: &[(&Call, &Claim)]) -> Result<Vec<Begun>, DbError> {
    let until = tx.now_ms().saturating_add(RUN_MAX_MS);
    match store::insert_all(tx, begins, until).await {
        Ok(()) => return Ok(begins.iter().map(|(_, claim)| Begun::Run((*claim).clone())).collect()),
        Err(DbError::Duplicate) => {}
        Err(error) => return Err(error),
    }
    // Some key was used before: each by itself then. Rows that were written until here are known by their claim.
    let mut begun = Vec::with_capacity(begins.len());
    for (call, claim) in begins {
        begun.push(begin_one(tx, call, claim, until).await?);
    }
    Ok(begun)
}

async fn end_all(tx: &mut Tx, ends: &[&Ended]) -> Result<(), DbError> {
    let (mut kept, mut given_back) = (Vec::new(), Vec::new());
    for Ended { call, claim, answer } in ends {
        match answer {
            Some(answer) => kept.push((call, claim, answer)),
            None => given_back.push((call, claim)),
        }
    }
    store::fill_all(tx, &kept).await?;
    store::delete_all(tx, &given_back).await
}

async fn begin_one(tx: &mut Tx, call: &Call, claim: &Claim, until: i64) -> Result<Begun, DbError> {
    match store::insert(tx, call, claim, until).await {
        Ok(()) => return Ok(Begun::Run(claim.clone())),
        Err(DbError::Duplicate) => {}
        Err(error) => return Err(error),
    }
    let Some(row) = store::read(tx, call).await? else { return Err(DbError::Shape("a row that was there")) };
    if row.claim == claim.token && row.answer.is_none() {
        return Ok(Begun::Run(claim.clone()));
    }
    if row.fingerprint != call.fingerprint {
        return Ok(Begun::KeyReused);
    }
    if let Some(answer) = row.answer {
        return Ok(Begun::Replay(answer));
    }
    let left = row.claimed_until.saturating_sub(tx.now_ms());
    if left > 0 || !store::take_over(tx, call, claim, until).await? {
        return Ok(Begun::InProgress { retry_after_ms: left.max(1) });
    }
    Ok(Begun::Run(claim.clone()))
}

/// Deletes answers that nobody will ask for any more.
pub(crate) async fn clean(db: &Db) -> Result<u64, DbError> {
    in_tx!(db, tx, {
        let before = tx.now_ms().saturating_sub(KEEP_MS);
        store::delete_older(tx, before).await
    })
}
