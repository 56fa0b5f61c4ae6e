//! A whole story from one number: crowd, room and faults, small enough that thousands of them are told in a minute.

use super::{Arrivals, Fault, FaultKind, Scenario, chance::Chance, lane_name};
use crate::line::{Ramp, RoomChange, RoomState};
use std::collections::BTreeMap;

impl Scenario {
    /// The story of this seed.
    pub fn random(seed: u64) -> Scenario {
        let mut chance = Chance::new(seed ^ 0x5EED_0F57_0121_E500);
        let rate_per_minute = chance.one_of(&[1, 7, 30, 60, 100, 600, 1_200, 6_000]);
        let visitors = 5 + u32::try_from(chance.below(250)).unwrap_or(0);
        let nodes = 1 + u8::try_from(chance.below(4)).unwrap_or(0);
        let limit_ms = chance.between(90_000, 420_000);
        let faults = (0..chance.below(7)).map(|_| any_fault(&mut chance, nodes, limit_ms)).collect();
        let mut story = Scenario {
            seed,
            visitors,
            arrivals: chance.one_of(&[Arrivals::Spike, Arrivals::Poisson, Arrivals::Flat]),
            over_ms: chance.one_of(&[1, 1_000, 10_000, 60_000, 200_000]),
            rate_per_minute,
            burst: chance.one_of(&[0, 0, 1, 5, 50]),
            leave: chance.one_of(&[0.0, 0.1, 0.4, 0.7]),
            late: chance.one_of(&[0.0, 0.1, 0.3]),
            clones: chance.one_of(&[0.0, 0.1]),
            nodes,
            faults,
            limit_ms,
            max_active: 0,
            session_ms: 15 * 60_000,
            stays_ms: 0,
            lanes: Vec::new(),
        };
        if chance.happens(0.4) {
            story.add_lanes(&mut chance);
        }
        if chance.happens(0.4) {
            story.add_cap(&mut chance);
        }
        story
    }

    /// Lanes, and perhaps an operator who gives one of them another weight.
    fn add_lanes(&mut self, chance: &mut Chance) {
        self.lanes = (0..=chance.below(3)).map(|_| chance.one_of(&[1, 3, 3, 10, 100])).collect();
        if chance.happens(0.3) {
            let lane = usize::try_from(chance.below(self.lanes.len() as u64 + 1)).unwrap_or(0);
            let weights = BTreeMap::from([(lane_name(lane), chance.one_of(&[1, 2, 50]))]);
            let change = RoomChange { lane_weights: Some(weights), ..RoomChange::default() };
            self.faults.push(Fault { at_ms: chance.between(0, self.limit_ms), kind: FaultKind::Changed(change) });
        }
    }

    /// A cap on live sessions, and perhaps an operator who moves it.
    fn add_cap(&mut self, chance: &mut Chance) {
        self.max_active = chance.one_of(&[1, 3, 10, 40]);
        self.session_ms = chance.one_of(&[5_000, 20_000, 60_000]);
        self.stays_ms = chance.one_of(&[0, 1_000, 10_000, 40_000]);
        if chance.happens(0.3) {
            let change = RoomChange { max_active: Some(chance.one_of(&[0, 1, 5, 100])), ..RoomChange::default() };
            self.faults.push(Fault { at_ms: chance.between(0, self.limit_ms), kind: FaultKind::Changed(change) });
        }
    }
}

fn any_fault(chance: &mut Chance, nodes: u8, limit_ms: i64) -> Fault {
    let at_ms = chance.between(0, limit_ms);
    let for_ms = chance.one_of(&[100, 900, 2_500, 8_000, 30_000, 60_000]);
    let kind = match chance.below(8) {
        0 => FaultKind::NodeGone { node: u8::try_from(chance.below(nodes.into())).unwrap_or(0), for_ms },
        1 => FaultKind::StoreAway { for_ms },
        2 => FaultKind::RepliesLost { for_ms: for_ms.min(8_000) },
        3 => FaultKind::StoreRestarts,
        4 => FaultKind::ClockJumps { by_ms: chance.one_of(&[-7_200_000, -1_000, 1_000, 7_200_000]) },
        5 => {
            let rate_per_minute = chance.one_of(&[None, Some(1), Some(60), Some(600), Some(30_000)]);
            let burst = chance.one_of(&[None, None, Some(0), Some(3)]);
            FaultKind::Changed(RoomChange { rate_per_minute, burst, ..RoomChange::default() })
        }
        6 => {
            let ramp = Ramp { to_per_minute: chance.one_of(&[7, 600, 30_000]), over_ms: for_ms };
            FaultKind::Changed(RoomChange { ramp: Some(ramp), ..RoomChange::default() })
        }
        _ => FaultKind::state(chance.one_of(&[RoomState::Paused, RoomState::Open, RoomState::Open])),
    };
    Fault { at_ms, kind }
}
