//! W2: in every window no more sessions begin than the integral of the largest rate of the preceding second, and the
//! burst. All windows at once: let A be the people admitted less the people that the rate allowed since the beginning; a
//! window breaks the rule exactly if A rises by more than the burst in it, so the lowest A of the past is all that must
//! be kept, once per burst that was in force.

use super::{Broken, broken};
use crate::line::{RoomChange, RoomState, burst_for, rule::STEP_MS_MAX};

/// A place is given up to so long before its time, so a lower rate or a pause is felt so much later.
const AHEAD_MS: i64 = 1_000;

/// What one person costs, in people per minute times milliseconds.
const UNITS: i64 = 60_000;

/// The time during which one burst was in force.
#[derive(Clone, Copy, Debug)]
struct Era {
    burst: i64,
    lowest: i64,
    /// Times are whole milliseconds, so a window may be one longer than it looks.
    rounding: i64,
}

/// What the operator has allowed until now.
#[derive(Debug)]
pub(in crate::simulation) struct Ceiling {
    rate_per_minute: u32,
    burst: u32,
    open: bool,
    now_ms: i64,
    /// Admitted less allowed, in units.
    balance: i64,
    eras: Vec<Era>,
    /// Rates of before, each with the time until which places given under it may still begin.
    lasting: Vec<(i64, u32)>,
    /// A short jump of the wall clock: until when what was given before it may begin, and its worth in units.
    jumped: (i64, i64),
}

impl Ceiling {
    pub(super) fn new(rate_per_minute: u32, burst: u32) -> Ceiling {
        let mut ceiling = Ceiling {
            rate_per_minute,
            burst,
            open: true,
            now_ms: 0,
            balance: 0,
            eras: Vec::new(),
            lasting: Vec::new(),
            jumped: (0, 0),
        };
        ceiling.begin_era();
        ceiling
    }

    fn begin_era(&mut self) {
        let burst = if self.burst == 0 { burst_for(self.rate_per_minute) } else { self.burst };
        let rounding = i64::from(self.rate_per_minute);
        let (until_ms, jumped) = self.jumped;
        let jumped = if self.now_ms < until_ms { jumped } else { 0 };
        self.eras.push(Era { burst: i64::from(burst) * UNITS + jumped, lowest: self.balance, rounding });
    }

    /// True time goes on.
    pub(in crate::simulation) fn pass(&mut self, now_ms: i64) {
        while self.now_ms < now_ms {
            self.lasting.retain(|(until_ms, _)| *until_ms > self.now_ms);
            let end_ms = self.lasting.iter().map(|(until_ms, _)| *until_ms).fold(now_ms, i64::min);
            let rate = self.lasting.iter().map(|(_, rate)| *rate).fold(self.rate_in_force(), u32::max);
            self.balance -= (end_ms - self.now_ms) * i64::from(rate);
            self.now_ms = end_ms;
        }
        self.now_ms = now_ms;
        if self.jumped.1 > 0 && now_ms >= self.jumped.0 {
            self.jumped = (0, 0);
            self.begin_era();
        }
        if let Some(era) = self.eras.last_mut() {
            era.lowest = era.lowest.min(self.balance);
        }
    }

    /// The wall clock jumps ahead. Nobody can tell a short jump from time that passed, so the line may take it for that;
    /// what it gave ahead before the jump then begins beside what it gives after it. A long one counts for nothing.
    pub(in crate::simulation) fn jump(&mut self, by_ms: i64) {
        if self.open && (1..=STEP_MS_MAX).contains(&by_ms) {
            let jumped = by_ms * i64::from(self.rate_per_minute);
            self.balance -= jumped;
            self.jumped = (self.now_ms + AHEAD_MS, jumped);
            self.begin_era();
        }
    }

    /// The operator allows something else from now on.
    pub(in crate::simulation) fn change(&mut self, change: &RoomChange) {
        self.lasting.push((self.now_ms + AHEAD_MS, self.rate_in_force()));
        // A ramp goes by the line's time, which a fault may hold up: its highest rate is allowed at once.
        let ramp = change.ramp.map(|ramp| ramp.to_per_minute.max(self.rate_per_minute));
        self.rate_per_minute = ramp.or(change.rate_per_minute).unwrap_or(self.rate_per_minute);
        self.burst = change.burst.unwrap_or(self.burst);
        self.open = change.state.map_or(self.open, |state| state == RoomState::Open);
        self.begin_era();
    }

    pub(in crate::simulation) const fn is_open(&self) -> bool {
        self.open
    }

    /// The rate that is allowed now, 0 while nobody may go in.
    pub(in crate::simulation) const fn rate_in_force(&self) -> u32 {
        if self.open { self.rate_per_minute } else { 0 }
    }

    pub(super) fn admit(&mut self) -> Result<(), Broken> {
        self.balance += UNITS;
        let mut burst = 0;
        for era in self.eras.iter().rev() {
            // A window that reaches over a change may use the larger burst.
            burst = burst.max(era.burst + era.rounding);
            if self.balance - era.lowest > burst {
                let over = (self.balance - era.lowest - burst) as f64 / UNITS as f64;
                return broken("W2", format!("{over:.2} people more than rate and burst allow, at {} ms", self.now_ms));
            }
        }
        Ok(())
    }
}
