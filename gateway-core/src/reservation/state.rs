//! The life of a reservation, pure: what each event makes of each state, and what happens to its seats and stock.
//!
//! ```text
//!        Checkout        StartPaying        Paid
//!  HELD ─────────▶ CHECKOUT ─────────▶ PAYING ─────▶ BOOKED
//!   │                 │  ◀─────────── NotPaid │         ▲
//!   │ Lapse, Cancel   │ Lapse, Cancel         │ Lapse, Cancel
//!   ▼                 ▼                       ▼         │ Paid
//! RELEASED ◀──────────┴───────── NotPaid ── CLOSING ────┤
//!   │                                         │ NoAnswer│
//!   └── Paid, if the same seats are free ──▶  ▼         │
//!                                           REVIEW ─────┘
//!
//!  BOOKED ── CallOff ──▶ CANCELLED        BOOKED ── Reverse ──▶ REVERSED
//! ```
//!
//! State decides about late money, not the clock: CLOSING still owns its seats, and only evidence leads out of it.

use std::fmt;

/// Where a reservation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Seats are kept for a short while.
    Held,
    /// It is an order now, to be paid within its window.
    Checkout,
    /// A payment is under way: nothing frees the seats until it is known how it ended.
    Paying,
    /// Out of time or cancelled while paying: the provider is being asked.
    Closing,
    /// Paid.
    Booked,
    /// Given back.
    Released,
    /// The provider gave no answer for too long: a person decides.
    Review,
    /// Booked, and given back: the money goes back too.
    Cancelled,
    /// Booked, and the provider took the money back.
    Reversed,
}

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The customer turns the hold into an order.
    Checkout,
    /// A payment attempt begins.
    StartPaying,
    /// The provider confirms that no money comes.
    NotPaid,
    /// The provider has the money.
    Paid,
    /// The customer gives it up.
    Cancel,
    /// Its deadline has passed.
    Lapse,
    /// The provider has not answered for too long.
    NoAnswer,
    /// What is booked is given back.
    CallOff,
    /// The provider took the money back: a chargeback, a settlement denied.
    Reverse,
}

#[cfg(test)]
impl Event {
    /// All events, for tables.
    pub(crate) const ALL: [Self; 9] = [
        Self::Checkout,
        Self::StartPaying,
        Self::NotPaid,
        Self::Paid,
        Self::Cancel,
        Self::Lapse,
        Self::NoAnswer,
        Self::CallOff,
        Self::Reverse,
    ];
}

/// What a transition does to the seats and the stock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Movement {
    /// They stay as they are.
    Keep,
    /// They are free again.
    Release,
    /// They are sold.
    Sell,
    /// They were given back already and have to be taken again, or the event fails.
    Retake,
    /// They were sold, and are free again.
    Return,
}

/// The event makes no sense in this state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused(pub(crate) State, pub(crate) Event);

impl State {
    /// All states, for tables.
    pub(crate) const ALL: [Self; 9] = [
        Self::Held,
        Self::Checkout,
        Self::Paying,
        Self::Closing,
        Self::Booked,
        Self::Released,
        Self::Review,
        Self::Cancelled,
        Self::Reversed,
    ];

    /// What `event` makes of this state. A repeated event leaves it as it is.
    ///
    /// # Errors
    /// [`Refused`] when the event makes no sense here.
    pub(crate) fn on(self, event: Event) -> Result<(Self, Movement), Refused> {
        use Event as E;
        use Movement::{Keep, Release, Retake, Return, Sell};
        use State as S;
        match (self, event) {
            (S::Held, E::Checkout) => Ok((S::Checkout, Keep)),
            (S::Checkout, E::StartPaying) => Ok((S::Paying, Keep)),
            (S::Paying, E::NotPaid) => Ok((S::Checkout, Keep)),
            (S::Paying, E::Lapse | E::Cancel) => Ok((S::Closing, Keep)),
            (S::Closing, E::NoAnswer) => Ok((S::Review, Keep)),

            (S::Held | S::Checkout, E::Lapse | E::Cancel) => Ok((S::Released, Release)),
            (S::Closing | S::Review, E::NotPaid) => Ok((S::Released, Release)),

            (S::Checkout | S::Paying | S::Closing | S::Review, E::Paid) => Ok((S::Booked, Sell)),
            (S::Released, E::Paid) => Ok((S::Booked, Retake)),

            (S::Booked, E::CallOff) => Ok((S::Cancelled, Return)),
            (S::Booked, E::Reverse) => Ok((S::Reversed, Return)),

            // Repeats.
            (S::Checkout, E::Checkout | E::NotPaid)
            | (S::Paying, E::Checkout | E::StartPaying)
            | (S::Closing, E::Lapse | E::Cancel)
            | (S::Booked, E::Checkout | E::Paid)
            | (S::Released, E::NotPaid | E::Lapse | E::Cancel)
            | (S::Review, E::NoAnswer)
            // Money that is taken back after it was given back changes nothing here; it is the bookkeeper's.
            | (S::Cancelled, E::Cancel | E::CallOff | E::Reverse)
            | (S::Reversed, E::Paid | E::Reverse) => Ok((self, Keep)),

            (S::Held, E::StartPaying | E::NotPaid | E::Paid | E::NoAnswer)
            | (S::Checkout | S::Paying, E::NoAnswer)
            | (S::Closing, E::Checkout | E::StartPaying)
            | (S::Booked, E::StartPaying | E::NotPaid | E::Lapse | E::Cancel | E::NoAnswer)
            | (S::Released, E::Checkout | E::StartPaying | E::NoAnswer)
            | (S::Review, E::Checkout | E::StartPaying | E::Lapse | E::Cancel)
            | (S::Cancelled, E::Checkout | E::StartPaying | E::NotPaid | E::Paid | E::Lapse | E::NoAnswer)
            | (S::Reversed, E::Checkout | E::StartPaying | E::NotPaid | E::Lapse | E::NoAnswer | E::Cancel | E::CallOff)
            | (
                S::Held | S::Checkout | S::Paying | S::Closing | S::Released | S::Review,
                E::CallOff | E::Reverse,
            ) => Err(Refused(self, event)),
        }
    }

    /// The name in the database and in answers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Checkout => "checkout",
            Self::Paying => "paying",
            Self::Closing => "closing",
            Self::Booked => "booked",
            Self::Released => "released",
            Self::Review => "review",
            Self::Cancelled => "cancelled",
            Self::Reversed => "reversed",
        }
    }

    /// Reads [`State::as_str`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod model_tests;

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 9] = Event::ALL;

    /// Everything that changes something; what is not listed is a repeat or refused.
    const TABLE: &str = "\
Held + Checkout -> Checkout / Keep
Held + Cancel -> Released / Release
Held + Lapse -> Released / Release
Checkout + StartPaying -> Paying / Keep
Checkout + Paid -> Booked / Sell
Checkout + Cancel -> Released / Release
Checkout + Lapse -> Released / Release
Paying + NotPaid -> Checkout / Keep
Paying + Paid -> Booked / Sell
Paying + Cancel -> Closing / Keep
Paying + Lapse -> Closing / Keep
Closing + NotPaid -> Released / Release
Closing + Paid -> Booked / Sell
Closing + NoAnswer -> Review / Keep
Booked + CallOff -> Cancelled / Return
Booked + Reverse -> Reversed / Return
Released + Paid -> Booked / Retake
Review + NotPaid -> Released / Release
Review + Paid -> Booked / Sell
";

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for (state, event) in State::ALL.into_iter().flat_map(|state| EVENTS.map(|event| (state, event))) {
            if let Ok((next, movement)) = state.on(event)
                && next != state
            {
                table.push_str(&format!("{state:?} + {event:?} -> {next:?} / {movement:?}\n"));
            }
        }
        assert_eq!(table, TABLE);
    }

    #[test]
    fn a_repeat_moves_nothing() {
        for (state, event) in State::ALL.into_iter().flat_map(|state| EVENTS.map(|event| (state, event))) {
            if let Ok((next, movement)) = state.on(event)
                && next == state
            {
                assert_eq!(movement, Movement::Keep, "{state:?} + {event:?}");
            }
        }
    }

    #[test]
    fn nothing_leads_out_of_what_was_given_back_after_it_was_booked() {
        for state in [State::Cancelled, State::Reversed] {
            for event in EVENTS {
                assert!(
                    state.on(event).is_err() || state.on(event) == Ok((state, Movement::Keep)),
                    "{state:?} + {event:?}"
                );
            }
        }
    }

    #[test]
    fn seats_are_never_freed_while_money_may_be_on_its_way() {
        for event in [Event::Lapse, Event::Cancel, Event::NoAnswer] {
            for state in [State::Paying, State::Closing, State::Review] {
                assert!(!matches!(state.on(event), Ok((_, Movement::Release))), "{state:?} + {event:?}");
            }
        }
    }

    #[test]
    fn the_name_reads_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
    }
}
