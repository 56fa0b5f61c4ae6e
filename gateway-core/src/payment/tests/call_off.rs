//! Booked orders that are given back: the money goes back once, whatever happens on the way.

use super::on_every_database;

mod on {
    use super::on_every_database;
    on_every_database!(
        a_cancelled_order_is_refunded_once,
        a_refund_waits_for_the_provider,
        two_that_cancel_refund_once
    );
}

mod stories {
    use super::super::{Line, PRICE, World};
    use crate::db::{DbError, in_tx};
    use crate::payment::call_off::call_off;
    use crate::reservation::State;
    use crate::reservation::after::{By, CalledOff};

    async fn cancel(world: &World, order: crate::base::ReservationId) -> CalledOff {
        let done: Result<_, DbError> = in_tx!(world.db, tx, { call_off(tx, order, By::Operator).await });
        done.expect("an outcome")
    }

    pub(super) async fn a_cancelled_order_is_refunded_once(world: &World) {
        let (order, other) = (world.order(&["A1", "A2"]).await, world.order(&["A3"]).await);
        world.pay(order, None).await;
        world.pay(other, None).await;
        assert!(matches!(world.payments.call_off(order, world.customer).await, Ok(CalledOff::TooLate { .. })));
        assert!(matches!(cancel(world, order).await, CalledOff::Now(_)));
        assert_eq!(world.state(order).await, State::Cancelled);
        for _ in 0..3 {
            world.payments.reconcile().await.expect("the database answers");
            assert!(matches!(cancel(world, order).await, CalledOff::Before(_)));
        }
        assert_eq!(world.ledger().await, (3 * PRICE, 2 * PRICE, 2));
        assert_eq!(world.one_number("select count(*) from refund where cause = 'cancelled'").await, 1);
        assert_eq!(world.one_number("select count(*) from transactions where state = 'refunded'").await, 1);
        assert_eq!(world.one_number("select count(*) from seat where state = 'sold'").await, 1);
    }

    pub(super) async fn a_refund_waits_for_the_provider(world: &World) {
        let order = world.order(&["A1"]).await;
        world.pay(order, None).await;
        world.line_is(Line::Broken);
        assert!(matches!(cancel(world, order).await, CalledOff::Now(_)));
        world.payments.reconcile().await.expect("the database answers");
        assert_eq!(world.one_word("select state from refund").await, "unknown");
        world.line_is(Line::Up);
        let until_refunded = async {
            while world.one_word("select state from refund").await != "succeeded" {
                world.payments.reconcile().await.expect("the database answers");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), until_refunded).await.expect("it goes back");
        assert_eq!(world.ledger().await, (PRICE, PRICE, 1));
    }

    pub(super) async fn two_that_cancel_refund_once(world: &World) {
        let order = world.order(&["A1"]).await;
        world.pay(order, None).await;
        let (one, two) = tokio::join!(cancel(world, order), cancel(world, order));
        let now = [&one, &two].iter().filter(|done| matches!(done, CalledOff::Now(_))).count();
        assert_eq!(now, 1, "{one:?} {two:?}");
        world.payments.reconcile().await.expect("the database answers");
        assert_eq!(world.ledger().await, (PRICE, PRICE, 1));
    }
}
