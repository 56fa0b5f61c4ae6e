//! Redis processes of a test's own, to be killed, stopped and started empty. Ended by their pid when dropped.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A start takes a tenth of a second; a loaded machine may need many.
const START_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct RedisProcess {
    child: Child,
    folder: TempDir,
    port: u16,
}

/// Whether this machine has the program. In CI it must.
#[expect(clippy::disallowed_methods, reason = "whether this is CI is not a setting of the library")]
pub(crate) fn redis_is_here() -> bool {
    let here = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(here || std::env::var("CI").as_deref() != Ok("true"), "redis-server must be there in CI");
    here
}

impl RedisProcess {
    /// An empty server that keeps nothing on disk, with more arguments of redis-server.
    pub(crate) fn start(arguments: &[&str]) -> RedisProcess {
        RedisProcess::start_under(&[], arguments)
    }

    /// The same with more in its environment.
    pub(crate) fn start_under(environment: &[(String, String)], arguments: &[&str]) -> RedisProcess {
        RedisProcess::start_in(tempfile::tempdir().expect("a folder"), environment, arguments)
    }

    fn start_in(folder: TempDir, environment: &[(String, String)], arguments: &[&str]) -> RedisProcess {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let child = spawn(&folder, port, environment, arguments);
        let server = RedisProcess { child, folder, port };
        server.wait_until("ping", "PONG");
        server
    }

    /// A sentinel that promotes the replica of `master` as soon as it may.
    pub(crate) fn start_sentinel(master: &RedisProcess) -> RedisProcess {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = format!(
            "sentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 700\n\
             sentinel failover-timeout main 3000\n",
            master.port
        );
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, settings).expect("its settings");
        let file = file.to_str().expect("UTF-8").to_owned();
        let sentinel = RedisProcess::start_in(folder, &[], &[&file, "--sentinel"]);
        sentinel.wait_until("sentinel master main", "num-slaves\n1");
        sentinel
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("can be killed");
        self.child.wait().expect("is gone");
    }

    /// The same port again, and nothing in it.
    pub(crate) fn start_empty(&mut self) {
        self.start_again(&[]);
    }

    /// The same port and folder again: what its arguments kept is there again.
    pub(crate) fn start_again(&mut self, arguments: &[&str]) {
        self.child = spawn(&self.folder, self.port, &[], arguments);
        self.wait_until("ping", "PONG");
    }

    /// Sends it a signal by name: STOP or CONT.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// What the server says to a command.
    pub(crate) fn ask(&self, command: &str) -> String {
        let words = command.split(' ');
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).into_owned()
    }

    pub(crate) fn wait_until(&self, command: &str, answer: &str) {
        let end = Instant::now() + START_WITHIN;
        while !self.ask(command).contains(answer) {
            assert!(Instant::now() < end, "{command} never answered {answer}");
            sleep(Duration::from_millis(20));
        }
    }
}

fn spawn(folder: &TempDir, port: u16, environment: &[(String, String)], arguments: &[&str]) -> Child {
    let mut command = Command::new("redis-server");
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.args(arguments.iter().filter(|argument| argument.ends_with(".conf")));
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder.path());
    command.args(arguments.iter().filter(|argument| !argument.ends_with(".conf")));
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("redis-server starts")
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
