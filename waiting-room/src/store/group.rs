//! Joins, claims and renewals that queued while the previous call was under way become one call. Nobody lingers: a lone call
//! goes out at once, alone. It decides nothing about the line.

use super::{Answer, GROUP_MAX, LineStore, StoreError, check_size};
use crate::line::{
    Audit, Claimed, Generations, Given, Joined, Joiner, Move, Renewal, RoomChange, RoomInitial, Snapshot,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

/// Calls that may queue for one room. At [`GROUP_MAX`] a group this is 64 round trips: who would wait longer is told
/// to come again.
const QUEUE_MAX: usize = 65_536;

/// A store whose joins, claims and renewals are grouped, by one task a room.
pub struct GroupedStore {
    inner: Arc<dyn LineStore>,
    // A std mutex: never held across an `.await`. Entries are made by `ensure` only, so they are as many as rooms.
    queues: Mutex<HashMap<String, mpsc::Sender<Call>>>,
}

enum Call {
    Join { joiners: Vec<Joiner>, reply: oneshot::Sender<JoinReply> },
    Claim { epoch: u64, numbers: Vec<u64>, reply: oneshot::Sender<ClaimReply> },
    Renew { sessions: Vec<String>, reply: oneshot::Sender<RenewReply> },
}

type JoinReply = Result<Joined, StoreError>;
type ClaimReply = Result<(Vec<Claimed>, Snapshot), StoreError>;
type RenewReply = Result<(Vec<Renewal>, Snapshot), StoreError>;

impl GroupedStore {
    /// Groups the joins and claims of `inner`.
    pub fn new(inner: Arc<dyn LineStore>) -> GroupedStore {
        GroupedStore { inner, queues: Mutex::default() }
    }

    fn send(&self, room: &str, call: Call) -> Result<(), StoreError> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.get(room).ok_or_else(|| StoreError::NoRoom(room.to_owned()))?;
        queue.try_send(call).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => stopped(),
        })
    }

    /// Must run inside a Tokio runtime: it starts the room's task if there is none. The task ends with the store.
    fn start(&self, room: &str) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.get(room).is_none_or(mpsc::Sender::is_closed) {
            let (queue, calls) = mpsc::channel(QUEUE_MAX);
            queues.insert(room.to_owned(), queue);
            tokio::spawn(run(Arc::clone(&self.inner), room.to_owned(), calls));
        }
    }
}

impl LineStore for GroupedStore {
    fn ensure<'a>(&'a self, room: &'a str, initial: &'a RoomInitial) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            let snapshot = self.inner.ensure(room, initial).await?;
            self.start(room);
            Ok(snapshot)
        })
    }

    fn join<'a>(&'a self, room: &'a str, joiners: &'a [Joiner]) -> Answer<'a, Joined> {
        Box::pin(async move {
            check_size("joiners", joiners.len())?;
            let (reply, answer) = oneshot::channel();
            self.send(room, Call::Join { joiners: joiners.to_vec(), reply })?;
            answer.await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn claim<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, (Vec<Claimed>, Snapshot)> {
        Box::pin(async move {
            check_size("numbers", numbers.len())?;
            let (reply, answer) = oneshot::channel();
            self.send(room, Call::Claim { epoch, numbers: numbers.to_vec(), reply })?;
            let (mut claimed, snapshot) = answer.await.unwrap_or_else(|_| Err(stopped()))?;
            begin(&mut claimed).await;
            Ok((claimed, snapshot))
        })
    }

    fn tick<'a>(&'a self, room: &'a str) -> Answer<'a, Snapshot> {
        self.inner.tick(room)
    }

    fn change<'a>(&'a self, room: &'a str, who: &'a str, change: &'a RoomChange) -> Answer<'a, Snapshot> {
        self.inner.change(room, who, change)
    }

    fn leave<'a>(&'a self, room: &'a str, number: u64) -> Answer<'a, Snapshot> {
        self.inner.leave(room, number)
    }

    fn moves<'a>(&'a self, room: &'a str, epoch: u64, moves: &'a [Move]) -> Answer<'a, (Generations, Snapshot)> {
        self.inner.moves(room, epoch, moves)
    }

    fn seen<'a>(&'a self, room: &'a str, positions: &'a [u64]) -> Answer<'a, Snapshot> {
        self.inner.seen(room, positions)
    }

    fn sessions<'a>(
        &'a self,
        room: &'a str,
        renew: &'a [String],
        end: &'a [String],
    ) -> Answer<'a, (Vec<Renewal>, Snapshot)> {
        if !end.is_empty() || renew.is_empty() || renew.len() > GROUP_MAX {
            return self.inner.sessions(room, renew, end);
        }
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.send(room, Call::Renew { sessions: renew.to_vec(), reply })?;
            answer.await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn restore<'a>(&'a self, room: &'a str, initial: &'a RoomInitial, highest: &'a Snapshot) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            let snapshot = self.inner.restore(room, initial, highest).await?;
            self.start(room);
            Ok(snapshot)
        })
    }

    fn heal<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, Snapshot> {
        self.inner.heal(room, epoch, numbers)
    }

    fn changes<'a>(&'a self, room: &'a str) -> Answer<'a, Vec<Audit>> {
        self.inner.changes(room)
    }
}

/// Waits until the sessions have begun.
async fn begin(claimed: &mut [Claimed]) {
    let mut last_ms = 0;
    for claimed in claimed {
        if let Claimed::Admitted(session) = claimed {
            last_ms = last_ms.max(session.starts_in_ms);
            session.starts_in_ms = 0;
        }
    }
    if last_ms > 0 {
        tokio::time::sleep(Duration::from_millis(last_ms.unsigned_abs())).await;
    }
}

fn stopped() -> StoreError {
    StoreError::Unreachable("the room's task has stopped".to_owned())
}

/// What goes out as one call.
#[derive(Default)]
struct Group {
    joins: Vec<(Vec<Joiner>, oneshot::Sender<JoinReply>)>,
    /// Claims of one epoch only.
    epoch: u64,
    claims: Vec<(Vec<u64>, oneshot::Sender<ClaimReply>)>,
    renewals: Vec<(Vec<String>, oneshot::Sender<RenewReply>)>,
    people: usize,
}

impl Group {
    /// Takes a call, or gives it back when it does not fit any more. One whose caller is gone is dropped: its number
    /// would be waited for in vain.
    fn take(&mut self, call: Call) -> Option<Call> {
        let (people, gone) = match &call {
            Call::Join { joiners, reply } => (joiners.len(), reply.is_closed()),
            Call::Claim { numbers, reply, .. } => (numbers.len(), reply.is_closed()),
            Call::Renew { sessions, reply } => (sessions.len(), reply.is_closed()),
        };
        if gone {
            return None;
        }
        let other = matches!(&call, Call::Claim { epoch, .. } if !self.claims.is_empty() && *epoch != self.epoch);
        if other || self.people + people > GROUP_MAX {
            return Some(call);
        }
        self.people += people;
        match call {
            Call::Join { joiners, reply } => self.joins.push((joiners, reply)),
            Call::Claim { epoch, numbers, reply } => {
                self.epoch = epoch;
                self.claims.push((numbers, reply));
            }
            Call::Renew { sessions, reply } => self.renewals.push((sessions, reply)),
        }
        None
    }
}

async fn run(store: Arc<dyn LineStore>, room: String, mut calls: mpsc::Receiver<Call>) {
    let mut held_back = None;
    loop {
        let first = match held_back.take() {
            Some(call) => call,
            None => match calls.recv().await {
                Some(call) => call,
                None => return,
            },
        };
        let mut group = Group::default();
        held_back = group.take(first);
        while held_back.is_none()
            && let Ok(call) = calls.try_recv()
        {
            held_back = group.take(call);
        }
        let Group { joins, epoch, claims, renewals, .. } = group;
        tokio::join!(
            join(&*store, &room, joins),
            claim(&*store, &room, epoch, claims),
            renew(&*store, &room, renewals)
        );
    }
}

/// One join for all; everyone gets numbers in the order of arrival.
async fn join(store: &dyn LineStore, room: &str, callers: Vec<(Vec<Joiner>, oneshot::Sender<JoinReply>)>) {
    let joiners: Vec<Joiner> = callers.iter().flat_map(|(joiners, _)| joiners).copied().collect();
    if joiners.is_empty() {
        return;
    }
    match store.join(room, &joiners).await {
        Ok(Joined { given, snapshot }) => {
            let (mut given, mut lost) = (given.into_iter(), Vec::new());
            for (joiners, reply) in callers {
                let mine: Vec<Given> = given.by_ref().take(joiners.len()).collect();
                // A caller that is gone by now has lost a number, and holds nobody up for long; but who would be inside
                // takes a place of the cap.
                if let Err(Ok(joined)) = reply.send(of_one(mine, &snapshot)) {
                    lost.extend(sessions_lost(&joiners, joined.given));
                }
            }
            if !lost.is_empty()
                && let Err(error) = store.sessions(room, &[], &lost).await
            {
                tracing::debug!(room, %error, "sessions that nobody waited for go on until their time is over");
            }
        }
        Err(error) => callers.into_iter().for_each(|(_, reply)| drop(reply.send(Err(error.clone())))),
    }
}

/// The sessions that nobody will ever have. Who has an identity comes again, and finds the number and the session.
fn sessions_lost(joiners: &[Joiner], given: Vec<Given>) -> impl Iterator<Item = String> {
    joiners.iter().zip(given).filter_map(|(joiner, given)| match given {
        Given::New { session, .. } if joiner.identity.is_none() => session.map(|session| session.id),
        Given::New { .. } | Given::Known { .. } | Given::Refused(_) => None,
    })
}

/// What one caller is told: as if it had come alone.
fn of_one(given: Vec<Given>, snapshot: &Snapshot) -> JoinReply {
    match given.first() {
        Some(Given::Refused(refused)) if given.iter().all(|given| matches!(given, Given::Refused(_))) => {
            Err((*refused).into())
        }
        Some(_) | None => Ok(Joined { given, snapshot: snapshot.clone() }),
    }
}

/// One claim for all, lowest number first and each number once.
async fn claim(store: &dyn LineStore, room: &str, epoch: u64, callers: Vec<(Vec<u64>, oneshot::Sender<ClaimReply>)>) {
    let mut numbers: Vec<u64> = callers.iter().flat_map(|(numbers, _)| numbers).copied().collect();
    if numbers.is_empty() {
        return;
    }
    numbers.sort_unstable();
    numbers.dedup();
    match store.claim(room, epoch, &numbers).await {
        Ok((answers, snapshot)) => {
            let answers: BTreeMap<u64, Claimed> = numbers.into_iter().zip(answers).collect();
            for (numbers, reply) in callers {
                let mine = numbers.iter().map(|number| answers.get(number).cloned().unwrap_or(Claimed::Unknown));
                // A caller that is gone by now asks again, and gets the same session.
                let _ = reply.send(Ok((mine.collect(), snapshot.clone())));
            }
        }
        Err(error) => callers.into_iter().for_each(|(_, reply)| drop(reply.send(Err(error.clone())))),
    }
}

/// One call for all; everyone gets the answers to their own.
async fn renew(store: &dyn LineStore, room: &str, callers: Vec<(Vec<String>, oneshot::Sender<RenewReply>)>) {
    let sessions: Vec<String> = callers.iter().flat_map(|(sessions, _)| sessions).cloned().collect();
    if sessions.is_empty() {
        return;
    }
    match store.sessions(room, &sessions, &[]).await {
        Ok((answers, snapshot)) => {
            let mut answers = answers.into_iter();
            for (sessions, reply) in callers {
                let mine = answers.by_ref().take(sessions.len()).collect();
                // A caller that is gone by now asks again at its next request.
                let _ = reply.send(Ok((mine, snapshot.clone())));
            }
        }
        Err(error) => callers.into_iter().for_each(|(_, reply)| drop(reply.send(Err(error.clone())))),
    }
}

#[cfg(test)]
mod tests;
