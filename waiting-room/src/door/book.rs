//! Who showed this node a provisional ticket, and which number came of it. Pure, and bounded; a node that forgets it, or
//! never knew, loses nobody: the ticket itself says all.

use std::collections::BTreeMap;

use crate::credential::Arrival;
use crate::line::Session;

/// Tickets that are remembered, about 20 MB. Who finds no room is joined when they ask, once the others are.
const TICKETS_MAX: usize = 131_072;
/// Who has not asked for so long is not there: a number would be passed over anyway.
const THERE_MS: i64 = 15_000;
/// How long a number is remembered for copies of the ticket, and for an answer that was lost.
const REMEMBERED_MS: i64 = 600_000;
/// A join that has not come back by then was broken off.
const JOINING_MS: i64 = 5_000;

/// What became of a provisional ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) epoch: u64,
    pub(super) number: u64,
    /// Set if the room was calm: in at once.
    pub(super) session: Option<Session>,
    pub(super) at_ms: i64,
}

#[derive(Debug, Clone)]
enum Page {
    Waits { seen_ms: i64 },
    Joins { since_ms: i64 },
    Placed(Placed),
}

/// The tickets in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Book {
    pages: BTreeMap<Arrival, Page>,
    waiting: usize,
}

impl Book {
    /// Somebody shows a ticket; the number that came of it, if one did.
    pub(super) fn hear(&mut self, arrival: Arrival, now_ms: i64) -> Option<Placed> {
        let room_left = self.pages.len() < TICKETS_MAX;
        match self.pages.get_mut(&arrival) {
            Some(Page::Placed(placed)) => return Some(placed.clone()),
            Some(Page::Waits { seen_ms }) => *seen_ms = now_ms,
            Some(Page::Joins { .. }) => {}
            None if room_left => {
                self.pages.insert(arrival, Page::Waits { seen_ms: now_ms });
                self.waiting += 1;
            }
            None => {}
        }
        None
    }

    /// Takes those who arrived up to a time and are there, oldest first: they are being joined now.
    pub(super) fn take(&mut self, up_to_ms: i64, count: usize, now_ms: i64) -> Vec<Arrival> {
        let due: Vec<Arrival> = self
            .pages
            .iter()
            .take_while(|(arrival, _)| arrival.at_ms <= up_to_ms)
            .filter(|(_, page)| page.may_join(now_ms))
            .map(|(arrival, _)| *arrival)
            .take(count)
            .collect();
        for arrival in &due {
            self.pages.insert(*arrival, Page::Joins { since_ms: now_ms });
        }
        due
    }

    /// Takes this one alone; whether nobody else has.
    pub(super) fn take_one(&mut self, arrival: Arrival, now_ms: i64) -> bool {
        let free = self.pages.get(&arrival).is_none_or(|page| page.may_join(now_ms));
        if free && (self.pages.len() < TICKETS_MAX || self.pages.contains_key(&arrival)) {
            self.waiting += usize::from(!self.pages.contains_key(&arrival));
            self.pages.insert(arrival, Page::Joins { since_ms: now_ms });
        }
        free
    }

    /// They have their numbers.
    pub(super) fn place(&mut self, arrival: Arrival, placed: Placed) {
        if let Some(page) = self.pages.get_mut(&arrival) {
            if !matches!(page, Page::Placed(_)) {
                self.waiting -= 1;
            }
            *page = Page::Placed(placed);
        }
    }

    /// The line could not be asked: they wait on.
    pub(super) fn put_back(&mut self, arrivals: &[Arrival], now_ms: i64) {
        for arrival in arrivals {
            if let Some(page @ Page::Joins { .. }) = self.pages.get_mut(arrival) {
                *page = Page::Waits { seen_ms: now_ms };
            }
        }
    }

    /// Gives a ticket up.
    pub(super) fn forget(&mut self, arrival: Arrival) -> Option<Placed> {
        match self.pages.remove(&arrival)? {
            Page::Placed(placed) => Some(placed),
            Page::Waits { .. } | Page::Joins { .. } => {
                self.waiting -= 1;
                None
            }
        }
    }

    /// Forgets those who have gone, and numbers that nobody will ask for.
    pub(super) fn sweep(&mut self, now_ms: i64) {
        self.pages.retain(|_, page| match page {
            Page::Waits { seen_ms } => now_ms - *seen_ms <= THERE_MS,
            Page::Joins { since_ms } => now_ms - *since_ms <= THERE_MS,
            Page::Placed(placed) => now_ms - placed.at_ms <= REMEMBERED_MS,
        });
        self.waiting = self.pages.values().filter(|page| !matches!(page, Page::Placed(_))).count();
    }

    /// People without a number who asked a short while ago.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}

impl Page {
    fn may_join(&self, now_ms: i64) -> bool {
        match self {
            Page::Waits { seen_ms } => now_ms - seen_ms <= THERE_MS,
            Page::Joins { since_ms } => now_ms - since_ms > JOINING_MS,
            Page::Placed(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(at_ms: i64) -> Arrival {
        Arrival::new(at_ms, 7, 1)
    }

    fn placed(number: u64, at_ms: i64) -> Placed {
        Placed { epoch: 1, number, session: None, at_ms }
    }

    #[test]
    fn the_oldest_are_joined_first_and_once() {
        let mut book = Book::default();
        for at_ms in [30, 10, 20, 40] {
            assert_eq!(book.hear(arrival(at_ms), 100), None);
        }
        assert_eq!(book.take(30, 2, 100), [arrival(10), arrival(20)]);
        assert!(!book.take_one(arrival(10), 100), "a copy does not join again");
        assert_eq!(book.take(30, 9, 100), [arrival(30)]);
        assert_eq!(book.take(30, 9, 100), []);
        book.place(arrival(10), placed(5, 100));
        assert_eq!((book.hear(arrival(10), 101), book.waiting()), (Some(placed(5, 100)), 3));
        assert!(!book.take_one(arrival(10), 999_999), "not even much later");
        // The line could not be asked.
        book.put_back(&[arrival(10), arrival(20), arrival(30)], 100);
        assert_eq!(book.take(i64::MAX, 9, 100), [arrival(20), arrival(30), arrival(40)]);
    }

    #[test]
    fn who_has_gone_takes_no_number() {
        let mut book = Book::default();
        book.hear(arrival(10), 0);
        book.hear(arrival(20), THERE_MS);
        assert_eq!(book.take(i64::MAX, 9, THERE_MS + 1), [arrival(20)]);
        assert_eq!(book.forget(arrival(10)), None);
        assert_eq!(book.waiting(), 1);
        assert!(book.take_one(arrival(10), THERE_MS + 1), "back again: joins now");
        book.place(arrival(10), placed(9, THERE_MS));
        assert_eq!(book.forget(arrival(10)), Some(placed(9, THERE_MS)));
    }

    #[test]
    fn a_join_that_was_broken_off_is_taken_up_again() {
        let mut book = Book::default();
        assert!(book.take_one(arrival(10), 0));
        assert!(!book.take_one(arrival(10), JOINING_MS));
        assert!(book.take_one(arrival(10), JOINING_MS + 1));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut book = Book::default();
        for at_ms in 0..=TICKETS_MAX as i64 {
            book.hear(arrival(at_ms), 0);
        }
        assert_eq!((book.pages.len(), book.waiting()), (TICKETS_MAX, TICKETS_MAX));
        assert!(book.take_one(arrival(-1), 0), "joined without being remembered");
        book.sweep(THERE_MS + 1);
        assert_eq!((book.pages.len(), book.waiting()), (0, 0));
        book.hear(arrival(1), 0);
        book.take_one(arrival(1), 0);
        book.place(arrival(1), placed(1, 0));
        book.sweep(REMEMBERED_MS);
        assert!(book.hear(arrival(1), REMEMBERED_MS).is_some());
        book.sweep(REMEMBERED_MS + 1);
        assert_eq!(book.hear(arrival(1), REMEMBERED_MS + 1), None);
    }
}
