//! Keeps refusals after they are given: many in one commit, and nobody waits for it. Until then they are remembered. One that is
//! lost with its process harms nobody: who asks again runs again, and finds by its id what the first run did.

use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Place;
use crate::db::{Db, in_tx};
use crate::group::GROUP_MAX;
use crate::replay::{Ended, store};

/// How long refusals gather.
const EVERY: Duration = Duration::from_millis(250);

/// The most that gather while the disk stalls, some 10 MB. More are not kept.
const GATHERED_MAX: usize = 16_384;

pub(super) struct Behind(Sender<Refused>);

/// A refusal, and what remembers it until it is kept.
type Refused = (Ended, Place);

impl Behind {
    pub(super) fn on(db: Db) -> Self {
        let (tell, told) = channel(GATHERED_MAX);
        tokio::spawn(keep(db, told));
        Self(tell)
    }

    pub(super) fn keep(&self, ended: Ended, place: Place) {
        if self.0.try_send((ended, place)).is_err() {
            tracing::debug!("a refusal is not kept: too many wait for the disk");
        }
    }
}

/// Ends with the last that may tell it anything.
async fn keep(db: Db, mut told: Receiver<Refused>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while told.recv_many(&mut group, 1).await > 0 {
        tokio::time::sleep(EVERY).await;
        while !group.is_empty() {
            while group.len() < GROUP_MAX
                && let Ok(refused) = told.try_recv()
            {
                group.push(refused);
            }
            write(&db, &group).await;
            group.clear();
            group.extend(told.try_recv());
        }
    }
}

async fn write(db: &Db, group: &[Refused]) {
    let ended = group.iter().map(|(ended, _)| ended);
    let answers: Vec<_> = ended.filter_map(|ended| Some((&ended.call, &ended.token, ended.answer.as_ref()?))).collect();
    if let Err(error) = in_tx!(db.unsynced(), tx, { store::fill_all(tx, &answers).await }) {
        tracing::warn!(%error, refusals = answers.len(), "refusals are not kept under their keys");
    }
}
