//! Those who went away hold nobody up: when ten places get free, the next ten who are there come in.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::Finding;
use crate::figure::Figures;
use crate::servers::Bench;
use crate::upstream::Shop;
use crate::visitor::Visitor;

const CAP: usize = 10;
/// Two seconds between two polls near the front, one until the door tells of the places that got free.
const AT_ONCE_S: f64 = 3.0;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(bench: &Bench) -> Result<Finding> {
    let (mut took_s, mut notes) = (Vec::new(), Vec::new());
    // The places get free soon after the ten have left, and long after.
    for wait_s in bench.runs(vec![1, 5, 15, 30], vec![2]) {
        let took = once(bench, Duration::from_secs(wait_s)).await?;
        notes.push(format!("places free {wait_s} s after the joins: numbers 21-30 were in {took:.2} s later"));
        took_s.push(took);
    }
    let took_s = Figures::new(took_s);
    let found = Finding::new(took_s.max() <= AT_ONCE_S, format!("all ten of them in after {took_s:.1} s"));
    Ok(notes.into_iter().fold(found, Finding::note))
}

/// Seconds from the moment the ten inside are done until 21 to 30 are in.
async fn once(bench: &Bench, wait: Duration) -> Result<f64> {
    let (redis, shop) = (bench.redis().await?, Shop::open().await?);
    let settings = [
        ("waiting_room.store", redis.url.clone()),
        ("waiting_room.upstream", format!("http://{}", shop.address)),
        ("waiting_room.rooms.demo.rate_per_minute", "60000".to_owned()),
        ("waiting_room.rooms.demo.max_active", CAP.to_string()),
    ];
    let door = bench.door(&bench.folder("door")?, &settings).await?;
    // The meter begins empty.
    sleep(Duration::from_secs(2)).await;
    let mut people = Vec::new();
    for _ in 0..3 * CAP {
        people.push(Visitor::join(door.process.address).await?);
    }
    let inside: Vec<Visitor> = people.drain(..CAP).collect();
    ensure!(inside.iter().all(|visitor| visitor.entry.is_some()), "the first ten go in at once");
    // Ten close their tabs and are never heard of again.
    people.drain(..CAP);
    let waiting: Vec<_> = people
        .into_iter()
        .map(|mut visitor| {
            ensure!(visitor.number > 2 * CAP as u64, "those who stay are the last ten");
            Ok(tokio::spawn(async move { visitor.enter(wait + PATIENCE).await.map(|()| Instant::now()) }))
        })
        .collect::<Result<_>>()?;
    sleep(wait).await;
    ensure!(waiting.iter().all(|visitor| !visitor.is_finished()), "nobody goes in above the cap");
    let free = Instant::now();
    for visitor in &inside {
        ensure!(visitor.order().await? == 200, "an order that ends the session");
    }
    let mut last = free;
    for visitor in waiting {
        last = last.max(visitor.await??);
    }
    Ok(last.duration_since(free).as_secs_f64())
}
