//! What a room asks of those who join: not too often from one network, and some work beforehand. And who need not
//! wait at all. Everything here is off unless it is set.

use std::path::PathBuf;

use serde::Deserialize;

use super::{BadSetting, Network, bad};
use crate::line::LaneInitial;

/// Most joins a minute that a limit can name.
const PER_MINUTE_MAX: u32 = 1_000_000;
/// Most numbers a browser is asked to try: some seconds of a phone.
const NUMBER_MAX_CEILING: u32 = 5_000_000;

/// How often one network (IPv4 /24, IPv6 /48) may join, on each node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JoinLimit {
    /// Joins a minute; 0 = no limit.
    pub per_minute: u32,
    /// Joins at once after a quiet time; 0 = those of a minute.
    pub burst: u32,
}

/// The proof of work asked for at joining, in ALTCHA's format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProofOfWork {
    /// The number to find lies below this one while joins are few, and up to 32 times higher while they are many;
    /// half of it is tried on average. 0 = no proof.
    pub number_max: u32,
}

/// One lane of a room. The general one, of weight 1, is there without being named, and open to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneSettings {
    /// As room names are.
    pub name: String,
    /// Its share of the rate against those of the other lanes, 1 to 100.
    #[serde(default = "one")]
    pub weight: u32,
    /// Whether whoever asks for this lane may use it.
    #[serde(default)]
    pub anyone: bool,
}

const fn one() -> u32 {
    1
}

impl LaneSettings {
    pub(super) fn initial(&self) -> LaneInitial {
        LaneInitial { name: self.name.clone(), weight: self.weight }
    }
}

/// What becomes of a crawler that a bypass rule names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrawlersGet {
    /// The page itself.
    #[default]
    Page,
    /// 503 with `Retry-After`: they come again when the rush is over, and index no queue.
    Later,
}

/// Who need not wait: a request for which everything named here holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BypassRule {
    /// As in `open`: `[METHOD ]/path`.
    pub path: Option<String>,
    /// `name: value`, compared whole.
    pub header: Option<String>,
    /// File whose first line is such a header: what is secret need not stand in the settings.
    pub header_file: Option<PathBuf>,
    /// What stands in the `User-Agent` of a crawler, whatever the case; needs `addresses`, since anybody can call
    /// themselves so.
    pub crawler: Option<String>,
    /// What such a crawler gets.
    pub crawlers_get: CrawlersGet,
    /// Addresses or networks of visitors.
    pub addresses: Vec<String>,
}

impl JoinLimit {
    pub(super) fn check(self, room: &str) -> Result<(), BadSetting> {
        if self.per_minute > PER_MINUTE_MAX || self.burst > PER_MINUTE_MAX {
            return Err(bad(format!("rooms.{room}.join_limit"), format!("must be at most {PER_MINUTE_MAX}")));
        }
        Ok(())
    }
}

impl ProofOfWork {
    pub(super) fn check(self, room: &str) -> Result<(), BadSetting> {
        if self.number_max > NUMBER_MAX_CEILING {
            let name = format!("rooms.{room}.proof_of_work.number_max");
            return Err(bad(name, format!("must be at most {NUMBER_MAX_CEILING}")));
        }
        Ok(())
    }
}

impl BypassRule {
    /// The networks named.
    pub(crate) fn networks(&self) -> Result<Vec<Network>, &'static str> {
        let network = |text: &String| Network::parse(text).ok_or("an address or a network is meant");
        self.addresses.iter().map(network).collect()
    }
}
