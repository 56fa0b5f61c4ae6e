//! Keeps refusals after they are given: many in one commit, and nobody waits for it. Until then they are remembered here. One
//! that is lost with its process harms nobody: who asks again runs again, and finds by its id what the first run did.

use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::here::Place;
use super::{Answer, Ended, store};
use crate::db::{Db, in_tx};
use crate::group::GROUP_MAX;

/// How long refusals gather.
const EVERY: Duration = Duration::from_millis(250);

/// The most that gather while the disk stalls, some 10 MB. More are not kept.
const GATHERED_MAX: usize = 16_384;

pub(super) struct Behind(Sender<Refused>);

struct Refused {
    ended: Ended,
    /// Remembers it until it is kept.
    _place: Place,
}

impl Behind {
    pub(super) fn on(db: Db) -> Self {
        let (tell, told) = channel(GATHERED_MAX);
        tokio::spawn(keep(db, told));
        Self(tell)
    }

    pub(super) fn keep(&self, ended: Ended, place: Place, answer: &Answer) {
        place.answer(answer.clone());
        if self.0.try_send(Refused { ended, _place: place }).is_err() {
            tracing::debug!("a refusal is not kept: too many wait for the disk");
        }
    }
}

/// Ends with the last that may tell it anything.
async fn keep(db: Db, mut told: Receiver<Refused>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while told.recv_many(&mut group, GROUP_MAX).await > 0 {
        if told.is_empty() {
            tokio::time::sleep(EVERY).await;
        }
        let answers = group.iter().filter_map(|Refused { ended, .. }| {
            Some((&ended.call, &ended.token, ended.answer.as_ref()?))
        });
        let answers: Vec<_> = answers.collect();
        let kept = in_tx!(db.synced(false), tx, { store::fill_all(tx, &answers).await });
        if let Err(error) = kept {
            tracing::warn!(%error, refusals = answers.len(), "refusals are not kept under their keys");
        }
        group.clear();
    }
}
