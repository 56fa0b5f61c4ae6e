//! `vestibule doctor`: checks this machine and what the settings point at, a line each, with what to do.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};

use crate::config::{Config, without_password};
use crate::failure::Down;
use crate::out::say;

/// Every visitor on an open connection costs the door two descriptors.
const OPEN_FILES_WANTED: u64 = 4_096;
/// A server that does not accept within this time is taken for down.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A finding: what was looked at, and what is wrong with it.
type Finding = (String, Result<String, String>);

/// Prints all findings; fails if one of them is bad.
pub(crate) async fn run(config: &Config) -> Result<()> {
    let settings = &config.settings;
    let mut findings = vec![open_files(), data_folder(config.data_dir())];
    for (name, address) in [
        ("listen.door", settings.listen.door),
        ("listen.core", settings.listen.core),
        ("listen.core_grpc", settings.listen.core_grpc),
        ("listen.sandbox", settings.listen.sandbox),
        ("listen.operator", settings.listen.operator),
    ] {
        findings.push((format!("{name} {address}"), port(address).await));
    }
    for (name, url) in
        [("waiting_room.store", &settings.waiting_room.store), ("core.database_url", &settings.core.database_url)]
    {
        for server in servers(url) {
            findings.push((format!("{name} {}", without_password(url)), reachable(&server).await));
        }
    }
    findings.push(("rooms in the store".to_owned(), rooms(config).await));
    // The address of a part that this process runs is for the others.
    let core = &settings.core;
    for (name, url, own) in [
        ("core.stock_url", &core.stock_url, core.services.stock),
        ("core.payment_url", &core.payment_url, core.services.payment),
    ] {
        for server in servers(url).into_iter().filter(|_| !own) {
            findings.push((format!("{name} {url}"), reachable(&server).await));
        }
    }
    let mut bad = 0;
    for (what, verdict) in findings {
        match verdict {
            Ok(said) => say!("ok    {what}: {said}"),
            Err(said) => {
                bad += 1;
                say!("FAIL  {what}: {said}");
            }
        }
    }
    if bad == 0 { Ok(()) } else { Err(Down(format!("{bad} of the checks failed")).into()) }
}

/// A room that was taken out of the settings keeps its line, so that it can be put back.
async fn rooms(config: &Config) -> Result<String, String> {
    match super::room::left_over(config).await {
        Ok(rooms) if rooms.is_empty() => Ok("none but those of the settings".to_owned()),
        Ok(rooms) => Ok(format!(
            "also {}, which the settings do not have: put back, or cleared by `vestibule room forget NAME`",
            rooms.join(", ")
        )),
        Err(error) => Err(format!("{error:#} (waiting_room.store)")),
    }
}

fn open_files() -> Finding {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|soft| soft.parse::<u64>().ok());
    let verdict = match soft {
        Some(soft) if soft < OPEN_FILES_WANTED => {
            Err(format!("{soft}; each visitor on an open connection takes two: ulimit -n {OPEN_FILES_WANTED} or more"))
        }
        Some(soft) => Ok(soft.to_string()),
        None => Ok("not known here".to_owned()),
    };
    ("open files".to_owned(), verdict)
}

fn data_folder(path: &Path) -> Finding {
    let verdict = fs::create_dir_all(path)
        .and_then(|()| {
            let probe = path.join(".doctor");
            fs::write(&probe, b"")?;
            fs::remove_file(probe)
        })
        .map(|()| "can be written".to_owned())
        .map_err(|error| format!("cannot be written: {error}; choose another with --data-dir"));
    (format!("data folder {}", path.display()), verdict)
}

async fn port(address: SocketAddr) -> Result<String, String> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok("free".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok("in use (by a running Vestibule, if one runs here)".to_owned())
        }
        Err(error) => Err(format!("{error}; choose another address")),
    }
}

/// `host:port` of each server in a store or database address; none for the embedded ones.
fn servers(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let port = match scheme {
        "http" => 80,
        "mysql" => 3306,
        "redis" | "redis+cluster" => 6379,
        "redis+sentinel" => 26379,
        _ => return Vec::new(),
    };
    let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    let hosts = hosts.split('/').next().unwrap_or_default();
    hosts.split(',').map(|host| if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") }).collect()
}

async fn reachable(server: &str) -> Result<String, String> {
    match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(server)).await {
        Ok(Ok(_)) => Ok(format!("{server} accepts connections")),
        Ok(Err(error)) => Err(format!("{server}: {error}; start it or correct the address")),
        Err(_) => Err(format!("{server}: no answer within {} s", CONNECT_WITHIN.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::servers;

    #[test]
    fn the_servers_behind_an_address() {
        assert_eq!(servers("mysql://u:p@db/core"), ["db:3306"]);
        assert_eq!(servers("redis+cluster://a:1,b:2"), ["a:1", "b:2"]);
        assert_eq!(servers("redis+sentinel://:p@a,b:2/main/0"), ["a:26379", "b:2"]);
        assert_eq!(servers("redis://localhost/0"), ["localhost:6379"]);
        assert_eq!(servers("http://stock:8082/"), ["stock:8082"]);
        assert!(servers("sqlite://x.db").is_empty() && servers("memory").is_empty());
    }
}
