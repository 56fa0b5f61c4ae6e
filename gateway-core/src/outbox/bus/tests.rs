//! Redis Streams in front of both databases: a Redis that works, loses everything, or is not there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Bus, RedisStreams};
use crate::base::ReservationId;
use crate::db::{DbError, in_tx, params};
use crate::outbox::tests::Ear;
use crate::outbox::{Event, Worker, publish};
use crate::testing::{World, on_every_database};

on_every_database!(
    two_processes_hear_each_message_once,
    what_redis_loses_is_relayed_again,
    what_a_dead_reader_had_goes_to_another,
    a_late_entry_is_refused,
    without_redis_messages_are_taken_from_the_rows,
);

/// Streams of this story alone; `None` where there is no server, which CI does not accept.
fn streams() -> Option<RedisStreams> {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings file")]
    let (url, ci) = (std::env::var("VESTIBULE_TEST_REDIS_URL"), std::env::var("CI"));
    if url.is_err() {
        assert!(ci.as_deref() != Ok("true"), "CI needs VESTIBULE_TEST_REDIS_URL");
    }
    Some(RedisStreams::at(&url.ok()?, &format!("test:{:016x}", rand::random::<u64>())).expect("an address"))
}

async fn tell(world: &World, n: u8) {
    let told: Result<(), DbError> =
        in_tx!(world.db, tx, { publish(tx, ReservationId::derived([n; 16]), &Event::OrderClosing).await });
    told.expect("told");
}

async fn done(world: &World, many: i64) {
    // Longer than a lease.
    for _ in 0..1_000 {
        if world.count("select count(*) from outbox where state = 'done'").await == many {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{many} are never done");
}

async fn leases_end(world: &World) {
    in_tx!(world.db, tx, { tx.execute("update outbox set due_at = 1 where state = 'ready'", params![]).await })
        .expect("done");
}

fn worker(world: &World, streams: &RedisStreams, ear: &Ear) -> Worker<Ear> {
    Worker::new(world.db.clone(), ear.clone()).on(Bus::RedisStreams(Box::new(streams.another())))
}

async fn two_processes_hear_each_message_once(world: &World) {
    let Some(streams) = streams() else { return };
    let (one, two) = (Ear::default(), Ear::default());
    let stop = CancellationToken::new();
    let running: Vec<_> = [&one, &two]
        .into_iter()
        .map(|ear| {
            let (worker, stop) = (worker(world, &streams, ear), stop.clone());
            tokio::spawn(async move { worker.run(Duration::from_millis(200), &stop).await })
        })
        .collect();
    for n in 1..=60 {
        tell(world, n % 20 + 1).await;
    }
    done(world, 60).await;
    stop.cancel();
    for task in running {
        task.await.expect("it stops");
    }
    assert_eq!(one.commits().concat().len() + two.commits().concat().len(), 60);
    assert_eq!(world.count("select count(*) from outbox where tries > 0").await, 0, "no lease ran out");
}

async fn what_redis_loses_is_relayed_again(world: &World) {
    let Some(streams) = streams() else { return };
    let ear = Ear::default();
    let worker = worker(world, &streams, &ear);
    tell(world, 1).await;
    assert_eq!(worker.relay_round(&streams).await.expect("relayed"), 1);
    let lost = streams.read("payment").await.expect("an entry");
    streams.acknowledge("payment", &lost).await.expect("as if it had never been there");
    assert_eq!(worker.relay_round(&streams).await.expect("a look"), 0, "it is leased");
    leases_end(world).await;
    assert_eq!(worker.relay_round(&streams).await.expect("relayed"), 1);
    worker.hear_round(&streams).await.expect("heard");
    assert_eq!(ear.commits().concat().len(), 1);
    assert_eq!(world.count("select tries from outbox").await, 0, "that Redis lost it is nobody's failure");
}

async fn what_a_dead_reader_had_goes_to_another(world: &World) {
    let Some(streams) = streams() else { return };
    let (ear, dead) = (Ear::default(), streams.another());
    let worker = worker(world, &streams, &ear);
    tell(world, 1).await;
    worker.relay_round(&streams).await.expect("relayed");
    assert_eq!(dead.read("payment").await.expect("an entry").len(), 1);
    let lost = streams.read_lost("payment", Duration::ZERO).await.expect("it is claimed");
    worker.hear_all(&streams, &lost).await.expect("heard");
    assert_eq!(ear.commits().concat().len(), 1);
    assert!(streams.read_lost("payment", Duration::ZERO).await.expect("an answer").is_empty(), "acknowledged");
    dead.leave("payment").await.expect("an answer");
}

async fn a_late_entry_is_refused(world: &World) {
    let Some(streams) = streams() else { return };
    let ear = Ear::default();
    let worker = worker(world, &streams, &ear);
    tell(world, 1).await;
    for _ in 0..2 {
        worker.relay_round(&streams).await.expect("relayed");
        leases_end(world).await;
    }
    let both = streams.read("payment").await.expect("entries");
    assert_eq!(both.len(), 2);
    worker.hear_all(&streams, &both[..1]).await.expect("refused");
    assert!(ear.commits().is_empty(), "its fence is not the last one");
    worker.hear_all(&streams, &both[1..]).await.expect("heard");
    assert_eq!(ear.commits().concat().len(), 1);
}

async fn without_redis_messages_are_taken_from_the_rows(world: &World) {
    let nobody = RedisStreams::at("redis://127.0.0.1:9/0", "test").expect("an address");
    let ear = Ear::default();
    let (worker, stop) = (worker(world, &nobody, &ear), CancellationToken::new());
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(Duration::from_millis(50), &stop).await }
    });
    for n in 1..=5 {
        tell(world, n).await;
    }
    done(world, 5).await;
    stop.cancel();
    running.await.expect("it stops");
    assert_eq!(ear.commits().concat().len(), 5);
    assert_eq!(world.count("select count(*) from outbox where tries > 0").await, 0);
}

#[test]
fn a_bus_is_the_database_or_one_redis() {
    assert!(matches!(Bus::parse("database"), Ok(Bus::Database)));
    assert!(matches!(Bus::parse("redis://127.0.0.1:6379/1"), Ok(Bus::RedisStreams(_))));
    for bad in ["", "kafka://x", "redis+cluster://a:1,b:2", "redis://"] {
        assert!(Bus::parse(bad).is_err(), "{bad}");
    }
}
