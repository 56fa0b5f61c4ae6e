//! The autopilot: which rate the health of what stands behind the door allows, between the operator's floor and
//! ceiling, and why in words. Pure: it measures nothing and changes no room.
//!
//! Up by a fixed step while answers come fast, down by a share as soon as they do not, and between the two nothing.
//! Only what was measured since the rate last changed counts, whoever changed it; so several nodes that watch the same
//! room do not add up their steps, and two that decide at once name the same rate.

use serde::{Deserialize, Serialize};

use super::room::{Invalid, RATE_PER_MINUTE_MAX};

/// How far back answers count, in milliseconds.
const WINDOW_MS: u64 = 10_000;
/// The slowest p95 an operator can ask for, in milliseconds: longer than any visitor waits for a page.
const P95_MS_MAX: u32 = 60_000;
/// After a change nothing is judged for so long, in milliseconds: answers to the old rate are still on their way.
const SETTLE_MS: u64 = 3_000;
/// A higher rate needs a window this long since the last change, in milliseconds.
const RAISE_MS: u64 = 5_000;
/// Fewer answers than this are no evidence against the shop: one slow page is not a slow shop.
const EVIDENCE_MIN: u32 = 20;
/// The rate goes up by this part of the way from floor to ceiling.
const STEPS: u32 = 20;
/// What is left of the rate when it goes down, in percent.
const KEEP_PERCENT: u64 = 70;
/// Failures above this share lower the rate, in percent.
const FAILING_PERCENT: u64 = 5;
/// Failures up to this share let it rise, in percent.
const SOUND_PERCENT: u64 = 1;
/// A p95 below this part of the operator's lets the rate rise, in percent.
const FAST_PERCENT: u64 = 80;
/// Requests under way count as piled up if they stand for this many times the operator's p95.
const PILE_FACTOR: u64 = 2;

/// What the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autopilot {
    /// The lowest rate, in people per minute.
    pub floor: u32,
    /// The highest, in people per minute.
    pub ceiling: u32,
    /// The time within which 95 of 100 answers should begin, in milliseconds.
    pub p95_ms: u32,
}

impl Autopilot {
    /// Whether all values are in range.
    ///
    /// # Errors
    /// Names the field and its range.
    pub fn check(&self) -> Result<(), Invalid> {
        let refuse = |field, range| Err(Invalid { field, range });
        if !(1..=RATE_PER_MINUTE_MAX).contains(&self.floor) {
            return refuse("autopilot.floor", format!("1 to {RATE_PER_MINUTE_MAX}"));
        }
        if !(self.floor..=RATE_PER_MINUTE_MAX).contains(&self.ceiling) {
            return refuse("autopilot.ceiling", format!("{} (the floor) to {RATE_PER_MINUTE_MAX}", self.floor));
        }
        if !(1..=P95_MS_MAX).contains(&self.p95_ms) {
            return refuse("autopilot.p95_ms", format!("1 to {P95_MS_MAX}"));
        }
        Ok(())
    }

    fn lower(&self, rate_per_minute: u32) -> u32 {
        let kept = u64::from(rate_per_minute) * KEEP_PERCENT / 100;
        u32::try_from(kept).unwrap_or(rate_per_minute).clamp(self.floor, self.ceiling)
    }

    fn raise(&self, rate_per_minute: u32) -> u32 {
        let step = ((self.ceiling - self.floor) / STEPS).max(1);
        rate_per_minute.saturating_add(step).clamp(self.floor, self.ceiling)
    }
}

/// What the shop does behind its answers: orders that it works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Orders {
    /// Queued or being written.
    pub in_flight: u64,
    /// Done in a second while there was something to do; 0 until there was.
    pub per_second: u64,
}

impl Orders {
    /// How long the next one waits, in milliseconds; longer than anybody does if none was ever done.
    fn wait_ms(self) -> u64 {
        self.in_flight.saturating_mul(1_000).checked_div(self.per_second).unwrap_or(u64::from(P95_MS_MAX))
    }
}

/// What was measured over a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    /// How long the while was, in milliseconds; shorter than asked for if there were too many answers to keep.
    pub(crate) over_ms: u64,
    /// Answers that began in it.
    pub(crate) answers: u32,
    /// Of these: status 5xx, broken off, or none in time.
    pub(crate) failed: u32,
    /// 95 of 100 answers began within so many milliseconds.
    pub(crate) p95_ms: u64,
    /// Requests that have no answer yet.
    pub(crate) in_flight: u32,
    /// As the shop tells it, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) orders: Option<Orders>,
}

impl Health {
    /// How long the next order waits, where there are enough of them to say so.
    fn order_wait_ms(&self) -> u64 {
        let many = self.orders.filter(|orders| orders.in_flight >= u64::from(EVIDENCE_MIN));
        many.map_or(0, Orders::wait_ms)
    }
}

/// Why the rate is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The rate was outside of floor and ceiling.
    OutOfBounds,
    /// The rate has just changed.
    Settling,
    /// The shop answered nothing, so nothing is known.
    NoAnswers,
    /// Too many failures.
    Failing,
    /// Too slow.
    Slow,
    /// Too many requests without an answer.
    PiledUp,
    /// Too many orders for the rate at which they are done.
    OrdersPiledUp,
    /// Neither good enough to rise nor bad enough to fall.
    Fair,
    /// Fast and sound, and nobody waits.
    NoNeed,
    /// Fast and sound.
    Healthy,
}

/// The rate that should be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The rate as it is, in people per minute.
    pub(crate) before: u32,
    /// The rate as it should be, always within the bounds.
    pub(crate) rate_per_minute: u32,
    pub(crate) reason: Reason,
    pub(crate) health: Health,
}

/// One room's autopilot on one node: since when the rate is what it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pilot {
    rate_per_minute: u32,
    since_ms: u64,
}

impl Pilot {
    /// Decides at `now_ms`, which only has to go on steadily. `measure` tells the health of the last so many
    /// milliseconds.
    pub(crate) fn decide(
        &mut self,
        bounds: &Autopilot,
        now_ms: u64,
        rate_per_minute: u32,
        waiting: u64,
        measure: impl FnOnce(u64) -> Health,
    ) -> Decision {
        if self.rate_per_minute != rate_per_minute {
            *self = Pilot { rate_per_minute, since_ms: now_ms };
        }
        let settled_ms = now_ms.saturating_sub(self.since_ms);
        let health = measure(settled_ms.min(WINDOW_MS));
        let reason = if (bounds.floor..=bounds.ceiling).contains(&rate_per_minute) {
            judge(bounds, waiting, settled_ms, &health)
        } else {
            Reason::OutOfBounds
        };
        let after = match reason {
            Reason::OutOfBounds => rate_per_minute.clamp(bounds.floor, bounds.ceiling),
            Reason::Failing | Reason::Slow | Reason::PiledUp | Reason::OrdersPiledUp => bounds.lower(rate_per_minute),
            Reason::Healthy => bounds.raise(rate_per_minute),
            Reason::Settling | Reason::NoAnswers | Reason::Fair | Reason::NoNeed => rate_per_minute,
        };
        if after != rate_per_minute {
            *self = Pilot { rate_per_minute: after, since_ms: now_ms };
        }
        Decision { before: rate_per_minute, rate_per_minute: after, reason, health }
    }
}

fn judge(bounds: &Autopilot, waiting: u64, settled_ms: u64, health: &Health) -> Reason {
    let (answers, failed) = (u64::from(health.answers), u64::from(health.failed));
    let goal_ms = u64::from(bounds.p95_ms);
    let in_flight = u64::from(health.in_flight);
    // By Little's law: under way = answers a millisecond × milliseconds an answer.
    let piled_up = health.in_flight >= EVIDENCE_MIN
        && in_flight.saturating_mul(health.over_ms) > answers.max(1).saturating_mul(PILE_FACTOR * goal_ms);
    if settled_ms < SETTLE_MS {
        Reason::Settling
    } else if health.answers >= EVIDENCE_MIN && failed * 100 > answers * FAILING_PERCENT {
        Reason::Failing
    } else if health.answers >= EVIDENCE_MIN && health.p95_ms > goal_ms {
        Reason::Slow
    } else if piled_up {
        Reason::PiledUp
    } else if health.order_wait_ms() > goal_ms {
        Reason::OrdersPiledUp
    } else if health.answers == 0 {
        Reason::NoAnswers
    } else if failed * 100 > answers * SOUND_PERCENT
        || health.p95_ms.max(health.order_wait_ms()) * 100 > goal_ms * FAST_PERCENT
    {
        Reason::Fair
    } else if waiting == 0 {
        Reason::NoNeed
    } else if settled_ms < RAISE_MS {
        Reason::Settling
    } else {
        Reason::Healthy
    }
}

impl Decision {
    /// Whether nothing was judged, because the rate has just changed.
    pub(crate) fn is_settling(&self) -> bool {
        self.reason == Reason::Settling
    }

    /// The decision as a sentence.
    pub(crate) fn words(&self, bounds: &Autopilot) -> String {
        let Decision { before, rate_per_minute: after, reason, health } = *self;
        let done = match after.cmp(&before) {
            std::cmp::Ordering::Greater => format!("Raised from {before} to {after} a minute"),
            std::cmp::Ordering::Less => format!("Lowered from {before} to {after} a minute"),
            std::cmp::Ordering::Equal if after == bounds.ceiling && reason == Reason::Healthy => {
                format!("At the ceiling of {after} a minute")
            }
            std::cmp::Ordering::Equal if after == bounds.floor && reason.is_bad() => {
                format!("At the floor of {after} a minute")
            }
            std::cmp::Ordering::Equal => format!("Kept at {after} a minute"),
        };
        let Health { over_ms, answers, failed, p95_ms, in_flight, orders } = health;
        let goal_ms = bounds.p95_ms;
        let why = match reason {
            Reason::OutOfBounds => format!("the bounds are {} to {}", bounds.floor, bounds.ceiling),
            Reason::Settling => "the rate has just changed".to_owned(),
            Reason::NoAnswers => format!("no answer came from the shop in {} s", over_ms / 1_000),
            Reason::Failing => format!("{failed} of {answers} answers failed"),
            Reason::Slow => format!("95 of 100 answers take {p95_ms} ms, more than {goal_ms} ms"),
            Reason::PiledUp => format!("{in_flight} requests have no answer yet"),
            Reason::OrdersPiledUp => {
                let Orders { in_flight, per_second } = orders.unwrap_or_default();
                format!("{in_flight} orders are under way, and the shop does {per_second} a second")
            }
            Reason::Fair => {
                format!("95 of 100 answers take {p95_ms} ms of {goal_ms} ms, and {failed} of {answers} failed")
            }
            Reason::NoNeed => "the shop is well, and nobody waits".to_owned(),
            Reason::Healthy => format!("95 of 100 answers take {p95_ms} ms of {goal_ms} ms"),
        };
        format!("{done}: {why}.")
    }
}

impl Reason {
    const fn is_bad(self) -> bool {
        matches!(self, Reason::Failing | Reason::Slow | Reason::PiledUp | Reason::OrdersPiledUp)
    }
}

#[cfg(test)]
mod tests;
