//! The people of a story: when they come, how long they stay, and what they have been told.

use super::{Arrivals, Scenario, chance::Chance};

/// What a person will do besides waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Keeps every appointment.
    Stays,
    /// Never comes again after so many polls; some say so.
    Goes { after_polls: u8, tells: bool },
    /// Stays away once, for so long.
    ComesBack { after_polls: u8, away_ms: i64 },
}

/// Where a person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Has no number yet.
    Outside,
    /// Has a number.
    InLine,
    /// In, gone, or refused: asks no more.
    Done,
}

/// One person, or the copy of one's ticket.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) stage: Stage,
    pub(super) patience: Patience,
    pub(super) epoch: u64,
    /// The lane they join.
    pub(super) lane: u8,
    /// With its lane.
    pub(super) number: u64,
    pub(super) arrived_ms: i64,
    pub(super) asked_ms: i64,
    pub(super) polls: u8,
    /// The place told last: 0 when called, otherwise the people ahead and oneself.
    pub(super) told: Option<u64>,
    /// The node asked last; kept for a retry that comes at once, as a connection is.
    pub(super) node: u8,
    pub(super) is_copy: bool,
    pub(super) has_copy: bool,
}

impl Visitor {
    pub(super) fn draw(scenario: &Scenario, chance: &mut Chance) -> Visitor {
        let after_polls = u8::try_from(chance.below(4)).unwrap_or(0);
        let fate = chance.part();
        let patience = if fate < scenario.leave {
            Patience::Goes { after_polls, tells: chance.happens(0.1) }
        } else if fate < scenario.leave + scenario.late {
            Patience::ComesBack { after_polls, away_ms: chance.between(5_000, 300_000) }
        } else {
            Patience::Stays
        };
        let has_copy = patience == Patience::Stays && chance.happens(scenario.clones);
        let lanes = scenario.lanes.len() as u64;
        let lane = if lanes == 0 { 0 } else { u8::try_from(chance.below(lanes + 1)).unwrap_or(0) };
        Visitor {
            stage: Stage::Outside,
            patience,
            epoch: 0,
            lane,
            number: 0,
            arrived_ms: 0,
            asked_ms: i64::MIN / 2,
            polls: 0,
            told: None,
            node: 0,
            is_copy: false,
            has_copy,
        }
    }

    /// The copy that somebody made of this one's ticket.
    pub(super) fn copy(&self) -> Visitor {
        Visitor { is_copy: true, has_copy: false, ..self.clone() }
    }
}

/// When each of them comes, from the beginning of the story, in milliseconds.
pub(super) fn arrivals(scenario: &Scenario, chance: &mut Chance) -> Vec<i64> {
    let count = i64::from(scenario.visitors);
    let over_ms = scenario.over_ms.max(1);
    let mut latest_ms = 0.0;
    let mean_gap_ms = over_ms as f64 / count.max(1) as f64;
    (0..count)
        .map(|index| match scenario.arrivals {
            Arrivals::Flat => index * over_ms / count.max(1),
            Arrivals::Poisson => {
                latest_ms += -(1.0 - chance.part()).ln() * mean_gap_ms;
                latest_ms as i64
            }
            // The cube of an even spread: half of the people come in the first eighth of the time.
            Arrivals::Spike => (chance.part().powi(3) * over_ms as f64) as i64,
        })
        .collect()
}
