//! Repeated requests: one effect, the same answer again. Keeps answers; what a request does is none of its business.
//!
//! A request is claimed before it runs and its answer kept after it. A process that dies in between leaves an effect without an
//! answer; the next run finds it, because the effect's id is derived from the same key ([`Call::seed`]).

mod here;
mod rows;
mod store;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest;

use crate::base::CustomerId;
use crate::db::{Answering, Db, DbError, in_tx};
use crate::group::{Unserved, Work, Writers};
use crate::metrics::{self, Keyed};
use here::{Here, Place};
use rows::Rows;

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
    /// A refusal is not waited for until it is on the disk.
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

/// The right to run a request. Where claims are in memory, it is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    token: [u8; 16],
    place: Option<Place>,
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

/// Claims and kept answers.
pub(crate) struct Replays {
    claims: Claims,
    ends: Writers<Ends>,
}

/// Where it stands who runs what.
enum Claims {
    /// In memory, if this is the one process that answers.
    Here(Here),
    /// In the database, for any number of processes. Keys are different rows; one commit for all is what the group is about.
    Rows(Writers<Rows>),
}

/// The one pool of all who queue.
const ALL: &str = "";

/// A run that is over.
struct Ended {
    call: Call,
    token: [u8; 16],
    /// What to keep, if the request failed in no way that is worth another try.
    answer: Option<Answer>,
}

impl Replays {
    pub(crate) fn on(db: &Db, answering: Answering) -> Self {
        let claims = match answering {
            Answering::Alone => Claims::Here(Here::on(db.clone())),
            Answering::AmongMany => Claims::Rows(Writers::new(Rows(db.clone()))),
        };
        Self { claims, ends: Writers::new(Ends(db.clone())) }
    }

    /// Claims the request, or says what became of it.
    pub(crate) async fn begin(&self, call: &Call) -> Result<Begun, Unserved> {
        let begun = match &self.claims {
            Claims::Here(here) => here.begin(call).await.map_err(Unserved::Failed)?,
            Claims::Rows(writers) => writers.submit(ALL, (call.clone(), rand::random())).await?,
        };
        metrics::keyed(match begun {
            Begun::Run(_) => Keyed::Run,
            Begun::Replay(_) => Keyed::Replayed,
            Begun::KeyReused => Keyed::KeyReused,
            Begun::InProgress { .. } => Keyed::InProgress,
        });
        if let Begun::Replay(answer) = &begun
            && !answer.is_refusal()
        {
            // As when it was given first.
            self.ends.work().0.on_disk().await.map_err(Unserved::Failed)?;
        }
        Ok(begun)
    }

    /// Keeps the answer, unless another run has taken over meanwhile: then that one's answer counts.
    pub(crate) async fn finish(&self, call: &Call, claim: Claim, answer: &Answer) -> Result<(), Unserved> {
        let Claim { token, place } = claim;
        let ended = Ended { call: call.clone(), token, answer: Some(answer.clone()) };
        match (&self.claims, place) {
            (Claims::Here(here), Some(place)) if answer.is_refusal() => here.refuse(ended, place),
            // The place is kept until the answer is.
            (_, _place) => self.ends.submit(ALL, ended).await?,
        }
        Ok(())
    }

    /// Gives the claim back: the request failed in a way that is worth another try.
    pub(crate) async fn forget(&self, call: &Call, claim: Claim) -> Result<(), Unserved> {
        match &self.claims {
            Claims::Here(_) => Ok(()),
            Claims::Rows(_) => {
                self.ends.submit(ALL, Ended { call: call.clone(), token: claim.token, answer: None }).await
            }
        }
    }
}

/// Ends runs. A refusal may be lost with the power: who asks again runs again, and finds by its id what the first run did.
struct Ends(Db);

impl Work for Ends {
    type Member = Ended;
    type Outcome = ();

    async fn run(&self, ends: &[Ended]) -> Result<Vec<()>, DbError> {
        in_tx!(self.0.unsynced(), tx, {
            let (mut kept, mut given_back) = (Vec::new(), Vec::new());
            for Ended { call, token, answer } in ends {
                match answer {
                    Some(answer) => kept.push((call, token, answer)),
                    None => given_back.push((call, token)),
                }
            }
            store::fill_all(tx, &kept).await?;
            store::delete_all(tx, &given_back).await
        })?;
        Ok(vec![(); ends.len()])
    }

    /// Nobody is told that something was done before it is on the disk with its answer.
    fn rests_on(&self, ended: &Ended, (): &()) -> Option<&Db> {
        ended.answer.as_ref().is_some_and(|answer| !answer.is_refusal()).then_some(&self.0)
    }
}

/// Deletes answers that nobody will ask for any more.
pub(crate) async fn clean(db: &Db) -> Result<u64, DbError> {
    in_tx!(db, tx, {
        let before = tx.now_ms().saturating_sub(KEEP_MS);
        store::delete_older(tx, before).await
    })
}
