//! Both tables in full, and what must hold for every path through them.

use super::{Attempt, Event, Evidence, Transaction};
use std::fmt::Write as _;

/// All that can become known of a try.
pub(super) const EVIDENCE: [Evidence; 7] = [
    Evidence::Accepted,
    Evidence::ActionNeeded,
    Evidence::NoAnswer,
    Evidence::Captured,
    Evidence::Declined,
    Evidence::Withdrawn,
    Evidence::Conflict,
];

#[test]
fn the_whole_table_of_attempts() {
    let mut table = String::new();
    for state in Attempt::ALL {
        let nexts: Vec<String> = EVIDENCE.into_iter().map(|told| format!("{told:?} {:?}", state.on(told))).collect();
        writeln!(table, "{state:?}: {}", nexts.join(", ")).expect("writing to a string");
    }
    assert_eq!(
        table,
        "\
Sending: Accepted Sent, ActionNeeded RequiresAction, NoAnswer Unknown, Captured Captured, Declined Failed, Withdrawn Cancelled, Conflict Failed
Sent: Accepted Sent, ActionNeeded RequiresAction, NoAnswer Unknown, Captured Captured, Declined Failed, Withdrawn Cancelled, Conflict Failed
RequiresAction: Accepted RequiresAction, ActionNeeded RequiresAction, NoAnswer RequiresAction, Captured Captured, Declined Failed, Withdrawn Cancelled, Conflict Failed
Unknown: Accepted Sent, ActionNeeded RequiresAction, NoAnswer Unknown, Captured Captured, Declined Failed, Withdrawn Cancelled, Conflict Failed
Captured: Accepted Captured, ActionNeeded Captured, NoAnswer Captured, Captured Captured, Declined Captured, Withdrawn Captured, Conflict Captured
Failed: Accepted Failed, ActionNeeded Failed, NoAnswer Failed, Captured Captured, Declined Failed, Withdrawn Failed, Conflict Failed
Cancelled: Accepted Cancelled, ActionNeeded Cancelled, NoAnswer Cancelled, Captured Captured, Declined Cancelled, Withdrawn Cancelled, Conflict Cancelled
"
    );
}

#[test]
fn the_whole_table_of_transactions() {
    let mut table = String::new();
    for state in Transaction::ALL {
        let events = EVIDENCE.into_iter().map(Event::Learned).chain([Event::Tried, Event::Refunded]);
        let nexts: Vec<String> = events
            .filter_map(|event| state.on(event).map(|next| (event, next)))
            .map(|(event, next)| format!("{event:?} {next:?}"))
            .collect();
        writeln!(table, "{state:?}: {}", nexts.join(", ")).expect("writing to a string");
    }
    assert_eq!(
        table,
        "\
Pending: Learned(Accepted) Processing, Learned(ActionNeeded) RequiresAction, Learned(NoAnswer) Unknown, Learned(Captured) Completed, Learned(Declined) Failed, Learned(Withdrawn) Cancelled, Learned(Conflict) Failed
Processing: Learned(Accepted) Processing, Learned(ActionNeeded) RequiresAction, Learned(NoAnswer) Unknown, Learned(Captured) Completed, Learned(Declined) Failed, Learned(Withdrawn) Cancelled, Learned(Conflict) Failed
RequiresAction: Learned(ActionNeeded) RequiresAction, Learned(Captured) Completed, Learned(Declined) Failed, Learned(Withdrawn) Cancelled, Learned(Conflict) Failed
Unknown: Learned(Accepted) Processing, Learned(ActionNeeded) RequiresAction, Learned(NoAnswer) Unknown, Learned(Captured) Completed, Learned(Declined) Failed, Learned(Withdrawn) Cancelled, Learned(Conflict) Failed
Completed: Refunded Refunded
Failed: Learned(Captured) Completed, Tried Pending
Cancelled: Learned(Captured) Completed, Tried Pending
Refunded: 
"
    );
}

fn rank(state: Attempt) -> u8 {
    match state {
        Attempt::Sending => 0,
        Attempt::Sent | Attempt::Unknown => 1,
        Attempt::RequiresAction => 2,
        Attempt::Failed | Attempt::Cancelled => 3,
        Attempt::Captured => 4,
    }
}

#[test]
fn no_evidence_lowers_a_rank() {
    for state in Attempt::ALL {
        for told in EVIDENCE {
            assert!(rank(state.on(told)) >= rank(state), "{state:?} + {told:?}");
        }
    }
}

#[test]
fn the_order_of_arrival_does_not_decide_about_captured_money() {
    for first in EVIDENCE {
        for second in EVIDENCE {
            let end = Attempt::Sending.on(first).on(Evidence::Captured).on(second);
            assert_eq!(end, Attempt::Captured, "{first:?}, captured, {second:?}");
        }
    }
}

#[test]
fn only_evidence_of_no_money_ends_a_try_without_money() {
    for state in Attempt::ALL.into_iter().filter(|state| state.is_live()) {
        for told in [Evidence::Accepted, Evidence::ActionNeeded, Evidence::NoAnswer] {
            assert!(state.on(told).is_live(), "{state:?} + {told:?}");
        }
    }
}

#[test]
fn names_lead_back() {
    for state in Attempt::ALL {
        assert_eq!(Attempt::named(state.name()), Some(state));
    }
    for state in Transaction::ALL {
        assert_eq!(Transaction::named(state.name()), Some(state));
    }
}
