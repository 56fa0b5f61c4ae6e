//! How long it takes and when to ask again: pure functions of distance and rate. Promises nothing: a range, or
//! nothing at all.

use crate::line::{RoomState, Snapshot, rule::NEAR_MIN};

/// How far reality may be from the plain quotient, in percent either way: people leave the line, and the rate moves.
const ETA_SPREAD_PERCENT: u64 = 20;
/// The cursor moves in steps, so even the shortest wait has this much play, in milliseconds.
const ETA_PLAY_MS: u64 = 2_000;

/// Shortest and longest time between two polls of somebody who waits, in milliseconds.
const POLL_MS_MIN: u64 = 2_000;
const POLL_MS_MAX: u64 = 60_000;
/// Who is called, or will be within a few seconds, asks about once a second.
const POLL_NEAR_MS: u64 = 1_000;
/// A wait this short may end at any moment, in milliseconds.
const ETA_SHORT_MS: u64 = 10_000;
/// Somebody with this much time left counts as near the front, in milliseconds.
const NEAR_MS: u64 = 5_000;
/// A poll comes after this part of the time that is left, so that the page is seldom surprised.
const POLL_PART: u64 = 10;
/// While nothing moves nobody needs to ask often, in milliseconds.
const POLL_STILL_MS: u64 = 10_000;
/// How much later than the store a node may see that a room opens, in milliseconds.
const OPENING_LAG_MS: u64 = 500;
/// The time over which polls at the opening are spread, in milliseconds.
const OPENING_SPREAD_MS: u64 = 2_500;
/// Polls are spread by up to this many percent, so that they do not come in waves.
const JITTER_PERCENT: u64 = 25;

/// How far from the front presence is told, in minutes at the rate, and in people at least: twice as far as the line
/// goes by it, for the line moves on between two polls.
const NEAR_MINUTES: u64 = 2;
const NEAR_PEOPLE: u64 = 2 * NEAR_MIN as u64;
/// So many people at the front ask at least this often, in milliseconds, so that the line knows who of them is there.
const POLL_MS_KNOWN: u64 = 6_000;

/// An expected wait in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Eta {
    pub(crate) low_ms: u64,
    pub(crate) high_ms: u64,
}

/// Where somebody stands, as the node's snapshot knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The position in line.
    pub(crate) number: u64,
    /// People in front who have not been called.
    pub(crate) ahead: u64,
    pub(crate) called: bool,
}

impl Place {
    pub(crate) fn of(number: u64, snapshot: &Snapshot) -> Place {
        Place { number, ahead: snapshot.ahead_of(number), called: snapshot.is_called(number) }
    }

    /// The same place as somebody sees it who has been told before how many stand in front.
    pub(crate) fn no_worse_than(self, ahead_before: Option<u64>) -> Place {
        Place { ahead: ahead_before.map_or(self.ahead, |before| self.ahead.min(before)), ..self }
    }

    /// People who go in before: those in front, and those who were called and have not gone in yet.
    fn people(self, snapshot: &Snapshot) -> u64 {
        if self.called { 0 } else { self.ahead.saturating_add(snapshot.called_waiting) }
    }
}

/// Whether the line wants to know that somebody at this place is there: called, or perhaps called between two of
/// their polls. Two minutes at the rate: who is that far away asks every twelve seconds or more often.
pub(crate) fn is_near(place: Place, snapshot: &Snapshot) -> bool {
    place.called || place.ahead <= u64::from(snapshot.rate_per_minute).saturating_mul(NEAR_MINUTES).max(NEAR_PEOPLE)
}

/// Time until `people` have gone in and the next may, as a range; nothing while nobody is let in. If all of them are
/// there it takes as long as the rate says; it is shorter if as many are gone as of those before them, which `pace` (the
/// positions called per minute lately, 0 if not known) tells.
pub(crate) fn eta(people: u64, snapshot: &Snapshot, pace: u64) -> Option<Eta> {
    let long_ms = plain_ms(people, snapshot)?;
    let rate = u64::from(snapshot.rate_per_minute);
    let short_ms = if pace > rate { people.saturating_mul(60_000) / pace } else { long_ms };
    let spread_ms = |ms: u64| (ms / 100).saturating_mul(ETA_SPREAD_PERCENT).saturating_add(ETA_PLAY_MS);
    // Of a few people before somebody all may be gone.
    let low_ms = if short_ms <= ETA_SHORT_MS { 0 } else { short_ms - spread_ms(short_ms) };
    Some(Eta { low_ms, high_ms: long_ms.saturating_add(spread_ms(long_ms)) })
}

/// The wait of somebody at a place.
pub(crate) fn eta_of(place: Place, snapshot: &Snapshot, pace: u64) -> Option<Eta> {
    if place.called {
        // Those who are called go in as they come: perhaps this one first, perhaps last.
        return eta(snapshot.called_waiting, snapshot, pace).map(|last| Eta { low_ms: 0, ..last });
    }
    eta(place.people(snapshot), snapshot, pace)
}

/// When to ask again, in milliseconds. `jitter` is a random number; equal inputs give equal answers.
pub(crate) fn poll_after_ms(place: Place, snapshot: &Snapshot, jitter: u64) -> u64 {
    let base_ms = match plain_ms(place.people(snapshot), snapshot) {
        None => POLL_STILL_MS,
        Some(left_ms) if left_ms <= NEAR_MS => POLL_NEAR_MS,
        Some(left_ms) => {
            let latest_ms = if place.ahead <= NEAR_PEOPLE { POLL_MS_KNOWN } else { POLL_MS_MAX };
            (left_ms / POLL_PART).clamp(POLL_MS_MIN, latest_ms)
        }
    };
    // Spread downwards from the longest time, so that the bounds hold with jitter too.
    let spread_ms = base_ms / 100 * JITTER_PERCENT;
    base_ms.saturating_sub(jitter % spread_ms.max(1)).max(POLL_NEAR_MS / 2)
}

/// When somebody who waits for the opening asks again, in milliseconds: a little after it, spread so that not everybody
/// comes in the same instant. Coming later costs nobody a place.
pub(crate) fn poll_at_opening_ms(left_ms: u64, jitter: u64) -> u64 {
    if left_ms > POLL_MS_MAX {
        return POLL_MS_MAX - jitter % (POLL_MS_MAX / 100 * JITTER_PERCENT);
    }
    left_ms + OPENING_LAG_MS + jitter % OPENING_SPREAD_MS
}

fn plain_ms(people: u64, snapshot: &Snapshot) -> Option<u64> {
    let rate = u64::from(snapshot.rate_per_minute);
    match snapshot.state {
        RoomState::Open | RoomState::Draining if rate > 0 => Some(people.saturating_mul(60_000) / rate),
        RoomState::Open | RoomState::Paused | RoomState::Draining | RoomState::Closed | RoomState::SoldOut => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn snapshot(issued: u64, cursor: u64, rate_per_minute: u32) -> Snapshot {
        Snapshot {
            version: 1,
            epoch: 1,
            issued,
            cursor,
            called_waiting: 0,
            admitted: 0,
            admitted_last_minute: 0,
            rate_per_minute,
            burst: 1,
            state: RoomState::Open,
            message: String::new(),
            at_ms: 0,
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_range_lies_around_the_quotient() {
        let line = snapshot(1_000, 100, 60);
        let place = Place::of(401, &line);
        assert_eq!(place, Place { number: 401, ahead: 300, called: false });
        assert_eq!(eta_of(place, &line, 0), Some(Eta { low_ms: 238_000, high_ms: 362_000 }));
        assert_eq!(eta_of(Place::of(100, &line), &line, 0), Some(Eta { low_ms: 0, high_ms: 2_000 }));
    }

    #[test]
    fn being_called_in_a_slow_room_is_no_promise_of_seconds() {
        let line = Snapshot { called_waiting: 2, ..snapshot(10, 2, 1) };
        assert_eq!(eta_of(Place::of(1, &line), &line, 0), Some(Eta { low_ms: 0, high_ms: 146_000 }));
        let line = Snapshot { called_waiting: 2, ..snapshot(10, 2, 600) };
        assert_eq!(eta_of(Place::of(1, &line), &line, 0), Some(Eta { low_ms: 0, high_ms: 2_240 }));
    }

    #[test]
    fn where_many_are_gone_the_wait_may_be_shorter() {
        let line = snapshot(10_000, 0, 60);
        let place = Place::of(301, &line);
        assert_eq!(eta_of(place, &line, 200), Some(Eta { low_ms: 70_000, high_ms: 362_000 }));
        assert_eq!(eta_of(place, &line, 30), eta_of(place, &line, 0), "a slow start is no promise of a longer wait");
    }

    #[test]
    fn near_is_two_minutes_or_some_people() {
        let near = |number, rate| {
            let line = snapshot(1_000_000, 100, rate);
            is_near(Place::of(number, &line), &line)
        };
        assert!(near(1, 1) && near(100, 1) && near(613, 1) && !near(614, 1));
        assert!(near(20_101, 10_000) && !near(20_102, 10_000));
    }

    #[test]
    fn a_paused_room_promises_nothing() {
        let line = Snapshot { state: RoomState::Paused, ..snapshot(10, 0, 60) };
        let place = Place::of(10, &line);
        assert_eq!(eta_of(place, &line, 0), None);
        assert!((7_500..=10_000).contains(&poll_after_ms(place, &line, 12_345)));
    }

    /// The line takes whoever of the first is not heard of within ten seconds for gone.
    #[test]
    fn the_first_are_heard_of_often_enough_in_slow_rooms() {
        let line = snapshot(1_000_000, 0, 7);
        let after = |number| poll_after_ms(Place::of(number, &line), &line, 0);
        assert_eq!([after(100), after(u64::from(NEAR_MIN)), after(600)], [6_000, 6_000, 60_000]);
    }

    #[test]
    fn polls_come_closer_towards_the_front() {
        let line = snapshot(1_000_000, 0, 600);
        let after = |number| poll_after_ms(Place::of(number, &line), &line, 0);
        assert_eq!([1, 51, 300, 3_000, 30_000, 1_000_000].map(after), [1_000, 1_000, 2_990, 29_990, 60_000, 60_000]);
    }

    #[test]
    fn who_waits_for_the_opening_comes_after_it() {
        assert_eq!([0, 1].map(|jitter| poll_at_opening_ms(10_000, jitter)), [10_500, 10_501]);
        assert_eq!(poll_at_opening_ms(0, 2_499), 2_999);
        assert!((45_000..=60_000).contains(&poll_at_opening_ms(u64::MAX, 14_999)));
    }

    proptest! {
        #[test]
        fn bounds_hold_for_whatever_comes(
            number: u64, issued: u64, cursor: u64, called_waiting: u64, rate in 0u32..=1_000_000, jitter: u64,
        ) {
            let line = Snapshot { called_waiting, ..snapshot(issued, cursor, rate) };
            let place = Place::of(number, &line);
            let after = poll_after_ms(place, &line, jitter);
            prop_assert!((POLL_NEAR_MS / 2..=POLL_MS_MAX).contains(&after));
            if let Some(eta) = eta_of(place, &line, 0) {
                prop_assert!(eta.low_ms <= eta.high_ms);
            }
        }
    }
}
