//! Joins a second: one door, as it is, on an empty Redis; and the same door with a script call for each join.

use std::process::Command;

use anyhow::Result;

use super::{Finding, slow_room};
use crate::figure::Figures;
use crate::http::request;
use crate::load::closed_loop;
use crate::servers::{Bench, Process, program_folder};

const CONNECTIONS: usize = 256;
const PER_SECOND_MIN: f64 = 10_000.0;
const TIMES_MIN: f64 = 3.0;

pub(super) async fn measure(bench: &Bench) -> Result<Finding> {
    let (pairs, joins) = bench.runs((5, 40_000), (2, 5_000));
    let requests = vec![request("POST", "/.waiting-room/rooms/demo/tickets", &[]); CONNECTIONS];
    let (mut grouped, mut times) = (Vec::new(), Vec::new());
    let mut notes = Vec::new();
    for _ in 0..pairs {
        // Each run has servers of its own, so that none finds what another left.
        let redis = bench.redis().await?;
        let door = bench.door(&bench.folder("door")?, &slow_room(&redis)).await?;
        closed_loop(door.process.address, &requests, joins / 10, 201).await?;
        let calls = redis.commands().await?;
        let (door_s, redis_s) = (door.process.cpu_s()?, redis.process.cpu_s()?);
        let many = closed_loop(door.process.address, &requests, joins, 201).await?;
        notes.push(format!(
            "grouped: {:.0} a second; a join took {:.1} µs of the door, {:.1} µs of Redis; {:.3} Redis operations a join",
            many.per_second(),
            (door.process.cpu_s()? - door_s) * 1e6 / joins as f64,
            (redis.process.cpu_s()? - redis_s) * 1e6 / joins as f64,
            (redis.commands().await? - calls) as f64 / joins as f64,
        ));
        drop((door, redis));
        let redis = bench.redis().await?;
        let single = single_door(bench, &redis.url).await?;
        closed_loop(single.address, &requests, joins / 40, 201).await?;
        let one = closed_loop(single.address, &requests, joins / 4, 201).await?;
        notes.push(format!("one call a join: {:.0} a second", one.per_second()));
        grouped.push(many.per_second());
        times.push(many.per_second() / one.per_second());
    }
    let (grouped, times) = (Figures::new(grouped), Figures::new(times));
    let measured = format!("{grouped:.0} a second; {times:.1} times one call a join");
    let holds = grouped.median() >= PER_SECOND_MIN && times.median() >= TIMES_MIN;
    Ok(notes.into_iter().fold(Finding::new(holds, measured), Finding::note))
}

/// The same door without groups, on this Redis.
async fn single_door(bench: &Bench, store: &str) -> Result<Process> {
    let (port, folder) = (crate::servers::free_port()?, bench.folder("single")?);
    let mut command = Command::new(program_folder()?.join("vestibule-bench"));
    command.args(["single-door", "--listen", &format!("127.0.0.1:{port}"), "--store", store]);
    Process::start(command, &folder, port).await
}
