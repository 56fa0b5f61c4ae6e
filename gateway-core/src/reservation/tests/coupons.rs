//! Stories about coupons of orders: used once, given back once, and who comes too late.

use futures_util::future::join_all;

use super::*;
use crate::catalogue::{self, Campaign, ProductEntry};
use crate::coupon::{self, Coupons, Issued, issue};
use crate::db::{Db, DbError};
use crate::testing::{clock, small};

on_every_database!(
    a_coupon_is_for_one_order_at_a_time,
    a_refused_coupon_reserves_nothing,
    a_crowd_uses_each_coupon_once,
    a_lapsed_order_keeps_no_coupon,
    late_money_needs_the_coupon_again,
    a_booked_order_that_ends_gives_its_coupon_back,
);

/// The small sale with so many of product `p` and coupons of `c`, and with campaigns that fit nobody.
async fn stocked(world: &World, pay_ms: i64, stock: i64, coupons: i64) {
    let text = String::from;
    let campaign = |id: &str| Campaign { id: id.to_owned(), coupons, percent_off_bp: 1_250, ..Campaign::default() };
    let mut catalogue = small(LONG_MS, pay_ms);
    let mut other = small(LONG_MS, pay_ms).sales.remove(0);
    let sale = &mut catalogue.sales[0];
    sale.products[0].stock = stock;
    sale.campaigns = vec![campaign("c"), Campaign { minimum_amount: 501, ..campaign("large") }, campaign("short")];
    let product =
        ProductEntry { id: text("q"), title: text("Mug"), price: 900, per_order_max: 4, per_customer_max: None, stock };
    (other.id, other.screenings, other.products) = (text("other"), Vec::new(), vec![product]);
    other.campaigns = vec![campaign("elsewhere")];
    catalogue.sales.push(other);
    catalogue::seed(&world.db, &catalogue).await.expect("a catalogue");
}

async fn coupon(coupons: &Coupons, campaign: &str, customer: CustomerId) -> String {
    let issued = issue(coupons, campaign, customer).await;
    let Ok(Issued::Now { code }) = issued else { panic!("{issued:?}") };
    code
}

fn with(customer: CustomerId, code: &str) -> HoldStock {
    HoldStock { id: id(), customer, lines: vec![(String::from("p"), 1)], coupon: Some(code.to_owned()) }
}

async fn order(world: &World, ask: &HoldStock) -> StockOutcome {
    hold_stock(&world.stock, ask).await.expect("an outcome")
}

async fn ordered(world: &World, ask: &HoldStock) -> Reservation {
    let outcome = order(world, ask).await;
    let StockOutcome::Ordered(order) = outcome else { panic!("{outcome:?}") };
    order
}

fn is_used(outcome: &StockOutcome) -> bool {
    matches!(outcome, StockOutcome::Refused(Refused::Coupon(coupon::Refused::Used)))
}

async fn a_coupon_is_for_one_order_at_a_time(world: &World) {
    stocked(world, LONG_MS, 10, 5).await;
    let customer = world.customer().await;
    let code = coupon(&world.coupons, "c", customer).await;
    let ask = with(customer, &format!(" {}", code.to_lowercase()));
    let first = ordered(world, &ask).await;
    assert_eq!((first.subtotal().amount, first.discount, first.total.amount), (500, 62, 438), "62.5 is rounded down");
    assert_eq!(first.coupon.as_ref(), Some(&code));
    assert!(matches!(order(world, &ask).await, StockOutcome::Repeated(again) if again == first));
    let without = HoldStock { coupon: None, ..ask.clone() };
    assert!(
        matches!(order(world, &without).await, StockOutcome::Refused(Refused::KeyReused)),
        "another order under the same id"
    );
    assert!(is_used(&order(world, &with(customer, &code)).await));
    let cancels = (0..4).map(|_| cancel(&world.db, first.id, customer));
    assert!(join_all(cancels).await.iter().all(Result::is_ok));
    assert_eq!(world.count("select count(*) from coupon_use").await, 0, "given back");
    let second = ordered(world, &with(customer, &code)).await;
    // Giving the first one back again takes nothing from the second.
    assert!(matches!(not_paid(world, first.id).await, Stepped::Done(_)));
    pay(world, second.id, customer).await;
    assert!(matches!(paid(world, second.id).await, Paid::Booked(_)));
    assert!(is_used(&order(world, &with(customer, &code)).await), "a booked order keeps it");
    assert_eq!(world.count("select available from stock where product_id = 'p'").await, 9);
}

async fn a_refused_coupon_reserves_nothing(world: &World) {
    stocked(world, LONG_MS, 10, 5).await;
    let (own, other) = (world.customer().await, world.customer().await);
    let theirs = coupon(&world.coupons, "c", other).await;
    let large = coupon(&world.coupons, "large", own).await;
    let elsewhere = coupon(&world.coupons, "elsewhere", own).await;
    let short = coupon(&world.coupons, "short", own).await;
    world.end_campaign("short").await;
    let cases = [
        ("", coupon::Refused::Unknown),
        ("é' or 1=1", coupon::Refused::Unknown),
        ("0000000000", coupon::Refused::Unknown),
        (theirs.as_str(), coupon::Refused::Unknown),
        (large.as_str(), coupon::Refused::BelowMinimum { minimum_amount: 501 }),
        (elsewhere.as_str(), coupon::Refused::OtherSale),
        (short.as_str(), coupon::Refused::Over),
    ];
    let asks: Vec<HoldStock> = cases.iter().map(|(code, _)| with(own, code)).collect();
    let outcomes = join_all(asks.iter().map(|ask| order(world, ask))).await;
    for ((code, refused), outcome) in cases.iter().zip(&outcomes) {
        assert!(
            matches!(outcome, StockOutcome::Refused(Refused::Coupon(why)) if why == refused),
            "{code}: {outcome:?}"
        );
    }
    let two = HoldStock { lines: vec![(String::from("p"), 2)], ..with(own, &large) };
    assert_eq!(ordered(world, &two).await.total.amount, 875);
    assert_eq!(world.count("select available from stock where product_id = 'p'").await, 8);
    assert_eq!(world.count("select count(*) from reservation").await, 1);
    assert_eq!(world.count("select count(*) from coupon_use").await, 1);
}

/// Everybody sends three orders with the same coupon at once, over two nodes; there is less stock than people. Then all
/// who have one cancel while the others try again.
async fn a_crowd_uses_each_coupon_once(world: &World) {
    const PEOPLE: i64 = 60;
    const STOCK: i64 = 45;
    stocked(world, LONG_MS, STOCK, PEOPLE).await;
    let elsewhere = StockOrders::on(Db::connect(&world.url, clock()).await.expect("a second node"));
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        let customer = world.customer().await;
        people.push((customer, coupon(&world.coupons, "c", customer).await));
    }
    let rush = || async {
        let asks: Vec<HoldStock> =
            people.iter().flat_map(|(customer, code)| [(); 3].map(|()| with(*customer, code))).collect();
        let nodes = [&world.stock, &elsewhere];
        let sent = asks.iter().enumerate().map(|(n, ask)| hold_stock(nodes[n % 2], ask));
        join_all(sent).await.into_iter().map(|one| one.expect("an outcome")).collect::<Vec<_>>()
    };
    let outcomes = rush().await;
    let got = |outcome: &StockOutcome| matches!(outcome, StockOutcome::Ordered(_));
    assert_eq!(i64::try_from(outcomes.iter().filter(|one| got(one)).count()), Ok(STOCK));
    assert!(
        outcomes
            .iter()
            .all(|one| got(one) || is_used(one) || matches!(one, StockOutcome::Refused(Refused::AllHeld { .. })))
    );
    assert_eq!(world.count("select count(distinct customer_id) from reservation").await, STOCK, "one for each");
    assert_eq!(world.count("select count(*) from coupon_use").await, STOCK);
    world.the_books_agree().await;

    let orders: Vec<&Reservation> = outcomes
        .iter()
        .filter_map(|one| if let StockOutcome::Ordered(order) = one { Some(order) } else { None })
        .collect();
    let cancels =
        orders.iter().flat_map(|order| [order, order].map(|order| cancel(&world.db, order.id, order.customer_id)));
    let (again, cancelled) = tokio::join!(rush(), join_all(cancels));
    assert!(cancelled.iter().all(|one| matches!(one, Ok(Stepped::Done(_)))), "{cancelled:?}");
    let again = i64::try_from(again.iter().filter(|one| got(one)).count()).expect("few");
    assert_eq!(world.count("select count(*) from coupon_use").await, again);
    assert_eq!(world.count("select held from stock where product_id = 'p'").await, again);
    let twice = "select count(*) from (select customer_id from reservation where state = 'checkout' \
                  group by customer_id having count(*) > 1) d";
    assert_eq!(world.count(twice).await, 0);
}

async fn a_lapsed_order_keeps_no_coupon(world: &World) {
    stocked(world, 150, 10, 5).await;
    let customer = world.customer().await;
    let code = coupon(&world.coupons, "c", customer).await;
    let first = ordered(world, &with(customer, &code)).await;
    sleep_ms(200).await;
    // Nobody swept yet: who wants the coupon does.
    let second = ordered(world, &with(customer, &code)).await;
    assert_eq!(state(world, first.id).await, State::Released);
    sleep_ms(200).await;
    assert_eq!(sweep(&world.db).await.expect("a sweep").released, 1);
    assert_eq!(state(world, second.id).await, State::Released);
    assert_eq!(world.count("select count(*) from coupon_use").await, 0);
}

async fn late_money_needs_the_coupon_again(world: &World) {
    stocked(world, LONG_MS, 10, 5).await;
    let customer = world.customer().await;
    let code = coupon(&world.coupons, "c", customer).await;
    let first = ordered(world, &with(customer, &code)).await;
    cancel(&world.db, first.id, customer).await.expect("an outcome");
    let meanwhile = ordered(world, &with(customer, &code)).await;
    assert!(matches!(paid(world, first.id).await, Paid::TooLate(_)), "its price was with the coupon");
    assert_eq!(state(world, first.id).await, State::Released);
    cancel(&world.db, meanwhile.id, customer).await.expect("an outcome");
    let Paid::Booked(booked) = paid(world, first.id).await else { panic!("not booked") };
    assert_eq!((booked.discount, booked.coupon.as_ref()), (62, Some(&code)));
    assert!(is_used(&order(world, &with(customer, &code)).await));
    assert_eq!(world.count("select sold from stock where product_id = 'p'").await, 1);
}

async fn a_booked_order_that_ends_gives_its_coupon_back(world: &World) {
    use super::super::after::{self, By, CalledOff};
    stocked(world, LONG_MS, 10, 5).await;
    let customer = world.customer().await;
    let code = coupon(&world.coupons, "c", customer).await;
    let booked = async || {
        let order = ordered(world, &with(customer, &code)).await;
        pay(world, order.id, customer).await;
        assert!(matches!(paid(world, order.id).await, Paid::Booked(_)));
        order.id
    };
    let cancelled = booked().await;
    for _ in 0..2 {
        let done: Result<CalledOff, DbError> =
            in_tx!(world.db, tx, { after::call_off(tx, cancelled, By::Operator).await });
        assert!(matches!(done, Ok(CalledOff::Now(_) | CalledOff::Before(_))), "{done:?}");
        assert_eq!(world.count("select count(*) from coupon_use").await, 0);
    }
    assert_eq!(state(world, cancelled).await, State::Cancelled);
    let reversed = booked().await;
    assert!(is_used(&order(world, &with(customer, &code)).await), "the second one has it now");
    let done: Result<Stepped, DbError> = in_tx!(world.db, tx, { after::reverse(tx, reversed).await });
    assert!(matches!(done, Ok(Stepped::Done(_))), "{done:?}");
    assert_eq!(world.count("select count(*) from coupon_use").await, 0);
    assert_eq!(state(world, reversed).await, State::Reversed);
    ordered(world, &with(customer, &code)).await;
    assert_eq!(world.count("select available from stock where product_id = 'p'").await, 9);
}
