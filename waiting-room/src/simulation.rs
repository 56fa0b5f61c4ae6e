//! The line in virtual time: crowds, nodes and faults from a seed drive the pure `Line`, and an independent checker
//! judges every event by the invariants W1 to W8. No I/O, no clock: the same seed gives the same story, for ever.

mod backing;
mod chance;
mod checker;
mod fault;
mod story;
#[cfg(test)]
mod tests;
mod trace;
mod visitor;
mod world;

pub use self::{
    fault::{Fault, FaultKind},
    trace::{Outcome, Sample, Waits},
};

use self::{backing::PureLine, world::World};
use crate::line::{GENERAL, LaneInitial, RoomInitial};
use std::fmt;

/// The most visitors of one story: bounds its memory.
pub const VISITORS_MAX: u32 = 1_000_000;

/// How people arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Most of them at the very beginning, fewer and fewer later.
    Spike,
    /// Independently of each other: the gaps are random.
    Poisson,
    /// One after the other, at equal distances.
    Flat,
}

/// One story, complete: the same values give the same events.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Seed of everything that chance decides.
    pub seed: u64,
    /// How many people come.
    pub visitors: u32,
    /// How they come.
    pub arrivals: Arrivals,
    /// The time over which they come, in milliseconds.
    pub over_ms: i64,
    /// People per minute that the room lets in at first.
    pub rate_per_minute: u32,
    /// People that may go in at the same instant; 0 follows the rate.
    pub burst: u32,
    /// The part of the people that goes away and never comes back, 0 to 1.
    pub leave: f64,
    /// The part that goes away and comes back late, 0 to 1.
    pub late: f64,
    /// The part that polls with a copy of its ticket too, 0 to 1.
    pub clones: f64,
    /// Nodes that answer them.
    pub nodes: u8,
    /// What goes wrong, or is changed by an operator, and when.
    pub faults: Vec<Fault>,
    /// The story ends here at the latest, in milliseconds.
    pub limit_ms: i64,
    /// Live sessions at the same time; 0 = no cap.
    pub max_active: u32,
    /// How long a session lasts, in milliseconds.
    pub session_ms: i64,
    /// How long people are inside on average until the upstream ends their session, in milliseconds; 0 = it never does.
    pub stays_ms: i64,
    /// The weights of the lanes besides the general one; people come to all of them alike.
    pub lanes: Vec<u32>,
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario {
            seed: 1,
            visitors: 300,
            arrivals: Arrivals::Spike,
            over_ms: 10_000,
            rate_per_minute: 60,
            burst: 0,
            leave: 0.1,
            late: 0.0,
            clones: 0.0,
            nodes: 3,
            faults: Vec::new(),
            limit_ms: 24 * 3_600_000,
            max_active: 0,
            session_ms: 15 * 60_000,
            stays_ms: 0,
            lanes: Vec::new(),
        }
    }
}

/// An invariant that did not hold, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `W1` to `W8`.
    pub rule: &'static str,
    /// What happened, in numbers.
    pub detail: String,
    /// The scenario's seed.
    pub seed: u64,
    /// Which event of the story it was, counted from 1.
    pub event: u64,
    /// The story's time, in milliseconds.
    pub at_ms: i64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { rule, detail, seed, event, at_ms } = self;
        let (seconds, thousandths) = (at_ms / 1_000, at_ms % 1_000);
        write!(f, "{rule} is broken at event {event}, {seconds}.{thousandths:03} s into seed {seed}: {detail}")
    }
}

impl std::error::Error for Violation {}

/// Plays one story to its end.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(scenario: &Scenario) -> Result<Outcome, Violation> {
    World::new(scenario, PureLine::begin(&scenario.initial())).run()
}

/// The name of a story's lane.
fn lane_name(lane: usize) -> String {
    if lane == 0 { GENERAL.to_owned() } else { format!("lane-{lane}") }
}

impl Scenario {
    fn initial(&self) -> RoomInitial {
        let lane = |(index, &weight): (usize, &u32)| LaneInitial { name: lane_name(index + 1), weight };
        let lanes = self.lanes.iter().enumerate().map(lane).collect();
        RoomInitial {
            rate_per_minute: self.rate_per_minute,
            burst: self.burst,
            session_ms: self.session_ms,
            max_active: self.max_active,
            lanes,
            ..RoomInitial::default()
        }
    }

    /// The weights of all lanes.
    fn weights(&self) -> Vec<u32> {
        std::iter::once(1).chain(self.lanes.iter().copied()).collect()
    }
}
