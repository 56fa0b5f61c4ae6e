//! Every event in every state, on every database: the row, its seat and its stock go where the table says.

use super::super::state::{Event, Movement};
use super::super::{order, step};
use super::*;
use crate::db::{DbError, params};
use crate::testing::small;

on_every_database!(every_event_in_every_state, customers_cancel_what_they_booked_until_its_time,);

/// The way to a state, from a hold on.
fn way_to(state: State) -> &'static [Event] {
    use Event as E;
    match state {
        State::Held => &[],
        State::Checkout => &[E::Checkout],
        State::Paying => &[E::Checkout, E::StartPaying],
        State::Closing => &[E::Checkout, E::StartPaying, E::Cancel],
        State::Review => &[E::Checkout, E::StartPaying, E::Cancel, E::NoAnswer],
        State::Booked => &[E::Checkout, E::StartPaying, E::Paid],
        State::Released => &[E::Cancel],
        State::Cancelled => &[E::Checkout, E::StartPaying, E::Paid, E::CallOff],
        State::Reversed => &[E::Checkout, E::StartPaying, E::Paid, E::Reverse],
    }
}

async fn apply(world: &World, id: ReservationId, event: Event) -> Result<State, State> {
    let done: Result<_, DbError> = in_tx!(world.db, tx, {
        let mut order = store::lock(tx, id).await?.expect("a reservation");
        let applied = step::apply(tx, &mut order, event, Some("a test")).await?;
        Ok(if applied.is_ok() { Ok(order.state) } else { Err(order.state) })
    });
    done.expect("the database answers")
}

/// What the seat of a reservation in this state says of itself.
fn seat_in(state: State) -> &'static str {
    match state {
        State::Held => "held",
        State::Checkout | State::Paying | State::Closing | State::Review => "pending",
        State::Booked => "sold",
        State::Released | State::Cancelled | State::Reversed => "free",
    }
}

async fn every_event_in_every_state(world: &World) {
    let pairs: Vec<(State, Event)> =
        State::ALL.into_iter().flat_map(|state| Event::ALL.map(|event| (state, event))).collect();
    let mut catalogue = small(LONG_MS, LONG_MS);
    for row in &mut catalogue.halls[0].rows {
        row.seats = "s".repeat(pairs.len().div_ceil(2));
    }
    catalogue.sales[0].products[0].stock = 1_000;
    world.sale_of(&catalogue).await;
    let customer = world.customer().await;
    for (n, (state, event)) in pairs.into_iter().enumerate() {
        let seat = format!("{}{}", ["A", "B"][n % 2], n / 2 + 1);
        let wanted = Wanted {
            id: id(),
            customer,
            screening: String::from("s"),
            pick: Pick::Named(vec![seat.clone()]),
            products: vec![(String::from("p"), 1)],
        };
        let SeatsOutcome::Held(hold) = super::hold(&world.db, wanted).await.expect("an outcome") else {
            panic!("{seat} is not held")
        };
        for event in way_to(state) {
            apply(world, hold.id, *event).await.expect("on the way");
        }
        let before = world.count("select available from stock").await;
        let expected = state.on(event);
        let done = apply(world, hold.id, event).await;
        assert_eq!(done.ok(), expected.ok().map(|(next, _)| next), "{state:?} + {event:?}");
        let stored = store::read(&world.db, hold.id).await.expect("a read").expect("a reservation");
        let next = expected.map_or(state, |(next, _)| next);
        assert_eq!(stored.state, next, "{state:?} + {event:?}");
        assert_eq!(
            stored.due_at.is_some(),
            matches!(next, State::Held | State::Checkout | State::Paying | State::Closing)
        );
        let row = world.db.row("select state from seat where seat_no = ?", params![seat.as_str()]).await;
        let said = row.expect("a read").expect("a seat").text().expect("a state");
        // A repeated checkout of a hold leaves its seat as it is.
        assert_eq!(said, seat_in(next), "{state:?} + {event:?}");
        let moved = match expected.map(|(_, movement)| movement) {
            Ok(Movement::Release | Movement::Return) => 1,
            Ok(Movement::Retake) => -1,
            Ok(Movement::Keep | Movement::Sell) | Err(_) => 0,
        };
        assert_eq!(world.count("select available from stock").await - before, moved, "{state:?} + {event:?}");
        assert_eq!(order::products_of(&stored), [(String::from("p"), 1)]);
    }
    let moves = "select count(*) from stock_movement where kind = 'return'";
    let returned = world.count("select count(*) from reservation where state in ('cancelled', 'reversed')").await;
    assert_eq!(world.count(moves).await, returned);
}

async fn customers_cancel_what_they_booked_until_its_time(world: &World) {
    use super::super::after::{self, By, CalledOff};
    let now_ms = world.db.now_ms().await.expect("the time");
    let mut catalogue = small(LONG_MS, LONG_MS);
    catalogue.sales[0].cancel_until = Some(now_ms + 1_000);
    world.sale_of(&catalogue).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let mut booked = Vec::new();
    for seat in ["A1", "A2"] {
        let hold = held(world, a, &[seat]).await;
        checkout(&world.db, hold.id, a).await.expect("an outcome");
        pay(world, hold.id, a).await;
        paid(world, hold.id).await;
        booked.push(hold.id);
    }
    let call_off = async |id, by| -> CalledOff {
        let done: Result<_, DbError> = in_tx!(world.db, tx, { after::call_off(tx, id, by).await });
        done.expect("an outcome")
    };
    assert!(matches!(call_off(booked[0], By::Customer(b)).await, CalledOff::NotFound));
    let order = store::read(&world.db, booked[0]).await.expect("a read").expect("an order");
    let until = after::cancellable_until(&world.db, &order, now_ms).await.expect("a read");
    assert_eq!(until, Some(now_ms + 1_000));
    assert!(matches!(call_off(booked[0], By::Customer(a)).await, CalledOff::Now(_)));
    assert!(matches!(call_off(booked[0], By::Customer(a)).await, CalledOff::Before(_)));
    held(world, b, &["A1"]).await;
    assert!(matches!(paid(world, booked[0]).await, Paid::TooLate(_)), "money that comes now goes back");
    sleep_ms(1_050).await;
    let late = call_off(booked[1], By::Customer(a)).await;
    assert!(matches!(late, CalledOff::TooLate { cancel_until: Some(_) }), "{late:?}");
    assert!(matches!(call_off(booked[1], By::Operator).await, CalledOff::Now(_)));
    let only_held = held(world, a, &["B1"]).await;
    assert!(matches!(call_off(only_held.id, By::Customer(a)).await, CalledOff::Refused(_)));
}
