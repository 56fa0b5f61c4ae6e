//! Whoever pays, and whoever is answered, at the same time shares commits, and is told what they would be told alone.

use super::on_every_database;

mod on {
    use super::on_every_database;
    on_every_database!(who_pays_at_once_shares_commits, what_is_heard_at_once_shares_commits, heard_of_twice_at_once,);
}

mod stories {
    use super::super::{PRICE, World, orders};
    use crate::base::{AttemptId, Currency, Money, ReservationId};
    use crate::group::Unserved;
    use crate::order::PayOutcome;
    use crate::payment::processors::Heard;
    use crate::reservation::State;
    use futures_util::future::join_all;

    /// Each alone in a commit would be so many.
    const MANY: u64 = 10;

    async fn many_orders(world: &World) -> Vec<ReservationId> {
        let mut all = Vec::new();
        for n in 1..=MANY {
            all.push(world.order(&[&format!("A{n}")]).await);
        }
        all
    }

    /// Commits since `before`: the first alone, and the others together, or in a few groups where the machine is busy. Where there are
    /// several writers, each has its own.
    fn are_shared(world: &World, before: u64) {
        let commits = world.db.fuse().committed() - before;
        let most = if world.db.has_one_writer() { MANY / 2 } else { MANY };
        assert!((1..=most).contains(&commits), "{commits} commits");
    }

    pub(super) async fn who_pays_at_once_shares_commits(world: &World) {
        let all = many_orders(world).await;
        let paying = orders(&world.payments);
        let pays: Vec<_> = all.iter().map(|order| world.try_with(*order, None, None)).collect();
        let before = world.db.fuse().committed();
        // Nobody hears of it yet, so nobody is answered.
        tokio::select! {
            outcomes = join_all(pays.iter().map(|pay| paying.pay(pay))) => panic!("nobody answers: {outcomes:?}"),
            () = world.many_paying(10) => {}
        }
        are_shared(world, before);
        // The same calls again, with one more of a stranger's and one of an order that is not there.
        let mut stranger = world.try_with(all[0], None, None);
        stranger.customer = crate::base::CustomerId::new(2);
        let nobody = world.try_with(ReservationId::new(3), None, None);
        let again = join_all(pays.iter().chain([&stranger, &nobody]).map(|pay| paying.pay(pay)));
        let outcomes = world.while_delivering(&world.payments, again).await;
        let count = |wanted: fn(&PayOutcome) -> bool| {
            outcomes.iter().filter(|one| wanted(one.as_ref().expect("answers"))).count()
        };
        assert_eq!(count(|one| matches!(one, PayOutcome::Booked)), 10, "{outcomes:?}");
        assert_eq!(count(|one| matches!(one, PayOutcome::NotFound)), 2, "{outcomes:?}");
        assert_eq!(world.ledger().await, (10 * PRICE, 0, 10));
    }

    pub(super) async fn what_is_heard_at_once_shares_commits(world: &World) {
        let all = many_orders(world).await;
        let mut tries = Vec::new();
        for order in &all {
            let pay = world.try_with(*order, None, Some("http://shop.example/orders/1"));
            assert!(matches!(world.pays(&pay).await, PayOutcome::Running { .. }));
            tries.push(pay.attempt_id);
        }
        let before = world.db.fuse().committed();
        let declined = join_all(tries.iter().map(|id| world.payments.record(*id, &Heard::Declined))).await;
        are_shared(world, before);
        for (id, recorded) in tries.iter().zip(declined) {
            assert_eq!(recorded.expect("answers").expect("a try").id, *id, "each hears of its own");
        }
        assert!(world.payments.record(AttemptId::new(7), &Heard::Declined).await.expect("answers").is_none());
        world.deliver().await;
        for order in all {
            assert_eq!(world.state(order).await, State::Checkout);
        }
    }

    /// The later of two answers about one try finds it as the earlier left it, also in the same commit.
    pub(super) async fn heard_of_twice_at_once(world: &World) {
        let (first, order) = (world.order(&["A1"]).await, world.order(&["A2"]).await);
        let (first, id) = (world.pay_on_page(first).await, world.pay_on_page(order).await);
        world.decide(id, "approve").await;
        let captured = Heard::Captured(Money { amount: PRICE, currency: Currency::parse("EUR").expect("EUR") });
        let (_, one, two) = tokio::join!(
            world.payments.record(first, &Heard::Declined),
            world.payments.record(id, &captured),
            world.payments.record(id, &captured),
        );
        one.and(two).expect("answers").expect("a try");
        let told = "select count(*) from outbox where kind = 'payment_captured'";
        assert_eq!(world.one_number(told).await, 1, "told once");
        world.deliver().await;
        assert_eq!(world.state(order).await, State::Booked);
        world.settle().await;
    }

    #[test]
    fn who_finds_too_many_before_him_is_told_that_it_is_busy() {
        let error = crate::db::DbError::from(Unserved::Full { retry_after_ms: 1_000 });
        assert!(matches!(error, crate::db::DbError::Busy(_)), "{error}");
    }
}
