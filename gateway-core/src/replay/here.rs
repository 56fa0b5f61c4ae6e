//! Who runs what in this process, which is the only one that answers. Nothing is written, so a crowd that is told "sold out"
//! costs the disk nothing, and a request that died with its process may be repeated at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Answer, Begun, Call};
use crate::base::CustomerId;

/// When to ask again while the first request runs: most end within this time.
const AGAIN_MS: i64 = 1_000;

/// The runs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Here(Arc<Mutex<HashMap<Name, Run>>>);

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
    here: Here,
    name: Name,
}

impl Here {
    /// The place of this call, or what its first run has come to.
    pub(super) fn enter(&self, call: &Call) -> Result<Place, Begun> {
        let name = (call.customer, call.route.clone(), call.key.clone());
        let mut runs = self.runs();
        match runs.get(&name) {
            Some(run) if run.fingerprint != call.fingerprint => Err(Begun::KeyReused),
            Some(Run { answer: Some(answer), .. }) => Err(Begun::Replay(answer.clone())),
            Some(_) => Err(Begun::InProgress { retry_after_ms: AGAIN_MS }),
            None => {
                runs.insert(name.clone(), Run { fingerprint: call.fingerprint, answer: None });
                Ok(Place { here: self.clone(), name })
            }
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<Name, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What is answered from now on to who asks again.
    pub(super) fn answer(&self, answer: Answer) {
        if let Some(run) = self.here.runs().get_mut(&self.name) {
            run.answer = Some(answer);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.here.runs().remove(&self.name);
    }
}
