//! Access codes on paper: the form that asks for one, and what comes of it. Works without scripts; a code never stands
//! in an address.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Query;
use http::header::{AUTHORIZATION, LOCATION, VARY};
use http::uri::PathAndQuery;
use http::{HeaderValue, Response, StatusCode, Uri};

use super::Visit;
use super::api::ticket;
use super::page::AccessPage;
use super::reply::{self, page, set_cookies};
use crate::credential::is_token;
use crate::door::{Comer, Held, NotJoined, Room, Turn, shown};
use crate::path::{CanonicalPath, OWN_PREFIX};
use crate::problem::{Code, Problem};

/// The largest form that is read.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// What an app shows when it joins: the header of ours, or a token of the shop as it is sent elsewhere.
pub(super) fn shown_to_join<'a>(visit: Visit<'a>, room: &Room) -> Option<&'a str> {
    let bearer = || {
        // Where tokens are of no use, whatever an app sends with all its requests is not for the door.
        if !room.takes_tokens() {
            return None;
        }
        let value = visit.headers.get(AUTHORIZATION)?.to_str().ok()?;
        value.strip_prefix("Bearer ").filter(|text| is_token(text))
    };
    shown(visit.headers).or_else(bearer)
}

/// Asks for a code in place of the page that somebody wanted.
pub(crate) fn ask_for_code(visit: Visit<'_>, room: &Room) -> Response<Body> {
    let onward = visit.path.map_or_else(|| "/".to_owned(), CanonicalPath::with_query);
    let mut response = paper(visit.page_status, room, onward, None);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept, cookie"));
    response
}

/// The form by itself, for who waits in the general lane and has a code; `None` where codes are of no use.
pub(super) fn form(visit: Visit<'_>, room: &Room) -> Option<Response<Body>> {
    let asked = visit.path.and_then(|path| path.with_query().split_once('?').map(|(_, query)| fields(query)));
    room.takes_codes().then(|| paper(StatusCode::OK, room, onward(&asked.unwrap_or_default()), None))
}

/// Joins with the code of a form.
pub(super) async fn use_code(visit: Visit<'_>, room: &Room, body: Body) -> Result<Response<Body>, Problem> {
    let form = read_form(body).await?;
    let onward = onward(&form);
    let code = form.get("code").map(String::as_str).filter(|code| !code.trim().is_empty() && !is_token(code));
    let comer = Comer { address: visit.origin.address(), proof: None, shown: code, lane: 0 };
    let refused = |status, says: &str| Ok(paper(status, room, onward.clone(), Some(says.to_owned())));
    if code.is_none() {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "Type the code that you were given.");
    }
    match visit.gate.join(room, comer).await {
        Ok(Turn::In(grant) | Turn::Wait(_, grant)) => {
            give_up_old(visit, room, grant.ticket.as_deref()).await;
            let mut response = see_other(&onward);
            set_cookies(&mut response, visit, room, &grant);
            Ok(response)
        }
        Ok(Turn::Gone(_)) => Err(Problem::new(Code::TicketInvalid, "Join again for a new ticket.")),
        Err(NotJoined::AccessWrong | NotJoined::AccessMissing) => refused(
            Code::AccessRefused.status(),
            "We do not know this code. Check each character; small and capital letters are the same.",
        ),
        Err(NotJoined::TooManyTries { .. }) => refused(
            Code::LoginThrottled.status(),
            "Too many wrong codes came from your network. Wait a minute, then try again.",
        ),
        Err(other) => Err(other.problem(room.name())),
    }
}

/// Who waited already stands at the new place alone. It is no harm if this is lost: nobody who is away holds others up.
async fn give_up_old(visit: Visit<'_>, room: &Room, new: Option<&str>) {
    let new = new.and_then(|text| visit.gate.ticket(text, room)).map(|ticket| (ticket.lane, ticket.number));
    let old = ticket(visit, room).ok().and_then(Held::number).filter(|old| !visit.gate.has_moved(room, old));
    let old = old.filter(|old| old.epoch == room.snapshot().epoch);
    if let Some(old) = old.filter(|old| new.is_some() && new != Some((old.lane, old.number))) {
        let _ = room.leave(old.number).await;
    }
}

fn paper(status: StatusCode, room: &Room, onward: String, error: Option<String>) -> Response<Body> {
    page(status, &AccessPage { room: room.name().to_owned(), title: room.title().to_owned(), onward, error })
}

/// To another page of this site, by GET.
pub(super) fn see_other(path: &str) -> Response<Body> {
    let mut response = reply::page(StatusCode::SEE_OTHER, &super::page::Empty);
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/")));
    response
}

/// The fields of a small form.
async fn read_form(body: Body) -> Result<BTreeMap<String, String>, Problem> {
    read_text(body).await.map(|text| fields(&text))
}

/// A small body.
pub(super) async fn read_text(body: Body) -> Result<String, Problem> {
    let read = axum::body::to_bytes(body, FORM_BYTES_MAX).await;
    let bytes = read.map_err(|_| Problem::new(Code::BodyTooLarge, "A form of this size is not expected here."))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What stands in a query or a form.
pub(super) fn fields(text: &str) -> BTreeMap<String, String> {
    let uri: Option<Uri> = format!("/?{text}").parse().ok();
    let query = uri.and_then(|uri| Query::<BTreeMap<String, String>>::try_from_uri(&uri).ok());
    query.map(|Query(fields)| fields).unwrap_or_default()
}

/// Where somebody wanted to go: a page of this site and not one of the door's own, or the start.
fn onward(form: &BTreeMap<String, String>) -> String {
    let path = form.get("to").and_then(|to| to.parse::<PathAndQuery>().ok());
    let path = path.and_then(|path| CanonicalPath::parse(&path).ok()).map(|path| path.with_query());
    path.filter(|path| !path.starts_with(OWN_PREFIX)).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_site_are_gone_on_to() {
        let to = |to: &str| onward(&BTreeMap::from([("to".to_owned(), to.to_owned())]));
        assert_eq!(to("/films?day=1"), "/films?day=1");
        for elsewhere in [
            "",
            "films",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/",
            "/.waiting-room/rooms/demo",
            "/a/../b",
        ] {
            assert_eq!(to(elsewhere), "/", "{elsewhere}");
        }
        assert_eq!(fields("code=AB%2DC&to=%2Ffilms%3Fa%3D1").get("to").map(String::as_str), Some("/films?a=1"));
    }
}
