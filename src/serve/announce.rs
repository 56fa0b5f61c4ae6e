//! What a person sees when the servers are up: the addresses to open, and a new password, once.

use super::Role;
use crate::config::Config;
use crate::telemetry::request::Server;

/// Prints the addresses.
#[expect(clippy::print_stdout, reason = "this is what the person at the terminal waits for")]
pub(super) fn ready(role: Role, config: &Config, new_password: Option<&str>) {
    let listen = &config.settings.listen;
    let lines = [
        (Server::Door, "visit the shop", format!("http://{}/", listen.door)),
        (Server::Operator, "operate", format!("http://{}/", listen.operator)),
        (Server::Core, "core (JSON)", format!("http://{}/", listen.core)),
        (Server::CoreGrpc, "core (gRPC)", format!("http://{}/", listen.core_grpc)),
        (Server::Sandbox, "sandbox pay", format!("http://{}/", listen.sandbox)),
    ];
    println!("Vestibule is up. Data in {}", config.data_dir().display());
    for (server, what, url) in lines {
        if role.runs(server) {
            println!("  {what:<15} {url}");
        }
    }
    if let Some(password) = new_password {
        let file = config.data_dir().join("operator-password");
        println!("  operator password, shown this once and kept in {}: {password}", file.display());
    }
    if role.runs(Server::Door) {
        println!("  try: vestibule room set demo --rate 120    vestibule simulate --visitors 300");
    }
    println!("  stop with Ctrl-C");
}
