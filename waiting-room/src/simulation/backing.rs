//! What the nodes of a story talk to: the pure `Line`, driven as a store drives it. A trait, so that a test can put a
//! line in its place that breaks a rule.

use crate::line::{Claimed, Effect, Joined, Joiner, Line, RoomChange, RoomInitial, Snapshot, effect_of};

/// The operations of a store on one room, in virtual time.
pub(super) trait Backing {
    /// Nothing: the room takes nobody in.
    fn join(&mut self, wall_ms: i64, joiner: Joiner) -> Option<Joined>;
    fn claim(&mut self, wall_ms: i64, epoch: u64, number: u64) -> (Claimed, Snapshot);
    fn tick(&mut self, wall_ms: i64) -> Snapshot;
    fn change(&mut self, wall_ms: i64, change: &RoomChange) -> Snapshot;
    fn leave(&mut self, wall_ms: i64, number: u64) -> Snapshot;
    /// The upstream has ended this session.
    fn end(&mut self, wall_ms: i64, session: &str) -> Snapshot;
    /// These were heard of a moment ago.
    fn seen(&mut self, wall_ms: i64, positions: &[u64]);
    /// Dies and begins again from what it has written down.
    fn restart(&mut self);
}

/// The line itself, and the joins until now, for their nonces.
pub(super) struct PureLine(Line, u64);

impl PureLine {
    pub(super) fn begin(initial: &RoomInitial) -> PureLine {
        PureLine(Line::begin(super::world::WALL_BEGIN_MS, initial), 0)
    }

    fn settle(&mut self, wall_ms: i64) {
        self.0.settle(wall_ms);
        self.put(self.0.decide_open());
    }

    fn put(&mut self, effect: Option<Effect>) {
        if let Some(effect) = effect {
            self.0.apply(&self.0.entry(effect));
        }
    }
}

impl Backing for PureLine {
    fn join(&mut self, wall_ms: i64, joiner: Joiner) -> Option<Joined> {
        self.settle(wall_ms);
        self.1 += 1;
        let mut joining = self.0.decide_join(&[joiner], self.1);
        if joining.refused().is_some() {
            return None;
        }
        self.put(joining.effect.take());
        Some(self.0.joined(&joining))
    }

    fn claim(&mut self, wall_ms: i64, epoch: u64, number: u64) -> (Claimed, Snapshot) {
        self.settle(wall_ms);
        self.0.note_asking(epoch, &[number]);
        let verdicts = self.0.decide_claims(epoch, &[number]);
        self.put(effect_of(&[number], &verdicts));
        self.0.note_asked(&[number], &verdicts);
        let answer = self.0.claimed(&[number], &verdicts).pop().unwrap_or(Claimed::Unknown);
        (answer, self.0.snapshot())
    }

    fn tick(&mut self, wall_ms: i64) -> Snapshot {
        self.settle(wall_ms);
        self.put(self.0.decide_tick());
        self.0.snapshot()
    }

    fn change(&mut self, wall_ms: i64, change: &RoomChange) -> Snapshot {
        self.settle(wall_ms);
        self.put(self.0.decide_change("simulation", change));
        self.0.snapshot()
    }

    fn leave(&mut self, wall_ms: i64, number: u64) -> Snapshot {
        self.settle(wall_ms);
        self.put(self.0.decide_leave(number));
        self.0.snapshot()
    }

    fn end(&mut self, wall_ms: i64, session: &str) -> Snapshot {
        self.settle(wall_ms);
        let sessions = self.0.decide_sessions(&[], &[session.to_owned()]);
        self.put(sessions.effect);
        self.0.snapshot()
    }

    fn seen(&mut self, wall_ms: i64, positions: &[u64]) {
        self.settle(wall_ms);
        self.0.see(positions);
    }

    fn restart(&mut self) {
        let kept = serde_json::to_vec(&self.0);
        if let Some(line) = kept.ok().and_then(|kept| serde_json::from_slice(&kept).ok()) {
            self.0 = line;
        }
    }
}
