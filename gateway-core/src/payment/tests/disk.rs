//! Who waits for the disk: whoever charges, and nobody's message.

use super::{PRICE, World, payments};
use crate::order::PayOutcome;
use crate::reservation::State;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

/// A try that a loss of power undoes would be money for which nobody asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_charged_before_it_is_on_the_disk_and_nothing_else_waits_for_it() {
    let world = World::sqlite().await;
    let order = world.order(&["A1"]).await;
    let (db, (begins, end)) = world.db.by_hand();
    let payments = payments(&db, &world.sandbox_url, 1_500);
    let pay = world.try_with(order, None, None);
    let watched = async {
        let begun = tokio::task::spawn_blocking(move || (begins.recv_timeout(LONG), begins));
        let (Ok(()), begins) = begun.await.expect("no panic") else { panic!("the provider's call waits for a sync") };
        assert_eq!(world.state(order).await, State::Paying);
        assert_eq!(world.one_number("select count(*) from attempt where state = 'sending'").await, 1);
        assert_eq!(world.ledger().await, (0, 0, 0), "not before it is on the disk");
        end.send(Ok(())).expect("a thread");
        begins
    };
    let both = async { tokio::join!(world.pays_through(&payments, &pay), watched) };
    let (outcome, begins) = tokio::time::timeout(LONG, both).await.expect("one sync is enough");
    assert!(matches!(outcome, PayOutcome::Booked), "{outcome:?}");
    assert!(begins.try_recv().is_err(), "who tells of it waits for the disk, and nobody else did");
    assert_eq!(world.ledger().await, (PRICE, 0, 1));
    world.books_agree().await;
}
