//! One run for one key, whatever happens in between.

use super::*;
use crate::testing::{World, on_every_database};

on_every_database!(
    once_and_then_the_same_again,
    a_failure_gives_the_key_back,
    a_claim_lapses,
    many_keys_at_once_and_some_of_them_twice,
    many_ends_at_once_each_by_its_own_claim,
);

fn call(customer: CustomerId, body: &str) -> Call {
    let fingerprint = sha256(&[body.as_bytes()]);
    Call { customer, route: String::from("POST /x"), key: String::from("k"), fingerprint }
}

async fn begin_now(world: &World, call: &Call) -> Begun {
    world.replays.begin(call).await.expect("an outcome")
}

async fn once_and_then_the_same_again(world: &World) {
    let (a, b) = (world.customer().await, world.customer().await);
    let Begun::Run(claim) = begin_now(world, &call(a, "1")).await else { panic!("not run") };
    assert!(matches!(begin_now(world, &call(a, "1")).await, Begun::InProgress { retry_after_ms: 1.. }));
    assert!(matches!(begin_now(world, &call(a, "2")).await, Begun::KeyReused));
    assert!(matches!(begin_now(world, &call(b, "2")).await, Begun::Run(_)), "keys belong to the customer");
    let headers = vec![(String::from("location"), String::from("/y"))];
    let answer = Answer { status: 201, headers, body: vec![0, 255, 7] };
    world.replays.finish(&call(a, "1"), &claim, &answer).await.expect("kept");
    let outcome = begin_now(world, &call(a, "1")).await;
    let Begun::Replay(again) = outcome else { panic!("another outcome") };
    assert_eq!(again, answer);
    assert!(matches!(begin_now(world, &call(a, "2")).await, Begun::KeyReused));
    assert_eq!(clean(&world.db).await.expect("cleaned"), 0, "nothing is old yet");
}

async fn a_failure_gives_the_key_back(world: &World) {
    let call = call(world.customer().await, "1");
    let Begun::Run(claim) = begin_now(world, &call).await else { panic!("not run") };
    world.replays.forget(&call, &claim).await.expect("forgotten");
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
    world.replays.finish(&call, &dead, &answer(500)).await.expect("ignored");
    world.replays.finish(&call, &claim, &answer(201)).await.expect("kept");
    assert!(matches!(begin_now(world, &call).await, Begun::Replay(Answer { status: 201, .. })));
}

async fn many_keys_at_once_and_some_of_them_twice(world: &World) {
    let customer = world.customer().await;
    let calls: Vec<Call> = (0..60).map(|n| Call { key: format!("k{}", n % 50), ..call(customer, "1") }).collect();
    let begun = futures_util::future::join_all(calls.iter().map(|call| world.replays.begin(call))).await;
    let ran = |begun: &Result<Begun, Unserved>| matches!(begun, Ok(Begun::Run(_)));
    assert!(begun[..50].iter().all(ran), "each key once");
    assert!(begun[50..].iter().all(|one| matches!(one, Ok(Begun::InProgress { .. }))));
    assert_eq!(world.count("select count(*) from idempotency").await, 50);
}

/// A third is kept, a third is given back, and a third comes with a claim that is somebody else's by now.
async fn many_ends_at_once_each_by_its_own_claim(world: &World) {
    let customer = world.customer().await;
    let calls: Vec<Call> = (0..45).map(|n| Call { key: format!("k{n}"), ..call(customer, "1") }).collect();
    let answer = |n: usize| Answer { status: 201, headers: Vec::new(), body: format!("answer {n}").into_bytes() };
    let mut ends = Vec::new();
    for (n, call) in calls.iter().enumerate() {
        let Begun::Run(claim) = begin_now(world, call).await else { panic!("not run") };
        let claim = if n % 3 == 2 { Claim { token: [9; 16] } } else { claim };
        ends.push(Step::End(Ended { call: call.clone(), claim, answer: (n % 3 != 1).then(|| answer(n)) }));
    }
    let work = Keys(world.db.clone());
    for _ in 0..2 {
        assert_eq!(work.run(&ends).await.expect("ended").len(), 45, "twice is no more than once");
    }
    for (n, call) in calls.iter().enumerate() {
        match (n % 3, begin_now(world, call).await) {
            (0, Begun::Replay(again)) => assert_eq!(again, answer(n)),
            (1, Begun::Run(_)) | (2, Begun::InProgress { .. }) => {}
            (_, other) => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(world.count("select count(*) from idempotency").await, 45);
}

/// As after a commit whose answer was lost: the same group again.
#[tokio::test]
async fn a_claim_that_is_written_twice_is_ones_own() {
    let world = World::sqlite().await;
    let customer = world.customer().await;
    let group: Vec<Step> = (0..5)
        .map(|n| Step::Begin(Call { key: format!("k{n}"), ..call(customer, "1") }, Claim { token: rand::random() }))
        .collect();
    let work = Keys(world.db.clone());
    for _ in 0..2 {
        let begun = work.run(&group).await.expect("outcomes");
        assert!(begun.iter().all(|one| matches!(one, Some(Begun::Run(_)))), "{begun:?}");
    }
}

/// Also twice, as after a commit whose answer was lost.
#[tokio::test]
async fn claims_and_answers_in_one_group_each_get_their_own() {
    let world = World::sqlite().await;
    let customer = world.customer().await;
    let of = |n: u8| Call { key: format!("k{n}"), ..call(customer, "1") };
    let claim = |n: u8| Claim { token: [n; 16] };
    for n in 0..3 {
        let begun = Keys(world.db.clone()).run(&[Step::Begin(of(n), claim(n))]).await.expect("an outcome");
        assert!(matches!(begun.as_slice(), [Some(Begun::Run(_))]));
    }
    let answer = Answer { status: 201, headers: Vec::new(), body: vec![7] };
    let end = |n: u8, answer| Step::End(Ended { call: of(n), claim: claim(n), answer });
    let group = [
        Step::Begin(of(7), claim(7)),
        end(0, Some(answer.clone())),
        Step::Begin(of(0), claim(8)),
        end(1, None),
        Step::Begin(of(1), claim(9)),
        Step::Begin(of(2), claim(10)),
    ];
    for _ in 0..2 {
        let begun = Keys(world.db.clone()).run(&group).await.expect("outcomes");
        let [Some(Begun::Run(new)), None, Some(Begun::Replay(again)), None, Some(Begun::Run(freed)), Some(running)] =
            begun.as_slice()
        else {
            panic!("{begun:?}");
        };
        assert_eq!((new.token, freed.token, again), ([7; 16], [9; 16], &answer));
        assert!(matches!(running, Begun::InProgress { .. }), "{running:?}");
    }
}

/// What a crowd writes: each commit is waited for by all who write.
#[tokio::test]
async fn where_one_writes_claims_and_answers_share_commits() {
    let world = World::sqlite().await;
    let customer = world.customer().await;
    let of = |n: usize| Call { key: format!("k{n}"), ..call(customer, "1") };
    let mut claims = Vec::new();
    for n in 0..20 {
        let Begun::Run(claim) = begin_now(&world, &of(n)).await else { panic!("not run") };
        claims.push(claim);
    }
    let answer = Answer { status: 201, headers: Vec::new(), body: Vec::new() };
    let before = world.db.fuse().committed();
    let ends = claims.iter().enumerate().map(|(n, claim)| {
        let (replays, call, answer) = (&world.replays, of(n), &answer);
        async move { replays.finish(&call, claim, answer).await }
    });
    let calls: Vec<Call> = (20..40).map(of).collect();
    let begins = futures_util::future::join_all(calls.iter().map(|call| world.replays.begin(call)));
    let (ended, begun) = tokio::join!(futures_util::future::join_all(ends), begins);
    assert!(ended.iter().all(Result::is_ok) && begun.iter().all(Result::is_ok));
    let commits = world.db.fuse().committed() - before;
    assert!(commits <= 4, "{commits} commits for 40");
}

#[test]
fn a_seed_follows_from_all_of_its_parts() {
    let customer = CustomerId::derived([1; 16]);
    let seed = call(customer, "1").seed("reservation");
    assert_eq!(seed, call(customer, "other body").seed("reservation"));
    assert_ne!(seed, call(customer, "1").seed("transaction"));
    assert_ne!(seed, call(CustomerId::derived([2; 16]), "1").seed("reservation"));
}
