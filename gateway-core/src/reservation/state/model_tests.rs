//! The machine against a model that was written without it: what has happened to the goods and to the money, and nothing
//! else. Random events, as many as `VESTIBULE_TEST_EVENTS` says, a million by default.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Event, Movement, State};

/// What is known of one order.
#[derive(Clone, Copy)]
struct Model {
    goods: Goods,
    ordered: bool,
    payment: Payment,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goods {
    Kept,
    Sold,
    Free,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Payment {
    None,
    Running,
    /// The provider is asked to end it.
    Asked,
    Silent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Released,
    Cancelled,
    Reversed,
}

impl Model {
    const HELD: Self = Self { goods: Goods::Kept, ordered: false, payment: Payment::None, end: End::Released };

    fn state(self) -> State {
        match (self.goods, self.payment, self.end) {
            (Goods::Sold, _, _) => State::Booked,
            (Goods::Free, _, End::Released) => State::Released,
            (Goods::Free, _, End::Cancelled) => State::Cancelled,
            (Goods::Free, _, End::Reversed) => State::Reversed,
            (Goods::Kept, Payment::None, _) if self.ordered => State::Checkout,
            (Goods::Kept, Payment::None, _) => State::Held,
            (Goods::Kept, Payment::Running, _) => State::Paying,
            (Goods::Kept, Payment::Asked, _) => State::Closing,
            (Goods::Kept, Payment::Silent, _) => State::Review,
        }
    }

    fn free(&mut self, end: End) -> bool {
        (self.goods, self.payment, self.end) = (Goods::Free, Payment::None, end);
        true
    }

    /// Whether the event is accepted.
    fn on(&mut self, event: Event) -> bool {
        use Payment as P;
        let can_begin = matches!(self.payment, P::None | P::Running);
        match (self.goods, event) {
            (Goods::Kept, Event::Checkout) if can_begin => self.ordered = true,
            (Goods::Kept, Event::StartPaying) if can_begin && self.ordered => self.payment = P::Running,
            (Goods::Kept, Event::NotPaid) => match self.payment {
                P::Running => self.payment = P::None,
                P::Asked | P::Silent => return self.free(End::Released),
                P::None => return self.ordered,
            },
            (Goods::Kept, Event::Paid) if self.ordered => (self.goods, self.payment) = (Goods::Sold, P::None),
            (Goods::Kept, Event::Cancel | Event::Lapse) => match self.payment {
                P::None => return self.free(End::Released),
                P::Running | P::Asked => self.payment = P::Asked,
                P::Silent => return false,
            },
            (Goods::Kept, Event::NoAnswer) if matches!(self.payment, P::Asked | P::Silent) => {
                self.payment = P::Silent;
            }
            (Goods::Sold, Event::Checkout | Event::Paid) => {}
            (Goods::Sold, Event::CallOff) => return self.free(End::Cancelled),
            (Goods::Sold, Event::Reverse) => return self.free(End::Reversed),
            (Goods::Free, Event::Paid) if self.end == End::Released => self.goods = Goods::Sold,
            (Goods::Free, Event::NotPaid | Event::Lapse) => return self.end == End::Released,
            (Goods::Free, Event::Cancel) => return self.end != End::Reversed,
            (Goods::Free, Event::CallOff) => return self.end == End::Cancelled,
            (Goods::Free, Event::Reverse) => return self.end != End::Released,
            (Goods::Free, Event::Paid) => return self.end == End::Reversed,
            _ => return false,
        }
        true
    }
}

/// Where goods are after a movement. They never move from where they are not.
fn moved(goods: Goods, movement: Movement) -> Option<Goods> {
    match (goods, movement) {
        (_, Movement::Keep) => Some(goods),
        (Goods::Kept, Movement::Release) | (Goods::Sold, Movement::Return) => Some(Goods::Free),
        (Goods::Kept, Movement::Sell) | (Goods::Free, Movement::Retake) => Some(Goods::Sold),
        (_, Movement::Release | Movement::Sell | Movement::Retake | Movement::Return) => None,
    }
}

/// An order is left alone after so many events at most; then comes the next.
const ONE_ORDER: u32 = 24;

#[test]
fn random_events_do_what_the_model_says() {
    let events = crate::testing::events();
    let mut random = StdRng::seed_from_u64(7);
    let (mut state, mut model, mut of_this) = (State::Held, Model::HELD, 0);
    let mut sold = 0_u64;
    for number in 0..events {
        if of_this == 0 {
            (state, model) = (State::Held, Model::HELD);
            of_this = random.random_range(1..=ONE_ORDER);
        }
        of_this -= 1;
        let event = Event::ALL[random.random_range(0..Event::ALL.len())];
        let before = (state, model.goods);
        let accepted = model.on(event);
        let done = state.on(event);
        assert_eq!(done.is_ok(), accepted, "event {number}: {before:?} + {event:?}");
        if let Ok((next, movement)) = done {
            assert_eq!(moved(before.1, movement), Some(model.goods), "event {number}: {before:?} + {event:?}");
            sold += u64::from(matches!(movement, Movement::Sell | Movement::Retake));
            state = next;
        }
        assert_eq!(state, model.state(), "event {number}: {before:?} + {event:?}");
    }
    assert!(sold > events / 200, "orders were paid: {sold}");
    crate::testing::tell("reservation_machine", serde_json::json!({ "events": events, "differences": 0 }));
}
