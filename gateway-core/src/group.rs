//! Group writing: callers who want the same hot rows queue, and whoever queued while the previous transaction was under
//! way goes into the next one, together. Nobody lingers: a lone caller goes at once, alone. Answers are given after the
//! commit, never before. What a transaction does is none of its business ([`Work`]).
//!
//! A pool has a writer only while somebody queues for it: whoever finds none starts one, and it ends when nobody is left.

mod load;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::db::{Db, DbError};
pub use load::Load;
use load::Meter;

/// The most members of one transaction. Larger ones do not commit more in a second, they only make everybody wait for
/// everybody; and it is the largest of the prepared statements.
pub(crate) const GROUP_MAX: usize = 256;

/// Smaller groups are taken as they are: few statements suffice, and nobody should wait for a second commit.
const ROUND_FROM: usize = 16;

/// The most that queue for one pool: a crowd of 10,000 that comes at once is answered, a larger one is told to come again.
const QUEUE_MAX: usize = 16_384;

/// How long things may take. Waiting: half of the time that people give a page. Looking into a commit: a server's restart.
const PATIENCE: Patience = Patience { waiting: Duration::from_secs(5), looking: Duration::from_secs(10) };

/// The pause before a group is run again.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a group is run again because a row of the same id appeared under it: then that row is found at the start.
const OVERTAKEN_MAX: u32 = 3;

/// What a group does.
pub(crate) trait Work: Send + Sync + 'static {
    type Member: Send + Sync + 'static;
    type Outcome: Send + 'static;

    /// Does it for all members in one transaction, with the outcome of each as if they had come one by one in this
    /// order. Must find by their ids what it stored for them in an earlier run: after an unknown commit it is run again.
    fn run(&self, members: &[Self::Member]) -> impl Future<Output = Result<Vec<Self::Outcome>, DbError>> + Send;

    /// Where a member's outcome has to be on the disk before the member is told of it, if `run` did not wait for that itself. The
    /// others of its group are told at once, and the next group does not wait.
    fn rests_on(&self, _member: &Self::Member, _outcome: &Self::Outcome) -> Option<&Db> {
        None
    }

    /// How busy its writers are, each time that changed.
    fn report(&self, _load: Load) {}
}

/// Why a member has no outcome.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// Too many queue. Nothing was done.
    Full { retry_after_ms: i64 },
    /// The database failed.
    Failed(DbError),
}

impl From<Unserved> for DbError {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::Full { .. } => Self::too_much(),
            Unserved::Failed(error) => error,
        }
    }
}

/// The pools of work on rows that are everybody's own: who queues together shares the price of a commit.
const POOLS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

/// The pool for such a row. Where one transaction writes at a time there is one, for several would only wait for each other;
/// elsewhere round trips are what takes long, and those of several pools go side by side.
pub(crate) fn pool_of(db: &Db, row: &[u8]) -> &'static str {
    let pools = if db.has_one_writer() { 1 } else { POOLS.len() };
    POOLS[usize::from(row.last().copied().unwrap_or(0)) % pools]
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// Who would wait longer than this is told to come again instead.
    pub(crate) waiting: Duration,
    /// After this, the callers of a commit of unknown outcome are told that nobody knows.
    pub(crate) looking: Duration,
}

/// The writers of one kind of work: at most one at a time for each pool.
pub(crate) struct Writers<W: Work>(Arc<Inner<W>>);

struct Inner<W: Work> {
    work: W,
    patience: Patience,
    meter: Meter,
    // A std mutex: never held across an `.await`. A pool is in here exactly as long as it has a writer.
    pools: Mutex<HashMap<String, VecDeque<Queued<W>>>>,
}

struct Queued<W: Work> {
    member: W::Member,
    answer: Answer<W>,
}

impl<W: Work> Writers<W> {
    pub(crate) fn new(work: W) -> Self {
        Self::with(work, PATIENCE)
    }

    fn with(work: W, patience: Patience) -> Self {
        Self(Arc::new(Inner { work, patience, meter: Meter::default(), pools: Mutex::default() }))
    }

    /// Queues, and gives the outcome once it is committed, and on the disk if it rests on one. Who stops listening while
    /// queueing is passed over.
    pub(crate) async fn submit(&self, pool: &str, member: W::Member) -> Result<W::Outcome, Unserved> {
        let (answer, heard) = oneshot::channel();
        if self.0.enqueue(pool, Queued { member, answer })? {
            tokio::spawn(
                Writer { inner: Arc::clone(&self.0), pool: pool.to_owned(), under_way: 0, answers: Vec::new() }.run(),
            );
        }
        let heard = heard.await.unwrap_or(Err(DbError::Shape("a writer that ends with its queue")));
        heard.map_err(Unserved::Failed)
    }

    /// How busy the writers are now, even if the group that is under way never ends.
    pub(crate) fn busy(&self) -> Load {
        self.0.meter.load()
    }

    pub(crate) fn work(&self) -> &W {
        &self.0.work
    }
}

impl<W: Work> Inner<W> {
    fn pools(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Queued<W>>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the pool needs a writer now.
    fn enqueue(&self, pool: &str, queued: Queued<W>) -> Result<bool, Unserved> {
        let mut pools = self.pools();
        let Some(queue) = pools.get_mut(pool) else {
            pools.insert(pool.to_owned(), VecDeque::from([queued]));
            self.meter.queued();
            return Ok(true);
        };
        let groups_ahead = u32::try_from(queue.len() / GROUP_MAX + 1).unwrap_or(u32::MAX);
        let wait = self.meter.group_time().saturating_mul(groups_ahead);
        if queue.len() >= QUEUE_MAX || wait > self.patience.waiting {
            let retry_after_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).max(1_000);
            return Err(Unserved::Full { retry_after_ms });
        }
        queue.push_back(queued);
        self.meter.queued();
        Ok(false)
    }

    /// All who queued, up to a group; `None` when nobody did, and then the pool has no writer any more. A large queue
    /// gives a power of two, for which one prepared statement is enough: 255 at once would take eight of them a table, and
    /// who is left over is the next group's first.
    fn next_group(&self, pool: &str) -> Option<Vec<Queued<W>>> {
        let mut pools = self.pools();
        let queue = pools.get_mut(pool)?;
        if queue.is_empty() {
            pools.remove(pool);
            return None;
        }
        let all = queue.len().min(GROUP_MAX);
        let size = if all < ROUND_FROM { all } else { 1 << all.ilog2() };
        Some(queue.drain(..size).collect())
    }
}

struct Writer<W: Work> {
    inner: Arc<Inner<W>>,
    pool: String,
    /// Members taken from the queue and not answered yet.
    under_way: usize,
    /// Theirs. Kept here, so that after a panic they hear of it only when the pool has been given up.
    answers: Vec<Answer<W>>,
}

type Answer<W> = oneshot::Sender<Result<<W as Work>::Outcome, DbError>>;

impl<W: Work> Writer<W> {
    async fn run(mut self) {
        while let Some(group) = self.inner.next_group(&self.pool) {
            self.under_way = group.len();
            let members: Vec<_>;
            (members, self.answers) = group
                .into_iter()
                .filter(|one| !one.answer.is_closed())
                .map(|Queued { member, answer }| (member, answer))
                .unzip();
            let began = Instant::now();
            let outcomes = serve(&self.inner.work, self.inner.patience, &members).await;
            self.inner.meter.done(self.under_way, members.len(), began.elapsed());
            self.answer(&members, outcomes);
            self.inner.work.report(self.inner.meter.load());
        }
    }
}

impl<W: Work> Writer<W> {
    /// Tells everybody, those whose outcome rests on a disk when it is there. Who went away meanwhile finds what is stored by
    /// its id.
    fn answer(&mut self, members: &[W::Member], outcomes: Vec<Result<W::Outcome, DbError>>) {
        let mut disk: Option<Db> = None;
        let mut later = Vec::new();
        for ((answer, member), outcome) in self.answers.drain(..).zip(members).zip(outcomes) {
            match outcome.as_ref().ok().and_then(|outcome| self.inner.work.rests_on(member, outcome)?.unsynced_disk()) {
                Some(db) => {
                    disk.get_or_insert_with(|| db.clone());
                    later.push((answer, outcome));
                }
                None => drop(answer.send(outcome)),
            }
        }
        let Some(disk) = disk else { return };
        tokio::spawn(async move {
            let there = disk.on_disk().await;
            for (answer, outcome) in later {
                drop(answer.send(there.clone().and(outcome)));
            }
        });
    }
}

impl<W: Work> Drop for Writer<W> {
    /// After a panic the pool would wait for ever for this writer.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let left = self.inner.pools().remove(&self.pool);
            self.inner.meter.forget(self.under_way + left.map_or(0, |left| left.len()));
        }
    }
}

/// The outcome of each member. When a group fails in a way that one member may have caused, both halves are run by
/// themselves, in order, until whoever it was stands alone.
pub(crate) async fn serve<W: Work>(
    work: &W,
    patience: Patience,
    members: &[W::Member],
) -> Vec<Result<W::Outcome, DbError>> {
    let mut outcomes = Vec::with_capacity(members.len());
    let mut parts: Vec<Range<usize>> = Vec::new();
    parts.push(0..members.len());
    while let Some(part) = parts.pop() {
        let Some(group) = members.get(part.clone()).filter(|group| !group.is_empty()) else { continue };
        match settle(work, patience, group).await {
            Ok(done) if done.len() == group.len() => outcomes.extend(done.into_iter().map(Ok)),
            Ok(_) => outcomes.extend(group.iter().map(|_| Err(DbError::Shape("one outcome for each member")))),
            Err(error) if group.len() > 1 && error.may_be_one_members() => {
                let middle = part.start + part.len() / 2;
                parts.extend([middle..part.end, part.start..middle]);
            }
            Err(error) => outcomes.extend(group.iter().map(|_| Err(error.clone()))),
        }
    }
    outcomes
}

/// Runs a group until it is known what became of it. A commit whose answer was lost is looked into by running the group
/// again: what was stored is found by its ids, what was not is done now, and nobody has been told anything yet. A database
/// that others keep busy is asked again as long as the members may wait: one time-out would send a whole group away.
async fn settle<W: Work>(work: &W, patience: Patience, group: &[W::Member]) -> Result<Vec<W::Outcome>, DbError> {
    let began = Instant::now();
    let mut unknown_since: Option<Instant> = None;
    let mut overtaken = 0;
    loop {
        let error = match work.run(group).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(error) => error,
        };
        match (&error, unknown_since) {
            (DbError::Duplicate, _) if overtaken < OVERTAKEN_MAX => overtaken += 1,
            (DbError::CommitUnknown(_), None) => {
                tracing::warn!(%error, members = group.len(), "a commit was not answered; looking for what it stored");
                unknown_since = Some(Instant::now());
            }
            (DbError::Busy(_), None) if began.elapsed() < patience.waiting => tokio::time::sleep(PAUSE).await,
            (DbError::CommitUnknown(_) | DbError::Unreachable(_) | DbError::Busy(_), Some(since)) => {
                if since.elapsed() > patience.looking {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE).await;
            }
            _ => return Err(error),
        }
    }
}
