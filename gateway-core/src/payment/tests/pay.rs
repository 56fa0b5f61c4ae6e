//! Paying an order: once, whatever the provider does.

use super::on_every_database;

mod on {
    use super::on_every_database;
    on_every_database!(
        twenty_calls_are_one_payment,
        declined_can_be_tried_again,
        the_same_call_again_begins_nothing_new,
        a_slow_provider_is_asked_later,
        a_lost_answer_is_found_by_asking,
        a_provider_that_is_gone_charges_once_when_it_is_back,
        a_crash_after_the_charge_charges_once,
        a_crash_before_the_charge_charges_once,
        another_amount_books_nothing_and_goes_back,
        what_costs_nothing_needs_no_provider,
        somebody_elses_order_is_not_there,
    );
}

mod stories {
    use super::super::{Line, PRICE, World, payments};
    use crate::base::{CustomerId, ReservationId};
    use crate::db::params;
    use crate::order::{Pay, PayOutcome};
    use crate::outbox::Worker;
    use crate::payment::processors::Order;
    use crate::reservation::State;

    pub(super) async fn twenty_calls_are_one_payment(world: &World) {
        let order = world.order(&["A1", "A2"]).await;
        let calls = (0..20).map(|_| world.pay(order, None));
        let outcomes = futures_util::future::join_all(calls).await;
        for outcome in &outcomes {
            assert!(matches!(outcome, PayOutcome::Booked | PayOutcome::Running { .. }), "{outcome:?}");
        }
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await, (2 * PRICE, 0, 1));
        assert_eq!(world.one_number("select count(*) from attempt").await, 1);
    }

    pub(super) async fn declined_can_be_tried_again(world: &World) {
        let order = world.order(&["A1"]).await;
        assert!(matches!(world.pay(order, Some("tok_declined")).await, PayOutcome::Declined));
        assert_eq!(world.state(order).await, State::Checkout);
        assert_eq!(world.one_word("select state from transactions").await, "failed");
        let told = world.payments.of_order(order).await.expect("answers").expect("a payment");
        assert!(told.failed_because.is_some_and(|why| why.contains("declined")));
        assert!(matches!(world.pay(order, None).await, PayOutcome::Booked));
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.one_number("select count(*) from attempt").await, 2);
        assert_eq!(world.one_word("select state from transactions").await, "completed");
        assert!(matches!(world.pay(order, None).await, PayOutcome::Booked), "paid is paid");
        assert_eq!(world.ledger().await.2, 1);
    }

    pub(super) async fn the_same_call_again_begins_nothing_new(world: &World) {
        let order = world.order(&["A1"]).await;
        let declined = world.try_with(order, Some("tok_declined"), None);
        for _ in 0..2 {
            let outcome = world.pays(&declined).await;
            assert!(matches!(outcome, PayOutcome::Declined), "{outcome:?}");
        }
        assert_eq!(world.state(order).await, State::Checkout);
        assert_eq!(world.one_number("select count(*) from attempt").await, 1);
    }

    pub(super) async fn a_slow_provider_is_asked_later(world: &World) {
        let order = world.order(&["A1"]).await;
        let outcome = world.pays_through(&world.hasty(), &world.try_with(order, Some("tok_timeout"), None)).await;
        assert!(matches!(outcome, PayOutcome::Running { action_url: None }), "{outcome:?}");
        assert_eq!(world.state(order).await, State::Paying);
        assert_eq!(world.one_word("select state from transactions").await, "unknown");
        world.settle().await;
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await, (PRICE, 0, 1));
    }

    pub(super) async fn a_lost_answer_is_found_by_asking(world: &World) {
        let order = world.order(&["A1"]).await;
        world.line_is(Line::LosesAnswers);
        let outcome = world.pays_through(&world.hasty(), &world.try_with(order, None, None)).await;
        assert!(matches!(outcome, PayOutcome::Running { .. }), "{outcome:?}");
        world.line_is(Line::Broken);
        world.let_time_pass().await;
        world.round().await;
        assert_eq!(world.one_word("select state from attempt").await, "unknown", "silence is no verdict");
        world.line_is(Line::Up);
        world.settle().await;
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await, (PRICE, 0, 1));
    }

    pub(super) async fn a_provider_that_is_gone_charges_once_when_it_is_back(world: &World) {
        let order = world.order(&["A1"]).await;
        let nobody = payments(&world.db, "http://127.0.0.1:9", 200);
        let outcome = world.pays_through(&nobody, &world.try_with(order, None, None)).await;
        assert!(matches!(outcome, PayOutcome::Running { .. }), "{outcome:?}");
        assert!(matches!(world.pay(order, None).await, PayOutcome::Running { .. }), "one live try");
        world.settle().await;
        world.settle().await;
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await, (PRICE, 0, 1));
    }

    /// The payments have heard of the try, and die before they ask the provider.
    async fn written_down(world: &World, pay: &Pay) {
        world.ask(pay).await;
        let dying = world.hasty();
        dying.shared.queue.close();
        let heard = Worker::new(world.db.clone(), dying).round().await.expect("answers");
        assert_eq!(heard, 1);
    }

    pub(super) async fn a_crash_after_the_charge_charges_once(world: &World) {
        let order = world.order(&["A1"]).await;
        let pay = world.try_with(order, None, None);
        let id = pay.attempt_id;
        // The process dies between the charge and its record: the row says SENDING, the provider has the money.
        written_down(world, &pay).await;
        let money = crate::base::Money { amount: PRICE, currency: crate::base::Currency::parse("EUR").expect("EUR") };
        let charge =
            Order { reference: id.to_string(), money, method: "credit_card".to_owned(), token: None, return_url: None };
        world.payments.shared.processor.charge(&charge).await;
        assert_eq!(world.one_word("select state from attempt").await, "sending");
        world.settle().await;
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await, (PRICE, 0, 1));
    }

    pub(super) async fn a_crash_before_the_charge_charges_once(world: &World) {
        let order = world.order(&["A1"]).await;
        let pay = world.try_with(order, None, None);
        written_down(world, &pay).await;
        // Two nodes find it at once.
        world.let_time_pass().await;
        let other = world.hasty();
        let (one, two) = tokio::join!(world.payments.reconcile(), other.reconcile());
        assert_eq!(one.expect("answers").asked + two.expect("answers").asked, 1, "each try is claimed once");
        world.deliver().await;
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await, (PRICE, 0, 1));
    }

    pub(super) async fn another_amount_books_nothing_and_goes_back(world: &World) {
        let order = world.order(&["A1"]).await;
        assert!(matches!(world.pay(order, Some("tok_short_amount")).await, PayOutcome::Declined));
        assert_eq!(world.state(order).await, State::Checkout);
        world.settle().await;
        world.settle().await;
        assert_eq!(world.ledger().await, (PRICE - 1, PRICE - 1, 1));
        assert_eq!(world.one_word("select error_class from attempt").await, "amount_mismatch");
        assert!(matches!(world.pay(order, None).await, PayOutcome::Booked));
    }

    pub(super) async fn what_costs_nothing_needs_no_provider(world: &World) {
        world.sql("update seat set price = 0 where seat_no = 'A1'").await;
        let order = world.order(&["A1"]).await;
        assert!(matches!(world.pay(order, None).await, PayOutcome::Booked));
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await.2, 0);
    }

    pub(super) async fn somebody_elses_order_is_not_there(world: &World) {
        let order = world.order(&["A1"]).await;
        let mut pay = world.try_with(order, None, None);
        pay.customer = CustomerId::new(2);
        assert!(matches!(world.pays(&pay).await, PayOutcome::NotFound));
        pay = world.try_with(ReservationId::new(3), None, None);
        assert!(matches!(world.pays(&pay).await, PayOutcome::NotFound));
        let row = world.db.row("select count(*) from attempt", params![]).await.expect("answers");
        assert_eq!(row.expect("one row").int().expect("a number"), 0);
    }
}
