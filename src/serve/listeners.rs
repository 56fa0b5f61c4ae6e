//! The sockets of a role, all bound before anything else starts: a taken port is found before a database is touched.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};

use super::Role;
use crate::config::{Listen, SettingsError};
use crate::telemetry::request::Server;

/// Connections that wait to be accepted: a crowd that comes at once is not told to knock again a second later. The kernel
/// lowers it to its own limit (`net.core.somaxconn`).
const BACKLOG: u32 = 4_096;

const SERVERS: [Server; 5] = [Server::Door, Server::Core, Server::CoreGrpc, Server::Sandbox, Server::Operator];

/// Bound sockets, each to be taken once.
pub(super) struct Listeners(HashMap<&'static str, TcpListener>);

impl Listeners {
    /// Binds what the role serves.
    pub(super) async fn bind(role: Role, listen: &Listen) -> Result<Self> {
        let mut bound = HashMap::new();
        for server in SERVERS.into_iter().filter(|server| role.runs(*server)) {
            let mut listen = listen.clone();
            let address = *address(&mut listen, server);
            let listener = listen_on(address).map_err(|error| taken(server, address, &error))?;
            bound.insert(server.name(), listener);
        }
        Ok(Self(bound))
    }

    /// Where the servers really listen: differs from the settings where those say port 0.
    pub(super) fn addresses(&self, settings: &Listen) -> Result<Listen> {
        let mut listen = settings.clone();
        for server in SERVERS {
            if let Some(listener) = self.0.get(server.name()) {
                *address(&mut listen, server) = listener.local_addr().context("a socket has no address")?;
            }
        }
        Ok(listen)
    }

    /// The socket of a server, if the role runs it.
    pub(super) fn take(&mut self, server: Server) -> Option<TcpListener> {
        self.0.remove(server.name())
    }
}

fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As `TcpListener::bind` does: a restart does not wait for the last run's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn address(listen: &mut Listen, server: Server) -> &mut SocketAddr {
    match server {
        Server::Door => &mut listen.door,
        Server::Core => &mut listen.core,
        Server::CoreGrpc => &mut listen.core_grpc,
        Server::Sandbox => &mut listen.sandbox,
        Server::Operator => &mut listen.operator,
    }
}

fn taken(server: Server, address: SocketAddr, error: &std::io::Error) -> SettingsError {
    let name = server.name();
    SettingsError::new(format!(
        "cannot listen on {address}: {error}. Stop what uses it, or choose another address: \
         --set listen.{name}=127.0.0.1:PORT, VESTIBULE_LISTEN__{}, or `{name}` under [listen] in the settings file",
        name.to_uppercase()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_setting() {
        let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen =
            Listen { door: holder.local_addr().unwrap(), core: any, core_grpc: any, sandbox: any, operator: any };
        let error = Listeners::bind(Role::WaitingRoom, &listen).await.err().expect("taken").to_string();
        assert!(error.contains("listen.door") && error.contains("VESTIBULE_LISTEN__DOOR"), "{error}");
    }

    #[tokio::test]
    async fn port_zero_becomes_the_real_one() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen = Listen { door: any, core: any, core_grpc: any, sandbox: any, operator: any };
        let mut listeners = Listeners::bind(Role::All, &listen).await.unwrap();
        let real = listeners.addresses(&listen).unwrap();
        assert_ne!(real.door.port(), 0);
        assert!(listeners.take(Server::Door).is_some() && listeners.take(Server::Door).is_none());
    }
}
