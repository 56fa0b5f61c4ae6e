//! Responses to visitors: the queue page, its JSON twin, notices and cookies, with the headers that keep caches and
//! other sites out of it.

use askama::Template;
use axum::body::Body;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde::Serialize;

use super::Visit;
use super::asset::content_security_policy;
use super::facts::{Facts, countdown_page, queue_page};
use super::page::{CheckPage, NoticePage};
use super::seen;
use crate::credential::{CookieName, ENTRY_HEADER, entry_cookie, seen_cookie, ticket_cookie};
use crate::door::{Grant, Reads, Room, Standing, Status};
use crate::metrics;
use crate::problem::{Code, Problem};

/// Room for the facts of a place; longer ones grow.
const JSON_BYTES: usize = 512;
const REFRESH: HeaderName = HeaderName::from_static("refresh");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// A ticket is worth nothing once its line has gone; no sale's line lives longer than this, in seconds.
const TICKET_COOKIE_MAX_AGE_S: i64 = 7 * 24 * 3600;
/// Without scripts the page loads itself again, no more often than this, in milliseconds.
const REFRESH_MS_MIN: u64 = 2_000;

/// The place in line: a page for browsers, the same facts as JSON for who asks for them.
pub(crate) fn waiting(visit: Visit<'_>, room: &Room, standing: Standing, grant: &Grant) -> Response<Body> {
    let (standing, seen) = seen::no_worse(visit, room, standing);
    let mut response = match Reads::of(visit.headers) {
        Reads::Page if standing.status == Status::Moved => return super::handover::moved(room),
        Reads::Page => match countdown_page(room, &standing) {
            Some(countdown) => page(visit.page_status, &countdown),
            None => page(visit.page_status, &queue_page(visit, room, &standing)),
        },
        Reads::Json => json(StatusCode::ACCEPTED, &Facts::of(visit, room, &standing, grant).seen(seen.as_deref())),
    };
    if Reads::of(visit.headers) == Reads::Page {
        response.headers_mut().insert(REFRESH, seconds(standing.poll_after_ms.max(REFRESH_MS_MIN)));
    }
    come_back(&mut response, standing.poll_after_ms);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept, cookie"));
    set_cookies(&mut response, visit, room, grant);
    seen::keep(&mut response, visit, room, seen.as_deref());
    response
}

/// The page that solves a challenge before it joins.
pub(crate) fn check(visit: Visit<'_>, room: &Room) -> Response<Body> {
    let body = CheckPage { room: room.name().to_owned(), title: room.title().to_owned() };
    let mut response = page(visit.page_status, &body);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept, cookie"));
    response
}

/// Adds what the visitor keeps to a response that was forwarded.
pub(crate) fn keep(
    mut response: Response<Body>,
    visit: Visit<'_>,
    room: Option<&Room>,
    grant: &Grant,
) -> Response<Body> {
    if let Some(room) = room.filter(|_| *grant != Grant::default()) {
        // Cookies of one visitor must not be given to another by a cache in between.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        set_cookies(&mut response, visit, room, grant);
        // An app sends its token in a header and keeps no cookies.
        let token = grant.entry.as_ref().and_then(|entry| HeaderValue::from_str(&entry.token).ok());
        if let Some(token) = token.filter(|_| visit.headers.contains_key(ENTRY_HEADER)) {
            response.headers_mut().insert(ENTRY_HEADER, token);
        }
    }
    response
}

/// The last answer of a session: ticket and entry have done their work.
pub(crate) fn farewell(mut response: Response<Body>, visit: Visit<'_>, room: &Room) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    forget_ticket(&mut response, visit, room);
    set_cookie(&mut response, visit, &entry_cookie(room.name()), "", 0);
    response
}

/// A refusal: a notice for who wants a page, problem JSON for everybody else.
pub(crate) fn refusal(visit: Visit<'_>, problem: Problem) -> Response<Body> {
    metrics::problem(problem.code());
    let id = visit.origin.request_id().to_str().unwrap_or_default();
    let wants_page = visit.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
    if !wants_page.is_some_and(|accept| accept.contains("text/html")) {
        return problem.respond(Some(id));
    }
    // Loading again is offered only where it repeats nothing: reading the same page.
    let again = visit.path.filter(|_| visit.method == Method::GET && problem.code().status().is_server_error());
    let notice = NoticePage {
        title: problem.title().to_owned(),
        detail: problem.detail().to_owned(),
        code: problem.code().as_str().to_owned(),
        request_id: Some(id.to_owned()),
        onward_path: again.map_or_else(|| "/".to_owned(), crate::path::CanonicalPath::with_query),
        onward_label: if again.is_some() { "Try again" } else { "Go to the start" }.to_owned(),
    };
    let mut response = page(problem.code().status(), &notice);
    // A room that is shut for now may open again; who waits on this page then gets in line.
    if matches!(problem.code(), Code::RoomClosed | Code::QueueFull)
        && visit.method == Method::GET
        && let Some(after_ms) = problem.comes_back_ms()
    {
        response.headers_mut().insert(REFRESH, seconds(after_ms));
    }
    // Headers such as `Allow` and `Retry-After` stand in the problem's own response.
    for (name, value) in problem.respond(None).headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

/// A page of ours. A template that fails leaves an empty page with the right status: there is nothing better to say.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response<Body> {
    let text = template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be rendered");
        String::new()
    });
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    no_store(headers);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // No search shows a queue in the place of what is behind it.
    headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    if let Ok(policy) = HeaderValue::from_str(content_security_policy()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // Plain structs of numbers and strings: their serialization has no way to fail.
    let mut text = Vec::with_capacity(JSON_BYTES);
    if serde_json::to_writer(&mut text, body).is_err() {
        text.clear();
    }
    json_text(status, text)
}

pub(super) fn json_text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    no_store(headers);
    response
}

/// Loads a page again by itself, with scripts or without.
pub(super) fn refresh(response: &mut Response<Body>, after_ms: u64) {
    response.headers_mut().insert(REFRESH, seconds(after_ms));
}

pub(super) fn come_back(response: &mut Response<Body>, after_ms: u64) {
    response.headers_mut().insert(RETRY_AFTER, seconds(after_ms));
}

pub(super) fn set_cookies(response: &mut Response<Body>, visit: Visit<'_>, room: &Room, grant: &Grant) {
    if let Some(ticket) = &grant.ticket {
        set_cookie(response, visit, &ticket_cookie(room.name()), ticket, TICKET_COOKIE_MAX_AGE_S);
    }
    if let Some(entry) = &grant.entry {
        set_cookie(
            response,
            visit,
            &entry_cookie(room.name()),
            &entry.token,
            entry.expires_in_ms.div_euclid(1000).max(1),
        );
    }
}

/// Has a browser keep the best place it was shown.
pub(super) fn keep_seen(response: &mut Response<Body>, visit: Visit<'_>, room: &Room, seen: &str) {
    set_cookie(response, visit, &seen_cookie(room.name()), seen, TICKET_COOKIE_MAX_AGE_S);
}

/// Takes the ticket away from a browser; an entry that it may have goes on.
pub(super) fn forget_ticket(response: &mut Response<Body>, visit: Visit<'_>, room: &Room) {
    set_cookie(response, visit, &ticket_cookie(room.name()), "", 0);
}

fn set_cookie(response: &mut Response<Body>, visit: Visit<'_>, name: &CookieName<'_>, value: &str, max_age_s: i64) {
    let secure = if visit.origin.https() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn seconds(ms: u64) -> HeaderValue {
    HeaderValue::from(ms.div_ceil(1000))
}
