//! Has messages heard: takes what waits, in groups, and commits the effects of a group together with the note that they
//! were heard. A member that spoils its group is found by halves and tried again by itself, later and later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bus::{Bus, Entry, RedisStreams};
use super::event::{Event, Part};
use super::state::{self, Fault, Next};
use super::store::{self, Failed, Owner, Taken};
use crate::base::{MessageId, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::{self, Patience, Work};
use crate::metrics::{self, Told};
use crate::upkeep;

/// The most messages of one transaction. They end as many reservations, whose rows stay locked meanwhile.
const GROUP_MAX: i64 = 64;

/// A commit of unknown outcome is looked into for less than a lease. A busy database is asked again at the next look.
const PATIENCE: Patience = Patience { waiting: Duration::ZERO, looking: Duration::from_secs(10) };

/// How long an entry of a stream may be without an answer before its reader is taken for dead: less than a lease.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 500;

/// Somebody who is told things.
pub(crate) trait Consumer: Send + Sync + 'static {
    /// Which part of the core it is.
    const PART: Part;

    /// Does what the messages ask for, each about another order. Everything in the transaction: if it fails, none of
    /// it happened.
    fn consume(&self, tx: &mut Tx, messages: &[Message]) -> impl Future<Output = Result<(), DbError>> + Send;
}

/// What a consumer is told.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) order: ReservationId,
    pub(crate) event: Event,
}

/// One consumer's worker in this process. Any number of processes may have one.
pub(crate) struct Worker<C: Consumer> {
    pub(super) db: Db,
    consumer: C,
    bus: Bus,
}

impl<C: Consumer> Worker<C> {
    pub(crate) fn new(db: Db, consumer: C) -> Self {
        Self { db, consumer, bus: Bus::Database }
    }

    /// The same on another bus.
    pub(crate) fn on(self, bus: Bus) -> Self {
        Self { bus, ..self }
    }

    /// Has messages heard until cancelled: at once when a commit of this process rings, and every `interval` those that
    /// other processes wrote or that failed before.
    pub(crate) async fn run(&self, interval: Duration, stop: &CancellationToken) {
        match &self.bus {
            Bus::Database => until_stopped(&self.db, interval, stop, || self.round()).await,
            Bus::RedisStreams(streams) => {
                let away = AtomicBool::new(false);
                tokio::join!(
                    until_stopped(&self.db, interval, stop, || async {
                        // What the relay takes while the bus is away, nobody hears until it has failed.
                        if away.load(Ordering::Relaxed) { Ok(0) } else { self.relay_round(streams).await }
                    }),
                    self.listen(streams, interval, stop, &away)
                );
                // Another takes what it still had.
                let _unreachable = streams.leave(C::PART.name()).await;
            }
        }
    }

    /// Only hands messages on to the processes that hear them.
    pub(crate) async fn relay(&self, interval: Duration, stop: &CancellationToken) {
        if let Bus::RedisStreams(streams) = &self.bus {
            until_stopped(&self.db, interval, stop, || self.relay_round(streams)).await;
        }
    }

    async fn listen(&self, streams: &RedisStreams, interval: Duration, stop: &CancellationToken, away: &AtomicBool) {
        let mut looked = tokio::time::Instant::now();
        while !stop.is_cancelled() {
            let look = looked.elapsed() > LOST_AFTER;
            // Not cut off at the stop: what was read would be nobody's until its lease ends. A read waits a second.
            let heard = if look { self.hear_lost(streams).await } else { self.hear_round(streams).await };
            if look {
                looked = tokio::time::Instant::now();
            }
            if let Err(error) = heard {
                if !away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "the bus is away: messages are taken from the rows");
                }
                if let Err(error) = self.round().await {
                    tracing::error!(%error, consumer = C::PART.name(), "messages were not looked for");
                }
                tokio::time::sleep(interval).await;
            } else if away.swap(false, Ordering::Relaxed) {
                tracing::info!("the bus is back");
            }
        }
    }

    /// Takes a group of what waits and tells the stream. How many were taken.
    pub(super) async fn relay_round(&self, streams: &RedisStreams) -> Result<usize, DbError> {
        let taken = self.take().await?;
        if !taken.is_empty()
            && let Err(error) = streams.add(C::PART.name(), &taken).await
        {
            for one in &taken {
                let next = state::after_failure(Fault::Database, one.tries, rand::random());
                self.write_down(one, next, &error.to_string()).await?;
            }
        }
        Ok(taken.len())
    }

    /// Waits a moment for entries, and has their messages heard.
    pub(super) async fn hear_round(&self, streams: &RedisStreams) -> Result<(), redis::RedisError> {
        let entries = streams.read(C::PART.name()).await?;
        self.hear_all(streams, &entries).await
    }

    async fn hear_lost(&self, streams: &RedisStreams) -> Result<(), redis::RedisError> {
        let entries = streams.read_lost(C::PART.name(), LOST_AFTER).await?;
        self.hear_all(streams, &entries).await
    }

    /// Entries whose fence is not their message's any more are forgotten: a later entry names it.
    pub(super) async fn hear_all(&self, streams: &RedisStreams, entries: &[Entry]) -> Result<(), redis::RedisError> {
        let fences: HashMap<MessageId, i64> = entries.iter().filter_map(|entry| entry.message).collect();
        if !fences.is_empty() {
            match self.hear_named(&fences).await {
                // The next about these orders can be relayed.
                Ok(()) => self.db.bell().ring(),
                Err(error) => {
                    // Not acknowledged: they come again, here or at another reader.
                    tracing::error!(%error, consumer = C::PART.name(), "messages were not heard");
                    return Ok(());
                }
            }
        }
        streams.acknowledge(C::PART.name(), entries).await
    }

    async fn hear_named(&self, fences: &HashMap<MessageId, i64>) -> Result<(), DbError> {
        let ids: Vec<MessageId> = fences.keys().copied().collect();
        let mut held = in_tx!(self.db, tx, { store::held(tx, &ids).await })?;
        held.retain(|one| fences.get(&one.id) == Some(&one.fence));
        self.deliver(&held).await
    }

    /// Takes a group of what waits and has it heard. How many were taken.
    pub(crate) async fn round(&self) -> Result<usize, DbError> {
        let taken = self.take().await?;
        self.deliver(&taken).await?;
        Ok(taken.len())
    }

    /// Takes a group of what waits. It is ours until the lease ends, or until a loss of power undoes both the lease and
    /// what came of it.
    pub(super) async fn take(&self) -> Result<Vec<Taken>, DbError> {
        let now_ms = self.db.now_ms().await?;
        // Most looks find nothing, and need no lock for it.
        let waiting = store::waiting(&self.db, C::PART.name(), now_ms, GROUP_MAX).await?;
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let name = format!("{:032x}", rand::random::<u128>());
        // Whom a relay leases for may not even be running.
        let counts_vanished = matches!(self.bus, Bus::Database);
        in_tx!(self.db.unsynced(), tx, {
            let until = tx.now_ms().saturating_add(state::LEASE_MS);
            store::take(tx, &Owner { name: name.clone(), until, counts_vanished }, &waiting).await
        })
    }

    /// Has these heard, and writes down which could not be.
    pub(super) async fn deliver(&self, taken: &[Taken]) -> Result<(), DbError> {
        let (spent, taken): (Vec<_>, Vec<_>) = taken.iter().cloned().partition(|one| state::is_spent(one.tries));
        for one in &spent {
            self.write_down(one, Next::Dead { tries: one.tries }, "whoever had it vanished, each time").await?;
        }
        let outcomes = group::serve(self, PATIENCE, &taken).await;
        for (one, outcome) in taken.iter().zip(outcomes) {
            if let Err(error) = outcome {
                let fault = if error.may_be_one_members() { Fault::Message } else { Fault::Database };
                let next = state::after_failure(fault, one.tries, rand::random());
                self.write_down(one, next, &spelt(&error)).await?;
            }
        }
        Ok(())
    }

    async fn write_down(&self, taken: &Taken, next: Next, error: &str) -> Result<(), DbError> {
        let (to, tries, pause_ms) = match next {
            Next::Again { tries, pause_ms } => ("ready", tries, pause_ms),
            Next::Dead { tries } => ("dead", tries, 0),
        };
        let (id, kind) = (taken.id, &taken.kind);
        match next {
            Next::Again { .. } => tracing::warn!(message = %id, kind, error, tries, "a message took no effect"),
            Next::Dead { .. } => tracing::error!(message = %id, kind, error, "a message is dead: somebody has to look"),
        }
        let counted = if to == "dead" { Told::Dead } else { Told::Again };
        in_tx!(self.db, tx, {
            let due_at = tx.now_ms().saturating_add(pause_ms);
            // Not ours any more: then another worker has it, and what became of it is for that one to say.
            if store::failed(tx, taken, &Failed { to, tries, due_at, error }).await? {
                tx.when_kept(move || metrics::told(C::PART, counted, 1));
            }
            Ok(())
        })
    }

    /// The effect, the note in the inbox and the end of the message: together or not at all. They are on the disk some time
    /// after it: who tells the world of an effect waits for that.
    async fn hear(&self, tx: &mut Tx, taken: &[Taken]) -> Result<Vec<()>, DbError> {
        let outcomes = vec![(); taken.len()];
        let messages = taken.iter().map(message).collect::<Result<Vec<_>, _>>()?;
        if store::done(tx, taken).await? != u64::try_from(taken.len()).unwrap_or(u64::MAX) {
            if taken.len() > 1 {
                return Err(DbError::Shape("leases that all still hold"));
            }
            // Its lease ran out and somebody else took it, or it is done.
            return Ok(tx.undo(outcomes));
        }
        match store::hear(tx, C::PART.name(), taken).await {
            Ok(()) => {}
            // Heard before: only its end was not written.
            Err(DbError::Duplicate) if taken.len() == 1 => return Ok(outcomes),
            Err(error) => return Err(error),
        }
        self.consumer.consume(tx, &messages).await?;
        let heard = taken.len();
        tx.when_kept(move || metrics::told(C::PART, Told::Heard, heard));
        Ok(outcomes)
    }
}

impl<C: Consumer> Work for Worker<C> {
    type Member = Taken;
    type Outcome = ();

    async fn run(&self, taken: &[Taken]) -> Result<Vec<()>, DbError> {
        in_tx!(self.db.unsynced(), tx, { self.hear(tx, taken).await })
    }
}

/// Rounds until cancelled: as long as they find something, then when the bell rings, and every `interval`.
async fn until_stopped<F: Future<Output = Result<usize, DbError>>>(
    db: &Db,
    interval: Duration,
    stop: &CancellationToken,
    round: impl Fn() -> F,
) {
    let mut bell = db.bell().listen();
    while !stop.is_cancelled() {
        let Some(done) = upkeep::round(stop, Box::pin(round())).await else { return };
        match done {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::error!(%error, "messages were not looked for"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            // The bell is the database's, which the caller holds.
            _ = bell.changed() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}

fn message(taken: &Taken) -> Result<Message, DbError> {
    let event = serde_json::from_str(&taken.payload).map_err(|_| DbError::Shape("an event that this version knows"))?;
    Ok(Message { order: taken.order, event })
}

/// The error with its causes, for people.
fn spelt(error: &DbError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text.chars().take(ERROR_CHARS_MAX).collect()
}
