//! Charges that belong to no order.

use super::on_every_database;

mod on {
    use super::on_every_database;
    on_every_database!(
        a_charge_completes_in_the_background,
        the_same_charge_again_is_one_charge,
        a_declined_charge_fails,
        a_charge_that_never_arrives_is_withdrawn_in_the_end,
        pages_are_newest_first_and_without_gaps,
    );
}

mod stories {
    use super::super::World;
    use crate::base::{AttemptId, Currency, Money, TransactionId};
    use crate::payment::state::Transaction;
    use crate::payment::{After, Charge, Submitted, store};
    use crate::testing::clock;
    use std::time::Duration;

    fn charge(world: &World, token: Option<&str>) -> Charge {
        Charge {
            id: TransactionId::new(clock()()),
            attempt_id: AttemptId::new(clock()()),
            customer: world.customer,
            money: Money { amount: 1_000, currency: Currency::parse("EUR").expect("EUR") },
            method: "credit_card".to_owned(),
            description: "Payment for order #1234".to_owned(),
            customer_reference: Some("cust_001".to_owned()),
            token: token.map(str::to_owned),
        }
    }

    async fn state(world: &World, id: TransactionId) -> Transaction {
        store::transaction(&world.db, id).await.expect("answers").expect("is there").state
    }

    async fn becomes(world: &World, id: TransactionId, wanted: Transaction) {
        for _ in 0..200 {
            if state(world, id).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?} instead of {wanted:?}", state(world, id).await);
    }

    pub(super) async fn a_charge_completes_in_the_background(world: &World) {
        let charge = charge(world, None);
        let submitted = world.payments.submit(&charge).await.expect("answers");
        assert!(matches!(submitted, Submitted::New(row) if row.state == Transaction::Pending));
        becomes(world, charge.id, Transaction::Completed).await;
    }

    pub(super) async fn the_same_charge_again_is_one_charge(world: &World) {
        let charge = charge(world, None);
        for _ in 0..5 {
            world.payments.submit(&charge).await.expect("answers");
        }
        becomes(world, charge.id, Transaction::Completed).await;
        assert_eq!(world.ledger().await, (1_000, 0, 1));
    }

    pub(super) async fn a_declined_charge_fails(world: &World) {
        let charge = charge(world, Some("tok_declined"));
        world.payments.submit(&charge).await.expect("answers");
        becomes(world, charge.id, Transaction::Failed).await;
    }

    pub(super) async fn a_charge_that_never_arrives_is_withdrawn_in_the_end(world: &World) {
        let charge = charge(world, Some("tok_unavailable"));
        world.payments.submit(&charge).await.expect("answers");
        becomes(world, charge.id, Transaction::Unknown).await;
        world.let_time_pass().await;
        world.payments.reconcile().await.expect("answers");
        assert_eq!(state(world, charge.id).await, Transaction::Unknown, "tried again, and not failed by a timer");
        world.sql("update attempt set created_at = 1").await;
        world.settle().await;
        assert_eq!(state(world, charge.id).await, Transaction::Cancelled, "the provider confirmed it");
    }

    pub(super) async fn pages_are_newest_first_and_without_gaps(world: &World) {
        for _ in 0..7 {
            world.payments.submit(&charge(world, None)).await.expect("answers");
        }
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store::transactions_of(&world.db, world.customer, None, after, 3).await.expect("answers");
            let Some(last) = page.last() else { break };
            after = Some(After { created_at: last.created_at, id: last.id });
            seen.extend(page.iter().map(|row| (row.created_at, row.id)));
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        sorted.dedup();
        assert_eq!(seen, sorted);
        assert_eq!(seen.len(), 7);
        let none =
            store::transactions_of(&world.db, world.customer, Some("cust_002"), None, 10).await.expect("answers");
        assert!(none.is_empty());
        for (_, id) in seen {
            becomes(world, id, Transaction::Completed).await;
        }
    }
}
