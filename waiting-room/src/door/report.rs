//! What this node has heard and not yet told the line: who near the front is there, whose sessions go on, whose are
//! over. Told once a second, in batches; nothing here grows without bound, and nothing here lets anybody in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use super::gate::Gate;
use super::room::Room;
use crate::credential::Checked;

/// Positions heard of in one second; further ones are heard of at their next poll.
const HEARD_MAX: usize = 65_536;
/// Sessions to be told of in one second.
const SESSIONS_MAX: usize = 65_536;
/// Sessions that are remembered as over, about 10 MB: one that finds no room lives until its token runs out.
const ENDED_MAX: usize = 65_536;
/// A full list is swept no more often than this, in milliseconds.
const SWEEP_MS: i64 = 1_000;
/// A session whose renewal is under way is not asked for again so soon, in milliseconds.
const ASK_AGAIN_MS: i64 = 2_000;
/// How long a request whose answer was lost may still be repeated after the session's end, in milliseconds.
pub(super) const REPEAT_MS: i64 = 30_000;

/// One room's reports.
// Std locks: never held across an `.await`.
#[derive(Default)]
pub(super) struct Reports {
    heard: Mutex<BTreeSet<u64>>,
    sessions: Mutex<Sessions>,
    /// When the line was asked to renew a session.
    asked: Mutex<BTreeMap<String, i64>>,
    /// Whether anything is in `ended`: most requests need not look.
    any_ended: AtomicBool,
    ended: RwLock<BTreeMap<String, Ended>>,
    /// When those that ran out were last thrown away: a full list is not searched at every end.
    swept_at_ms: AtomicI64,
}

#[derive(Default)]
struct Sessions {
    renew: BTreeSet<String>,
    end: BTreeSet<String>,
}

struct Ended {
    at_ms: i64,
    /// When its token runs out by itself.
    until_ms: i64,
}

/// What goes out together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) heard: Vec<u64>,
    pub(super) renew: Vec<String>,
    pub(super) end: Vec<String>,
}

impl Reports {
    /// Somebody at this position asked a moment ago.
    pub(super) fn hear(&self, position: u64) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < HEARD_MAX {
            heard.insert(position);
        }
    }

    /// This session goes on.
    pub(super) fn renew(&self, session: &str) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.renew.len() < SESSIONS_MAX {
            sessions.renew.insert(session.to_owned());
        }
    }

    /// Whether the line is to be asked to renew this session: nobody else has just now.
    pub(super) fn asks_for(&self, session: &str, now_ms: i64) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.get(session).is_some_and(|at_ms| now_ms - at_ms < ASK_AGAIN_MS) {
            return false;
        }
        if asked.len() >= SESSIONS_MAX {
            asked.retain(|_, at_ms| now_ms - *at_ms < ASK_AGAIN_MS);
        }
        let room_left = asked.len() < SESSIONS_MAX;
        if room_left {
            asked.insert(session.to_owned(), now_ms);
        }
        room_left
    }

    /// This session is over; its token would run out by itself at `until_ms`.
    pub(super) fn end(&self, session: &str, now_ms: i64, until_ms: i64) {
        self.tell_again(&[session.to_owned()]);
        self.is_known_to_be_over(session, now_ms, until_ms);
    }

    /// This session ended, and the line knows it.
    pub(super) fn is_known_to_be_over(&self, session: &str, now_ms: i64, until_ms: i64) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= ENDED_MAX && now_ms - self.swept_at_ms.load(Ordering::Relaxed) >= SWEEP_MS {
            self.swept_at_ms.store(now_ms, Ordering::Relaxed);
            ended.retain(|_, ended| ended.until_ms > now_ms);
        }
        if ended.len() < ENDED_MAX {
            ended.entry(session.to_owned()).or_insert(Ended { at_ms: now_ms, until_ms });
            self.any_ended.store(true, Ordering::Release);
        }
    }

    /// Whether a session is over for this request: a repeat of a lost answer is let through for a moment.
    pub(super) fn is_over(&self, session: &str, repeats: bool, now_ms: i64) -> bool {
        if !self.any_ended.load(Ordering::Acquire) {
            return false;
        }
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.get(session).is_some_and(|ended| !repeats || now_ms - ended.at_ms > REPEAT_MS)
    }

    /// Whether a session has ended, repeats or not.
    pub(super) fn has_ended(&self, session: &str) -> bool {
        self.any_ended.load(Ordering::Acquire)
            && self.ended.read().unwrap_or_else(PoisonError::into_inner).contains_key(session)
    }

    /// Sessions that ended here and of which the line has not been told.
    pub(super) fn ends_untold(&self) -> u64 {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).end.len() as u64
    }

    /// What is to be told now.
    pub(super) fn take(&self) -> Batch {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        let Sessions { renew, end } =
            std::mem::take(&mut *self.sessions.lock().unwrap_or_else(PoisonError::into_inner));
        Batch { heard: heard.into_iter().collect(), renew: renew.into_iter().collect(), end: end.into_iter().collect() }
    }

    /// Ends that the line has not heard of: a slot that nobody uses must not stay taken.
    pub(super) fn tell_again(&self, end: &[String]) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for session in end {
            if sessions.end.len() < SESSIONS_MAX {
                sessions.end.insert(session.clone());
            }
        }
    }
}

impl Gate {
    /// What stands behind says that this entry is over: its place is free for the next, and it opens nothing more.
    pub(crate) fn end(&self, room: &Room, entry: &Checked) {
        // A renewal that is under way may have given a token that lasts longer than this one.
        let until_ms = entry.until_ms().max(self.now_ms().saturating_add(room.session_ms()));
        room.reports().end(entry.session(), self.now_ms(), until_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_however_often_it_was_heard() {
        let reports = Reports::default();
        for position in [7, 3, 7] {
            reports.hear(position);
        }
        reports.renew("a");
        reports.renew("a");
        reports.end("b", 0, 1_000);
        let batch = reports.take();
        assert_eq!((batch.heard, batch.renew), (vec![3, 7], vec!["a".to_owned()]));
        reports.tell_again(&batch.end);
        assert_eq!(reports.take().end, ["b"]);
        assert_eq!(reports.take(), Batch::default());
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let reports = Reports::default();
        for number in 0..2 * HEARD_MAX as u64 {
            reports.hear(number);
        }
        for number in 0..2 * ENDED_MAX {
            reports.end(&number.to_string(), 0, 1_000);
        }
        let batch = reports.take();
        assert_eq!((batch.heard.len(), batch.end.len()), (HEARD_MAX, SESSIONS_MAX));
        assert_eq!(reports.ended.read().unwrap().len(), ENDED_MAX);
        reports.end("late", 2_000, 3_000);
        assert!(reports.has_ended("late") && !reports.has_ended("1"), "those that ran out make room");
    }

    #[test]
    fn of_the_requests_of_one_moment_one_asks_for_the_renewal() {
        let reports = Reports::default();
        assert!(reports.asks_for("a", 0) && reports.asks_for("b", 0));
        assert!(!reports.asks_for("a", ASK_AGAIN_MS - 1) && reports.asks_for("a", ASK_AGAIN_MS));
        for number in 0..SESSIONS_MAX {
            reports.asks_for(&number.to_string(), 5_000);
        }
        assert!(!reports.asks_for("late", 5_000) && reports.asks_for("late", 5_000 + ASK_AGAIN_MS), "bounded");
        assert_eq!(reports.asked.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_lost_answer_can_be_asked_for_again() {
        let reports = Reports::default();
        assert!(!reports.is_over("a", false, 0));
        reports.end("a", 0, 900_000);
        assert!(reports.is_over("a", false, 0) && !reports.is_over("b", false, 0));
        assert!(!reports.is_over("a", true, REPEAT_MS) && reports.is_over("a", true, REPEAT_MS + 1));
    }
}
