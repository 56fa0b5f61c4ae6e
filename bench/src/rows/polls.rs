//! What a poll costs: processor time of the door against nginx with a fixed answer of the same size; and that the store
//! hears nothing of it, however many wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::time::sleep;
use waiting_room::store::RedisStore;

use super::sizes::wait_in_line;
use super::{Finding, slow_room};
use crate::figure::Figures;
use crate::http::{Connection, request};
use crate::load::closed_loop;
use crate::servers::{self, Bench, Cores, Door, Process, Redis, free_port};

const CONNECTIONS: usize = 64;
const RATIO_MAX: f64 = 1.5;
/// People in front of those who poll: a line in which nearly everybody is far from the front.
const AHEAD: u32 = 20_480;
/// Ticks differ by a few with the phase of the timer.
const FLAT_WITHIN: f64 = 1.1;
/// Nought, but for where in its second a window of the measurement begins.
const A_POLL_MAX: f64 = 0.0001;

/// One ticket a connection, as polls.
async fn tickets(door: &Door) -> Result<Vec<Vec<u8>>> {
    let mut polls = Vec::new();
    for _ in 0..CONNECTIONS {
        let facts = door.join().await?;
        let ticket = facts["ticket"].as_str().with_context(|| format!("no ticket in {facts}"))?;
        let bearer = format!("Bearer {ticket}");
        let headers = [("authorization", bearer.as_str()), ("accept", "application/json")];
        polls.push(request("GET", "/.waiting-room/rooms/demo/ticket", &headers));
    }
    Ok(polls)
}

/// Door and nginx, as many of its processes as there are cores, and the requests that the door knows.
struct Pair {
    door: [Process; 1],
    nginx: Vec<Process>,
    requests: Vec<Vec<u8>>,
}

impl Pair {
    async fn start(bench: &Bench, cores: Cores, redis: &Redis) -> Result<Pair> {
        let door = bench.door_on(cores, &bench.folder("door")?, &slow_room(redis)).await?;
        let requests = tickets(&door).await?;
        let body = body_as_long_as(bench, door.process.address, &requests[0]).await?;
        let (port, mut nginx) = (free_port()?, Vec::new());
        let processes = match cores {
            Cores::All => servers::cores()?,
            Cores::One(_) => 1,
        };
        for _ in 0..processes {
            nginx.push(bench.nginx(port, cores, &body).await?);
        }
        Ok(Pair { door: [door.process], nginx, requests })
    }

    /// Microseconds a poll, of the door and of nginx.
    async fn run(&self, polls: u64) -> Result<(f64, f64)> {
        let ours = cost_us(&self.door, &self.requests, polls).await?;
        Ok((ours, cost_us(&self.nginx, &self.requests, polls).await?))
    }
}

/// Each with a core to itself and the load on another, and each with all cores.
pub(super) async fn processor_time(bench: &Bench) -> Result<Finding> {
    let (pairs, polls) = bench.runs((7, 100_000), (2, 10_000));
    if servers::cores()? < 2 {
        bail!("this needs two cores: one for the server, one for the load");
    }
    let redis = bench.redis().await?;
    // The first door opens the room; those whose polls are measured stand at its end.
    drop(bench.door(&bench.folder("door")?, &slow_room(&redis)).await?);
    wait_in_line(&RedisStore::open(&redis.url).await?, AHEAD).await?;
    let (one, all) = (Pair::start(bench, Cores::One(1), &redis).await?, Pair::start(bench, Cores::All, &redis).await?);
    let (mut on_one, mut on_all, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..=pairs {
        Cores::One(0).take()?;
        let (ours, theirs) = one.run(polls).await?;
        Cores::All.take()?;
        let (ours_all, theirs_all) = all.run(polls).await?;
        // The first pair warms all of them up.
        if pair > 0 {
            notes.push(format!(
                "on one core {ours:.1} µs a poll, nginx {theirs:.1} µs; on all {ours_all:.1} µs, nginx {theirs_all:.1} µs"
            ));
            on_one.push(ours / theirs);
            on_all.push(ours_all / theirs_all);
        }
    }
    let (on_one, on_all) = (Figures::new(on_one), Figures::new(on_all));
    let held = on_one.median() <= RATIO_MAX && on_all.median() <= RATIO_MAX;
    let measured = format!(
        "{on_one} times nginx, each with a core to itself and the load on another; {on_all} times, each with all cores \
         and nginx with a process for each"
    );
    Ok(notes.into_iter().fold(Finding::new(held, measured), Finding::note))
}

/// A body with which nginx's whole answer is as long as the door's.
async fn body_as_long_as(bench: &Bench, door: std::net::SocketAddr, poll: &[u8]) -> Result<String> {
    let bytes = Connection::open(door).await?.send(poll).await?.bytes;
    let probe = bench.nginx(free_port()?, Cores::All, "x").await?;
    let head = Connection::open(probe.address).await?.send(poll).await?.bytes - 1;
    Ok("x".repeat(bytes.saturating_sub(head)))
}

/// Processor time for one request of a server that is one process or several, in microseconds.
async fn cost_us(server: &[Process], requests: &[Vec<u8>], count: u64) -> Result<f64> {
    let so_far = || server.iter().map(Process::cpu_s).sum::<Result<f64>>();
    let first = server.first().context("there is no process")?;
    let before = so_far()?;
    closed_loop(first.address, requests, count, 200).await?;
    Ok((so_far()? - before) * 1e6 / count as f64)
}

pub(super) async fn store_calls(bench: &Bench) -> Result<Finding> {
    let (seconds, polls) = bench.runs((10, 200_000), (3, 20_000));
    let window = Duration::from_secs(seconds);
    let redis = bench.redis().await?;
    let door = bench.door(&bench.folder("door")?, &slow_room(&redis)).await?;
    let store = RedisStore::open(&redis.url).await?;
    // Near the front: those whom the line wants to know about.
    let mut requests = tickets(&door).await?;
    wait_in_line(&store, 1_024).await?;
    let few_idle = rates(&redis, &door, &[], 0, window).await?;
    let few = rates(&redis, &door, &requests, polls, window).await?;
    wait_in_line(&store, 1_000_448).await?;
    // Now half of those who poll stand at the end of a million.
    requests.extend(tickets(&door).await?);
    let many_idle = rates(&redis, &door, &[], 0, window).await?;
    let many = rates(&redis, &door, &requests, polls, window).await?;
    // Once a second a door tells in one call who near the front is there, however many they are and however often they ask.
    let extra = (many.calls - many_idle.calls).max(few.calls - few_idle.calls);
    let a_poll = (extra - 1.0).max(0.0) * window.as_secs_f64() / polls as f64;
    let measured = format!(
        "{a_poll:.5} a poll, one report a second aside; while {:.0} polls a second are answered {:.0} operations a second \
         with 1,000 waiting, {:.0} with 1,000,000",
        polls as f64 / window.as_secs_f64(),
        few.operations,
        many.operations,
    );
    let note = |waiting: &str, idle: &Rates, polled: &Rates| {
        format!(
            "{waiting} waiting: {:.1} calls and {:.1} operations a second without polls, {:.1} and {:.1} with",
            idle.calls, idle.operations, polled.calls, polled.operations
        )
    };
    let holds = many.operations <= few.operations * FLAT_WITHIN && a_poll < A_POLL_MAX;
    Ok(Finding::new(holds, measured).note(note("1,000", &few_idle, &few)).note(note("1,000,000", &many_idle, &many)))
}

/// What Redis does in a second: calls of scripts, and all commands, those within scripts included.
struct Rates {
    calls: f64,
    operations: f64,
}

/// Both, in a window in which `polls` polls are answered.
async fn rates(redis: &Redis, door: &Door, requests: &[Vec<u8>], polls: u64, window: Duration) -> Result<Rates> {
    // What was heard before is told by then.
    sleep(Duration::from_millis(1_500)).await;
    let (calls, operations, started) = (redis.calls().await?, redis.commands().await?, Instant::now());
    if polls > 0 {
        // In tenths, so that the polls last as long as the window does.
        for _ in 0..10 {
            let tenth = Instant::now() + window / 10;
            closed_loop(door.process.address, requests, polls / 10, 200).await?;
            sleep(tenth.saturating_duration_since(Instant::now())).await;
        }
    }
    sleep(window.saturating_sub(started.elapsed())).await;
    let seconds = started.elapsed().as_secs_f64();
    // The questions are commands too, and no calls.
    let operations = redis.commands().await? - operations - 1;
    Ok(Rates { calls: (redis.calls().await? - calls) as f64 / seconds, operations: operations as f64 / seconds })
}
