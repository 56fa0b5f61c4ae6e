//! Database servers of a test's own, to be killed and started again: started by `deploy/servers.sh`, ended by their pids. For
//! tests of the core and of faults.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Servers {
    folder: TempDir,
    pids: Vec<u32>,
    /// `mysql://user:password@host:port`, with more hosts for a cluster; no database.
    pub(crate) url: String,
}

impl Servers {
    /// Calls a function of `deploy/servers.sh`, with its arguments.
    pub(crate) fn start(call: &[&str]) -> Servers {
        let mut servers =
            Servers { folder: tempfile::tempdir().expect("a folder"), pids: Vec::new(), url: String::new() };
        servers.call(call);
        servers
    }

    /// Starts a killed server of `start_mariadb` again, on the same port and folder.
    pub(crate) fn start_mariadb_again(&mut self, arguments: &[&str]) {
        let folder = self.folder.path().join("mariadb");
        let port = self.url.rsplit_once(':').expect("a port").1.to_owned();
        let url = self.url.clone();
        let call = ["run_mariadb", folder.to_str().expect("UTF-8"), &port];
        self.call(&[&call, arguments].concat());
        self.url = url;
    }

    /// Does what the user of `url` may not, on a server of `start_mariadb`.
    pub(crate) fn as_root(&self, sql: &str) {
        let socket = format!("--socket={}", self.folder.path().join("mariadb/socket").display());
        let done = Command::new("mariadb").args(["--no-defaults", &socket, "--user=root", "-e", sql]).status();
        assert!(done.expect("the mariadb client runs").success(), "{sql}");
    }

    /// `kill -9` of one of them, by the order in which they were started.
    pub(crate) fn kill(&mut self, at: usize) {
        signal(self.pids.remove(at), "KILL");
    }

    fn call(&mut self, call: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = if root.join("deploy").is_dir() { root } else { root.parent().expect("the workspace") };
        let script = "source deploy/servers.sh; run_dir=$1; shift; \"$@\" >&2 || exit 1; \
                      printf '%s\\n' \"$server_url\" \"${server_pids[*]}\"";
        let mut command = Command::new("bash");
        command.current_dir(root).args(["-uc", script, "servers"]).arg(self.folder.path()).args(call);
        let output = command.stdin(Stdio::null()).output().expect("bash runs");
        assert!(output.status.success(), "{call:?}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let mut lines = said.lines();
        self.url = lines.next().expect("an address").to_owned();
        let pids = lines.next().expect("pids").split(' ').filter(|pid| !pid.is_empty());
        self.pids.extend(pids.map(|pid| pid.parse::<u32>().expect("a pid")));
    }
}

/// Waits until the process is gone: nobody else does, its parent has ended.
fn signal(pid: u32, name: &str) {
    let _gone_already =
        Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
    while Path::new(&format!("/proc/{pid}/stat")).exists() && !is_zombie(pid) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

impl Drop for Servers {
    fn drop(&mut self) {
        for pid in self.pids.drain(..).rev() {
            signal(pid, "KILL");
        }
    }
}
