//! Who sent the request, by which way: peer address, scheme, host and request id, believing only trusted hops.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::settings::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is kept from outside.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// Longest chain of addresses that is kept from a trusted hop, in bytes: about forty addresses.
const CHAIN_BYTES_MAX: usize = 1024;

/// The hops whose `X-Forwarded-*` headers are believed; by default none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust(Vec<Network>);

impl Trust {
    pub(crate) fn new(networks: Vec<Network>) -> Trust {
        Trust(networks)
    }

    fn believes(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Where a request came from, as the upstream is told.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    address: IpAddr,
    peer: IpAddr,
    /// What a trusted peer says of the way to it.
    before: Option<String>,
    host: HeaderValue,
    https: bool,
    request_id: HeaderValue,
}

impl Origin {
    /// Reads the origin of an inspected request.
    pub(crate) fn of(parts: &Parts, peer: SocketAddr, trust: &Trust) -> Origin {
        let headers = &parts.headers;
        let trusted = trust.believes(peer.ip());
        let peer = peer.ip().to_canonical();
        let before = trusted.then(|| chain(headers)).flatten();
        let address = before.as_deref().map_or(peer, |before| visitor(before, peer, trust));
        let authority = || parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        let host = headers.get(HOST).cloned().or_else(authority).unwrap_or(HeaderValue::from_static(""));
        let https = trusted && headers.get(FORWARDED_PROTO).is_some_and(|proto| proto == "https");
        Origin { address, peer, before, host, https, request_id: request_id(headers) }
    }

    /// Whether the visitor's own connection is encrypted, so that cookies may be marked `Secure`.
    pub(crate) fn https(&self) -> bool {
        self.https
    }

    /// Where the visitor is, as far as it can be believed.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// As the visitor asked for it, perhaps with a port.
    pub(crate) fn host(&self) -> &str {
        self.host.to_str().unwrap_or_default()
    }

    /// Harmless in logs and headers.
    pub(crate) fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// Tells the upstream, in place of what was said from outside.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let chain = match &self.before {
            Some(before) => format!("{before}, {}", self.peer),
            None => self.peer.to_string(),
        };
        if let Ok(chain) = HeaderValue::try_from(chain) {
            headers.insert(FORWARDED_FOR, chain);
        }
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if self.https { "https" } else { "http" }));
        headers.insert(FORWARDED_HOST, self.host.clone());
        headers.insert(HOST, self.host.clone());
        headers.insert(REQUEST_ID, self.request_id.clone());
    }
}

/// The last hop that is not one of ours: what stands before it anybody could have written.
fn visitor(chain: &str, peer: IpAddr, trust: &Trust) -> IpAddr {
    let mut hops = chain.rsplit(',').filter_map(|hop| hop.trim().parse::<IpAddr>().ok());
    hops.find(|hop| !trust.believes(*hop)).unwrap_or(peer).to_canonical()
}

/// The addresses that trusted hops report, if they are addresses at all.
fn chain(headers: &HeaderMap) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    let text = values.join(", ");
    let addresses = text.split(',').all(|part| part.trim().parse::<IpAddr>().is_ok());
    (addresses && text.len() <= CHAIN_BYTES_MAX).then_some(text)
}

/// The id from outside if it is harmless in logs and headers, otherwise one of our own.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(REQUEST_ID).iter();
    let sane = |id: &&HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.as_bytes().iter().all(plain)
    };
    match (given.next().filter(sane), given.next()) {
        (Some(id), None) => id.clone(),
        _ => HeaderValue::try_from(Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("none")),
    }
}
