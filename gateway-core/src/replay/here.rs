//! Who runs what in this process, which is the only one that answers. Nothing is written before there is an answer, and a
//! refusal is kept after it was given ([`behind`]): a crowd that is told "sold out" waits for no disk.

mod behind;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Answer, Begun, Call, Claim, Ended, store};
use crate::base::CustomerId;
use crate::db::{Db, DbError};
use behind::Behind;

/// When to ask again while the first request runs: most end within this time.
const AGAIN_MS: i64 = 1_000;

pub(super) struct Here {
    db: Db,
    runs: Runs,
    behind: Behind,
}

/// The runs. Cheap to clone.
#[derive(Clone, Debug, Default)]
struct Runs(Arc<Mutex<HashMap<Name, Run>>>);

/// Customer, route and key.
type Name = (CustomerId, String, String);

#[derive(Debug)]
struct Run {
    fingerprint: [u8; 32],
    /// Until it is in the database.
    answer: Option<Answer>,
}

/// A run's place. It is given up when this is dropped, whatever became of the run.
#[derive(Debug)]
pub(super) struct Place {
    runs: Runs,
    name: Name,
}

impl Here {
    pub(super) fn on(db: Db) -> Self {
        Self { runs: Runs::default(), behind: Behind::on(db.clone()), db }
    }

    /// Claims the request, or says what became of it. First the place, then the look: an answer is kept before its place is
    /// given up, so one of the two is found.
    pub(super) async fn begin(&self, call: &Call) -> Result<Begun, DbError> {
        let place = match self.runs.enter(call) {
            Ok(place) => place,
            Err(begun) => return Ok(begun),
        };
        Ok(match store::kept(&self.db, call).await? {
            Some((fingerprint, _)) if fingerprint != call.fingerprint => Begun::KeyReused,
            Some((_, answer)) => Begun::Replay(answer),
            None => Begun::Run(Claim { token: rand::random(), place: Some(place) }),
        })
    }

    /// A refusal, which is given at once, and kept soon.
    pub(super) fn refuse(&self, ended: Ended, place: Place) {
        place.ended(&ended);
        self.behind.keep(ended, place);
    }
}

impl Runs {
    /// The place of this call, or what its first run has come to.
    fn enter(&self, call: &Call) -> Result<Place, Begun> {
        let name = (call.customer, call.route.clone(), call.key.clone());
        let mut runs = self.lock();
        match runs.get(&name) {
            Some(run) if run.fingerprint != call.fingerprint => Err(Begun::KeyReused),
            Some(Run { answer: Some(answer), .. }) => Err(Begun::Replay(answer.clone())),
            Some(_) => Err(Begun::InProgress { retry_after_ms: AGAIN_MS }),
            None => {
                runs.insert(name.clone(), Run { fingerprint: call.fingerprint, answer: None });
                Ok(Place { runs: self.clone(), name })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What is answered from now on to who asks again.
    fn ended(&self, ended: &Ended) {
        if let Some(run) = self.runs.lock().get_mut(&self.name) {
            run.answer.clone_from(&ended.answer);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.name);
    }
}
