//! Header hygiene: what is refused because two servers could read it differently, and what is never passed on.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::problem::{Code, Problem};

/// Header lines of one request; more have no honest use, and each upstream has its own limit to trip over.
pub(crate) const HEADERS_MAX: usize = 64;
/// All names and values of one request together, in bytes.
pub(crate) const HEADER_BYTES_MAX: usize = 32 * 1024;

/// What the door lets through at all; CONNECT and TRACE are for nobody, and unknown methods are not gated by anyone.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Headers that belong to one hop (RFC 9110 7.6.1, and what older software still sends).
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Headers that an upstream might believe. Nobody outside may set them; the door adds its own where it has any.
const SPOOFABLE: [&str; 12] = [
    "x-entry-token",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-request-id",
];
const SPOOFABLE_PREFIXES: [&str; 2] = ["x-waiting-room-", "x-forwarded-"];

/// Refuses requests that are too large to look at, or that two servers could read in two ways.
pub(crate) fn inspect(parts: &Parts) -> Result<(), Problem> {
    if !METHODS.contains(&parts.method) {
        return Err(Problem::method(ALLOW));
    }
    check_size(&parts.headers)?;
    check_framing(parts)?;
    check_host(parts)?;
    match parts.headers.get(EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(Problem::new(Code::ExpectationRefused, "Only `Expect: 100-continue` is understood."))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_size(headers: &HeaderMap) -> Result<(), Problem> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len())).sum();
    if headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        let detail = format!("At most {HEADERS_MAX} headers of {HEADER_BYTES_MAX} bytes together are read.");
        return Err(Problem::new(Code::HeadersTooLarge, detail));
    }
    Ok(())
}

/// What a header says, and what it says the second time: two are too many of each that is asked for here.
fn first_two<'a>(headers: &'a HeaderMap, name: &HeaderName) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    (values.next(), values.next())
}

fn check_framing(parts: &Parts) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(Code::RequestRefused, detail));
    let codings = first_two(&parts.headers, &TRANSFER_ENCODING);
    let lengths = first_two(&parts.headers, &CONTENT_LENGTH);
    match codings {
        (None, _) => {}
        (Some(one), None) if one.eq_ignore_ascii_case(b"chunked") && parts.version == Version::HTTP_11 => {}
        (Some(_), _) => return refuse("`Transfer-Encoding` may only be `chunked`, once, in HTTP/1.1."),
    }
    if codings.0.is_some() && lengths.0.is_some() {
        return refuse("The request has both `Content-Length` and `Transfer-Encoding`.");
    }
    match lengths {
        (None, _) => Ok(()),
        (Some(one), None) if !one.is_empty() && one.iter().all(u8::is_ascii_digit) => Ok(()),
        (Some(_), _) => refuse("`Content-Length` must be one number, once."),
    }
}

fn check_host(parts: &Parts) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(Code::RequestRefused, detail));
    let host = match (first_two(&parts.headers, &HOST), parts.uri.authority()) {
        ((Some(one), None), None) => one,
        ((None, _), Some(authority)) if parts.version == Version::HTTP_2 => authority.as_str().as_bytes(),
        ((Some(one), None), Some(authority)) if one.eq_ignore_ascii_case(authority.as_str().as_bytes()) => one,
        ((Some(_), None), Some(_)) => return refuse("The address and `Host` name two different hosts."),
        _ => return refuse("The request needs exactly one `Host`."),
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    if host.is_empty() || !host.iter().all(plain) {
        return refuse("`Host` is not a host name with an optional port.");
    }
    Ok(())
}

/// Takes away what must not go on: hop-by-hop headers, whatever `Connection` names, and what only the door may say.
/// `Content-Length` goes too: the client that sends the request counts for itself.
pub(super) fn cleanse_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    for name in [CONTENT_LENGTH, EXPECT] {
        headers.remove(name);
    }
    for name in SPOOFABLE {
        headers.remove(name);
    }
    // Some upstreams fold `_` into `-`, so that `X_Forwarded_For` is the same header to them.
    let dressed: Vec<HeaderName> = headers.keys().filter(|name| is_dressed(name.as_str())).cloned().collect();
    for name in dressed {
        headers.remove(name);
    }
}

fn is_dressed(name: &str) -> bool {
    let name = name.replace('_', "-");
    SPOOFABLE.contains(&name.as_str()) || SPOOFABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Takes away what belongs to the hop between door and upstream.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // `Connection: host` must not make a second host, nor `Connection: cookie` a stranger, of somebody.
        .filter(|name| *name != HOST && *name != http::header::COOKIE && *name != http::header::AUTHORIZATION)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
