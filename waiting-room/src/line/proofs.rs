//! Proofs of work that were used, so that each is used once at whichever node. Short-lived: two windows that take turns,
//! each longer than a proof holds.

use super::identity::Identity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A used proof is remembered for at least so long, in milliseconds: longer than it holds.
pub(crate) const PROOF_WINDOW_MS: i64 = 150_000;
/// Proofs that are remembered in one window; each stands for work that somebody did.
pub(crate) const PROOFS_MAX: usize = 1_000_000;

/// What names a proof of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(pub [u8; 16]);

/// The proofs of the last one to two windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedProofs {
    window: i64,
    used: [BTreeSet<Identity>; 2],
}

impl UsedProofs {
    /// Forgets the window that is over.
    pub(crate) fn rotate(&mut self, line_ms: i64) {
        let window = line_ms.div_euclid(PROOF_WINDOW_MS);
        if window > self.window + 1 {
            self.used = Default::default();
        } else if window > self.window {
            self.used[half(window)].clear();
        }
        self.window = self.window.max(window);
    }

    /// Whether this proof cannot be used: it was, or no more can be remembered. Refusing is safe, forgetting is not.
    pub(crate) fn refuses(&self, Proof(name): Proof, fresh: usize) -> bool {
        let full = self.used[half(self.window)].len() + fresh >= PROOFS_MAX;
        full || self.used.iter().any(|used| used.contains(&Identity(name)))
    }

    pub(crate) fn keep(&mut self, Proof(name): Proof) {
        self.used[half(self.window)].insert(Identity(name));
    }
}

fn half(window: i64) -> usize {
    usize::from(window.rem_euclid(2) == 1)
}

impl Serialize for Proof {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Identity(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Proof, D::Error> {
        Identity::deserialize(deserializer).map(|Identity(name)| Proof(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_remembered_for_longer_than_it_holds_and_not_for_ever() {
        for begin_ms in [0, 1, PROOF_WINDOW_MS - 1, PROOF_WINDOW_MS + 7] {
            let (mut proofs, proof) = (UsedProofs::default(), Proof([7; 16]));
            proofs.rotate(begin_ms);
            assert!(!proofs.refuses(proof, 0) && proofs.refuses(proof, PROOFS_MAX));
            proofs.keep(proof);
            proofs.rotate(begin_ms + crate::credential::proof::PROOF_MS);
            assert!(proofs.refuses(proof, 0) && !proofs.refuses(Proof([8; 16]), 0));
            proofs.rotate(begin_ms + 2 * PROOF_WINDOW_MS);
            assert!(!proofs.refuses(proof, 0));
            assert!(proofs.used.iter().all(BTreeSet::is_empty), "nothing is kept");
        }
    }
}
