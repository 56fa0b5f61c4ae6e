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
pub(crate) const ENTRY_HEADER: &str = "x-entry-token";

/// Name of the cookie with a room's ticket.
pub(crate) fn ticket_cookie(room: &str) -> String {
    format!("vestibule_ticket_{room}")
}

/// Name of the cookie with the best place that was shown.
pub(crate) fn seen_cookie(room: &str) -> String {
    format!("vestibule_seen_{room}")
}

/// Name of the cookie with a room's entry token.
pub(crate) fn entry_cookie(room: &str) -> String {
    format!("vestibule_entry_{room}")
}

/// The value of a cookie. The first one of a name counts, as it does for browsers with a longer path.
pub(crate) fn cookie<'a>(headers: &'a http::HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(http::header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|text| text.split(';')).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The entry token of a request: the header of apps before the cookie of browsers.
pub(crate) fn entry_token<'a>(headers: &'a http::HeaderMap, room: &str) -> Option<&'a str> {
    match headers.get(ENTRY_HEADER) {
        Some(value) => value.to_str().ok(),
        None => cookie(headers, &entry_cookie(room)),
    }
}
