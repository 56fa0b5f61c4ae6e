//! The states of a charge in the provider's ledger, as one pure function.
//!
//! ```text
//! RequiresAction --Approve--> Captured
//!                --Decline--> Declined
//!                --Cancel---> Cancelled
//! ```
//! The three on the right are final. Money that was captured leaves by a refund, never by a change of state.

use serde::Serialize;

/// Where a charge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Charge {
    /// The customer has to decide on the hosted page.
    RequiresAction,
    /// The money was taken.
    Captured,
    /// The customer, or a fault token, said no.
    Declined,
    /// The merchant withdrew it; no money will come.
    Cancelled,
}

/// What can happen to a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The customer says yes.
    Approve,
    /// The customer says no.
    Decline,
    /// The merchant withdraws.
    Cancel,
}

impl Charge {
    /// Every state, in the order of the picture.
    pub(super) const ALL: [Self; 4] = [Self::RequiresAction, Self::Captured, Self::Declined, Self::Cancelled];

    /// The name in the ledger and on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RequiresAction => "requires_action",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The next state, or `None` when the event comes too late. Cancelling what was declined is a repeat: either
    /// way no money comes.
    pub(super) const fn on(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::RequiresAction | Self::Captured, Event::Approve) => Some(Self::Captured),
            (Self::RequiresAction, Event::Decline) | (Self::Declined, Event::Decline | Event::Cancel) => {
                Some(Self::Declined)
            }
            (Self::RequiresAction | Self::Cancelled, Event::Cancel) => Some(Self::Cancelled),
            (Self::Captured, Event::Decline | Event::Cancel)
            | (Self::Declined, Event::Approve)
            | (Self::Cancelled, Event::Approve | Event::Decline) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Charge, Event};
    use std::fmt::Write as _;

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for state in Charge::ALL {
            for event in [Event::Approve, Event::Decline, Event::Cancel] {
                let next = state.on(event).map_or("refused".to_owned(), |next| format!("{next:?}"));
                writeln!(table, "{state:?} + {event:?} -> {next}").expect("writing to a string");
            }
        }
        assert_eq!(
            table,
            "\
RequiresAction + Approve -> Captured
RequiresAction + Decline -> Declined
RequiresAction + Cancel -> Cancelled
Captured + Approve -> Captured
Captured + Decline -> refused
Captured + Cancel -> refused
Declined + Approve -> refused
Declined + Decline -> Declined
Declined + Cancel -> Declined
Cancelled + Approve -> refused
Cancelled + Decline -> refused
Cancelled + Cancel -> Cancelled
"
        );
    }

    #[test]
    fn names_lead_back() {
        for state in Charge::ALL {
            assert_eq!(Charge::named(state.name()), Some(state));
        }
    }
}
