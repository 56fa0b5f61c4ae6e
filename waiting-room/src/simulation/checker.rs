//! The judge: its own record of what people were told and of what the operator allowed, and the invariants W1 to W8
//! against it. It never looks at the line's counters for the truth, only to hold them against its own.
//!
//! W8 needs no rule of its own: all of these are judged in true time, which the wall clock's jumps do not touch.

mod cap;
mod ceiling;
mod progress;
mod shares;

use self::{cap::Cap, ceiling::Ceiling, progress::Progress, shares::Shares};
use super::Scenario;
use crate::line::{Claimed, LANES_MAX, Session, Snapshot, lane_of, numbered, within_lane};
use std::collections::HashSet;

/// W3 is promised while no larger part of the people goes away.
const LEAVE_MAX: f64 = 0.7;

/// A rule that did not hold, and what happened instead.
pub(super) type Broken = (&'static str, String);
type Verdict = Result<(), Broken>;

/// What is known of one number.
#[derive(Clone, Debug, Default)]
struct Ticket {
    left: bool,
    session: Option<Box<str>>,
}

/// What is known of one lane.
#[derive(Clone, Debug, Default)]
struct Lane {
    tickets: Vec<Ticket>,
    /// The highest number that anybody was told.
    acknowledged_last: u64,
    /// The highest number that any snapshot called.
    called_last: u64,
    issued_last: u64,
}

/// The record.
#[derive(Debug)]
pub(super) struct Checker {
    lanes: Vec<Lane>,
    sessions: HashSet<Box<str>>,
    admitted: u64,
    pub(super) shares: Shares,
    pub(super) ceiling: Ceiling,
    pub(super) cap: Cap,
    pub(super) progress: Progress,
}

fn broken<T>(rule: &'static str, detail: String) -> Result<T, Broken> {
    Err((rule, detail))
}

impl Checker {
    pub(super) fn new(scenario: &Scenario) -> Checker {
        Checker {
            lanes: vec![Lane::default(); LANES_MAX],
            sessions: HashSet::new(),
            admitted: 0,
            shares: Shares::new(scenario.weights()),
            ceiling: Ceiling::new(scenario.rate_per_minute, scenario.burst),
            cap: Cap::new(scenario.max_active),
            progress: Progress::new(scenario.leave <= LEAVE_MAX),
        }
    }

    fn ticket(&mut self, number: u64) -> &mut Ticket {
        let (tickets, index) = (&mut self.lanes[lane_of(number)].tickets, within_lane(number));
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if index >= tickets.len() {
            tickets.resize(index + 1, Ticket::default());
        }
        &mut tickets[index]
    }

    /// W1: a number is told once, and whoever is told later has a later one.
    pub(super) fn acknowledged(&mut self, number: u64) -> Verdict {
        let lane = &mut self.lanes[lane_of(number)];
        if within_lane(number) <= lane.acknowledged_last {
            return broken("W1", format!("number {number} was given out after {}", lane.acknowledged_last));
        }
        lane.acknowledged_last = within_lane(number);
        Ok(())
    }

    /// W1: who goes in without waiting overtakes nobody who is there and has not been called, of whatever lane: the last
    /// of one lane is asked about at a time.
    pub(super) fn calm(&self, number: u64, last_there: Option<u64>) -> Verdict {
        let is_called = |number: u64| within_lane(number) <= self.lanes[lane_of(number)].called_last;
        match last_there {
            Some(other) if other != number && !is_called(other) => {
                broken("W1", format!("number {number} went in at once, and {other}, who is there, was not even called"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Every answer's snapshot: nothing goes back, and nobody is called who does not exist (W1).
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) -> Verdict {
        for (lane, seen) in self.lanes.iter_mut().zip(&snapshot.lanes) {
            let (issued, cursor) = (seen.issued, seen.cursor);
            if cursor > issued {
                return broken("W1", format!("{cursor} is called, but only {issued} numbers were given out"));
            }
            let (issued_last, called_last) = (lane.issued_last, lane.called_last);
            if issued < issued_last || cursor < called_last {
                return broken(
                    "W7",
                    format!("issued {issued_last} became {issued}, or called {called_last} became {cursor}"),
                );
            }
            (lane.issued_last, lane.called_last) = (issued, cursor);
        }
        if snapshot.admitted != self.admitted {
            return broken(
                "W4",
                format!("the line counts {} entries, {} were given", snapshot.admitted, self.admitted),
            );
        }
        Ok(())
    }

    /// The line let this number in. Whether for the first time.
    pub(super) fn admitted(&mut self, now_ms: i64, session: &Session) -> Result<bool, Broken> {
        let Session { number, ref id, .. } = *session;
        let ticket = self.ticket(number);
        if let Some(known) = &ticket.session {
            return if **known == **id {
                Ok(false)
            } else {
                broken("W4", format!("number {number} has the sessions {known} and {id}"))
            };
        }
        if ticket.left {
            return broken("W4", format!("number {number} went in after it had left"));
        }
        ticket.session = Some(id.as_str().into());
        if !self.sessions.insert(id.as_str().into()) {
            return broken("W4", format!("the session {id} of number {number} belongs to another number"));
        }
        self.admitted += 1;
        self.shares.admitted(lane_of(number));
        self.cap.enters(now_ms, session)?;
        Ok(true)
    }

    /// An entry begins: this is what the rate limits.
    pub(super) fn begins(&mut self) -> Verdict {
        self.progress.admitted();
        self.ceiling.admit()
    }

    /// The answer to a claim: nobody goes in uncalled or in a closed room (W5), and no place is lost (W1).
    pub(super) fn claimed(&mut self, number: u64, answer: &Claimed) -> Verdict {
        let called_last = numbered(lane_of(number), self.lanes[lane_of(number)].called_last);
        let open = self.ceiling.is_open();
        let ticket = self.ticket(number);
        let used = ticket.left || ticket.session.is_some();
        match answer {
            Claimed::Admitted(session) if session.number != number => {
                broken("W4", format!("number {number} got the session of {}", session.number))
            }
            Claimed::Admitted(_) if !used && !open => broken("W5", format!("number {number} went into a paused room")),
            Claimed::Admitted(_) if !used && number > called_last => {
                broken("W1", format!("number {number} went in, but only {called_last} were called"))
            }
            Claimed::Spent | Claimed::Unknown if !used => {
                broken("W1", format!("number {number} is there, has not gone in, and its place is lost: {answer:?}"))
            }
            Claimed::NotCalled if number <= called_last && !used => {
                broken("W7", format!("number {number} was called and is not any more"))
            }
            Claimed::Admitted(_)
            | Claimed::NotCalled
            | Claimed::NoBudget { .. }
            | Claimed::Spent
            | Claimed::Unknown => Ok(()),
        }
    }

    /// This number was given up.
    pub(super) fn left(&mut self, number: u64) {
        let ticket = self.ticket(number);
        ticket.left |= ticket.session.is_none();
    }

    /// W7: what one person is told never gets worse, whichever nodes answer.
    pub(super) fn told(number: u64, before: Option<u64>, place: u64) -> Verdict {
        match before {
            Some(before) if place > before => {
                broken("W7", format!("number {number} was at place {before} and is told {place}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// W6: a poll at a live node is answered, whatever the store does.
    pub(super) fn unanswered(live_nodes: usize) -> Verdict {
        if live_nodes > 0 {
            broken("W6", format!("{live_nodes} nodes are up, and a poll had no answer"))
        } else {
            Ok(())
        }
    }
}
