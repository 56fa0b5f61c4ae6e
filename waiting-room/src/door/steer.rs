//! The autopilot at work: once a second each room that has one gets the rate that the upstream's health allows. The
//! decision is the line's; here it is only asked for, put in force and kept for the operator to read.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::room::{Room, Rooms};
use crate::line::{AUTOPILOT, Autopilot, Decision, Health, Pilot, RoomChange, RoomState};

/// How often a room is steered.
const STEER_EVERY: Duration = Duration::from_secs(1);

/// A room's autopilot on this node, and its latest decision.
#[derive(Default)]
pub(super) struct Steering {
    pilot: Mutex<Pilot>,
    decision: ArcSwapOption<Decision>,
}

/// What an operator is told of an autopilot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steered {
    pub(crate) bounds: Autopilot,
    /// The latest decision as a sentence.
    pub(crate) why: String,
    pub(crate) health: Health,
}

impl Rooms {
    /// Steers all rooms until stopped. `health` tells how the upstream did in the last so many milliseconds.
    pub(crate) async fn steer(&self, stop: &CancellationToken, health: impl Fn(u64) -> Health) {
        let began = Instant::now();
        let mut every = tokio::time::interval(STEER_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {
                    let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    for room in self.iter() {
                        room.steer(now_ms, &health).await;
                    }
                }
            }
        }
    }
}

impl Room {
    /// The autopilot's bounds and latest decision, if the room has one.
    pub(crate) fn steered(&self) -> Option<Steered> {
        let bounds = self.autopilot()?;
        let decision = self.steering.decision.load_full();
        let why = match decision.as_deref() {
            _ if self.snapshot().state != RoomState::Open => "Waits until the room is open.".to_owned(),
            _ if self.snapshot().ramp.is_some() => "Waits until the ramp is over.".to_owned(),
            Some(decision) => decision.words(&bounds),
            None => "Has not decided anything yet.".to_owned(),
        };
        Some(Steered { bounds, why, health: decision.map(|decision| decision.health).unwrap_or_default() })
    }

    async fn steer(&self, now_ms: u64, health: impl Fn(u64) -> Health) {
        let line = self.snapshot();
        // An operator's ramp moves the rate; a step of the autopilot would end it.
        let steers = line.state == RoomState::Open && line.ramp.is_none() && self.store_ok();
        let Some(bounds) = self.autopilot().filter(|_| steers) else { return };
        let decision = {
            let mut pilot = self.steering.pilot.lock().unwrap_or_else(PoisonError::into_inner);
            pilot.decide(&bounds, now_ms, line.rate_per_minute, line.waiting(), health)
        };
        if decision.rate_per_minute != decision.before {
            let change = RoomChange { rate_per_minute: Some(decision.rate_per_minute), ..RoomChange::default() };
            if let Err(error) = self.change(AUTOPILOT, &change).await {
                tracing::warn!(room = self.name(), %error, "the autopilot could not change the rate");
                return;
            }
            tracing::info!(room = self.name(), why = decision.words(&bounds), "the autopilot changed the rate");
        }
        // A change stays to be read until there is something new to say.
        let settling = decision.is_settling() && self.steering.decision.load().is_some();
        if !settling {
            self.steering.decision.store(Some(decision.into()));
        }
    }
}
