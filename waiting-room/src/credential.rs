//! What a visitor carries: the ticket (a place in line) and the entry token (the way in), their keys, and the layer
//! that asks for entry in front of whatever stands behind the door. Knows nothing of places and rates.

mod access;
mod entry;
mod jwks;
mod layer;
pub(crate) mod proof;
mod provisional;
mod resume;
pub(crate) mod spoken;
mod ticket;
mod verifier;

use std::fmt;

use http::HeaderMap;
use http::header::{COOKIE, HeaderName};

pub(crate) use access::{AccessKey, Codes, Holder, Tokens, is_token};
pub use access::{BadAccess, new_access_code};
pub use entry::new_entry_key;
pub(crate) use entry::{EntryGrant, EntrySigner};
pub use jwks::BadKeys;
pub use layer::{EntryGate, EntryLayer};
pub(crate) use proof::{Challenge, ProofKey};
#[cfg(test)]
pub(crate) use provisional::PROVISIONAL_MS;
pub(crate) use provisional::{Arrival, Provisional};
pub(crate) use resume::{CODE_MS, HeldPlace};
pub use ticket::TicketClaims;
pub(crate) use ticket::{Ticket, TicketKeys};
pub use verifier::EntryVerifier;
pub(crate) use verifier::{Checked, EntryRefused};

/// Header in which an app sends its entry token, and in which the door passes a verified one on.
pub(crate) const ENTRY_HEADER: HeaderName = HeaderName::from_static("x-entry-token");

/// The name of a cookie that is a room's own: requests are searched for it without writing it out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CookieName<'a> {
    prefix: &'static str,
    room: &'a str,
}

impl fmt::Display for CookieName<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}{}", self.prefix, self.room)
    }
}

impl PartialEq<str> for CookieName<'_> {
    fn eq(&self, name: &str) -> bool {
        name.strip_prefix(self.prefix) == Some(self.room)
    }
}

/// Name of the cookie with a room's ticket.
pub(crate) const fn ticket_cookie(room: &str) -> CookieName<'_> {
    CookieName { prefix: "vestibule_ticket_", room }
}

/// Name of the cookie with the best place that was shown.
pub(crate) const fn seen_cookie(room: &str) -> CookieName<'_> {
    CookieName { prefix: "vestibule_seen_", room }
}

/// Name of the cookie with a room's entry token.
pub(crate) const fn entry_cookie(room: &str) -> CookieName<'_> {
    CookieName { prefix: "vestibule_entry_", room }
}

/// The value of a cookie. The first one of a name counts, as it does for browsers with a longer path.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &(impl PartialEq<str> + ?Sized)) -> Option<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|text| text.split(';')).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (name == key.trim()).then(|| value.trim())
    })
}

/// The entry token of a request: the header of apps before the cookie of browsers.
pub(crate) fn entry_token<'a>(headers: &'a HeaderMap, room: &str) -> Option<&'a str> {
    match headers.get(ENTRY_HEADER) {
        Some(value) => value.to_str().ok(),
        None => cookie(headers, &entry_cookie(room)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn each_room_has_cookies_of_its_own() {
        let mut headers = HeaderMap::new();
        for text in ["vestibule_ticket_demo2=a; vestibule_ticket_demo = b;c", "vestibule_ticket_demo=late; other=d=e"] {
            headers.append(COOKIE, HeaderValue::from_static(text));
        }
        let ticket = |room| cookie(&headers, &ticket_cookie(room));
        assert_eq!((ticket("demo"), ticket("demo2"), ticket("dem")), (Some("b"), Some("a"), None));
        assert_eq!((cookie(&headers, &seen_cookie("demo")), cookie(&headers, "other")), (None, Some("d=e")));
        assert_eq!(ticket_cookie("demo").to_string(), "vestibule_ticket_demo");
    }
}
