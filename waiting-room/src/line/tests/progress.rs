//! W3, in virtual time: people who poll as their pages do, a node that ticks and reports, and most of the line gone.

use super::*;
use crate::door::{Place, poll_after_ms};
use std::{cmp::Reverse, collections::BinaryHeap};

/// How long a request is on its way to the line, in milliseconds.
const WAY_MS: i64 = 40;
/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// A waiting line and those of it who are there.
struct Crowd {
    line: Model,
    now_ms: i64,
    /// When whom is heard of next.
    polls: BinaryHeap<Reverse<(i64, u64)>>,
    heard: Vec<u64>,
    begins_ms: Vec<i64>,
    order: Vec<u64>,
}

impl Crowd {
    /// `people` join; `stays` tells who of them polls.
    fn join(initial: &RoomInitial, people: u64, stays: impl Fn(u64) -> bool) -> Crowd {
        let mut line = Model::begin(BEGIN_MS, initial);
        while line.0.snapshot().issued() < people {
            line.join(BEGIN_MS, 1_024.min(people - line.0.snapshot().issued()) as u32);
        }
        let polls = (1..=people).filter(|&number| stays(number));
        let polls = polls.map(|number| Reverse((BEGIN_MS + number as i64 * 37 % 2_000, number))).collect();
        Crowd { line, now_ms: BEGIN_MS, polls, heard: Vec::new(), begins_ms: Vec::new(), order: Vec::new() }
    }

    /// A page's poll; answers when the next one comes.
    fn poll(&mut self, at_ms: i64, number: u64) -> Option<i64> {
        let snapshot = self.line.0.snapshot();
        if number <= snapshot.lanes[0].near(snapshot.rate_per_minute) {
            self.heard.push(number);
        }
        if !snapshot.is_called(number) {
            return Some(poll_after_ms(Place::of(number, &snapshot), &snapshot, number.wrapping_mul(7_919)) as i64);
        }
        match claim_one(&mut self.line, at_ms, number) {
            Claimed::Admitted(session) => {
                self.begins_ms.push(at_ms + session.starts_in_ms);
                self.order.push(number);
                None
            }
            Claimed::NoBudget { retry_after_ms } => Some(retry_after_ms + WAY_MS),
            Claimed::NotCalled => Some(1_000),
            Claimed::Spent | Claimed::Unknown => panic!("{number} lost its place"),
        }
    }

    fn run(&mut self, minutes: i64) {
        self.run_to(BEGIN_MS + minutes * MINUTE_MS);
    }

    fn run_to(&mut self, end_ms: i64) {
        while self.now_ms < end_ms {
            self.now_ms += 250;
            while let Some(&Reverse((at_ms, number))) = self.polls.peek()
                && at_ms <= self.now_ms
            {
                self.polls.pop();
                if let Some(next_ms) = self.poll(at_ms, number) {
                    self.polls.push(Reverse((at_ms + next_ms, number)));
                }
            }
            self.line.tick(self.now_ms);
            if self.now_ms % 1_000 == 0 {
                let heard = std::mem::take(&mut self.heard);
                self.line.seen(self.now_ms, &heard);
            }
        }
        assert!(!self.polls.is_empty(), "people still wait");
    }

    /// W3 after the first minute, and W2, in every window.
    fn check(&mut self, rate: i64, burst: i64) {
        self.begins_ms.sort_unstable();
        let begins_ms = &self.begins_ms;
        for (from, &begin_ms) in begins_ms.iter().enumerate() {
            let people = begins_ms[from..].partition_point(|&at_ms| at_ms <= begin_ms + MINUTE_MS) as i64;
            assert!(people <= rate + burst, "{people} within a minute");
            for (more, &at_ms) in begins_ms[from..].iter().take(200).enumerate() {
                let allowed = (at_ms - begin_ms + 1) * rate / MINUTE_MS + burst;
                assert!((more as i64) < allowed, "{more} within {} ms", at_ms - begin_ms);
            }
            if begin_ms >= BEGIN_MS + MINUTE_MS && begin_ms + MINUTE_MS < self.now_ms {
                // The one that begins the window is not in it, so one less than a window has.
                let people = begins_ms[from + 1..].partition_point(|&at_ms| at_ms <= begin_ms + MINUTE_MS) as i64;
                assert!(people * 100 >= rate * 99 - 100, "{people} of {rate} from {} ms on", begin_ms - BEGIN_MS);
            }
        }
        assert!(begins_ms.last().is_some_and(|&at_ms| at_ms > self.now_ms - 2 * MINUTE_MS / rate - 1_000));
    }
}

/// Three of ten, spread without a pattern.
fn is_there(number: u64) -> bool {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 < (1 << 32) / 10 * 3
}

#[test]
fn the_rate_is_used_with_seven_of_ten_gone() {
    for (rate, burst) in [(7, 1), (60, 1), (60, 0), (600, 1), (600, 0), (3_000, 0)] {
        let initial = RoomInitial { rate_per_minute: rate, burst, ..RoomInitial::default() };
        let mut crowd = Crowd::join(&initial, u64::from(rate) * 20, is_there);
        crowd.run(5);
        crowd.check(i64::from(rate), i64::from(crowd.line.0.snapshot().burst));
    }
}

#[test]
fn the_rate_is_used_when_everybody_is_there_and_by_their_order() {
    for (rate, burst) in [(30, 1), (600, 0)] {
        let initial = RoomInitial { rate_per_minute: rate, burst, ..RoomInitial::default() };
        let mut crowd = Crowd::join(&initial, u64::from(rate) * 6, |_| true);
        crowd.run(4);
        crowd.check(i64::from(rate), i64::from(crowd.line.0.snapshot().burst));
        // W1: nobody goes in before somebody who was called seconds earlier: places differ by the called at most.
        let called = u64::from(rate) * 12 / 60 + 8;
        let off = crowd.order.iter().enumerate().map(|(index, &number)| number.abs_diff(index as u64 + 1)).max();
        assert!(off.is_some_and(|off| off <= called), "{off:?} of {called}");
    }
}

/// W1: far people ask once a minute, and do not know yet that the rate has risen. Calling everybody would let in
/// whoever asks first.
#[test]
fn a_steep_raise_does_not_make_the_line_a_race() {
    let mut crowd = Crowd::join(&initial(60, 1), 30_000, |_| true);
    crowd.run(1);
    let rate = RoomChange { rate_per_minute: Some(12_000), ..RoomChange::default() };
    let begun = crowd.line.change(crowd.now_ms, &rate).lanes[0].cursor;
    for second in 1..=20 {
        crowd.run_to(crowd.now_ms + 1_000);
        let called = crowd.line.0.snapshot().lanes[0].cursor - begun;
        // What the rate lets in, and the cover of three seconds ahead of it.
        assert!(called <= (second + 4) * 12_000 / 60, "{called} within {second} s");
    }
}

#[test]
fn who_is_away_is_passed_over_at_once_and_goes_in_when_back() {
    let mut crowd = Crowd::join(&initial(60, 1), 2_000, |number| number % 10 == 0);
    crowd.run(2);
    let snapshot = crowd.line.0.snapshot();
    assert!(snapshot.lanes[0].cursor >= 150, "{snapshot:?}");
    let now_ms = crowd.now_ms + 3_000;
    assert!(matches!(claim_one(&mut crowd.line, now_ms, 3), Claimed::Admitted(_) | Claimed::NoBudget { .. }));
}

#[test]
fn without_reports_nobody_is_passed_over_unasked() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 1));
    line.join(BEGIN_MS, 1_000);
    let cursors: Vec<u64> = (1..=40).map(|tick| line.tick(BEGIN_MS + tick * 250).lanes[0].cursor).collect();
    assert!(cursors.windows(2).all(|pair| pair[1] - pair[0] <= 16), "{cursors:?}");
}

#[test]
fn a_million_waiting_cost_bits() {
    let mut line = Model::begin(BEGIN_MS, &initial(60_000, 0));
    for _ in 0..1_000 {
        line.join(BEGIN_MS, 1_000);
    }
    let everyone: Vec<u64> = (1..=1_000_000).collect();
    everyone.chunks(8_192).for_each(|heard| drop(line.seen(BEGIN_MS, heard)));
    line.tick(BEGIN_MS + 250);
    assert!(line.0.bytes() <= 1_000_000 * 3 / 8 + 4_096, "{} bytes", line.0.bytes());
}
