//! What the front door is told by its operator: plain data with defaults, and the checks that turn it into values
//! the rest may rely on. Reads no file and no environment.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::uri::{Authority, Scheme};
use http::{StatusCode, Uri};
use serde::Deserialize;

use crate::line::{Autopilot, GENERAL, RoomInitial, check_room_name};
use crate::store;

mod access;
mod begin;
mod joining;
mod loss;

pub use access::{Access, AccessTokens};
pub use begin::Begin;
pub use joining::{BypassRule, CrawlersGet, JoinLimit, LaneSettings, ProofOfWork};
pub use loss::OnStoreLoss;

/// Milliseconds since 1970, never going backwards.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Why the front door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting or a key cannot be used; it will not get better by waiting.
    #[error("settings of the waiting room: {0}")]
    Settings(String),
    /// The line's store does not answer; it may later.
    #[error("{0}")]
    Unreachable(String),
    /// The line's store cannot be used as it is.
    #[error(transparent)]
    Store(store::OpenError),
}

impl From<store::OpenError> for OpenError {
    fn from(error: store::OpenError) -> OpenError {
        match error {
            store::OpenError::Unreachable(_) => OpenError::Unreachable(error.to_string()),
            store::OpenError::Address(_) => OpenError::Settings(error.to_string()),
            store::OpenError::Unsafe(_)
            | store::OpenError::InUse(_)
            | store::OpenError::Damaged { .. }
            | store::OpenError::File { .. } => OpenError::Store(error),
        }
    }
}

impl From<BadSetting> for OpenError {
    fn from(bad: BadSetting) -> OpenError {
        OpenError::Settings(bad.to_string())
    }
}

/// Settings of the front door. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the line is kept: `memory`, `redis://host:port/0`, `redis+cluster://host:port,host:port` or
    /// `redis+sentinel://host:port,host:port/service/0`.
    pub store: String,
    /// What stands behind the door: `http://host:port`.
    pub upstream: String,
    /// Time in milliseconds until the upstream must have begun to answer.
    pub upstream_timeout_ms: u64,
    /// Addresses or networks (`10.0.0.0/8`) whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<String>,
    /// Largest request body in bytes.
    pub body_bytes_max: u64,
    /// HTTP status of the queue page.
    pub page_status: u16,
    /// Rooms by name.
    pub rooms: BTreeMap<String, RoomSettings>,
}

/// Settings of one room; rate and burst are only first values, afterwards the line keeps what the operator chose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomSettings {
    /// What visitors read as the name of the sale.
    pub title: String,
    /// People let in per minute.
    pub rate_per_minute: u32,
    /// People let in at once after a quiet time; 0 means the number of one second.
    pub burst: u32,
    /// How long an entry lasts, in milliseconds.
    pub session_ms: i64,
    /// A public value mixed into the room's draw, which nobody could know while people registered; empty = none.
    pub beacon: String,
    /// Live sessions at the same time; 0 = no cap.
    pub max_active: u32,
    /// People who may wait; 0 = no limit.
    pub queue_max: u64,
    /// Whether an entry that is used goes on, instead of ending after `session_ms` whatever happens.
    pub session_renewal: bool,
    /// How places are given, when, and in which state the room begins.
    pub begin: Begin,
    /// Lets the rate follow the upstream's health; without it only operators change the rate.
    pub autopilot: Option<Autopilot>,
    /// What needs no entry: `[METHOD ]/path`, `*` one segment, a final `**` any depth.
    pub open: Vec<String>,
    /// Hosts of this room, `tickets.example` or `*.example`; empty: all. An exact host goes before a wildcard, and a
    /// wildcard before none.
    pub hosts: Vec<String>,
    /// Paths of this room, as in `open` without a method; empty: all. The longest literal path goes first. What no
    /// room claims is refused, so one room should claim the rest.
    pub paths: Vec<String>,
    /// How often one network may join.
    pub join_limit: JoinLimit,
    /// The work asked for at joining.
    pub proof_of_work: ProofOfWork,
    /// Who need not wait.
    pub bypass: Vec<BypassRule>,
    /// Who may join.
    pub access: Access,
    /// File of access codes, `code[,lane]` a line.
    pub access_codes: Option<PathBuf>,
    /// Tokens that say who somebody is.
    pub access_tokens: Option<AccessTokens>,
    /// Who goes in while the line's store is away.
    pub on_store_loss: OnStoreLoss,
    /// How many nodes share the rate then; needed for `local`.
    pub local_nodes: u32,
    /// Lanes besides the general one: they share the rate by weight, and lend what they do not use.
    pub lanes: Vec<LaneSettings>,
    /// Whether somebody has one place in this room, however often they join: it asks everybody who they are.
    pub one_place_per_identity: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            store: "memory".to_owned(),
            upstream: "http://127.0.0.1:8081".to_owned(),
            upstream_timeout_ms: 30_000,
            trusted_proxies: Vec::new(),
            body_bytes_max: 1024 * 1024,
            page_status: 202,
            rooms: BTreeMap::from([("demo".to_owned(), RoomSettings::default())]),
        }
    }
}

/// What anybody may see of the demo shop without having waited: the programme, one's own account and bookings.
const OPEN_BY_DEFAULT: [&str; 20] = [
    "GET /",
    "GET /films",
    "GET /films/*",
    "GET /films/*/screenings",
    "GET /screenings/*",
    "/login",
    "/register",
    "/logout",
    "GET /static/**",
    "GET /orders/*",
    "GET /api/orders/*",
    // Giving back is never kept waiting, and who has bought is not inside any more.
    "POST /orders/*/cancel",
    "POST /api/orders/*/cancel",
    "GET /bookings",
    "POST /webhooks/*",
    "GET /favicon.ico",
    "GET /flashsale",
    "GET /transactions/*",
    "GET /customers/*/transactions",
    "GET /datapengguna",
];

impl Default for RoomSettings {
    fn default() -> RoomSettings {
        RoomSettings {
            title: "Demo sale".to_owned(),
            rate_per_minute: 60,
            burst: 0,
            session_ms: 15 * 60 * 1000,
            beacon: String::new(),
            max_active: 0,
            queue_max: 0,
            session_renewal: false,
            begin: Begin::default(),
            autopilot: None,
            open: OPEN_BY_DEFAULT.map(str::to_owned).to_vec(),
            hosts: Vec::new(),
            paths: Vec::new(),
            join_limit: JoinLimit::default(),
            proof_of_work: ProofOfWork::default(),
            bypass: Vec::new(),
            access: Access::Open,
            access_codes: None,
            access_tokens: None,
            on_store_loss: OnStoreLoss::Hold,
            local_nodes: 0,
            lanes: Vec::new(),
            one_place_per_identity: false,
        }
    }
}

/// Rooms of one door: each costs a tick every 250 ms.
const ROOMS_MAX: usize = 64;
const ROOM_TITLE_BYTES_MAX: usize = 200;
const BEACON_BYTES_MAX: usize = 500;
const UPSTREAM_TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1..=600_000;
const BODY_BYTES_CEILING: u64 = 1024 * 1024 * 1024;

/// A setting that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {reason}")]
pub(crate) struct BadSetting {
    name: String,
    reason: String,
}

fn bad(name: impl Into<String>, reason: impl Into<String>) -> BadSetting {
    BadSetting { name: name.into(), reason: reason.into() }
}

impl Settings {
    /// Checks what can be checked without opening anything; open rules are read elsewhere.
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        if self.rooms.is_empty() || self.rooms.len() > ROOMS_MAX {
            return Err(bad("rooms", format!("between 1 and {ROOMS_MAX} rooms are needed")));
        }
        if !UPSTREAM_TIMEOUT_MS.contains(&self.upstream_timeout_ms) {
            return Err(bad("upstream_timeout_ms", "must be between 1 and 600000"));
        }
        if self.body_bytes_max > BODY_BYTES_CEILING {
            return Err(bad("body_bytes_max", "must be at most 1 GiB"));
        }
        self.status()?;
        for (name, room) in &self.rooms {
            room.check(name)?;
        }
        Ok(())
    }

    /// The status of the queue page. A redirect or "no content" would show visitors an empty window.
    pub(crate) fn status(&self) -> Result<StatusCode, BadSetting> {
        StatusCode::from_u16(self.page_status)
            .ok()
            .filter(|status| status.is_success() || status.is_client_error() || status.is_server_error())
            .filter(|status| !matches!(*status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT))
            .ok_or_else(|| bad("page_status", "must be a status that carries a page, such as 202, 200, 429 or 503"))
    }

    /// Host and port of the upstream.
    pub(crate) fn upstream_authority(&self) -> Result<Authority, BadSetting> {
        let uri: Uri = self.upstream.parse().map_err(|_| bad("upstream", "is not a URL"))?;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && matches!(uri.path(), "" | "/") && uri.query().is_none();
        match uri.authority() {
            Some(authority) if plain && !authority.as_str().contains('@') => Ok(authority.clone()),
            Some(_) | None => Err(bad("upstream", "must look like http://host:port, without a path")),
        }
    }

    /// The networks whose `X-Forwarded-*` headers are believed.
    pub(crate) fn trusted(&self) -> Result<Vec<Network>, BadSetting> {
        let parse = |text: &String| {
            Network::parse(text)
                .ok_or_else(|| bad("trusted_proxies", format!("`{text}` is neither an address nor a network")))
        };
        self.trusted_proxies.iter().map(parse).collect()
    }
}

impl RoomSettings {
    fn check(&self, name: &str) -> Result<(), BadSetting> {
        if let Err(invalid) = check_room_name(name) {
            return Err(bad(format!("rooms.{name}"), invalid.to_string()));
        }
        if self.title.is_empty() || self.title.len() > ROOM_TITLE_BYTES_MAX {
            return Err(bad(format!("rooms.{name}.title"), "must have 1 to 200 bytes"));
        }
        if self.beacon.len() > BEACON_BYTES_MAX {
            return Err(bad(format!("rooms.{name}.beacon"), "must have at most 500 bytes"));
        }
        self.join_limit.check(name)?;
        self.proof_of_work.check(name)?;
        access::check(name, self)?;
        self.begin.check(name)?;
        self.on_store_loss.check(self.local_nodes, name)?;
        self.initial()
            .check()
            .and(self.autopilot.map_or(Ok(()), |autopilot| autopilot.check()))
            .map_err(|invalid| bad(format!("rooms.{name}.{}", invalid.field), invalid.to_string()))
    }

    /// The lanes that the settings name, and the general one.
    pub(crate) fn lane_names(&self) -> Vec<&str> {
        std::iter::once(GENERAL).chain(self.lanes.iter().map(|lane| lane.name.as_str())).collect()
    }

    /// The values that the line of this room begins with.
    pub(crate) fn initial(&self) -> RoomInitial {
        RoomInitial {
            rate_per_minute: self.rate_per_minute,
            burst: self.burst,
            session_ms: self.session_ms,
            max_active: self.max_active,
            queue_max: self.queue_max,
            session_renewal: self.session_renewal,
            lanes: self.lanes.iter().map(LaneSettings::initial).collect(),
            ..self.begin.initial()
        }
    }
}

/// A network in CIDR notation, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    base: u128,
    mask: u128,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        // IPv4 is compared in its mapped form, so that ::ffff:10.0.0.1 is 10.0.0.1.
        let (length_max, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits = bits.unwrap_or(length_max);
        if bits > length_max {
            return None;
        }
        let mask = u128::MAX.checked_shl(128 - offset - bits).unwrap_or(0);
        Some(Network { base: number(address) & mask, mask })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        number(address) & self.mask == self.base
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable() {
        let settings = Settings::default();
        settings.check().unwrap();
        assert_eq!(settings.upstream_authority().unwrap().as_str(), "127.0.0.1:8081");
    }

    #[test]
    fn each_bad_value_is_named() {
        let with = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            let outcome =
                settings.check().and(settings.upstream_authority().map(drop)).and(settings.trusted().map(drop));
            outcome.expect_err("this setting must be refused").name
        };
        assert_eq!(with(|s| s.rooms.clear()), "rooms");
        assert_eq!(with(|s| s.page_status = 302), "page_status");
        assert_eq!(with(|s| s.page_status = 204), "page_status");
        assert_eq!(with(|s| s.page_status = 9999), "page_status");
        assert_eq!(with(|s| s.upstream_timeout_ms = 0), "upstream_timeout_ms");
        assert_eq!(with(|s| s.body_bytes_max = u64::MAX), "body_bytes_max");
        assert_eq!(with(|s| s.upstream = "https://x".to_owned()), "upstream");
        assert_eq!(with(|s| s.upstream = "http://u:p@x".to_owned()), "upstream");
        assert_eq!(with(|s| s.upstream = "http://x/path".to_owned()), "upstream");
        assert_eq!(with(|s| s.trusted_proxies.push("10.0.0.0/33".to_owned())), "trusted_proxies");
        assert_eq!(
            with(|s| s.rooms.entry("demo".to_owned()).or_default().rate_per_minute = 0),
            "rooms.demo.rate_per_minute"
        );
        assert_eq!(with(|s| s.rooms.entry("demo".to_owned()).or_default().session_ms = -1), "rooms.demo.session_ms");
        assert_eq!(
            with(|s| s.rooms.entry("demo".to_owned()).or_default().beacon = "x".repeat(501)),
            "rooms.demo.beacon"
        );
        let required = with(|s| s.rooms.entry("demo".to_owned()).or_default().access = Access::Required);
        assert_eq!(required, "rooms.demo.access");
        let lane = with(|s| {
            let lanes = BTreeMap::from([("gold".to_owned(), "membres".to_owned())]);
            let (issuer, audience) = ("shop".to_owned(), "demo".to_owned());
            let tokens = AccessTokens { keys: "keys".into(), issuer, audience, lane_claim: "tier".to_owned(), lanes };
            s.rooms.entry("demo".to_owned()).or_default().access_tokens = Some(tokens);
        });
        assert_eq!(lane, "rooms.demo.access_tokens.lanes.gold");
        let bounds = with(|s| {
            let autopilot = Some(Autopilot { floor: 9, ceiling: 8, p95_ms: 300 });
            s.rooms.entry("demo".to_owned()).or_default().autopilot = autopilot;
        });
        assert_eq!(bounds, "rooms.demo.autopilot.ceiling");
        let local = with(|s| s.rooms.entry("demo".to_owned()).or_default().on_store_loss = OnStoreLoss::Local);
        assert_eq!(local, "rooms.demo.local_nodes");
        assert_eq!(with(|s| drop(s.rooms.insert("A b".to_owned(), RoomSettings::default()))), "rooms.A b");
    }

    #[test]
    fn networks_hold_what_they_say() {
        let holds = |network: &str, address: &str| {
            Network::parse(network).expect("a network").contains(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.0/8", "10.255.1.2"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1"));
        assert!(!holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "8.8.8.8"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
    }
}
