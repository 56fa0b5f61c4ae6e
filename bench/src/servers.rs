//! The servers that are measured: Redis, nginx and doors, as processes of this run's own on free ports of the loopback,
//! with what the kernel says they cost. All are ended by their pid when dropped.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::http::{Connection, request, request_with};

/// A start takes a second; a loaded machine may need many.
const START_WITHIN: Duration = Duration::from_secs(30);
/// The kernel counts processor time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// One run of the bench: where its files lie, and how thorough it is.
pub(crate) struct Bench {
    folder: PathBuf,
    quick: bool,
    /// The figures of the story in which most are gone, once it was told: two rows read them.
    pub(crate) abandoned: OnceCell<serde_json::Value>,
}

impl Bench {
    pub(crate) fn new(quick: bool) -> Result<Bench> {
        let target = program_folder()?.join("../bench");
        let folder = target.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Bench { folder: folder.canonicalize()?, quick, abandoned: OnceCell::new() })
    }

    /// `thorough` runs, or `quick` ones.
    pub(crate) fn runs<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }

    /// A fresh folder in the run's own.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let port = free_port()?;
        let folder = self.folder.join(format!("{name}-{port}"));
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// An empty Redis that keeps nothing on disk, as `deploy/servers.sh` starts it.
    pub(crate) async fn redis(&self) -> Result<Redis> {
        let (port, folder) = (free_port()?, self.folder("redis")?);
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(&folder);
        let process = Process::start(command, &folder, port).await.context("redis-server")?;
        let url = format!("redis://{}/0", process.address);
        let connection = redis::Client::open(url.as_str())?.get_multiplexed_async_connection().await?;
        Ok(Redis { process, url, connection })
    }

    /// An empty MariaDB with an empty database `core`, every commit on the disk in both logs, as one would trust it.
    pub(crate) async fn mariadb(&self) -> Result<Process> {
        let (port, folder) = (free_port()?, self.folder("mariadb")?);
        let (data, temporary) = (folder.join("data"), folder.join("tmp"));
        fs::create_dir(&temporary)?;
        let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
        let user = format!("--user={}", user.trim());
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", &user, "--skip-test-db", "--auth-root-authentication-method=normal"]);
        install.env("TMPDIR", &temporary).arg(format!("--tmpdir={}", temporary.display()));
        let made = install.arg(format!("--datadir={}", data.display())).output().context("mariadb-install-db")?;
        if !made.status.success() {
            bail!("mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
        }
        let user_sql = "create user 'vestibule'@'127.0.0.1' identified by 'vestibule';\ngrant all on *.* to 'vestibule'@'127.0.0.1';\n";
        fs::write(folder.join("init.sql"), format!("create database core;\n{user_sql}"))?;
        let mut command = Command::new("mariadbd");
        command.args(["--no-defaults", &user, "--bind-address=127.0.0.1", &format!("--port={port}")]);
        command.args([
            "--innodb-flush-log-at-trx-commit=1",
            "--sync-binlog=1",
            "--log-bin=bin",
            "--max-connections=200",
        ]);
        for (name, file) in [("datadir", "data"), ("tmpdir", "tmp"), ("socket", "socket"), ("init-file", "init.sql")] {
            command.arg(format!("--{name}={}", folder.join(file).display()));
        }
        Process::start(command, &folder, port).await.context("mariadbd")
    }

    /// nginx with one process that answers everything with the same bytes, and logs nothing.
    pub(crate) async fn nginx(&self, port: u16, cores: Cores, body: &str) -> Result<Process> {
        let folder = self.folder("nginx")?;
        let settings = format!(
            "daemon off; master_process off; worker_processes 1; pid pid; error_log stderr crit;\n\
             events {{ worker_connections 2048; }}\n\
             http {{ access_log off; keepalive_requests 100000000; server {{\n\
               listen 127.0.0.1:{port} reuseport; default_type application/json;\n\
               location / {{ return 200 '{body}'; }} }} }}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, settings)?;
        let mut command = cores.command(Path::new("nginx"));
        command.arg("-p").arg(&folder).arg("-c").arg(&file).args(["-e", "stderr"]);
        Process::start(command, &folder, port).await.context("nginx")
    }

    /// The front door alone, from this build. `folder` has its keys, which all doors of one line share.
    pub(crate) async fn door(&self, folder: &Path, settings: &[(&str, String)]) -> Result<Door> {
        self.door_on(Cores::All, folder, settings).await
    }

    /// The same, where only some cores are there for it.
    pub(crate) async fn door_on(&self, cores: Cores, folder: &Path, settings: &[(&str, String)]) -> Result<Door> {
        let (port, operator) = (free_port()?, free_port()?);
        let mut command = cores.command(&program_folder()?.join("vestibule"));
        command.current_dir(folder).arg("waiting-room");
        let own = [("listen.door", format!("127.0.0.1:{port}")), ("listen.operator", format!("127.0.0.1:{operator}"))];
        for (name, value) in own.iter().chain(settings) {
            command.args(["--set", &format!("{name}={value}")]);
        }
        let process = Process::start(command, folder, port).await.context("vestibule")?;
        // It listens before it serves.
        Connection::open(process.address).await?.send(&request("GET", "/.waiting-room/rooms/demo", &[])).await?;
        Ok(Door { process, operator: SocketAddr::from(([127, 0, 0, 1], operator)), folder: folder.to_owned() })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a server runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cores {
    All,
    /// This one alone, by its number from 0 on.
    One(usize),
}

impl Cores {
    fn command(self, program: &Path) -> Command {
        match self {
            Cores::All => Command::new(program),
            Cores::One(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
        }
    }

    /// Moves this process, which makes the load, with all its threads.
    pub(crate) fn take(self) -> Result<()> {
        let cores = match self {
            Cores::All => format!("0-{}", cores()? - 1),
            Cores::One(core) => core.to_string(),
        };
        let mut command = Command::new("taskset");
        command.args(["-a", "-c", "-p", &cores, &std::process::id().to_string()]).stdout(Stdio::null());
        if !command.status().context("taskset")?.success() {
            bail!("taskset did not move the load to cores {cores}");
        }
        Ok(())
    }
}

/// How many cores this machine has, whatever this process may use.
pub(crate) fn cores() -> Result<usize> {
    let known = fs::read_to_string("/proc/cpuinfo")?;
    Ok(known.lines().filter(|line| line.starts_with("processor")).count().max(1))
}

/// Where the programs of this build are.
pub(crate) fn program_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().context("a program lies in a folder")?.to_owned())
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A running server.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) async fn start(mut command: Command, folder: &Path, port: u16) -> Result<Process> {
        let log = File::create(folder.join(format!("log-{port}")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot be started")?;
        let mut process = Process { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let end = Instant::now() + START_WITHIN;
        while TcpStream::connect(process.address).await.is_err() {
            if process.child.try_wait()?.is_some() || Instant::now() > end {
                let log = fs::read_to_string(folder.join(format!("log-{port}"))).unwrap_or_default();
                bail!("did not come up: {log}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(process)
    }

    /// Processor time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold spaces; user and system time are the 12th and 13th word behind it.
        let words: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| words.get(at).and_then(|word| word.parse::<f64>().ok()).context("no processor time");
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no resident memory")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1_024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Redis and a connection that asks it what it did.
pub(crate) struct Redis {
    pub(crate) process: Process,
    pub(crate) url: String,
    connection: redis::aio::MultiplexedConnection,
}

impl Redis {
    /// Commands that it has processed so far: this question, and those within scripts, included.
    pub(crate) async fn commands(&self) -> Result<u64> {
        self.counted("stats", "total_commands_processed:").await
    }

    /// Calls of scripts so far: all that doors ask of it.
    pub(crate) async fn calls(&self) -> Result<u64> {
        self.counted("commandstats", "cmdstat_evalsha:calls=").await
    }

    async fn counted(&self, section: &str, name: &str) -> Result<u64> {
        let mut connection = self.connection.clone();
        let info: String = redis::cmd("INFO").arg(section).query_async(&mut connection).await?;
        let count = info.lines().find_map(|line| line.strip_prefix(name)).context("no such count")?;
        Ok(count.split(',').next().unwrap_or_default().trim().parse()?)
    }

    /// Bytes of all keys together, and how many there are.
    pub(crate) async fn bytes_of_keys(&self) -> Result<(u64, usize)> {
        let mut connection = self.connection.clone();
        let keys: Vec<String> = redis::cmd("KEYS").arg("vestibule:*").query_async(&mut connection).await?;
        let mut bytes = 0;
        for key in &keys {
            let mut usage = redis::cmd("MEMORY");
            let of_key: u64 = usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0).query_async(&mut connection).await?;
            bytes += of_key;
        }
        Ok((bytes, keys.len()))
    }
}

/// A door.
pub(crate) struct Door {
    pub(crate) process: Process,
    operator: SocketAddr,
    folder: PathBuf,
}

impl Door {
    /// Takes a place in line; the facts.
    pub(crate) async fn join(&self) -> Result<serde_json::Value> {
        self.ask(&request("POST", "/.waiting-room/rooms/demo/tickets", &[])).await
    }

    /// Sends a request of a visitor; the JSON of the answer.
    pub(crate) async fn ask(&self, request: &[u8]) -> Result<serde_json::Value> {
        Ok(Connection::open(self.process.address).await?.send(request).await?.json())
    }

    /// Changes the room as an operator.
    pub(crate) async fn change(&self, change: &serde_json::Value) -> Result<()> {
        let password = fs::read_to_string(self.folder.join("data/operator-password"))?;
        let bearer = format!("Bearer {}", password.trim());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let patch = request_with("PATCH", "/api/rooms/demo", &headers, &change.to_string());
        let mut connection = Connection::open(self.operator).await?;
        let reply = connection.send(&patch).await?;
        if reply.status != 200 {
            bail!("the operator's change was refused: {}", String::from_utf8_lossy(reply.body));
        }
        Ok(())
    }
}
