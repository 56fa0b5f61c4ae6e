//! What a person sees when the servers are up: the addresses to open, and a new password, once.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::Role;
use crate::config::Config;
use crate::telemetry::request::Server;

/// Prints the addresses. A server that nobody reads runs on.
pub(super) fn ready(role: Role, config: &Config, new_password: Option<&str>) {
    let listen = &config.settings.listen;
    let lines = [
        (Server::Door, "visit the shop", format!("http://{}/", listen.door)),
        (Server::Operator, "operate", format!("http://{}/", listen.operator)),
        (Server::Core, "core (JSON)", format!("http://{}/", listen.core)),
        (Server::CoreGrpc, "core (gRPC)", format!("http://{}/", listen.core_grpc)),
        (Server::Sandbox, "sandbox pay", format!("http://{}/", listen.sandbox)),
    ];
    let mut text = format!("Vestibule is up. Data in {}\n", config.data_dir().display());
    for (server, what, url) in lines {
        if role.runs(server) {
            let _ = writeln!(text, "  {what:<15} {url}");
        }
    }
    if let Some(password) = new_password {
        let file = config.data_dir().join("operator-password");
        let _ = writeln!(text, "  operator password, shown this once and kept in {}: {password}", file.display());
    }
    if role.runs(Server::Door) {
        text.push_str("  try: vestibule room set demo --rate 120    vestibule simulate --visitors 300\n");
    }
    text.push_str("  stop with Ctrl-C\n");
    let _ = io::stdout().write_all(text.as_bytes());
}
