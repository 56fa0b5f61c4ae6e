//! Seeding on every database, and sales that have not begun, are over, or have limits.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::testing::{World, on_every_database, small};

on_every_database!(
    a_seeding_is_repeatable_and_says_what_differs,
    a_mistake_stores_nothing,
    the_hours_of_a_sale_are_shown
);

async fn a_seeding_is_repeatable_and_says_what_differs(world: &World) {
    let mut catalogue = small(1_000, 2_000);
    let done = AtomicU64::new(0);
    let count = |rows| {
        done.fetch_add(rows, Ordering::Relaxed);
    };
    let seeded = seed_telling(&world.db, &catalogue, &count).await.expect("seeded");
    assert_eq!((seeded.sales, seeded.screenings, seeded.seats, seeded.products), (1, 1, 20, 1));
    assert_eq!(done.into_inner(), catalogue.size());
    assert_eq!(seed(&world.db, &catalogue).await.expect("seeded"), Seeded::default());

    let sale = &mut catalogue.sales[0];
    (sale.pay_ms, sale.ends_at) = (3_000, Some(7));
    sale.products[0].stock = 11;
    catalogue.halls[0].rows.pop();
    let differences = seed(&world.db, &catalogue).await.expect("seeded").differences;
    assert_eq!(differences.len(), 5, "{differences:#?}");
    assert_eq!(differences[0], "sale sale: pay_ms is 2000 in the database, 3000 in the catalogue");
    assert_eq!(differences[1], "sale sale: ends_at is unset in the database, 7 in the catalogue");
    assert!(differences[2].starts_with("screening s: the number of seats is 20"), "{}", differences[2]);
    assert_eq!(differences[4], "product p: stock is 10 in the database, 11 in the catalogue");
    assert_eq!(world.count("select capacity from stock").await, 10, "it stays as it was");
}

async fn a_mistake_stores_nothing(world: &World) {
    let mut catalogue = small(1_000, 2_000);
    catalogue.sales[0].products[0].price = 0;
    assert!(matches!(seed(&world.db, &catalogue).await, Err(SeedError::Invalid(faults)) if faults.len() == 1));
    assert_eq!(world.count("select count(*) from film").await, 0);
}

async fn the_hours_of_a_sale_are_shown(world: &World) {
    let now_ms = world.db.now_ms().await.expect("the time");
    let mut catalogue = small(1_000, 2_000);
    catalogue.sales[0].starts_at = Some(now_ms + 60_000);
    world.sale_of(&catalogue).await;
    let screening = screening(&world.db, "s").await.expect("a read").expect("a screening");
    assert_eq!(screening.state(), SaleState::NotStarted { starts_at: now_ms + 60_000 });
    assert_eq!(product(&world.db, "p").await.expect("a read").expect("a product").state().as_str(), "not_started");
}

#[test]
fn the_first_moment_is_in_the_sale_and_the_last_is_not() {
    let at = |now_ms| Opening::at(Some(10), Some(20), now_ms);
    assert_eq!(at(9), Opening::NotStarted { starts_at: 10 });
    assert_eq!([at(10), at(19)], [Opening::Open; 2]);
    assert_eq!(at(20), Opening::Ended { ends_at: 20 });
    assert_eq!(Opening::at(None, None, i64::MIN), Opening::Open);
}

#[test]
fn what_a_file_leaves_out_is_the_usual() {
    let text = r#"{"films": [], "halls": [], "sales": [{"id": "s", "title": "S", "currency": "EUR", "seats_max": 8,
        "campaigns": [{"id": "c", "coupons": 1, "starts_at": "2026-12-01T20:00:00Z", "ends_at": 1796155200001}]}]}"#;
    let catalogue: Catalogue = serde_json::from_str(text).expect("a catalogue");
    let sale = &catalogue.sales[0];
    assert_eq!((sale.hold_ms, sale.pay_ms), (2 * 60_000, 7 * 60_000), "2 minutes to check out, 7 to pay");
    let campaign = &sale.campaigns[0];
    assert_eq!((campaign.starts_at, campaign.ends_at), (Some(1_796_155_200_000), Some(1_796_155_200_001)));
}
