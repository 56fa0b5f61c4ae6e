//! What operators decide, on every database.

use super::*;
use crate::base::CustomerId;
use crate::reservation::{HoldSeats, SeatsOutcome, State, checkout, hold_seats, step};
use crate::testing::{World, on_every_database};

on_every_database!(
    a_review_is_settled_once_and_by_whom_is_kept,
    only_what_is_booked_is_cancelled_or_reversed,
    who_and_why_must_be_said,
);

async fn paying(world: &World, customer: CustomerId, seat: &str) -> ReservationId {
    let (id, screening) = (ReservationId::derived(rand::random()), String::from("s"));
    let ask = HoldSeats { id, customer, screening, seats: vec![seat.to_owned()] };
    assert!(matches!(hold_seats(&world.db, &ask).await, Ok(SeatsOutcome::Held(_))));
    checkout(&world.db, id, customer).await.expect("an outcome");
    let began: Result<_, DbError> = in_tx!(world.db, tx, {
        step::begin_paying(tx, &mut crate::reservation::step::Locked::default(), id, customer).await
    });
    began.expect("an outcome");
    id
}

async fn booked(world: &World, customer: CustomerId, seat: &str) -> String {
    let id = paying(world, customer, seat).await;
    let paid: Result<_, DbError> =
        in_tx!(world.db, tx, { step::paid(tx, &mut crate::reservation::step::Locked::default(), id).await });
    paid.expect("an outcome");
    id.to_string()
}

/// An order whose provider never said what became of the money.
async fn in_review(world: &World, customer: CustomerId, seat: &str) -> String {
    let id = paying(world, customer, seat).await;
    crate::reservation::cancel(&world.db, id, customer).await.expect("an outcome");
    let overdue: Result<u64, DbError> = in_tx!(world.db, tx, {
        tx.execute("update reservation set due_at = 1 where state = 'closing'", Vec::new()).await
    });
    assert_eq!(overdue.expect("an update"), 1);
    crate::reservation::sweep(&world.db).await.expect("a sweep");
    id.to_string()
}

async fn a_review_is_settled_once_and_by_whom_is_kept(world: &World) {
    world.sale(60_000, 60_000).await;
    let (customer, office) = (world.customer().await, Office::over(world.db.clone()));
    let (first, second) = (in_review(world, customer, "A1").await, in_review(world, customer, "A2").await);
    let waiting = office.in_review().await.expect("a list");
    assert_eq!(waiting.iter().map(|facts| facts.order.as_str()).collect::<Vec<_>>(), [&first, &second]);
    assert_eq!((waiting[0].total.as_str(), waiting[0].reason.as_deref()), ("EUR 12.50", Some("cancelled")));
    let settled = office.decide(&first, Wish::SettlePaid, "ann", "in the provider's report").await.expect("settled");
    assert_eq!(settled.state, "booked");
    assert!(settled.decisions[0].ends_with("booked by ann: in the provider's report"), "{:?}", settled.decisions);
    let settled = office.decide(&second, Wish::SettleNotPaid, "ann", "never arrived").await.expect("settled");
    assert_eq!((settled.state.as_str(), settled.lines.as_slice()), ("released", &[String::from("1 x Stalls A2")][..]));
    assert_eq!(office.in_review().await.expect("a list"), []);
    let again = office.decide(&second, Wish::SettlePaid, "bob", "no, it did").await;
    assert!(matches!(again, Err(WishError::NotPossible { state, .. }) if state == "released"));
    assert_eq!(world.count("select count(*) from seat where state = 'sold'").await, 1);
}

async fn only_what_is_booked_is_cancelled_or_reversed(world: &World) {
    world.sale(60_000, 60_000).await;
    let (customer, office) = (world.customer().await, Office::over(world.db.clone()));
    let (first, second) = (booked(world, customer, "A1").await, booked(world, customer, "A2").await);
    let other = paying(world, customer, "A3").await.to_string();
    for wish in [Wish::Cancel, Wish::Reverse, Wish::SettlePaid] {
        assert!(
            matches!(office.decide(&other, wish, "ann", "x").await, Err(WishError::NotPossible { .. })),
            "{wish:?}"
        );
        let none = "order_00000000000000000000000000000000";
        assert!(matches!(office.decide(none, wish, "ann", "x").await, Err(WishError::NoSuchOrder(_))), "{wish:?}");
    }
    // The sale lets no customer cancel; an operator may.
    let cancelled = office.decide(&first, Wish::Cancel, "ann", "the show is off").await.expect("cancelled");
    let again = office.decide(&first, Wish::Cancel, "bob", "twice").await.expect("as it was");
    assert_eq!((cancelled.state.as_str(), &again), ("cancelled", &cancelled));
    let reversed = office.decide(&second, Wish::Reverse, "ann", "chargeback").await.expect("reversed");
    assert_eq!((reversed.state.as_str(), reversed.reason.as_deref()), ("reversed", Some("reversed")));
    assert!(matches!(office.decide(&second, Wish::Cancel, "ann", "x").await, Err(WishError::NotPossible { .. })));
    assert_eq!(world.count("select count(*) from seat where state = 'free'").await, 19);
    assert_eq!(office.order(&second).await.expect("a read"), Some(reversed));
    let order = after::any(&world.db, ReservationId::parse(&other).expect("an id")).await.expect("a read");
    assert_eq!(order.map(|order| order.state), Some(State::Paying));
}

async fn who_and_why_must_be_said(world: &World) {
    let office = Office::over(world.db.clone());
    let long = "x".repeat(501);
    for (who, note) in [("", "x"), ("ann", " "), ("ann", long.as_str())] {
        let done = office.decide("order_00000000000000000000000000000000", Wish::Cancel, who, note).await;
        assert!(matches!(done, Err(WishError::Invalid(_))), "{who:?} {note:?}");
    }
    assert_eq!(office.order("nonsense").await.expect("a read"), None);
}
