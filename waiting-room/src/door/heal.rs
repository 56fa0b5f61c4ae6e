//! Tickets that this node has verified and whose numbers its line does not know. The line is told of the highest of each
//! lane: it goes on above them, and where it has just begun, as the line that the tickets are of.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::room::{Room, in_time};
use crate::credential::Ticket;
use crate::line::{HEAL_MS, LANES_MAX, Method, Snapshot, lane_of, within_lane};

/// Tickets of an older line are gathered for so long before it is told of them, in milliseconds: one alone may have a
/// lower number than the new line has given out by then.
const GATHER_MS: i64 = 2_000;
/// A ticket that was given out longer before the line began is of another sale, in milliseconds.
const TICKET_MS: i64 = 6 * 60 * 60 * 1_000;

/// What tickets have shown.
// Std mutexes: never held across an `.await`, and only locked for tickets that the line does not know.
#[derive(Default)]
pub(super) struct Evidence {
    any: AtomicBool,
    shown: Mutex<Option<Shown>>,
    /// The line stays what it is, whatever was shown up to these numbers of this epoch.
    refused: Mutex<Shown>,
}

/// The highest numbers of one epoch, by lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    epoch: u64,
    since_ms: i64,
    highest: BTreeMap<usize, u64>,
}

impl Shown {
    fn add(&mut self, number: u64) {
        let highest = self.highest.entry(lane_of(number)).or_default();
        *highest = number.max(*highest);
    }

    fn covers(&self, epoch: u64, number: u64) -> bool {
        self.epoch == epoch && self.highest.get(&lane_of(number)).is_some_and(|highest| number <= *highest)
    }
}

impl Evidence {
    /// Somebody shows a number of this epoch; whether it may be of use.
    fn show(&self, epoch: u64, number: u64, now_ms: i64) -> bool {
        if self.refused.lock().unwrap_or_else(PoisonError::into_inner).covers(epoch, number) {
            return false;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Shown { epoch, since_ms: now_ms, highest: BTreeMap::new() };
        match &mut *shown {
            // The youngest of all lines that are no more is the one that people wait in.
            Some(known) if known.epoch > epoch => return false,
            Some(known) if known.epoch == epoch => known.add(number),
            other => other.insert(fresh()).add(number),
        }
        self.any.store(true, Ordering::Release);
        true
    }

    /// What the line is to be told of now, as it is after this answer.
    fn due(&self, line: &Snapshot, now_ms: i64) -> Option<(u64, Vec<u64>)> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shown.as_ref()?;
        if known.epoch < line.epoch && now_ms - known.since_ms < GATHER_MS {
            return None;
        }
        self.any.store(false, Ordering::Release);
        let Shown { epoch, highest, .. } = shown.take()?;
        let numbers: Vec<u64> = highest.into_values().filter(|&n| epoch != line.epoch || is_unknown(n, line)).collect();
        (epoch <= line.epoch && !numbers.is_empty()).then_some((epoch, numbers))
    }

    fn refuse(&self, epoch: u64, numbers: &[u64]) {
        let mut refused = Shown { epoch, ..Shown::default() };
        numbers.iter().for_each(|&number| refused.add(number));
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }
}

/// Whether a number of this line is one that it has not given out, as far as it knows.
fn is_unknown(number: u64, line: &Snapshot) -> bool {
    let n = within_lane(number);
    let skipped = |&(first, last): &(u64, u64)| (first..=last).contains(&n);
    line.lane(lane_of(number)).is_some_and(|lane| n > lane.issued || lane.skipped.iter().any(skipped))
}

impl Room {
    /// Whether this ticket is of a line that may yet be brought back by it; of the line that there is, it may prove more
    /// than that knows.
    pub(super) fn may_heal(&self, ticket: &Ticket, line: &Snapshot) -> bool {
        let number = ticket.in_line();
        if ticket.epoch == line.epoch {
            return is_unknown(number, line) && self.evidence().show(ticket.epoch, number, self.now_ms());
        }
        let (age_ms, began_ms) =
            (line.at_ms.saturating_sub_unsigned(line.epoch), 0_i64.saturating_add_unsigned(line.epoch));
        let young = (0..HEAL_MS).contains(&age_ms) && line.method != Method::Draw;
        let of_now = ticket.issued_at_ms >= began_ms.saturating_sub(TICKET_MS);
        let lane = usize::from(ticket.lane) < line.lanes.len().min(LANES_MAX);
        ticket.epoch < line.epoch
            && young
            && of_now
            && lane
            && self.evidence().show(ticket.epoch, number, self.now_ms())
    }

    /// Tells the line of the tickets that it does not know.
    pub(super) async fn heal(&self, line: &Snapshot) {
        let Some((epoch, numbers)) = self.evidence().due(line, self.now_ms()) else { return };
        let answer = in_time(self.store.heal(self.name(), epoch, &numbers)).await;
        match self.keep(answer, |snapshot| snapshot) {
            Ok(after) if after.epoch == epoch => {
                tracing::error!(
                    room = self.name(),
                    issued_before = line.issued(),
                    issued = after.issued(),
                    same_line = line.epoch == epoch,
                    "tickets came back that the line did not know: it goes on above them"
                );
            }
            Ok(_) => self.evidence().refuse(epoch, &numbers),
            // Whoever holds them shows them again.
            Err(error) => tracing::debug!(room = self.name(), %error, "the line was not told of tickets of old"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{LaneSnapshot, numbered};

    fn line(epoch: u64) -> Snapshot {
        let lane = LaneSnapshot { issued: 100, skipped: vec![(50, 90)], ..LaneSnapshot::default() };
        Snapshot { epoch, lanes: vec![lane; 2], ..Snapshot::default() }
    }

    #[test]
    fn the_highest_of_each_lane_of_the_youngest_older_line_is_told_once() {
        let evidence = Evidence::default();
        assert_eq!(evidence.due(&line(9), 0), None);
        assert!(evidence.show(3, 70, 0) && evidence.show(5, 40, 10) && evidence.show(5, numbered(1, 7), 20));
        assert!(!evidence.show(3, 80, 30), "of an older one still");
        assert!(evidence.show(5, 12, 40));
        assert_eq!(evidence.due(&line(9), 10 + GATHER_MS - 1), None, "others may come");
        let due = evidence.due(&line(9), 10 + GATHER_MS);
        assert_eq!(due, Some((5, vec![40, numbered(1, 7)])));
        assert_eq!(evidence.due(&line(9), 99_999), None);
        evidence.refuse(5, &[40, numbered(1, 7)]);
        assert!(!evidence.show(5, 40, 0) && evidence.show(5, 41, 0), "a longer line may be another matter");
    }

    #[test]
    fn of_the_line_that_there_is_only_what_it_does_not_know_counts() {
        let evidence = Evidence::default();
        evidence.show(9, 100, 0);
        assert_eq!(evidence.due(&line(9), 0), None, "it has heard of it by now");
        for number in [101, 50, 90] {
            evidence.show(9, number, 0);
            assert_eq!(evidence.due(&line(9), 0), Some((9, vec![number])));
        }
        evidence.show(9, 91, 0);
        evidence.show(9, numbered(5, 500), 0);
        assert_eq!(evidence.due(&line(9), 0), None);
    }
}
