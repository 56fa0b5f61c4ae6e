//! The JSON API of visitors under `/.waiting-room/`, and the one form of the queue page. Polls are answered from the
//! node's memory; only joining, going in and leaving ask the line.

use axum::body::Body;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::Visit;
use super::access;
use super::asset;
use super::facts::{Facts, RoomFacts};
use super::handover;
use super::page::NoticePage;
use super::reply::{self, come_back, forget_ticket, refusal, set_cookies};
use super::seen;
use crate::credential::{cookie, ticket_cookie};
use crate::door::{Comer, Gone, Grant, Held, Room, Standing, Status, Turn, line_unavailable, moved_problem, proof};
use crate::problem::{Code, Problem};
use crate::proxy::is_cross_site;

/// What there is under the prefix.
enum Route<'a> {
    Keys,
    Asset(&'a str),
    Room(&'a str),
    Challenge(&'a str),
    Tickets(&'a str),
    Ticket(&'a str),
    Entry(&'a str),
    Leave(&'a str),
    Draw(&'a str),
    Access(&'a str),
    Device(&'a str),
    Resume(&'a str),
    Line(&'a str),
}

impl Route<'_> {
    fn parse(rest: &str) -> Option<Route<'_>> {
        let mut segments = rest.split('/');
        let first_three = [segments.next(), segments.next(), segments.next()];
        match (first_three, segments.next()) {
            ([Some("jwks.json"), None, _], _) => Some(Route::Keys),
            ([Some("assets"), Some(name), None], _) => Some(Route::Asset(name)),
            ([Some("rooms"), Some(room), None], _) => Some(Route::Room(room)),
            ([Some("rooms"), Some(room), Some(what)], None) => Route::of_room(room, what),
            _ => None,
        }
    }

    fn of_room<'a>(room: &'a str, what: &str) -> Option<Route<'a>> {
        match what {
            "challenge" => Some(Route::Challenge(room)),
            "tickets" => Some(Route::Tickets(room)),
            "ticket" => Some(Route::Ticket(room)),
            "entry" => Some(Route::Entry(room)),
            "leave" => Some(Route::Leave(room)),
            "draw" => Some(Route::Draw(room)),
            "device" => Some(Route::Device(room)),
            "resume" => Some(Route::Resume(room)),
            "line" => Some(Route::Line(room)),
            "access" => Some(Route::Access(room)),
            _ => None,
        }
    }

    const fn allow(&self) -> &'static str {
        match self {
            Route::Keys | Route::Asset(_) | Route::Room(_) | Route::Challenge(_) | Route::Draw(_) => "GET, HEAD",
            Route::Device(_) | Route::Line(_) => "GET, HEAD",
            Route::Tickets(_) | Route::Entry(_) => "POST",
            Route::Ticket(_) => "GET, HEAD, DELETE",
            Route::Access(_) | Route::Resume(_) | Route::Leave(_) => "GET, HEAD, POST",
        }
    }

    fn allows(&self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// Answers a poll that waits for nothing: somebody with a number asks where it stands. Nearly all requests are that, and
/// what the others may have to wait with would cost it more than its own work. `None` leaves the request to [`own`].
pub(crate) fn at_once(visit: Visit<'_>) -> Option<Response<Body>> {
    let Route::Ticket(name) = Route::parse(visit.path?.own()?)? else { return None };
    if visit.method != Method::GET {
        return None;
    }
    let room = visit.gate.rooms.get(name)?;
    match ticket(visit, room) {
        Ok(Held::Number(ticket)) => {
            let standing = visit.gate.standing(room, Some(ticket));
            Some(polled(visit, room, standing, &Grant::default()))
        }
        Ok(Held::Provisional(_)) | Err(_) => None,
    }
}

/// Answers a request to the door itself.
pub(crate) async fn own(visit: Visit<'_>, rest: &str, body: Body) -> Response<Body> {
    match answer(visit, rest, body).await {
        Ok(response) => response,
        Err(problem) => refusal(visit, problem),
    }
}

async fn answer(visit: Visit<'_>, rest: &str, body: Body) -> Result<Response<Body>, Problem> {
    let nothing = || Problem::new(Code::NotFound, "The waiting room has no such page.");
    let route = Route::parse(rest).ok_or_else(nothing)?;
    if !route.allows(visit.method) {
        return Err(Problem::method(route.allow()));
    }
    // Another site must not overwrite a ticket with a worse one, nor give it up.
    if visit.method != Method::GET && visit.method != Method::HEAD && is_cross_site(visit.headers) {
        return Err(Problem::new(Code::CrossSite, "Join from a page of this site."));
    }
    match route {
        Route::Keys => Ok(reply::json_text(StatusCode::OK, visit.gate.jwks())),
        Route::Asset(name) => file(visit, name).ok_or_else(nothing),
        Route::Room(name) => room(visit, name).map(|room| look(visit, room)),
        Route::Draw(name) => {
            let room = room(visit, name)?;
            let named = |lane| room.snapshot().lane_named(lane).map(|(index, _)| index);
            let lane = lane_asked(visit).map_or(Some(0), named).and_then(|lane| room.draw(lane));
            lane.map(|evidence| reply::json(StatusCode::OK, &evidence)).ok_or_else(nothing)
        }
        Route::Device(name) => handover::device(visit, room(visit, name)?),
        Route::Line(name) => handover::line(visit, room(visit, name)?).await,
        Route::Resume(name) if visit.method == Method::POST => handover::resume(visit, room(visit, name)?, body).await,
        Route::Resume(name) => room(visit, name).map(|room| handover::form(visit, room)),
        Route::Access(name) if visit.method == Method::POST => access::use_code(visit, room(visit, name)?, body).await,
        Route::Access(name) => access::form(visit, room(visit, name)?).ok_or_else(nothing),
        Route::Challenge(name) => {
            let challenge = visit.gate.challenge(room(visit, name)?).ok_or_else(nothing)?;
            Ok(reply::json(StatusCode::OK, &challenge))
        }
        Route::Tickets(name) => join(visit, room(visit, name)?).await,
        Route::Ticket(name) if visit.method == Method::DELETE => {
            let room = room(visit, name)?;
            give_up(visit, room).await?;
            Ok(left(visit, room))
        }
        Route::Ticket(name) => poll(visit, room(visit, name)?).await,
        Route::Entry(name) => enter(visit, room(visit, name)?).await,
        Route::Leave(name) if visit.method == Method::POST => {
            let room = room(visit, name)?;
            let moved = give_up(visit, room).await?;
            Ok(goodbye(visit, room, moved))
        }
        Route::Leave(name) => handover::ask_to_leave(visit, room(visit, name)?),
    }
}

fn room<'a>(visit: Visit<'a>, name: &str) -> Result<&'a Room, Problem> {
    visit.gate.rooms.get(name).ok_or_else(|| Problem::new(Code::RoomUnknown, "There is no room of this name."))
}

/// The ticket of a request: the bearer of apps before the cookie of browsers.
pub(super) fn ticket(visit: Visit<'_>, room: &Room) -> Result<Held, Problem> {
    let bearer = visit.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    // The shop's tokens say who somebody is; a ticket has no dot.
    let bearer = bearer.filter(|value| !value.contains('.'));
    let text = match bearer {
        Some(value) => value.strip_prefix("Bearer ").unwrap_or_default(),
        None => cookie(visit.headers, &ticket_cookie(room.name()))
            .ok_or_else(|| Problem::new(Code::TicketRequired, "Join the line first, then send the ticket along."))?,
    };
    visit.gate.held(text, room).ok_or_else(invalid)
}

fn invalid() -> Problem {
    Problem::new(Code::TicketInvalid, "This ticket is not of this line. Join again for a new one.")
}

fn look(visit: Visit<'_>, room: &Room) -> Response<Body> {
    reply::json(StatusCode::OK, &RoomFacts::of(visit, room, &visit.gate.standing(room, None)))
}

/// The lane that a request names: `?lane=members`.
fn lane_asked<'a>(visit: Visit<'a>) -> Option<&'a str> {
    visit.path.and_then(|path| path.query_value("lane"))
}

/// One ticket, one place, however many tabs: who has a ticket keeps it.
async fn join(visit: Visit<'_>, room: &Room) -> Result<Response<Body>, Problem> {
    if let Ok(ticket) = ticket(visit, room) {
        let (standing, grant) = stand(visit, room, ticket).await?;
        return Ok(facts(visit, room, StatusCode::OK, standing, &grant));
    }
    let standing = visit.gate.standing(room, None);
    if standing.status == Status::Early {
        let detail = "Nobody can join yet; come back when it is time.";
        return Err(Problem::new(Code::Waiting, detail)
            .with("room", room.name())
            .with("next_at_ms", standing.next.map(|next| next.at_ms))
            .retry_after(standing.poll_after_ms));
    }
    let lane = lane_asked(visit).map_or(Ok(0), |name| {
        let refused = || Problem::new(Code::ValueRefused, "This lane is not open to everybody.").with("field", "lane");
        room.open_lane(name).ok_or_else(refused)
    })?;
    let comer = Comer {
        address: visit.origin.address(),
        proof: proof(visit.headers),
        shown: access::shown_to_join(visit, room),
        lane: u8::try_from(lane).unwrap_or(u8::MAX),
    };
    match visit.gate.join(room, comer).await {
        Ok(Turn::In(grant)) => {
            let drawn = grant.ticket.as_deref().and_then(|text| visit.gate.ticket(text, room));
            let standing = visit.gate.standing(room, drawn);
            Ok(facts(visit, room, StatusCode::CREATED, standing, &grant))
        }
        Ok(Turn::Wait(standing, grant)) => Ok(facts(visit, room, StatusCode::CREATED, *standing, &grant)),
        Ok(Turn::Gone(_)) => Err(invalid()),
        Err(refused) => Err(refused.problem(room.name())),
    }
}

/// Where somebody stands, from memory. A provisional ticket that has become a number is given back as one.
async fn stand(visit: Visit<'_>, room: &Room, ticket: Held) -> Result<(Standing, Grant), Problem> {
    let provisional = match ticket {
        Held::Number(ticket) => return Ok((visit.gate.standing(room, Some(ticket)), Grant::default())),
        Held::Provisional(provisional) => provisional,
    };
    match visit.gate.redeem(room, &provisional).await {
        Turn::In(grant) => {
            let drawn = grant.ticket.as_deref().and_then(|text| visit.gate.ticket(text, room));
            Ok((visit.gate.standing(room, drawn), grant))
        }
        Turn::Wait(standing, grant) => Ok((*standing, grant)),
        Turn::Gone(_) => Err(invalid()),
    }
}

async fn poll(visit: Visit<'_>, room: &Room) -> Result<Response<Body>, Problem> {
    let (standing, grant) = stand(visit, room, ticket(visit, room)?).await?;
    Ok(polled(visit, room, standing, &grant))
}

fn polled(visit: Visit<'_>, room: &Room, standing: Standing, grant: &Grant) -> Response<Body> {
    let (standing, seen) = seen::no_worse(visit, room, standing);
    let facts = Facts::of(visit, room, &standing, grant).seen(seen.as_deref());
    let inside = visit.gate.holds_entry(visit.headers, room);
    let facts = if inside { facts.admitted() } else { facts };
    let etag = facts.etag();
    let same = visit.headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    // Whoever gets something to keep gets it said.
    let mut response =
        if same && *grant == Grant::default() { not_modified() } else { reply::json(StatusCode::OK, &facts) };
    come_back(&mut response, standing.poll_after_ms);
    set_cookies(&mut response, visit, room, grant);
    seen::keep(&mut response, visit, room, seen.as_deref());
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn enter(visit: Visit<'_>, room: &Room) -> Result<Response<Body>, Problem> {
    let mut response = match visit.gate.turn(room, ticket(visit, room)?).await {
        Turn::In(grant) => {
            let entry = grant.entry.as_ref();
            let body = json!({
                "room": room.name(),
                "entry_token": entry.map(|entry| &entry.token),
                "expires_in_ms": entry.map(|entry| entry.expires_in_ms),
            });
            let mut response = reply::json(StatusCode::OK, &body);
            set_cookies(&mut response, visit, room, &grant);
            return Ok(response);
        }
        Turn::Wait(standing, grant) => return Ok(facts(visit, room, StatusCode::ACCEPTED, *standing, &grant)),
        Turn::Gone(Gone::Spent) => {
            let detail = "This ticket has been used or given up. Join again for a new one.";
            refusal(visit, Problem::new(Code::TicketSpent, detail))
        }
        Turn::Gone(Gone::Unknown) => refusal(visit, invalid()),
        // Its ticket is kept: the page then says why it stopped.
        Turn::Gone(Gone::Moved) => return Err(moved_problem()),
    };
    forget_ticket(&mut response, visit, room);
    Ok(response)
}

/// Whether the place had moved: then only this device forgets it.
async fn give_up(visit: Visit<'_>, room: &Room) -> Result<bool, Problem> {
    let ticket = ticket(visit, room)?;
    if visit.gate.left_by(room, &ticket) {
        return Ok(true);
    }
    let away = |_| line_unavailable("The line cannot be told at this moment; try again.");
    let ticket = match ticket {
        Held::Number(ticket) => ticket,
        Held::Provisional(ticket) => return room.leave_late(&ticket).await.map(|()| false).map_err(away),
    };
    if ticket.epoch != room.snapshot().epoch {
        return Err(invalid());
    }
    room.leave(ticket.in_line()).await.map(|()| false).map_err(away)
}

fn left(visit: Visit<'_>, room: &Room) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    forget_ticket(&mut response, visit, room);
    response
}

fn goodbye(visit: Visit<'_>, room: &Room, moved: bool) -> Response<Body> {
    let (title, detail) = if moved {
        ("This device has no place any more", "Your place goes on with the other device. You can join anew here.")
    } else {
        ("You have left the line", "Your place goes to the next person. You can join again at any time.")
    };
    let notice = NoticePage {
        title: title.to_owned(),
        detail: detail.to_owned(),
        code: "left".to_owned(),
        request_id: None,
        onward_path: "/".to_owned(),
        onward_label: "Go to the start".to_owned(),
    };
    let mut response = reply::page(StatusCode::OK, &notice);
    forget_ticket(&mut response, visit, room);
    response
}

pub(super) fn facts(
    visit: Visit<'_>,
    room: &Room,
    status: StatusCode,
    standing: Standing,
    grant: &Grant,
) -> Response<Body> {
    let (standing, seen) = seen::no_worse(visit, room, standing);
    let mut response = reply::json(status, &Facts::of(visit, room, &standing, grant).seen(seen.as_deref()));
    come_back(&mut response, standing.poll_after_ms);
    set_cookies(&mut response, visit, room, grant);
    seen::keep(&mut response, visit, room, seen.as_deref());
    response
}

fn file(visit: Visit<'_>, name: &str) -> Option<Response<Body>> {
    let asset = asset::asset(name)?;
    let known = visit.headers.get(IF_NONE_MATCH).is_some_and(|etag| etag.as_bytes() == asset.etag.as_bytes());
    let mut response = Response::new(if known { Body::empty() } else { Body::from(asset.bytes) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(asset::CACHE_CONTROL));
    headers.insert(ETAG, HeaderValue::from_str(&asset.etag).ok()?);
    Some(response)
}
