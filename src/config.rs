//! Settings: flag over environment over file over default, every name checked, every mistake told with its place.
//!
//! The only code that reads the environment. Each library owns its own section; this file owns what is left:
//! the listeners, the data folder, the log and the start.

mod source;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use figment::Figment;
use serde::Deserialize;
use waiting_room::AccessFiles;

pub(crate) use source::SettingsError;

use crate::cli::SettingsArgs;

/// Everything that can be set, in the shape of `vestibule.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Folder of the databases, the journal, the keys and the operator's password.
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: Listen,
    pub(crate) log: Log,
    pub(crate) start: Start,
    pub(crate) demo: Demo,
    pub(crate) link: Link,
    pub(crate) waiting_room: waiting_room::Settings,
    pub(crate) core: gateway_core::Settings,
    pub(crate) sandbox: gateway_core::sandbox::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            listen: Listen::default(),
            log: Log::default(),
            start: Start::default(),
            demo: Demo::default(),
            link: Link::default(),
            waiting_room: waiting_room::Settings::default(),
            core: gateway_core::Settings::default(),
            sandbox: gateway_core::sandbox::Settings::default(),
        }
    }
}

/// Where each server listens. Port 0 takes any free port.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// The front door: what visitors reach.
    pub(crate) door: SocketAddr,
    /// The core's pages and JSON.
    pub(crate) core: SocketAddr,
    /// The core's gRPC.
    pub(crate) core_grpc: SocketAddr,
    /// The sandbox payment provider.
    pub(crate) sandbox: SocketAddr,
    /// Admin API, dashboard, metrics and health. Keep it off the public network.
    pub(crate) operator: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            door: loopback(8080),
            core: loopback(8081),
            core_grpc: loopback(8082),
            sandbox: loopback(8083),
            operator: loopback(9090),
        }
    }
}

/// News of the program, but not a line for every request: those are `vestibule::request=info`.
const QUIET: &str = "warn,vestibule=info,waiting_room=info,gateway_core=info,vestibule::request=warn";

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `text` for people, `json` for machines.
    pub(crate) format: LogFormat,
    /// Levels by module, as in `info,waiting_room=debug`.
    pub(crate) filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: QUIET.to_owned() }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// What happens at the start.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Start {
    /// How long a store or database that does not answer is asked again before the start is given up, milliseconds.
    pub(crate) patience_ms: u64,
}

impl Default for Start {
    fn default() -> Self {
        Self { patience_ms: 30_000 }
    }
}

/// The sale that shows everything, seeded on the first start. The windows count only then: they are the sale's.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Demo {
    /// Whether the core seeds it.
    pub(crate) seed: bool,
    /// From picking seats to checkout, milliseconds.
    pub(crate) hold_ms: i64,
    /// From checkout to payment, milliseconds.
    pub(crate) pay_ms: i64,
    /// Posters in the flash sale.
    pub(crate) stock: i64,
    /// Coupons of the campaign.
    pub(crate) coupons: i64,
}

impl Default for Demo {
    fn default() -> Self {
        Self { seed: true, hold_ms: 120_000, pay_ms: 420_000, stock: 100, coupons: 1_000 }
    }
}

/// Where the two roles find each other when they run apart. Empty: on the listeners of these settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Link {
    /// Where the core reads the public keys of entry tokens.
    pub(crate) entry_keys_url: String,
    /// Where the door hears what is left to sell.
    pub(crate) availability_url: String,
}

/// Settings, and where each of them came from.
pub(crate) struct Config {
    pub(crate) settings: Settings,
    sources: Figment,
}

impl Config {
    /// Reads all sources.
    pub(crate) fn load(arguments: &SettingsArgs) -> Result<Self, SettingsError> {
        let sources = source::collect(arguments)?;
        let mut settings: Settings = sources.extract().map_err(|error| source::explain(error, &sources))?;
        read_headers(&mut settings)?;
        Ok(Self { settings, sources })
    }

    /// Whether somebody set this name; if not, its value is a default.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.sources.find_value(name).is_ok()
    }

    /// Fills in the addresses that nobody set, from where the servers really listen.
    pub(crate) fn link_to(&mut self, listening: &Listen) {
        let set = [
            "waiting_room.upstream",
            "core.public_url",
            "core.processor_url",
            "sandbox.public_url",
            "sandbox.webhook_url",
        ]
        .map(|name| self.is_set(name));
        let url = |address: SocketAddr| format!("http://{address}");
        let settings = &mut self.settings;
        let derived = [
            (&mut settings.waiting_room.upstream, url(listening.core)),
            (&mut settings.core.public_url, url(listening.door)),
            (&mut settings.core.processor_url, url(listening.sandbox)),
            (&mut settings.sandbox.public_url, url(listening.sandbox)),
            (&mut settings.sandbox.webhook_url, format!("{}/webhooks/sandbox", url(listening.core))),
        ];
        for ((place, value), set) in derived.into_iter().zip(set) {
            if !set {
                *place = value;
            }
        }
        if settings.link.entry_keys_url.is_empty() {
            settings.link.entry_keys_url = format!("{}/.waiting-room/jwks.json", url(listening.door));
        }
        if settings.link.availability_url.is_empty() {
            settings.link.availability_url = url(listening.core_grpc);
        }
        settings.listen = listening.clone();
    }

    /// Puts the embedded databases into the data folder, unless somebody said otherwise.
    pub(crate) fn place_databases(&mut self) {
        let data_dir = self.settings.data_dir.clone();
        let file = |name: &str| format!("sqlite://{}", data_dir.join(name).display());
        if !self.is_set("core.database_url") {
            self.settings.core.database_url = file("core.db");
        }
        if !self.is_set("sandbox.database_path") {
            self.settings.sandbox.database_path = data_dir.join("sandbox.db");
        }
    }

    /// The journal of the embedded line.
    pub(crate) fn journal_dir(&self) -> PathBuf {
        self.settings.data_dir.join("line")
    }

    /// What stands in the files that rooms name for access codes and for the keys of tokens.
    pub(crate) fn access_files(&self) -> Result<BTreeMap<String, AccessFiles>> {
        let read = |file: Option<&PathBuf>| match file {
            Some(file) => fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display())),
            None => Ok(String::new()),
        };
        let files = self.settings.waiting_room.rooms.iter().map(|(name, room)| {
            let codes = read(room.access_codes.as_ref())?;
            let keys = read(room.access_tokens.as_ref().map(|tokens| &tokens.keys))?;
            Ok((name.clone(), AccessFiles { codes, keys }))
        });
        files.collect()
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }
}

/// Puts what stands in the files that bypass rules name for their headers in the place of these names.
fn read_headers(settings: &mut Settings) -> Result<(), SettingsError> {
    for (name, room) in &mut settings.waiting_room.rooms {
        for rule in &mut room.bypass {
            let Some(file) = rule.header_file.take() else { continue };
            let place = format!("`waiting_room.rooms.{name}.bypass.header_file`");
            if rule.header.is_some() {
                return Err(SettingsError::new(format!("{place}: `header` stands beside it; one of them is enough")));
            }
            let text = fs::read_to_string(&file)
                .map_err(|error| SettingsError::new(format!("{place}: cannot read {}: {error}", file.display())))?;
            rule.header = text.lines().next().map(|line| line.trim().to_owned());
        }
    }
    Ok(())
}

/// `mysql://user:secret@host/db` without the secret: for logs and terminals.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or(login, |(user, _)| user);
            format!("{scheme}://{user}:…@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
