//! One run for one key, whatever happens in between.

use std::time::Duration;

use super::*;
use crate::testing::{World, clock, on_every_database};

on_every_database!(
    once_and_then_the_same_again,
    a_refusal_is_given_again_at_once_and_kept,
    a_failure_gives_the_key_back,
    many_keys_at_once_and_some_of_them_twice,
    answers_that_are_kept_twice_are_kept_once,
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
    world.replays.finish(&call(a, "1"), claim, &answer).await.expect("kept");
    let outcome = begin_now(world, &call(a, "1")).await;
    let Begun::Replay(again) = outcome else { panic!("another outcome") };
    assert_eq!(again, answer);
    assert!(matches!(begin_now(world, &call(a, "2")).await, Begun::KeyReused));
    assert_eq!(clean(&world.db).await.expect("cleaned"), 0, "nothing is old yet");
}

async fn a_failure_gives_the_key_back(world: &World) {
    let call = call(world.customer().await, "1");
    let Begun::Run(claim) = begin_now(world, &call).await else { panic!("not run") };
    world.replays.forget(&call, claim).await.expect("forgotten");
    assert!(matches!(begin_now(world, &call).await, Begun::Run(_)));
}

async fn a_refusal_is_given_again_at_once_and_kept(world: &World) {
    let customer = world.customer().await;
    let refused = Answer { status: 409, headers: Vec::new(), body: b"sold out".to_vec() };
    let Begun::Run(claim) = begin_now(world, &call(customer, "1")).await else { panic!("not run") };
    world.replays.finish(&call(customer, "1"), claim, &refused).await.expect("kept");
    let ask = || async { begin_now(world, &call(customer, "1")).await };
    assert!(matches!(ask().await, Begun::Replay(again) if again == refused));
    assert!(matches!(begin_now(world, &call(customer, "2")).await, Begun::KeyReused));
    while world.count("select count(*) from idempotency where state = 'done'").await == 0 {
        assert!(matches!(ask().await, Begun::Replay(again) if again == refused), "while it is being kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(ask().await, Begun::Replay(again) if again == refused));
    assert!(matches!(begin_now(world, &call(customer, "2")).await, Begun::KeyReused));
}

async fn many_keys_at_once_and_some_of_them_twice(world: &World) {
    let customer = world.customer().await;
    let calls: Vec<Call> = (0..60).map(|n| Call { key: format!("k{}", n % 50), ..call(customer, "1") }).collect();
    let begun = futures_util::future::join_all(calls.iter().map(|call| world.replays.begin(call))).await;
    let ran = |begun: &Result<Begun, Unserved>| matches!(begun, Ok(Begun::Run(_)));
    assert!(begun[..50].iter().all(ran), "each key once");
    assert!(begun[50..].iter().all(|one| matches!(one, Ok(Begun::InProgress { .. }))));
}

/// As after a commit whose answer was lost.
async fn answers_that_are_kept_twice_are_kept_once(world: &World) {
    let customer = world.customer().await;
    let calls: Vec<Call> = (0..45).map(|n| Call { key: format!("k{n}"), ..call(customer, "1") }).collect();
    let answer = |n: usize| Answer { status: 201, headers: Vec::new(), body: format!("answer {n}").into_bytes() };
    let mut claims = Vec::new();
    for call in &calls {
        let Begun::Run(claim) = begin_now(world, call).await else { panic!("not run") };
        claims.push(claim);
    }
    let ended = |(n, (call, claim)): (usize, (&Call, &Claim))| Ended {
        call: call.clone(),
        token: claim.token,
        answer: Some(answer(n)),
    };
    let ends: Vec<Ended> = calls.iter().zip(&claims).enumerate().map(ended).collect();
    for _ in 0..2 {
        Ends(world.db.clone()).run(&ends).await.expect("kept");
    }
    drop(claims);
    for (n, call) in calls.iter().enumerate() {
        assert!(matches!(begin_now(world, call).await, Begun::Replay(again) if again == answer(n)));
    }
    assert_eq!(world.count("select count(*) from idempotency").await, 45);
}

/// Claims in the database: of processes that die, that are slow, and whose commits are not answered.
mod claims_as_rows {
    use super::*;

    on_every_database!(
        a_claim_lapses,
        many_ends_at_once_each_by_its_own_claim,
        a_claim_that_is_written_twice_is_ones_own
    );

    fn replays(world: &World) -> Replays {
        Replays::on(&world.db, world.db.answering(true))
    }

    /// A process died in the middle: its claim lapses, another run takes over, and the dead one's answer comes too late.
    async fn a_claim_lapses(world: &World) {
        let replays = replays(world);
        let call = call(world.customer().await, "1");
        let Ok(Begun::Run(dead)) = replays.begin(&call).await else { panic!("not run") };
        assert!(matches!(replays.begin(&call).await, Ok(Begun::InProgress { retry_after_ms: 1.. })));
        let aged: Result<u64, DbError> =
            in_tx!(world.db, tx, { tx.execute("update idempotency set claimed_until = 1", Vec::new()).await });
        assert_eq!(aged.expect("aged"), 1);
        let Ok(Begun::Run(claim)) = replays.begin(&call).await else { panic!("not taken over") };
        let answer = |status| Answer { status, headers: Vec::new(), body: Vec::new() };
        replays.finish(&call, dead, &answer(500)).await.expect("ignored");
        replays.finish(&call, claim, &answer(201)).await.expect("kept");
        assert!(matches!(replays.begin(&call).await, Ok(Begun::Replay(Answer { status: 201, .. }))));
    }

    /// A third is kept, a third is given back, and a third comes with a claim that is somebody else's by now.
    async fn many_ends_at_once_each_by_its_own_claim(world: &World) {
        let replays = replays(world);
        let customer = world.customer().await;
        let calls: Vec<Call> = (0..45).map(|n| Call { key: format!("k{n}"), ..call(customer, "1") }).collect();
        let answer = |n: usize| Answer { status: 201, headers: Vec::new(), body: format!("answer {n}").into_bytes() };
        let mut ends = Vec::new();
        for (n, call) in calls.iter().enumerate() {
            let Ok(Begun::Run(claim)) = replays.begin(call).await else { panic!("not run") };
            let token = if n % 3 == 2 { [9; 16] } else { claim.token };
            ends.push(Ended { call: call.clone(), token, answer: (n % 3 != 1).then(|| answer(n)) });
        }
        for _ in 0..2 {
            let ended = Ends(world.db.clone()).run(&ends).await.expect("ended");
            assert_eq!(ended.len(), 45, "twice is no more than once");
        }
        for (n, call) in calls.iter().enumerate() {
            match (n % 3, replays.begin(call).await.expect("an outcome")) {
                (0, Begun::Replay(again)) => assert_eq!(again, answer(n)),
                (1, Begun::Run(_)) | (2, Begun::InProgress { .. }) => {}
                (_, other) => panic!("{n}: {other:?}"),
            }
        }
        assert_eq!(world.count("select count(*) from idempotency").await, 45);
    }

    /// As after a commit whose answer was lost: the same group again.
    async fn a_claim_that_is_written_twice_is_ones_own(world: &World) {
        let customer = world.customer().await;
        let group: Vec<_> =
            (0..5_u8).map(|n| (Call { key: format!("k{n}"), ..call(customer, "1") }, [n; 16])).collect();
        for _ in 0..2 {
            let begun = Rows(world.db.clone()).run(&group).await.expect("outcomes");
            assert!(begun.iter().all(|one| matches!(one, Begun::Run(_))), "{begun:?}");
        }
    }
}

/// Claims in memory: of the one process that answers.
mod claims_here {
    use super::*;

    /// Each commit is waited for by all who write, and a crowd that is refused makes none.
    #[tokio::test]
    async fn a_crowd_that_is_refused_waits_for_no_commit() {
        let world = World::sqlite().await;
        let customer = world.customer().await;
        let refused = Answer { status: 409, headers: Vec::new(), body: Vec::new() };
        let waits = world.db.waits();
        let done = Answer { status: 201, ..refused.clone() };
        let call = call(customer, "1");
        let Begun::Run(claim) = begin_now(&world, &call).await else { panic!("not run") };
        world.replays.finish(&call, claim, &done).await.expect("kept");
        assert_eq!(world.db.waits() - waits, 1, "what was done is on the disk with its answer");
        assert!(matches!(begin_now(&world, &call).await, Begun::Replay(again) if again == done));
        assert_eq!(world.db.waits() - waits, 2, "also for who is told again");
        // Whoever writes now keeps everybody else from it.
        let writing = world.db.begin().await.expect("a transaction");
        for n in 0..40 {
            let call = Call { key: format!("k{n}"), ..call.clone() };
            let Begun::Run(claim) = begin_now(&world, &call).await else { panic!("not run") };
            world.replays.finish(&call, claim, &refused).await.expect("told");
            assert!(matches!(begin_now(&world, &call).await, Begun::Replay(_)));
        }
        drop(writing);
        let before = world.db.fuse().committed();
        while world.count("select count(*) from idempotency").await < 41 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let commits = world.db.fuse().committed() - before;
        assert!(commits <= 2, "{commits} commits for 40");
        assert_eq!(world.db.waits() - waits, 2, "and nobody waited for these");
    }

    /// A client who goes away, or a run that panics.
    #[tokio::test]
    async fn a_claim_that_is_dropped_is_given_back() {
        let world = World::sqlite().await;
        let call = call(world.customer().await, "1");
        let begun = begin_now(&world, &call).await;
        assert!(matches!(begun, Begun::Run(_)));
        assert!(matches!(begin_now(&world, &call).await, Begun::InProgress { retry_after_ms: 1.. }));
        drop(begun);
        assert!(matches!(begin_now(&world, &call).await, Begun::Run(_)));
    }

    #[tokio::test]
    async fn one_process_answers_from_a_file_or_all_say_that_they_are_many() {
        let world = World::sqlite().await;
        let (first, second) = (&world.db, &Db::connect(&world.url, clock()).await.expect("a database"));
        let (alone, among_many) = (first.answering(false), first.answering(true));
        for (has, wants) in [(alone, alone), (alone, among_many), (among_many, alone)] {
            let turn = first.take_turn(has).expect("the first");
            let refused = second.take_turn(wants).expect_err("a refusal");
            assert!(matches!(refused, DbError::Busy(_)), "it may pass: {refused}");
            let said = std::error::Error::source(&refused).expect("a cause").to_string();
            assert!(said.contains("core.db-lock") && said.contains("core.many_order_processes"), "{said}");
            drop(turn);
            second.take_turn(wants).expect("the next one");
        }
        let _both = (first.take_turn(among_many).expect("one"), second.take_turn(among_many).expect("another"));
    }
}

#[test]
fn a_seed_follows_from_all_of_its_parts() {
    let customer = CustomerId::derived([1; 16]);
    let seed = call(customer, "1").seed("reservation");
    assert_eq!(seed, call(customer, "other body").seed("reservation"));
    assert_ne!(seed, call(customer, "1").seed("transaction"));
    assert_ne!(seed, call(CustomerId::derived([2; 16]), "1").seed("reservation"));
}
