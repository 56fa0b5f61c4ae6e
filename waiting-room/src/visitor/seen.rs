//! The best place that a visitor has been shown, kept by the visitor: nodes hear of the line at different times, and one
//! that cannot hear of it at all shows what it knew last. Without this, going from one to the other could show a worse
//! place (W7). It changes what is shown and nothing else, so it is not signed: who writes their own deceives themselves.

use axum::body::Body;
use http::Response;
use http::header::HeaderName;

use super::Visit;
use super::reply::keep_seen;
use crate::credential::{cookie, seen_cookie, ticket_cookie};
use crate::door::{Reads, Room, Standing};

/// Header in which an app, which keeps no cookies, sends `seen` of the last answer.
const SEEN_HEADER: HeaderName = HeaderName::from_static("x-waiting-room-seen");

/// A standing that is no worse than what this visitor has seen; and `seen` of the answer.
pub(super) fn no_worse(visit: Visit<'_>, room: &Room, standing: Standing) -> (Standing, Option<String>) {
    let (Some(place), Some(ticket)) = (standing.place, standing.ticket.as_ref()) else {
        return (standing, None);
    };
    let mut seen = format!("{}.{}.", ticket.epoch, ticket.number);
    let before = told(visit, room).and_then(|told| told.strip_prefix(&*seen)?.parse().ok());
    let place = place.no_worse_than(before);
    seen.push_str(&place.ahead.to_string());
    (Standing { place: Some(place), ..standing }, Some(seen))
}

fn told<'a>(visit: Visit<'a>, room: &Room) -> Option<&'a str> {
    match visit.headers.get(SEEN_HEADER) {
        Some(value) => value.to_str().ok(),
        None => cookie(visit.headers, &seen_cookie(room.name())),
    }
}

/// Has a browser keep it, if it is news. An app has it in the answer.
pub(super) fn keep(response: &mut Response<Body>, visit: Visit<'_>, room: &Room, seen: Option<&str>) {
    let has_cookies = || cookie(visit.headers, &ticket_cookie(room.name())).is_some();
    let browser = || Reads::of(visit.headers) == Reads::Page || has_cookies();
    if let Some(seen) = seen.filter(|seen| told(visit, room) != Some(*seen) && browser()) {
        keep_seen(response, visit, room, seen);
    }
}
