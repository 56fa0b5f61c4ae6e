//! Stories about seats and stock, on every database.

mod coupons;
mod machine;
mod orders;
mod sales;

use std::time::Duration;

use super::step::{self, Began, Paid};
use super::sweep::Swept;
use super::*;
use crate::base::ReservationId;
use crate::db::in_tx;
use crate::testing::{World, on_every_database};

const LONG_MS: i64 = 60_000;

on_every_database!(
    two_buyers_one_seat,
    all_or_nothing,
    a_lapsed_hold_is_free_at_once,
    the_sweeper_releases_what_has_lapsed,
    stock_never_goes_negative,
    released_once,
    checkout_after_the_deadline_is_refused,
    a_hold_is_repeated_by_its_id,
    what_cannot_be_held_is_said,
    late_money_books_again_or_goes_back,
    while_paying_nothing_is_freed,
    lapsed_orders_make_room_for_stock,
    strangers_see_nothing,
    many_fight_for_few_seats,
);

fn id() -> ReservationId {
    ReservationId::derived(rand::random())
}

async fn seats(world: &World, customer: CustomerId, seats: &[&str]) -> SeatsOutcome {
    let seats = seats.iter().map(|seat| (*seat).to_owned()).collect();
    let ask = HoldSeats { id: id(), customer, screening: String::from("s"), seats };
    hold_seats(&world.db, &ask).await.expect("an outcome")
}

async fn held(world: &World, customer: CustomerId, wanted: &[&str]) -> Reservation {
    let outcome = seats(world, customer, wanted).await;
    let SeatsOutcome::Held(hold) = outcome else { panic!("another outcome") };
    hold
}

async fn stock(world: &World, customer: CustomerId, quantity: i64) -> StockOutcome {
    let ask = HoldStock { id: id(), customer, lines: vec![(String::from("p"), quantity)], coupon: None };
    hold_stock(&world.stock, &ask).await.expect("an outcome")
}

async fn pay(world: &World, id: ReservationId, owner: CustomerId) -> Began {
    in_tx!(world.db, tx, { step::begin_paying(tx, &mut crate::reservation::step::Locked::default(), id, owner).await })
        .expect("an outcome")
}

async fn paid(world: &World, id: ReservationId) -> Paid {
    in_tx!(world.db, tx, { step::paid(tx, &mut crate::reservation::step::Locked::default(), id).await })
        .expect("an outcome")
}

async fn not_paid(world: &World, id: ReservationId) -> Stepped {
    in_tx!(world.db, tx, { step::not_paid(tx, &mut crate::reservation::step::Locked::default(), id).await })
        .expect("an outcome")
}

async fn state(world: &World, id: ReservationId) -> State {
    store::read(&world.db, id).await.expect("a read").expect("a reservation").state
}

async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Of the one product that was wanted so many could be had, and the rest is held.
fn is_all_held(refused: &Refused, available: i64) -> bool {
    matches!(refused, Refused::AllHeld { lost, .. } if matches!(lost[..], [Lost { available: left, .. }] if left == available))
}

async fn two_buyers_one_seat(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let (first, second) = tokio::join!(seats(world, a, &["A1"]), seats(world, b, &["A1"]));
    let won = [&first, &second].iter().filter(|outcome| matches!(outcome, SeatsOutcome::Held(_))).count();
    let lost = [&first, &second].iter().filter(|outcome| matches!(outcome, SeatsOutcome::Taken(_))).count();
    assert_eq!((won, lost), (1, 1), "{first:?} {second:?}");
}

async fn all_or_nothing(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let (a, b) = (world.customer().await, world.customer().await);
    held(world, a, &["A2", "A3"]).await;
    let outcome = seats(world, b, &["A4", "A3", "A1"]).await;
    let SeatsOutcome::Taken(lost) = outcome else { panic!("another outcome") };
    assert_eq!(lost, ["A3"]);
    // Nothing of the refused hold stayed.
    held(world, b, &["A1", "A4"]).await;
}

async fn a_lapsed_hold_is_free_at_once(world: &World) {
    world.sale(1_500, LONG_MS).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let first = held(world, a, &["A1", "A2"]).await;
    assert!(matches!(seats(world, b, &["A2"]).await, SeatsOutcome::Taken(_)));
    sleep_ms(1_550).await;
    let left = crate::catalogue::screening(&world.db, "s").await.expect("a read").expect("a screening").left;
    assert_eq!((left.free, left.held), (20, 0), "shown as free although nobody swept");
    held(world, b, &["A2", "A3"]).await;
    assert_eq!(state(world, first.id).await, State::Released);
    // The seat that nobody took over went free with it.
    held(world, b, &["A1"]).await;
}

async fn the_sweeper_releases_what_has_lapsed(world: &World) {
    world.sale(1_500, 1_500).await;
    let customer = world.customer().await;
    let hold = held(world, customer, &["A1"]).await;
    let order = held(world, customer, &["A2"]).await;
    assert!(matches!(checkout(&world.db, order.id, customer).await, Ok(Stepped::Done(_))));
    let paying = held(world, customer, &["A3"]).await;
    checkout(&world.db, paying.id, customer).await.expect("an outcome");
    pay(world, paying.id, customer).await;
    assert_eq!(sweep(&world.db).await.expect("a sweep"), Swept::default());
    sleep_ms(1_550).await;
    let swept = sweep(&world.db).await.expect("a sweep");
    assert_eq!(swept, Swept { released: 2, closing: 1, review: 0, full: false });
    assert_eq!(state(world, hold.id).await, State::Released);
    assert_eq!(state(world, order.id).await, State::Released);
    assert_eq!(state(world, paying.id).await, State::Closing);
    assert_eq!(sweep(&world.db).await.expect("a sweep"), Swept::default());
}

async fn stock_never_goes_negative(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let mut buyers = Vec::new();
    for _ in 0..64 {
        buyers.push(world.customer().await);
    }
    let outcomes = futures_util::future::join_all(buyers.iter().map(|buyer| stock(world, *buyer, 1))).await;
    let ordered = outcomes.iter().filter(|outcome| matches!(outcome, StockOutcome::Ordered(_))).count();
    let refused =
        outcomes.iter().filter(|outcome| matches!(outcome, StockOutcome::Refused(Refused::AllHeld { .. }))).count();
    assert_eq!((ordered, refused), (10, 54));
    assert_eq!(world.count("select available from stock").await, 0);
    for outcome in outcomes {
        if let StockOutcome::Ordered(order) = outcome {
            pay(world, order.id, order.customer_id).await;
            assert!(matches!(paid(world, order.id).await, Paid::Booked(_)));
        }
    }
    let gone = stock(world, buyers[0], 1).await;
    assert!(matches!(&gone, StockOutcome::Refused(Refused::SoldOut { lost }) if lost[0].available == 0), "{gone:?}");
}

async fn released_once(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let customer = world.customer().await;
    let StockOutcome::Ordered(order) = stock(world, customer, 3).await else { panic!("not ordered") };
    let cancels = (0..4).map(|_| cancel(&world.db, order.id, customer));
    for outcome in futures_util::future::join_all(cancels).await {
        assert!(matches!(outcome, Ok(Stepped::Done(_))), "{outcome:?}");
    }
    assert!(matches!(not_paid(world, order.id).await, Stepped::Done(_)));
    assert_eq!(world.count("select available from stock").await, 10);
    assert_eq!(world.count("select count(*) from stock_movement where kind = 'release'").await, 1);
}

async fn checkout_after_the_deadline_is_refused(world: &World) {
    world.sale(100, LONG_MS).await;
    let customer = world.customer().await;
    let hold = held(world, customer, &["A1"]).await;
    sleep_ms(150).await;
    let outcome = checkout(&world.db, hold.id, customer).await;
    let Ok(Stepped::Refused(refused)) = outcome else { panic!("another outcome") };
    assert_eq!(refused.state, State::Released);
    assert_eq!(state(world, hold.id).await, State::Released);
}

async fn a_hold_is_repeated_by_its_id(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let customer = world.customer().await;
    let ask = |seats: &[&str], id| HoldSeats {
        id,
        customer,
        screening: String::from("s"),
        seats: seats.iter().map(|seat| (*seat).to_owned()).collect(),
    };
    let id = id();
    let first = hold_seats(&world.db, &ask(&["A2", "A1"], id)).await;
    let second = hold_seats(&world.db, &ask(&["A1", "A2"], id)).await;
    let (Ok(SeatsOutcome::Held(first)), Ok(SeatsOutcome::Held(second))) = (first, second) else { panic!("not held") };
    assert_eq!(first, second);
    assert!(matches!(hold_seats(&world.db, &ask(&["A3"], id)).await, Ok(SeatsOutcome::KeyReused)));
    let order = |quantity| HoldStock { id, customer, lines: vec![(String::from("p"), quantity)], coupon: None };
    assert!(matches!(hold_stock(&world.stock, &order(1)).await, Ok(StockOutcome::Refused(Refused::KeyReused))));
    let twice = checkout(&world.db, first.id, customer).await.expect("an outcome");
    let again = checkout(&world.db, first.id, customer).await.expect("an outcome");
    let (Stepped::Done(twice), Stepped::Done(again)) = (twice, again) else { panic!("not checked out") };
    assert_eq!(twice, again);
}

async fn what_cannot_be_held_is_said(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let customer = world.customer().await;
    assert!(matches!(seats(world, customer, &[]).await, SeatsOutcome::NoSeats));
    let outcome = seats(world, customer, &["A1", "Ä9", "Z1"]).await;
    let SeatsOutcome::NoSuchSeat(unknown) = outcome else { panic!("another outcome") };
    assert_eq!(unknown, ["Z1", "Ä9"]);
    let nine = ["A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9"];
    assert!(matches!(seats(world, customer, &nine).await, SeatsOutcome::TooMany { seats_max: 8 }));
    assert!(matches!(
        stock(world, customer, 5).await,
        StockOutcome::Refused(Refused::TooMany { per_order_max: 4, .. })
    ));
    for nothing in [0, -1, i64::MIN] {
        assert!(matches!(stock(world, customer, nothing).await, StockOutcome::Refused(Refused::NoLines)));
    }
    let lines = vec![(String::from("p"), i64::MAX), (String::from("p"), i64::MAX)];
    let twice = HoldStock { id: id(), customer, lines, coupon: None };
    assert!(matches!(hold_stock(&world.stock, &twice).await, Ok(StockOutcome::Refused(Refused::TooMany { .. }))));
    let other = HoldStock { id: id(), customer, lines: vec![(String::from("é"), 1)], coupon: None };
    assert!(matches!(hold_stock(&world.stock, &other).await, Ok(StockOutcome::Refused(Refused::NoSuchProduct(_)))));
}

async fn late_money_books_again_or_goes_back(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let (a, b) = (world.customer().await, world.customer().await);
    for (seat, taken_meanwhile) in [("A1", false), ("A2", true)] {
        let hold = held(world, a, &[seat]).await;
        checkout(&world.db, hold.id, a).await.expect("an outcome");
        cancel(&world.db, hold.id, a).await.expect("an outcome");
        if taken_meanwhile {
            held(world, b, &[seat]).await;
            assert!(matches!(paid(world, hold.id).await, Paid::TooLate(_)));
            assert_eq!(state(world, hold.id).await, State::Released);
        } else {
            assert!(matches!(paid(world, hold.id).await, Paid::Booked(_)));
            assert!(matches!(paid(world, hold.id).await, Paid::Booked(_)), "once more changes nothing");
        }
    }
    let StockOutcome::Ordered(order) = stock(world, a, 4).await else { panic!("not ordered") };
    cancel(&world.db, order.id, a).await.expect("an outcome");
    assert!(matches!(paid(world, order.id).await, Paid::Booked(_)));
    assert_eq!(world.count("select sold from stock").await, 4);
}

async fn while_paying_nothing_is_freed(world: &World) {
    world.sale(LONG_MS, 100).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let hold = held(world, a, &["A1"]).await;
    checkout(&world.db, hold.id, a).await.expect("an outcome");
    assert!(matches!(pay(world, hold.id, a).await, Began::Now(_)));
    assert!(matches!(pay(world, hold.id, a).await, Began::Before));
    sleep_ms(150).await;
    assert!(matches!(seats(world, b, &["A1"]).await, SeatsOutcome::Taken(_)));
    sweep(&world.db).await.expect("a sweep");
    assert_eq!(state(world, hold.id).await, State::Closing);
    assert!(matches!(seats(world, b, &["A1"]).await, SeatsOutcome::Taken(_)));
    assert!(matches!(pay(world, hold.id, a).await, Began::Refused(_)), "no new try while closing");
    assert!(matches!(not_paid(world, hold.id).await, Stepped::Done(_)));
    held(world, b, &["A1"]).await;
}

async fn lapsed_orders_make_room_for_stock(world: &World) {
    world.sale(LONG_MS, 100).await;
    let (a, b) = (world.customer().await, world.customer().await);
    for _ in 0..2 {
        assert!(matches!(stock(world, a, 4).await, StockOutcome::Ordered(_)));
    }
    assert!(matches!(stock(world, b, 3).await, StockOutcome::Refused(refused) if is_all_held(&refused, 2)));
    sleep_ms(150).await;
    assert!(matches!(stock(world, b, 4).await, StockOutcome::Ordered(_)));
}

async fn strangers_see_nothing(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let hold = held(world, a, &["A1"]).await;
    assert_eq!(find(&world.db, hold.id, b).await.expect("a read"), None);
    assert!(matches!(checkout(&world.db, hold.id, b).await, Ok(Stepped::NotFound)));
    assert!(matches!(cancel(&world.db, hold.id, b).await, Ok(Stepped::NotFound)));
    assert!(matches!(pay(world, hold.id, b).await, Began::NotFound));
}

/// Holds that overlap in every order: each seat ends with one owner, each hold has all of its seats, nobody waits for
/// ever.
async fn many_fight_for_few_seats(world: &World) {
    world.sale(LONG_MS, LONG_MS).await;
    let mut customers = Vec::new();
    for _ in 0..48 {
        customers.push(world.customer().await);
    }
    let wanted = |n: usize| {
        let name = |k: usize| format!("A{}", (n * 7 + k * 3) % 10 + 1);
        (0..3).map(name).collect::<Vec<_>>()
    };
    let asks = customers.iter().enumerate().map(|(n, customer)| async move {
        let ask = HoldSeats { id: id(), customer: *customer, screening: String::from("s"), seats: wanted(n) };
        hold_seats(&world.db, &ask).await.expect("an outcome")
    });
    let outcomes = futures_util::future::join_all(asks).await;
    let held: Vec<&Reservation> = outcomes
        .iter()
        .filter_map(|outcome| if let SeatsOutcome::Held(hold) = outcome { Some(hold) } else { None })
        .collect();
    assert!((1..=3).contains(&held.len()), "{}", held.len());
    assert!(held.iter().all(|hold| hold.lines.len() == 3));
    let kept = world.count("select count(*) from seat where state = 'held'").await;
    assert_eq!(usize::try_from(kept).ok(), Some(held.len() * 3));
}
