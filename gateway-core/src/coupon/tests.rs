//! At most one each, at most the limit, under any race.

use super::*;
use crate::testing::{World, on_every_database};

on_every_database!(never_more_than_there_are, one_for_each, an_unknown_campaign);

async fn never_more_than_there_are(world: &World) {
    world.sale(1_000, 1_000).await;
    let mut customers = Vec::new();
    for _ in 0..24 {
        customers.push(world.customer().await);
    }
    let issued = futures_util::future::join_all(customers.iter().map(|one| issue(&world.db, "c", *one))).await;
    let issued: Vec<Issued> = issued.into_iter().map(|one| one.expect("an outcome")).collect();
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Now { .. })).count(), 5);
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Gone)).count(), 19);
    assert_eq!(world.count("select remaining from campaign").await, 0);
}

async fn one_for_each(world: &World) {
    world.sale(1_000, 1_000).await;
    let customer = world.customer().await;
    let issued = futures_util::future::join_all((0..8).map(|_| issue(&world.db, "c", customer))).await;
    let issued: Vec<Issued> = issued.into_iter().map(|one| one.expect("an outcome")).collect();
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Now { .. })).count(), 1);
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Before { .. })).count(), 7);
    assert_eq!(world.count("select remaining from campaign").await, 4);
}

async fn an_unknown_campaign(world: &World) {
    world.sale(1_000, 1_000).await;
    assert_eq!(issue(&world.db, "nöne", world.customer().await).await.expect("an outcome"), Issued::NoSuchCampaign);
}
