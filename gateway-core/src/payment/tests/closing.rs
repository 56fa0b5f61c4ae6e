//! The end of the time to pay: seats and money never part.

use super::on_every_database;

mod on {
    use super::on_every_database;
    on_every_database!(
        not_paid_in_time_is_withdrawn_and_released,
        paid_in_the_last_moment_is_booked,
        approving_against_the_sweeper_ends_one_way,
        a_silent_provider_keeps_the_seats_and_leads_to_review,
        late_money_books_the_same_seats_if_they_are_free,
        late_money_goes_back_if_they_are_not,
        money_of_an_earlier_try_goes_back,
        any_mixture_settles,
    );
}

mod stories {
    use super::super::{Line, PRICE, World};
    use crate::base::{AttemptId, ReservationId};
    use crate::order::PayOutcome;
    use crate::payment::drive::Why;
    use crate::payment::processors::Heard;
    use crate::reservation::State;

    pub(super) async fn not_paid_in_time_is_withdrawn_and_released(world: &World) {
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        world.pay_window_ends(order).await;
        assert_eq!(world.state(order).await, State::Closing);
        world.round().await;
        assert_eq!(world.state(order).await, State::Released);
        assert_eq!(world.one_word("select state from transactions").await, "cancelled");
        world.decide(attempt, "approve").await;
        assert_eq!(world.ledger().await.2, 0, "withdrawn is withdrawn");
    }

    pub(super) async fn paid_in_the_last_moment_is_booked(world: &World) {
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        world.decide(attempt, "approve").await;
        world.pay_window_ends(order).await;
        assert_eq!(world.state(order).await, State::Closing);
        world.round().await;
        assert_eq!(world.state(order).await, State::Booked);
    }

    pub(super) async fn approving_against_the_sweeper_ends_one_way(world: &World) {
        for number in 1..=10 {
            let order = world.order(&[&format!("A{number}")]).await;
            let attempt = world.pay_on_page(order).await;
            tokio::join!(
                world.decide(attempt, "approve"),
                async {
                    world.pay_window_ends(order).await;
                    world.round().await;
                },
                async { world.payments.look(order).await.expect("answers") },
            );
            world.settle().await;
            let state = world.state(order).await;
            assert!(matches!(state, State::Booked | State::Released), "{state}");
            world.books_agree().await;
        }
    }

    pub(super) async fn a_silent_provider_keeps_the_seats_and_leads_to_review(world: &World) {
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        world.decide(attempt, "approve").await;
        world.line_is(Line::Broken);
        world.pay_window_ends(order).await;
        world.let_time_pass().await;
        world.round().await;
        assert_eq!(world.state(order).await, State::Closing);
        world.pay_window_ends(order).await;
        assert_eq!(world.state(order).await, State::Review, "only time has passed");
        world.line_is(Line::Up);
        world.settle().await;
        assert_eq!(world.state(order).await, State::Booked);
    }

    /// The provider says "cancelled", the order is released, and then there is money after all.
    async fn released_with_money(world: &World, seats: &[&str]) -> (ReservationId, AttemptId) {
        let order = world.order(seats).await;
        let attempt = world.pay_on_page(order).await;
        world.payments.record(attempt, &Heard::Cancelled).await.expect("answers");
        world.deliver().await;
        assert_eq!(world.state(order).await, State::Checkout);
        world.pay_window_ends(order).await;
        assert_eq!(world.state(order).await, State::Released);
        world.decide(attempt, "approve").await;
        (order, attempt)
    }

    pub(super) async fn late_money_books_the_same_seats_if_they_are_free(world: &World) {
        let (order, attempt) = released_with_money(world, &["A1", "A2"]).await;
        world.payments.drive(attempt, Why::Again).await.expect("answers");
        world.deliver().await;
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.one_word("select state from transactions").await, "completed");
    }

    pub(super) async fn late_money_goes_back_if_they_are_not(world: &World) {
        let (order, attempt) = released_with_money(world, &["A1", "A2"]).await;
        let other = world.order(&["A2"]).await;
        world.line_is(Line::Up);
        world.payments.drive(attempt, Why::Again).await.expect("answers");
        world.deliver().await;
        assert_eq!(world.state(order).await, State::Released);
        // The refund's answer is lost, and the refund is sent again.
        world.line_is(Line::LosesAnswers);
        world.let_time_pass().await;
        world.hasty().reconcile().await.expect("answers");
        world.line_is(Line::Up);
        world.settle().await;
        assert_eq!(world.ledger().await, (2 * PRICE, 2 * PRICE, 1));
        assert_eq!(world.one_word("select state from transactions").await, "refunded");
        assert_eq!(world.one_word("select state from refund").await, "succeeded");
        assert!(matches!(world.pay(other, None).await, PayOutcome::Booked));
    }

    pub(super) async fn money_of_an_earlier_try_goes_back(world: &World) {
        let order = world.order(&["A1"]).await;
        let first = world.pay_on_page(order).await;
        world.payments.record(first, &Heard::Cancelled).await.expect("answers");
        world.deliver().await;
        assert!(matches!(world.pay(order, None).await, PayOutcome::Booked));
        world.decide(first, "approve").await;
        world.payments.drive(first, Why::Again).await.expect("answers");
        world.deliver().await;
        world.settle().await;
        assert_eq!(world.state(order).await, State::Booked);
        assert_eq!(world.ledger().await, (2 * PRICE, PRICE, 2));
        assert_eq!(world.one_word("select state from transactions").await, "completed");
    }

    pub(super) async fn any_mixture_settles(world: &World) {
        let tokens =
            [None, Some("tok_declined"), Some("tok_lost_answer"), Some("tok_short_amount"), Some("tok_unavailable")];
        let mut orders = Vec::new();
        let seats = ["A", "B"].into_iter().flat_map(|row| (1..=10).map(move |number| format!("{row}{number}")));
        for ((number, seat), token) in (1..).zip(seats).zip(tokens.into_iter().cycle()) {
            let order = world.order(&[&seat]).await;
            orders.push((order, token, number));
        }
        let calls = orders.iter().map(|(order, token, number)| async move {
            if number % 4 == 0 {
                let attempt = world.pay_on_page(*order).await;
                if number % 8 == 0 {
                    world.decide(attempt, "approve").await;
                }
            } else {
                world.pay(*order, *token).await;
            }
        });
        futures_util::future::join_all(calls).await;
        for (order, _, _) in &orders {
            world.pay_window_ends(*order).await;
        }
        world.settle().await;
        world.settle().await;
        for (order, token, number) in &orders {
            let state = world.state(*order).await;
            assert!(matches!(state, State::Booked | State::Released), "{number} {token:?} {state}");
        }
        let (_, _, charges) = world.ledger().await;
        assert!(charges >= 6, "{charges}");
    }
}
