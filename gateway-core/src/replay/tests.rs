//! One run for one key, whatever happens in between.

use super::*;
use crate::testing::{World, on_every_database};

on_every_database!(once_and_then_the_same_again, a_failure_gives_the_key_back, a_claim_lapses);

fn call(customer: CustomerId, body: &str) -> Call {
    let fingerprint = sha256(&[body.as_bytes()]);
    Call { customer, route: String::from("POST /x"), key: String::from("k"), fingerprint }
}

async fn begin_now(world: &World, call: &Call) -> Begun {
    begin(&world.db, call).await.expect("an outcome")
}

async fn once_and_then_the_same_again(world: &World) {
    let (a, b) = (world.customer().await, world.customer().await);
    let Begun::Run(claim) = begin_now(world, &call(a, "1")).await else { panic!("not run") };
    assert!(matches!(begin_now(world, &call(a, "1")).await, Begun::InProgress { retry_after_ms: 1.. }));
    assert!(matches!(begin_now(world, &call(a, "2")).await, Begun::KeyReused));
    assert!(matches!(begin_now(world, &call(b, "2")).await, Begun::Run(_)), "keys belong to the customer");
    let headers = vec![(String::from("location"), String::from("/y"))];
    let answer = Answer { status: 201, headers, body: vec![0, 255, 7] };
    finish(&world.db, &call(a, "1"), &claim, &answer).await.expect("kept");
    let outcome = begin_now(world, &call(a, "1")).await;
    let Begun::Replay(again) = outcome else { panic!("another outcome") };
    assert_eq!(again, answer);
    assert!(matches!(begin_now(world, &call(a, "2")).await, Begun::KeyReused));
    assert_eq!(clean(&world.db).await.expect("cleaned"), 0, "nothing is old yet");
}

async fn a_failure_gives_the_key_back(world: &World) {
    let call = call(world.customer().await, "1");
    let Begun::Run(claim) = begin_now(world, &call).await else { panic!("not run") };
    forget(&world.db, &call, &claim).await.expect("forgotten");
    assert!(matches!(begin_now(world, &call).await, Begun::Run(_)));
}

/// A process died in the middle: its claim lapses, another run takes over, and the dead one's answer comes too late.
async fn a_claim_lapses(world: &World) {
    let call = call(world.customer().await, "1");
    let Begun::Run(dead) = begin_now(world, &call).await else { panic!("not run") };
    let aged: Result<u64, DbError> =
        in_tx!(world.db, tx, { tx.execute("update idempotency set claimed_until = 1", Vec::new()).await });
    assert_eq!(aged.expect("aged"), 1);
    let Begun::Run(claim) = begin_now(world, &call).await else { panic!("not taken over") };
    let answer = |status| Answer { status, headers: Vec::new(), body: Vec::new() };
    finish(&world.db, &call, &dead, &answer(500)).await.expect("ignored");
    finish(&world.db, &call, &claim, &answer(201)).await.expect("kept");
    assert!(matches!(begin_now(world, &call).await, Begun::Replay(Answer { status: 201, .. })));
}

#[test]
fn a_seed_follows_from_all_of_its_parts() {
    let customer = CustomerId::derived([1; 16]);
    let seed = call(customer, "1").seed("reservation");
    assert_eq!(seed, call(customer, "other body").seed("reservation"));
    assert_ne!(seed, call(customer, "1").seed("transaction"));
    assert_ne!(seed, call(CustomerId::derived([2; 16]), "1").seed("reservation"));
}
