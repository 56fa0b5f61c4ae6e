//! What a story came to: samples for a plot, waits, and the figures of the summary. It judges nothing.

use std::collections::VecDeque;

/// How many people's places are followed.
const FOLLOWED: usize = 10;
/// The window that admissions are counted over, in milliseconds.
const WINDOW_MS: i64 = 60_000;

/// The room at one second of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// From the beginning of the story, in milliseconds.
    pub at_ms: i64,
    /// People with a number who have not gone in and will come back, if they are away.
    pub waiting: u64,
    /// Those of them who keep their appointments.
    pub there: u64,
    /// People who went in during the last 60 s.
    pub admitted_last_minute: u64,
    /// People per minute that the operator allows; 0 while nobody may go in.
    pub rate_per_minute: u32,
}

/// How long the admitted waited from joining, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Half of them no longer than this.
    pub p50_ms: i64,
    /// 95 of 100.
    pub p95_ms: i64,
    /// All of them.
    pub max_ms: i64,
}

/// What became of everybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// How long the story took in its own time, in milliseconds.
    pub lasted_ms: i64,
    /// Events that were played and judged.
    pub events: u64,
    /// Polls that were answered.
    pub polls: u64,
    /// Numbers that were acknowledged.
    pub joined: u64,
    /// People who went in.
    pub admitted: u64,
    /// People who went away and did not come back.
    pub gone: u64,
    /// People still in line at the end.
    pub waiting: u64,
    /// The most people who went in within any 60 s.
    pub worst_minute: u64,
    /// The most people whose sessions were live at once.
    pub most_inside: u64,
    /// The worst share of the rate that was used in any 60 s after the first in which people who were there waited
    /// and nothing disturbed the room; nothing if there was no such minute.
    pub share_used: Option<f64>,
    /// The farthest that any lane was from its weight's part of those who went in during any 60 s in which every lane had
    /// people and nothing disturbed the room, in people; nothing if there was no such minute.
    pub lanes_off: Option<f64>,
    /// Waits of the admitted.
    pub waits: Waits,
    /// One a second.
    pub samples: Vec<Sample>,
    /// Some people's places over time: (milliseconds, people ahead and oneself; 0 = called).
    pub places: Vec<Vec<(i64, u64)>>,
}

/// Collects an [`Outcome`].
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) outcome: Outcome,
    waits_ms: Vec<i64>,
    admitted_at_ms: VecDeque<i64>,
    visitors: usize,
}

impl Trace {
    pub(super) fn new(visitors: u32) -> Trace {
        let places = vec![Vec::new(); FOLLOWED];
        Trace {
            outcome: Outcome { places, ..Outcome::default() },
            visitors: visitors.max(1) as usize,
            ..Trace::default()
        }
    }

    pub(super) fn admitted(&mut self, waited_ms: i64) {
        self.outcome.admitted += 1;
        self.waits_ms.push(waited_ms);
    }

    /// Somebody who was given a place goes in: what the rate limits.
    pub(super) fn began(&mut self, now_ms: i64) {
        self.forget(now_ms);
        self.admitted_at_ms.push_back(now_ms);
        self.outcome.worst_minute = self.outcome.worst_minute.max(self.admitted_at_ms.len() as u64);
    }

    fn forget(&mut self, now_ms: i64) {
        while self.admitted_at_ms.front().is_some_and(|&at_ms| at_ms <= now_ms - WINDOW_MS) {
            self.admitted_at_ms.pop_front();
        }
    }

    /// A visitor, by the order of their plans, was told a place.
    pub(super) fn told(&mut self, visitor: usize, now_ms: i64, place: u64) {
        let every = self.visitors.div_ceil(FOLLOWED);
        if visitor < self.visitors && visitor.is_multiple_of(every) {
            self.outcome.places[visitor / every].push((now_ms, place));
        }
    }

    pub(super) fn second(&mut self, sample: Sample) {
        self.forget(sample.at_ms);
        let admitted_last_minute = self.admitted_at_ms.len() as u64;
        self.outcome.samples.push(Sample { admitted_last_minute, ..sample });
    }

    pub(super) fn end(mut self) -> Outcome {
        self.waits_ms.sort_unstable();
        let waits = &self.waits_ms;
        let rank = |percent: usize| waits.get((waits.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        self.outcome.waits = Waits {
            p50_ms: rank(50).unwrap_or(0),
            p95_ms: rank(95).unwrap_or(0),
            max_ms: waits.last().copied().unwrap_or(0),
        };
        self.outcome
    }
}
