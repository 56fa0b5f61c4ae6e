//! Stories about a sale's hours, limits and rules: best seats, single seats, products with seats, one extension.

use futures_util::future::join_all;

use super::super::seating::{Best, NoBlock};
use super::*;
use crate::catalogue::{Catalogue, Opening, OrphanRule};
use crate::testing::small;

on_every_database!(
    outside_its_hours_a_sale_sells_nothing,
    nobody_has_more_seats_than_one_may,
    nobody_has_more_of_a_product_than_one_may,
    a_crowd_of_pairs_sits_together,
    the_best_that_is_left_is_told_apart_from_none,
    what_is_held_says_when_it_may_return,
    the_same_wish_for_the_best_is_the_same_hold,
    a_single_seat_is_warned_of_or_refused,
    seats_and_products_are_one_hold_or_none,
    lapsed_holds_make_room_for_products,
    a_hold_is_extended_once,
    who_loses_is_offered_what_is_near,
    the_sweeper_comes_within_a_second,
);

async fn sale(world: &World, change: impl FnOnce(&mut Catalogue)) {
    let mut catalogue = small(LONG_MS, LONG_MS);
    change(&mut catalogue);
    world.sale_of(&catalogue).await;
}

fn wanted(customer: CustomerId, pick: Pick, products: &[(&str, i64)]) -> Wanted {
    let products = products.iter().map(|(product, quantity)| ((*product).to_owned(), *quantity)).collect();
    Wanted { id: id(), customer, screening: String::from("s"), pick, products }
}

fn named(names: &[&str]) -> Pick {
    Pick::Named(names.iter().map(|name| (*name).to_owned()).collect())
}

fn best(quantity: usize) -> Pick {
    Pick::Best(Best { quantity, wheelchair: 0, section: None })
}

async fn take(world: &World, wanted: Wanted) -> SeatsOutcome {
    hold(&world.db, wanted).await.expect("an outcome")
}

async fn outside_its_hours_a_sale_sells_nothing(world: &World) {
    let now_ms = world.db.now_ms().await.expect("the time");
    sale(world, |catalogue| {
        let sale = &mut catalogue.sales[0];
        (sale.starts_at, sale.ends_at) = (Some(now_ms + 400), Some(now_ms + 1_600));
    })
    .await;
    let customer = world.customer().await;
    let early = SeatsOutcome::Closed(Opening::NotStarted { starts_at: now_ms + 400 });
    assert_eq!(format!("{:?}", seats(world, customer, &["A1"]).await), format!("{early:?}"));
    assert!(matches!(
        stock(world, customer, 1).await,
        StockOutcome::Refused(Refused::Closed(Opening::NotStarted { .. }))
    ));
    sleep_ms(450).await;
    let hold = held(world, customer, &["A1"]).await;
    assert!(matches!(stock(world, customer, 1).await, StockOutcome::Ordered(_)));
    sleep_ms(1_300).await;
    let late = SeatsOutcome::Closed(Opening::Ended { ends_at: now_ms + 1_600 });
    assert_eq!(format!("{:?}", seats(world, customer, &["A2"]).await), format!("{late:?}"));
    assert!(matches!(stock(world, customer, 1).await, StockOutcome::Refused(Refused::Closed(Opening::Ended { .. }))));
    // What was held by then goes its way.
    assert!(matches!(checkout(&world.db, hold.id, customer).await, Ok(Stepped::Done(_))));
}

async fn nobody_has_more_seats_than_one_may(world: &World) {
    sale(world, |catalogue| catalogue.sales[0].seats_per_customer_max = Some(3)).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let two = ["A1", "A2", "A3", "A4", "A5", "A6"];
    let asks = two.chunks(2).map(|pair| take(world, wanted(a, named(pair), &[])));
    let outcomes = join_all(asks).await;
    assert_eq!(outcomes.iter().filter(|one| matches!(one, SeatsOutcome::Held(_))).count(), 1, "{outcomes:?}");
    let over = |one: &&SeatsOutcome| matches!(one, SeatsOutcome::OverLimit { had: 2, per_customer_max: 3 });
    assert_eq!(outcomes.iter().filter(over).count(), 2);
    let mine = list(&world.db, a, 9).await.expect("a list")[0].clone();
    held(world, a, &["B1"]).await;
    assert!(matches!(seats(world, a, &["B2"]).await, SeatsOutcome::OverLimit { had: 3, .. }));
    held(world, b, &["B2", "B3", "B4"]).await;
    // What is given back does not count; what is booked does.
    cancel(&world.db, mine.id, a).await.expect("an outcome");
    let booked = held(world, a, &["B5", "B6"]).await;
    checkout(&world.db, booked.id, a).await.expect("an outcome");
    pay(world, booked.id, a).await;
    assert!(matches!(paid(world, booked.id).await, Paid::Booked(_)));
    assert!(matches!(seats(world, a, &["B7"]).await, SeatsOutcome::OverLimit { had: 3, .. }));
}

async fn nobody_has_more_of_a_product_than_one_may(world: &World) {
    sale(world, |catalogue| catalogue.sales[0].products[0].per_customer_max = Some(3)).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let outcomes = join_all((0..6).map(|_| stock(world, a, 1))).await;
    assert_eq!(outcomes.iter().filter(|one| matches!(one, StockOutcome::Ordered(_))).count(), 3, "{outcomes:?}");
    let over = |one: &&StockOutcome| {
        matches!(one, StockOutcome::Refused(Refused::OverLimit { had: 3, per_customer_max: 3, .. }))
    };
    assert_eq!(outcomes.iter().filter(over).count(), 3);
    assert!(matches!(stock(world, b, 3).await, StockOutcome::Ordered(_)), "another has a limit of their own");
    let with_seats = take(world, wanted(a, named(&["A1"]), &[("p", 1)])).await;
    assert!(matches!(with_seats, SeatsOutcome::Products(Refused::OverLimit { .. })), "{with_seats:?}");
    let mine = list(&world.db, a, 9).await.expect("a list")[0].clone();
    cancel(&world.db, mine.id, a).await.expect("an outcome");
    assert!(matches!(stock(world, a, 1).await, StockOutcome::Ordered(_)));
}

/// Ten pairs for twenty seats: everybody sits together, nobody on another's lap.
async fn a_crowd_of_pairs_sits_together(world: &World) {
    sale(world, |catalogue| {
        for row in &mut catalogue.halls[0].rows {
            row.seats = String::from("ssss.ssssss");
        }
    })
    .await;
    let mut customers = Vec::new();
    for _ in 0..14 {
        customers.push(world.customer().await);
    }
    let outcomes = join_all(customers.iter().map(|customer| take(world, wanted(*customer, best(2), &[])))).await;
    let mut seats = Vec::new();
    for outcome in &outcomes {
        if let SeatsOutcome::Held(hold) = outcome {
            let names = hold.seats();
            let number = |name: &String| name[1..].parse::<i64>().expect("a number");
            let mut pair: Vec<i64> = names.iter().map(number).collect();
            pair.sort_unstable();
            assert_eq!((pair[1] - pair[0], &names[0][..1]), (1, &names[1][..1]), "{names:?}");
            assert_ne!(pair, [4, 5], "the aisle is between them");
            seats.extend(names);
        }
    }
    let held = seats.len();
    seats.sort_unstable();
    seats.dedup();
    assert_eq!(seats.len(), held);
    assert!(held >= 16, "almost all found a pair: {held}");
    let lost = |one: &&SeatsOutcome| matches!(one, SeatsOutcome::Taken(_) | SeatsOutcome::NoBlock(_));
    assert_eq!(outcomes.iter().filter(lost).count(), 14 - held / 2, "{outcomes:?}");
}

async fn the_best_that_is_left_is_told_apart_from_none(world: &World) {
    sale(world, |catalogue| {
        catalogue.halls[0].rows.pop();
        catalogue.halls[0].rows[0].seats = String::from("ss.sw");
    })
    .await;
    let customer = world.customer().await;
    let outcome = take(world, wanted(customer, best(3), &[])).await;
    assert!(matches!(outcome, SeatsOutcome::NoBlock(NoBlock::Together(2))), "{outcome:?}");
    let wheelchair = Pick::Best(Best { quantity: 2, wheelchair: 1, section: Some(String::from("Stalls")) });
    let SeatsOutcome::Held(pair) = take(world, wanted(customer, wheelchair, &[])).await else { panic!("not held") };
    assert_eq!(pair.seats(), ["A3", "A4"]);
    let SeatsOutcome::Held(rest) = take(world, wanted(customer, best(2), &[])).await else { panic!("not held") };
    assert!(matches!(take(world, wanted(customer, best(1), &[])).await, SeatsOutcome::NoBlock(NoBlock::Kept(Some(_)))));
    for hold in [pair, rest] {
        checkout(&world.db, hold.id, customer).await.expect("an outcome");
        pay(world, hold.id, customer).await;
        paid(world, hold.id).await;
    }
    assert!(matches!(take(world, wanted(customer, best(1), &[])).await, SeatsOutcome::NoBlock(NoBlock::Gone)));
}

async fn what_is_held_says_when_it_may_return(world: &World) {
    sale(world, |catalogue| {
        catalogue.halls[0].rows.pop();
        catalogue.halls[0].rows[0].seats = String::from("ss");
        catalogue.sales[0].pay_ms = LONG_MS / 2;
    })
    .await;
    let (a, b) = (world.customer().await, world.customer().await);
    let mut orders = Vec::new();
    for quantity in [4, 3] {
        let StockOutcome::Ordered(order) = stock(world, a, quantity).await else { panic!("not ordered") };
        orders.push(order);
        sleep_ms(20).await;
    }
    let seat = held(world, a, &["A1"]).await;
    sleep_ms(20).await;
    let later = held(world, a, &["A2"]).await;
    let refused_stock = async || {
        let outcome = stock(world, b, 4).await;
        let StockOutcome::Refused(Refused::AllHeld { lost, may_return_in_ms }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(lost, [Lost { product: String::from("p"), available: 3 }]);
        may_return_in_ms
    };
    let refused_seats = async || {
        let outcome = take(world, wanted(b, best(1), &[])).await;
        let SeatsOutcome::NoBlock(NoBlock::Kept(may_return_in_ms)) = outcome else { panic!("{outcome:?}") };
        may_return_in_ms
    };
    let is_due = async |in_ms: Option<i64>, order: &Reservation, before: i64| {
        let left = |now_ms: i64| order.due_at.map(|due_at| due_at - now_ms);
        let now_ms = world.db.now_ms().await.expect("the time");
        assert!(left(now_ms) <= in_ms && in_ms <= left(before), "{in_ms:?}: {:?} to {:?}", left(now_ms), left(before));
    };
    for first in &orders {
        let before = world.db.now_ms().await.expect("the time");
        is_due(refused_stock().await, first, before).await;
        is_due(product_returns_in_ms(&world.db, "p").await.expect("a read"), first, before).await;
        // What is being paid for has no time of its own: the next one has.
        pay(world, first.id, a).await;
    }
    assert_eq!(refused_stock().await, None);
    assert_eq!(product_returns_in_ms(&world.db, "p").await.expect("a read"), None);
    for first in [&seat, &later] {
        let before = world.db.now_ms().await.expect("the time");
        is_due(refused_seats().await, first, before).await;
        is_due(seats_return_in_ms(&world.db, "s").await.expect("a read"), first, before).await;
        checkout(&world.db, first.id, a).await.expect("an outcome");
        pay(world, first.id, a).await;
    }
    assert_eq!(refused_seats().await, None);
    assert_eq!(seats_return_in_ms(&world.db, "s").await.expect("a read"), None);
}

async fn the_same_wish_for_the_best_is_the_same_hold(world: &World) {
    sale(world, |_| ()).await;
    let customer = world.customer().await;
    let id = id();
    let again = |quantity| Wanted { id, ..wanted(customer, best(quantity), &[("p", 1)]) };
    let SeatsOutcome::Held(first) = take(world, again(3)).await else { panic!("not held") };
    let SeatsOutcome::Held(second) = take(world, again(3)).await else { panic!("not held") };
    assert_eq!(first, second);
    assert!(matches!(take(world, again(2)).await, SeatsOutcome::KeyReused));
}

async fn a_single_seat_is_warned_of_or_refused(world: &World) {
    sale(world, |catalogue| catalogue.sales[0].orphans = OrphanRule::Warn).await;
    let customer = world.customer().await;
    let SeatsOutcome::HeldLeaving(_, alone) = seats(world, customer, &["A2"]).await else { panic!("no warning") };
    assert_eq!(alone, ["A1"]);
    held(world, customer, &["B1", "B2"]).await;
    let mut catalogue = small(LONG_MS, LONG_MS);
    catalogue.sales[0].id = String::from("strict");
    catalogue.sales[0].orphans = OrphanRule::Deny;
    catalogue.sales[0].screenings[0].id = String::from("t");
    (catalogue.sales[0].products, catalogue.sales[0].campaigns) = (Vec::new(), Vec::new());
    world.sale_of(&catalogue).await;
    let at = |names: &[&str]| Wanted { screening: String::from("t"), ..wanted(customer, named(names), &[]) };
    let outcome = take(world, at(&["A2", "A3"])).await;
    let SeatsOutcome::LeavesAlone(alone) = outcome else { panic!("{outcome:?}") };
    assert_eq!(alone, ["A1"]);
    // Five of six, five of six: the last seat of a block has to be left alone by somebody.
    for block in [["A1", "A2", "A3"], ["A6", "A7", "A8"], ["B1", "B2", "B3"], ["B6", "B7", "B8"]] {
        assert!(matches!(take(world, at(&block)).await, SeatsOutcome::Held(_)), "{block:?}");
    }
    let outcome = take(world, at(&["A4"])).await;
    assert!(matches!(outcome, SeatsOutcome::HeldLeaving(..)), "nowhere would it be better: {outcome:?}");
}

async fn seats_and_products_are_one_hold_or_none(world: &World) {
    sale(world, |_| ()).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let SeatsOutcome::Held(hold) = take(world, wanted(a, named(&["A1", "A2"]), &[("p", 2), ("p", 1)])).await else {
        panic!("not held")
    };
    assert_eq!(hold.total.amount, 2 * 1_250 + 3 * 500);
    assert_eq!(world.count("select held from stock").await, 3);
    for (products, expected) in [(&[("p", 5)][..], "TooMany"), (&[("q", 1)], "NoSuchProduct"), (&[("p", 0)], "NoLines")]
    {
        let outcome = take(world, wanted(b, named(&["B1"]), products)).await;
        let SeatsOutcome::Products(why) = outcome else { panic!("{outcome:?}") };
        assert!(format!("{why:?}").starts_with(expected), "{why:?}");
    }
    for _ in 0..2 {
        assert!(matches!(stock(world, b, 3).await, StockOutcome::Ordered(_)));
    }
    let short = take(world, wanted(b, named(&["B1"]), &[("p", 2)])).await;
    assert!(matches!(&short, SeatsOutcome::Products(refused) if is_all_held(refused, 1)), "{short:?}");
    let lost = take(world, wanted(b, named(&["A1"]), &[("p", 1)])).await;
    assert!(matches!(lost, SeatsOutcome::Taken(_)), "{lost:?}");
    assert_eq!(world.count("select available from stock").await, 1, "nothing of what was refused stayed");
    held(world, b, &["B1"]).await;
    checkout(&world.db, hold.id, a).await.expect("an outcome");
    pay(world, hold.id, a).await;
    assert!(matches!(paid(world, hold.id).await, Paid::Booked(_)));
    assert_eq!(world.count("select sold from stock").await, 3);
}

async fn lapsed_holds_make_room_for_products(world: &World) {
    world.sale(150, 150).await;
    let (a, b) = (world.customer().await, world.customer().await);
    for seat in ["A1", "A2"] {
        assert!(matches!(take(world, wanted(a, named(&[seat]), &[("p", 4)])).await, SeatsOutcome::Held(_)));
    }
    let short = take(world, wanted(b, named(&["B1"]), &[("p", 4)])).await;
    assert!(matches!(&short, SeatsOutcome::Products(refused) if is_all_held(refused, 2)), "{short:?}");
    sleep_ms(200).await;
    assert!(matches!(take(world, wanted(b, named(&["B1"]), &[("p", 4)])).await, SeatsOutcome::Held(_)));
}

async fn a_hold_is_extended_once(world: &World) {
    let mut catalogue = small(400, LONG_MS);
    catalogue.sales[0].extend_ms = 600;
    world.sale_of(&catalogue).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let hold = held(world, a, &["A1"]).await;
    assert_eq!(extendable_ms(&world.db, &hold).await.expect("a read"), 600);
    assert!(matches!(extend(&world.db, hold.id, b).await, Ok(Extended::NotFound)));
    let both = tokio::join!(extend(&world.db, hold.id, a), extend(&world.db, hold.id, a));
    let done = [&both.0, &both.1].iter().filter(|one| matches!(one, Ok(Extended::Done(_)))).count();
    let already = [&both.0, &both.1].iter().filter(|one| matches!(one, Ok(Extended::Already(_)))).count();
    assert_eq!((done, already), (1, 1), "{both:?}");
    let longer = store::read(&world.db, hold.id).await.expect("a read").expect("a hold");
    assert_eq!(longer.due_at, hold.due_at.map(|due| due + 600));
    assert_eq!(extendable_ms(&world.db, &longer).await.expect("a read"), 0);
    sleep_ms(500).await;
    assert!(matches!(seats(world, b, &["A1"]).await, SeatsOutcome::Taken(_)), "it lasts beyond its first deadline");
    sleep_ms(600).await;
    assert!(matches!(extend(&world.db, hold.id, a).await, Ok(Extended::Refused(_))));
    held(world, b, &["A1"]).await;
    world.sale(LONG_MS, LONG_MS).await;
}

async fn who_loses_is_offered_what_is_near(world: &World) {
    sale(world, |_| ()).await;
    let customer = world.customer().await;
    held(world, customer, &["A1", "A2"]).await;
    let lost: Vec<String> = ["A1", "A2"].map(String::from).into();
    let offers = near(&world.db, "s", &lost).await.expect("offers");
    assert_eq!(offers[0], ["B1", "B2"]);
    assert_eq!(offers.len(), 3);
    for offer in &offers {
        let offer: Vec<&str> = offer.iter().map(String::as_str).collect();
        held(world, customer, &offer).await;
    }
}

async fn the_sweeper_comes_within_a_second(world: &World) {
    world.sale(300, LONG_MS).await;
    let customer = world.customer().await;
    let hold = held(world, customer, &["A1"]).await;
    let interval = Duration::from_millis(crate::Settings::default().sweep_interval_ms);
    let stop = tokio_util::sync::CancellationToken::new();
    let until_released = async {
        sleep_ms(300).await;
        let lapsed = std::time::Instant::now();
        while state(world, hold.id).await != State::Released {
            assert!(lapsed.elapsed() < Duration::from_secs(10), "it is not released at all");
            sleep_ms(10).await;
        }
        stop.cancel();
        lapsed.elapsed()
    };
    let ((), took) = tokio::join!(crate::upkeep::run(&world.db, interval, &stop), until_released);
    assert!(took < Duration::from_secs(1), "{took:?}");
}
