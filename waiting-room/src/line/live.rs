//! Sessions that go on: who is inside now, for the cap and for the count. One entry a session, for as long as it lasts.

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
