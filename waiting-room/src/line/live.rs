//! Sessions that go on: who is inside now, for the cap and for the count. One entry a session, for as long as it lasts.

use super::{
    answer::{Renewal, Session},
    effect::Effect,
    machine::Line,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// When each live session ends, in the line's time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<u64, i64>", into = "BTreeMap<u64, i64>")]
pub(crate) struct Live {
    ends_at_ms: BTreeMap<u64, i64>,
    in_order: BTreeSet<(i64, u64)>,
}

impl Live {
    /// Ends what is over.
    pub(crate) fn forget(&mut self, line_ms: i64) {
        while let Some(&(ends_at_ms, number)) = self.in_order.first()
            && ends_at_ms <= line_ms
        {
            self.end(number);
        }
    }

    /// The session of this number lasts until then; it may have begun before.
    pub(crate) fn last(&mut self, number: u64, ends_at_ms: i64) {
        self.end(number);
        self.ends_at_ms.insert(number, ends_at_ms);
        self.in_order.insert((ends_at_ms, number));
    }

    pub(crate) fn end(&mut self, number: u64) {
        if let Some(ends_at_ms) = self.ends_at_ms.remove(&number) {
            self.in_order.remove(&(ends_at_ms, number));
        }
    }

    pub(crate) fn ends_at(&self, number: u64) -> Option<i64> {
        self.ends_at_ms.get(&number).copied()
    }

    pub(crate) fn people(&self) -> u64 {
        self.ends_at_ms.len() as u64
    }
}

/// People who were inside before the line was lost: only how many is known, and that their sessions end by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unknown {
    pub(crate) people: u64,
    pub(crate) until_ms: i64,
}

impl Unknown {
    /// Whether a session that began before the loss may still be used.
    pub(crate) fn may_come(&self, line_ms: i64) -> bool {
        line_ms < self.until_ms
    }

    pub(crate) fn forget(&mut self, line_ms: i64) {
        if self.until_ms <= line_ms {
            self.people = 0;
        }
    }
}

impl From<BTreeMap<u64, i64>> for Live {
    fn from(ends_at_ms: BTreeMap<u64, i64>) -> Live {
        let in_order = ends_at_ms.iter().map(|(&number, &ends_at_ms)| (ends_at_ms, number)).collect();
        Live { ends_at_ms, in_order }
    }
}

impl From<Live> for BTreeMap<u64, i64> {
    fn from(live: Live) -> BTreeMap<u64, i64> {
        live.ends_at_ms
    }
}

/// What becomes of sessions, before it is in force.
pub(crate) struct Sessions {
    /// In the order of those that were used.
    pub(crate) answers: Vec<Renewal>,
    pub(crate) effect: Option<Effect>,
}

/// What the line knows of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Live,
    /// Its number is not used up.
    Unseen,
    Over,
}

impl Line {
    /// Sessions, by their ids, that were used and that are over. A used one lasts anew only where sessions go on. One
    /// whose number was never used up went in unseen: before a loss, or without the store. It is inside from now on.
    pub(crate) fn decide_sessions(&self, renew: &[String], end: &[String]) -> Sessions {
        let (mut renewed, mut adopted) = (BTreeSet::new(), BTreeSet::new());
        let mut renewal = |id: &String| {
            let Some((number, known)) = self.session_of(id) else { return Renewal::Unknown };
            match known {
                Known::Live if self.session_renewal => drop(renewed.insert(number)),
                Known::Live => {}
                // Of a session that began before a loss nobody can tell whether it had ended by then.
                Known::Unseen => drop(adopted.insert(number)),
                Known::Over if self.unknown.may_come(self.clock.line_ms) => drop(adopted.insert(number)),
                Known::Over => return Renewal::Over,
            }
            Renewal::GoesOn
        };
        let answers = renew.iter().map(&mut renewal).collect();
        let over = |&(number, known): &(u64, Known)| known != Known::Over || adopted.contains(&number);
        let ended: BTreeSet<u64> =
            end.iter().filter_map(|id| self.session_of(id)).filter(over).map(|(number, _)| number).collect();
        let any = !renewed.is_empty() || !adopted.is_empty() || !ended.is_empty();
        let [renewed, adopted, ended] = [renewed, adopted, ended].map(|numbers| numbers.into_iter().collect());
        Sessions { answers, effect: any.then_some(Effect::Sessions { renewed, adopted, ended }) }
    }

    /// The number of a session of this line, and what is known of it.
    fn session_of(&self, id: &str) -> Option<(u64, Known)> {
        let number = Session::number_of(self.epoch, id)?;
        let (lane, n) = self.lane(number).filter(|(lane, n)| (1..=lane.issued).contains(n))?;
        let known = match (self.live.ends_at(number), lane.spent.contains(n)) {
            (Some(_), _) => Known::Live,
            (None, false) => Known::Unseen,
            (None, true) => Known::Over,
        };
        Some((number, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_time_or_before_and_can_be_prolonged() {
        let mut live = Live::default();
        (1..=4).for_each(|number| live.last(number, 100 * number as i64));
        live.last(1, 1_000);
        live.end(4);
        live.end(4);
        live.forget(200);
        assert_eq!(
            (live.people(), live.ends_at(1), live.ends_at(2), live.ends_at(3)),
            (2, Some(1_000), None, Some(300))
        );
        let text = serde_json::to_string(&live).expect("plain data");
        assert_eq!(serde_json::from_str::<Live>(&text).expect("the same"), live);
        live.forget(i64::MAX);
        assert_eq!(live, Live::default());
    }
}
