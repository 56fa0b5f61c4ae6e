//! The table is what is recorded, and what a transaction decides is counted once, when it is kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::*;
use crate::base::ReservationId;
use crate::coupon;
use crate::db::{DbError, in_tx, params};
use crate::reservation::step::Paid;
use crate::reservation::{HoldSeats, HoldStock, cancel, checkout, hold_seats, hold_stock, step, sweep as sweep_once};
use crate::testing::World;

/// Counts what is counted on this thread.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counts {
    /// Name and labels, `vestibule_orders_total outcome=booked`, and how often.
    fn seen(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock().unwrap();
        counts.iter().map(|(name, count)| (name.clone(), count.load(Ordering::Relaxed))).collect()
    }

    fn of(&self, name: &str) -> u64 {
        self.seen().get(name).copied().unwrap_or_default()
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = key.name().to_owned() + &labels.collect::<String>();
        Counter::from_arc(Arc::clone(self.0.lock().unwrap().entry(name).or_default()))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.0.lock().unwrap().entry(key.name().to_owned()).or_default()))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("{} is no counter", key.name())
    }
}

#[test]
fn the_table_is_what_is_recorded() {
    let counts = Counts::default();
    metrics::with_local_recorder(&counts, || {
        hold(Goods::Seats, Hold::Placed);
        order(Order::Booked);
        payment(Payment::Captured);
        refund(Refund::Succeeded);
        coupon(Coupon::Issued);
        keyed(Keyed::Run);
        sweep(Sweep::Done);
        told(Part::Order, Told::Heard, 1);
        outbox(1, 2, 3);
        load(crate::group::Load { in_flight: 1, per_second: 2 });
    });
    let recorded = counts.seen().into_keys().map(|key| key.split(' ').next().unwrap_or_default().to_owned());
    let mut table: Vec<_> = TABLE.iter().chain(&GAUGES).map(|(name, _)| (*name).to_owned()).collect();
    table.sort_unstable();
    assert_eq!(recorded.collect::<Vec<_>>(), table);
    assert!(TABLE.iter().all(|(name, help)| name.ends_with("_total") && help.contains("by ")));
}

// On one thread, as the recorder is one thread's.
#[tokio::test]
async fn holds_and_orders_are_counted_once_when_they_are_kept() {
    let counts = Counts::default();
    let _here = metrics::set_default_local_recorder(&counts);
    let world = World::sqlite().await;
    world.sale(60_000, 60_000).await;
    let customer = world.customer().await;
    let seats =
        |id, seat: &str| HoldSeats { id, customer, screening: String::from("s"), seats: vec![String::from(seat)] };

    let id = ReservationId::derived([1; 16]);
    for _ in 0..3 {
        hold_seats(&world.db, &seats(id, "A1")).await.expect("held, then found again");
    }
    assert_eq!(counts.of("vestibule_holds_total goods=seats outcome=placed"), 1, "a repeat is no second hold");
    hold_seats(&world.db, &seats(ReservationId::derived([2; 16]), "A1")).await.expect("an outcome");
    hold_seats(&world.db, &seats(ReservationId::derived([2; 16]), "Z9")).await.expect("an outcome");
    assert_eq!(counts.of("vestibule_holds_total goods=seats outcome=taken"), 1);
    assert_eq!(counts.of("vestibule_holds_total goods=seats outcome=refused"), 1);

    checkout(&world.db, id, customer).await.expect("an order");
    let undone: Result<bool, DbError> = in_tx!(world.db, tx, {
        let booked =
            matches!(step::paid(tx, &mut crate::reservation::step::Locked::default(), id).await?, Paid::Booked(_));
        Ok(tx.undo(booked))
    });
    assert!(undone.expect("undone"), "it had been booked until then");
    assert_eq!(counts.of("vestibule_orders_total outcome=booked"), 0, "what is rolled back never happened");

    cancel(&world.db, id, customer).await.expect("given up");
    assert_eq!(counts.of("vestibule_orders_total outcome=released"), 1);
    assert_eq!(counts.of("vestibule_holds_total goods=seats outcome=released"), 0, "it was an order by then");

    let lines = vec![(String::from("p"), 2)];
    let stock = HoldStock { id: ReservationId::derived([3; 16]), customer, lines, coupon: None };
    hold_stock(&world.stock, &stock).await.expect("an order");
    assert_eq!(counts.of("vestibule_holds_total goods=stock outcome=placed"), 1);
    let paid =
        in_tx!(world.db, tx, { step::paid(tx, &mut crate::reservation::step::Locked::default(), stock.id).await });
    paid.expect("booked");
    assert_eq!(counts.of("vestibule_orders_total outcome=booked"), 1);
}

#[tokio::test]
async fn a_hold_that_lapses_is_no_order() {
    let counts = Counts::default();
    let _here = metrics::set_default_local_recorder(&counts);
    let world = World::sqlite().await;
    world.sale(60_000, 60_000).await;
    let (id, customer) = (ReservationId::derived([1; 16]), world.customer().await);
    let seats = vec![String::from("A1")];
    let ask = HoldSeats { id, customer, screening: String::from("s"), seats };
    hold_seats(&world.db, &ask).await.expect("held");
    let lapsed: Result<u64, DbError> =
        in_tx!(world.db, tx, { tx.execute("update reservation set due_at = 1", params![]).await });
    lapsed.expect("lapsed");
    sweep_once(&world.db).await.expect("swept");
    assert_eq!(counts.of("vestibule_holds_total goods=seats outcome=released"), 1);
    assert!(counts.seen().keys().all(|key| !key.starts_with("vestibule_orders_total")), "{:?}", counts.seen());
}

#[tokio::test]
async fn coupons_are_counted_by_what_came_of_the_wish() {
    let counts = Counts::default();
    let _here = metrics::set_default_local_recorder(&counts);
    let world = World::sqlite().await;
    world.sale(60_000, 60_000).await;
    for _ in 0..6 {
        let customer = world.customer().await;
        coupon::issue(&world.coupons, "c", customer).await.expect("an outcome");
    }
    let lucky = world.customer().await;
    coupon::issue(&world.coupons, "none", lucky).await.expect("an outcome");
    let of = |outcome: &str| counts.of(&format!("vestibule_coupons_total outcome={outcome}"));
    assert_eq!((of("issued"), of("gone"), of("refused")), (5, 1, 1));
}
