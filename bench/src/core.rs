//! The core that is measured: alone, from this build, open to everybody, on a database of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::{Connection, request_with};
use crate::servers::{Bench, Process, free_port, program_folder};

/// The header of all bodies.
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// Starts a core on this database.
pub(crate) async fn start(bench: &Bench, database: &str) -> Result<Process> {
    let (port, folder) = (free_port()?, bench.folder("core")?);
    let mut command = Command::new(program_folder()?.join("vestibule"));
    command.current_dir(&folder).arg("core");
    let settings = [
        ("listen.core", format!("127.0.0.1:{port}")),
        ("listen.core_grpc", format!("127.0.0.1:{}", free_port()?)),
        ("listen.operator", format!("127.0.0.1:{}", free_port()?)),
        ("core.database_url", database.to_owned()),
        ("waiting_room.rooms.demo.open", "[\"/**\"]".to_owned()),
        ("log.filter", "warn".to_owned()),
    ];
    for (name, value) in settings {
        command.args(["--set", &format!("{name}={value}")]);
    }
    Process::start(command, &folder, port).await.context("vestibule core")
}

/// A new customer's `Authorization`.
pub(crate) async fn customer(address: SocketAddr, name: &str) -> Result<String> {
    let body = format!(r#"{{"email":"{name}@example.org","password":"correct horse battery"}}"#);
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        // It listens before it serves.
        let mut connection = Connection::open(address).await?;
        let reply = connection.send(&request_with("POST", "/register", &[JSON], &body)).await?;
        match reply.json()["token"].as_str() {
            Some(token) => return Ok(format!("Bearer {token}")),
            None if Instant::now() > end => bail!("no customer: {}", String::from_utf8_lossy(reply.body)),
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
