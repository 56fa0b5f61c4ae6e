//! The shares of lanes: while every lane has people who are there, and nothing disturbs the room, each has its weight's
//! part of those who go in.

use super::{Broken, broken};
use std::collections::VecDeque;

/// Seconds in a window.
const WINDOW: usize = 60;
/// How far from its part a lane may be, in people: one ahead or behind at either end of the window.
const SLACK: f64 = 2.0;

/// The last minute, by the second and the lane.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Shares {
    weights: Vec<u32>,
    now: Vec<u64>,
    seconds: VecDeque<Vec<u64>>,
    calm_from_ms: i64,
    /// The farthest that any lane was from its part, in people.
    worst: Option<f64>,
}

impl Shares {
    pub(super) fn new(weights: Vec<u32>) -> Shares {
        Shares { now: vec![0; weights.len()], weights, ..Shares::default() }
    }

    pub(super) fn admitted(&mut self, lane: usize) {
        self.now[lane] += 1;
    }

    /// The operator gives lanes other weights.
    pub(in crate::simulation) fn weigh(&mut self, lane: usize, weight: u32) {
        self.weights[lane] = weight;
    }

    /// Whatever happens until then is no fault of the line.
    pub(in crate::simulation) fn disturbed_until(&mut self, at_ms: i64) {
        self.calm_from_ms = self.calm_from_ms.max(at_ms);
    }

    /// A second is over. `enough`: in every lane more people are there than the next seconds can let in.
    pub(in crate::simulation) fn second(&mut self, now_ms: i64, enough: bool) -> Result<(), Broken> {
        let fresh = vec![0; self.now.len()];
        let admitted = std::mem::replace(&mut self.now, fresh);
        if !enough || now_ms <= self.calm_from_ms || self.weights.len() < 2 {
            self.seconds.clear();
            return Ok(());
        }
        self.seconds.push_back(admitted);
        if self.seconds.len() > WINDOW {
            self.seconds.pop_front();
        }
        if self.seconds.len() < WINDOW {
            return Ok(());
        }
        let of = |lane: usize| self.seconds.iter().map(|second| second[lane]).sum::<u64>();
        let people: u64 = (0..self.weights.len()).map(of).sum();
        let sum: u32 = self.weights.iter().sum();
        for (lane, &weight) in self.weights.iter().enumerate() {
            let part = people as f64 * f64::from(weight) / f64::from(sum);
            let off = (of(lane) as f64 - part).abs();
            self.worst = Some(self.worst.unwrap_or(0.0).max(off));
            if off > SLACK {
                let got = of(lane);
                return broken(
                    "shares",
                    format!("lane {lane} had {got} of {people} in a minute, its part was {part:.1}"),
                );
            }
        }
        Ok(())
    }

    /// The farthest that any lane was from its part in any minute that counts, in people.
    pub(in crate::simulation) const fn worst(&self) -> Option<f64> {
        self.worst
    }
}
