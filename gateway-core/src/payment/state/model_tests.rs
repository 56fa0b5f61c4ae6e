//! Both machines against models that were written without them: what is known of the money, and nothing else. Random
//! evidence, as much as `VESTIBULE_TEST_EVENTS` says, a million pieces by default.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::tests::EVIDENCE;
use super::{Attempt, Event, Evidence, Transaction};

/// How a payment ended, as far as anybody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Money,
    Declined,
    Withdrawn,
}

/// What is known of one try, and with it of its transaction.
#[derive(Clone, Copy, Debug)]
struct Known {
    end: End,
    /// The provider has sent the customer somewhere: no smaller news matters until it ends.
    customer_is_asked: bool,
    /// The latest word on whether the provider has it; none yet.
    accepted: Option<bool>,
    given_back: bool,
}

impl Known {
    fn nothing() -> Known {
        Known { end: End::Open, customer_is_asked: false, accepted: None, given_back: false }
    }

    fn learn(&mut self, told: Evidence) {
        match (self.end, told) {
            (_, Evidence::Captured) => self.end = End::Money,
            (End::Open, Evidence::Declined | Evidence::Conflict) => self.end = End::Declined,
            (End::Open, Evidence::Withdrawn) => self.end = End::Withdrawn,
            (End::Open, Evidence::ActionNeeded) => self.customer_is_asked = true,
            (End::Open, Evidence::Accepted) => self.accepted = Some(true),
            (End::Open, Evidence::NoAnswer) => self.accepted = Some(false),
            _ => {}
        }
    }

    fn attempt(self) -> Attempt {
        match (self.end, self.customer_is_asked, self.accepted) {
            (End::Money, ..) => Attempt::Captured,
            (End::Declined, ..) => Attempt::Failed,
            (End::Withdrawn, ..) => Attempt::Cancelled,
            (End::Open, true, _) => Attempt::RequiresAction,
            (End::Open, false, Some(true)) => Attempt::Sent,
            (End::Open, false, Some(false)) => Attempt::Unknown,
            (End::Open, false, None) => Attempt::Sending,
        }
    }

    fn transaction(self) -> Transaction {
        if self.given_back {
            return Transaction::Refunded;
        }
        match self.attempt() {
            Attempt::Sending => Transaction::Pending,
            Attempt::Sent => Transaction::Processing,
            Attempt::RequiresAction => Transaction::RequiresAction,
            Attempt::Unknown => Transaction::Unknown,
            Attempt::Captured => Transaction::Completed,
            Attempt::Failed => Transaction::Failed,
            Attempt::Cancelled => Transaction::Cancelled,
        }
    }
}

/// Money that comes ends a story early, so it comes seldom.
fn evidence(random: &mut StdRng) -> Evidence {
    let told = EVIDENCE[random.random_range(0..EVIDENCE.len())];
    if told == Evidence::Captured && random.random_bool(0.7) { Evidence::NoAnswer } else { told }
}

#[test]
fn random_evidence_does_what_the_models_say() {
    let events = crate::testing::events();
    let mut random = StdRng::seed_from_u64(11);
    let (mut attempt, mut transaction, mut known) = (Attempt::Sending, Transaction::Pending, Known::nothing());
    let mut left = 0_u32;
    for number in 0..events {
        if left == 0 {
            (attempt, transaction, known) = (Attempt::Sending, Transaction::Pending, Known::nothing());
            left = random.random_range(1..=24);
        }
        left -= 1;
        let event = match random.random_range(0..10) {
            0 => Event::Tried,
            1 => Event::Refunded,
            _ => Event::Learned(evidence(&mut random)),
        };
        let before = (attempt, transaction);
        match event {
            Event::Learned(told) if !known.given_back => {
                known.learn(told);
                attempt = attempt.on(told);
            }
            // A new try after one that ended without money; the earlier one's late money is its own story.
            Event::Tried if matches!(known.end, End::Declined | End::Withdrawn) => {
                (attempt, known) = (Attempt::Sending, Known::nothing());
            }
            Event::Refunded if known.end == End::Money => known.given_back = true,
            Event::Learned(_) | Event::Tried | Event::Refunded => {}
        }
        transaction = transaction.on(event).unwrap_or(transaction);
        let expected = (known.attempt(), known.transaction());
        assert_eq!((attempt, transaction), expected, "event {number}: {before:?} + {event:?}");
    }
    crate::testing::tell("payment_machines", serde_json::json!({ "events": events, "differences": 0 }));
}
