//! The machine against a model that was written without it: no states, only what is known of an order. Random events, a few
//! by default, and as many as `VESTIBULE_TEST_EVENTS` says where `deploy/bench` asks.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::state::{Event, Movement, State};

/// What is known of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    /// The customer went on to pay for it.
    ordered: bool,
    /// A provider was asked for money, and has not said that none comes.
    money_may_come: bool,
    /// The customer or the clock has ended it.
    ended: bool,
    /// The provider stayed silent too long after that.
    silent: bool,
    paid: bool,
    /// Its seats and stock are somebody else's to take.
    given_back: bool,
}

impl Known {
    /// What the event does to the goods; `None` if it makes no sense now.
    fn learn(&mut self, event: Event) -> Option<Movement> {
        let (over, is) = (self.paid || self.given_back, |events: &[Event]| events.contains(&event));
        // What is known already changes nothing.
        let repeated = (self.paid && is(&[Event::Paid, Event::Checkout]))
            || (self.given_back && is(&[Event::NotPaid, Event::Cancel, Event::Lapse]));
        if repeated {
            return Some(Movement::Keep);
        }
        if is(&[Event::Paid]) && (self.ordered || self.given_back) {
            let movement = if self.given_back { Movement::Retake } else { Movement::Sell };
            *self = Known { ordered: true, paid: true, ..Known::default() };
            return Some(movement);
        }
        if is(&[Event::Checkout]) && !over && !self.ended {
            self.ordered = true;
            return Some(Movement::Keep);
        }
        if is(&[Event::StartPaying]) && !over && !self.ended && self.ordered {
            self.money_may_come = true;
            return Some(Movement::Keep);
        }
        if is(&[Event::NotPaid]) && !over && self.ordered {
            self.money_may_come = false;
            return Some(self.give_back_if_ended());
        }
        if is(&[Event::Cancel, Event::Lapse]) && !over && !self.silent {
            self.ended = true;
            return Some(self.give_back_if_ended());
        }
        if is(&[Event::NoAnswer]) && !over && self.ended {
            self.silent = true;
            return Some(Movement::Keep);
        }
        None
    }

    fn give_back_if_ended(&mut self) -> Movement {
        if self.ended && !self.money_may_come {
            *self = Known { given_back: true, ..Known::default() };
            return Movement::Release;
        }
        Movement::Keep
    }

    /// The name that this has in the machine.
    fn state(self) -> State {
        match self {
            Known { paid: true, .. } => State::Booked,
            Known { given_back: true, .. } => State::Released,
            Known { silent: true, .. } => State::Review,
            Known { ended: true, .. } => State::Closing,
            Known { money_may_come: true, .. } => State::Paying,
            Known { ordered: true, .. } => State::Checkout,
            Known { .. } => State::Held,
        }
    }
}

const EVENTS: [Event; 7] =
    [Event::Checkout, Event::StartPaying, Event::NotPaid, Event::Paid, Event::Cancel, Event::Lapse, Event::NoAnswer];

/// An order is left alone after so many events at most; then comes the next.
const ONE_ORDER: u32 = 24;

#[test]
fn random_events_do_what_the_model_says() {
    let events = crate::testing::events();
    let mut random = StdRng::seed_from_u64(7);
    let (mut state, mut known, mut of_this, mut kept) = (State::Held, Known::default(), 0, true);
    let mut sold = 0_u64;
    for number in 0..events {
        if of_this == 0 {
            (state, known, kept) = (State::Held, Known::default(), true);
            of_this = random.random_range(1..=ONE_ORDER);
        }
        of_this -= 1;
        let event = EVENTS[random.random_range(0..EVENTS.len())];
        let before = (state, known);
        let said = known.learn(event);
        match (state.on(event), said) {
            (Ok((next, movement)), Some(expected)) => {
                assert_eq!((next, movement), (known.state(), expected), "event {number}: {before:?} + {event:?}");
                state = next;
                // The goods are given back only while they are kept, and taken again only when they are not.
                if movement == Movement::Release {
                    assert!(std::mem::take(&mut kept), "event {number}: {before:?} + {event:?}");
                }
                if [Movement::Sell, Movement::Retake].contains(&movement) {
                    let were_kept = std::mem::replace(&mut kept, true);
                    assert_eq!(were_kept, movement == Movement::Sell, "event {number}: {before:?} + {event:?}");
                    sold += 1;
                }
            }
            (Err(_), None) => assert_eq!(known, before.1, "what is refused teaches nothing"),
            (machine, model) => panic!("event {number}: {before:?} + {event:?}: {machine:?}, the model says {model:?}"),
        }
    }
    assert!(sold > events / 200, "orders were paid: {sold}");
    crate::testing::tell("reservation_machine", events);
}
