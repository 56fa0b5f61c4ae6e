//! Faults and the operator's changes, when their time has come.

use super::{Node, World};
use crate::simulation::{backing::Backing, checker::Broken, fault::FaultKind, lane_name};

/// How long the room may take after a fault until it runs at its rate again (W3).
const RECOVERY_MS: i64 = 5_000;
/// A changed rate moves the appointments of those who were told to come by the old one.
const CHANGE_MS: i64 = 65_000;

impl<B: Backing> World<'_, B> {
    pub(super) const fn store_answers(&self) -> bool {
        self.now_ms >= self.store_away_until_ms
    }

    pub(super) const fn replies_arrive(&self) -> bool {
        self.now_ms >= self.replies_lost_until_ms
    }

    pub(super) fn fault(&mut self, index: usize) -> Result<(), Broken> {
        let (now_ms, scenario) = (self.now_ms, self.scenario);
        let mut heals_ms = now_ms;
        // The line's time stands still while nobody reaches the store, so sessions that end meanwhile keep their places for as
        // long again.
        let mut kept_ms = 0;
        match &scenario.faults[index].kind {
            FaultKind::NodeGone { node, for_ms } => {
                heals_ms += for_ms;
                kept_ms = *for_ms;
                let node = usize::from(*node) % self.nodes.len();
                self.nodes[node] = Node { gone_until_ms: heals_ms, ..Node::default() };
            }
            FaultKind::StoreAway { for_ms } => {
                heals_ms += for_ms;
                kept_ms = *for_ms;
                self.store_away_until_ms = self.store_away_until_ms.max(heals_ms);
            }
            FaultKind::RepliesLost { for_ms } => {
                heals_ms += for_ms;
                self.replies_lost_until_ms = self.replies_lost_until_ms.max(heals_ms);
            }
            FaultKind::StoreRestarts => self.backing.restart(),
            FaultKind::ClockJumps { by_ms } => {
                self.wall_offset_ms += by_ms;
                self.checker.ceiling.jump(*by_ms);
                self.checker.cap.jump(*by_ms);
            }
            FaultKind::Changed(change) if self.store_answers() => {
                // A line on a ramp may be held up by faults; then nobody knows which rate to expect.
                heals_ms += if change.ramp.is_some() { self.scenario.limit_ms } else { CHANGE_MS };
                let snapshot = self.backing.change(self.wall_ms(), change);
                for (lane, weight) in change.lane_weights.iter().flatten() {
                    let lane = (0..).find(|&index| lane_name(index) == *lane).unwrap_or(0);
                    self.checker.shares.weigh(lane, *weight);
                }
                self.checker.ceiling.change(change);
                self.checker.cap.change(change);
                self.checker.snapshot(&snapshot)?;
            }
            FaultKind::Changed(_) => {}
        }
        self.checker.progress.disturbed_until(heals_ms + RECOVERY_MS);
        self.checker.shares.disturbed_until(heals_ms + RECOVERY_MS);
        self.checker.cap.disturbed_until(heals_ms + kept_ms + RECOVERY_MS);
        Ok(())
    }
}
