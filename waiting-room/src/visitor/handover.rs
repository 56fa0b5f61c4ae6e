//! Going on with another device, and leaving: the pages and the JSON. No page here changes anything by being looked at, so
//! a preview of a link spends no code.

use axum::body::Body;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::Visit;
use super::access::{fields, read_text, see_other};
use super::api::ticket;
use super::page::{DevicePage, LeavePage, MovedPage, ResumePage};
use super::reply::{self, page, set_cookies};
use crate::door::{Gone, Grant, Held, NotResumed, Reads, Room, Turn, line_unavailable, moved_problem};
use crate::path::CanonicalPath;
use crate::problem::{Code, Problem};

/// The largest module of a QR code's side, in pixels: large enough for the camera of a phone.
const QR_PIXELS: u32 = 220;
/// The page with the code looks again this often, in milliseconds: it then says that the place has moved.
const LOOK_AGAIN_MS: u64 = 10_000;

/// A page unless somebody names JSON alone; programs that name nothing get JSON.
fn wants_page(visit: Visit<'_>) -> bool {
    visit.headers.contains_key(ACCEPT)
        && Reads::of(visit.headers) == Reads::Page
        && visit.headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().windows(9).any(|part| part == b"text/html"))
}

/// The code with which this place goes on elsewhere.
pub(super) fn device(visit: Visit<'_>, room: &Room) -> Result<Response<Body>, Problem> {
    let Held::Number(ticket) = ticket(visit, room)? else {
        return Err(line_unavailable("You get your number in a moment; then you can go on with another device."));
    };
    if visit.gate.has_moved(room, &ticket) {
        return if wants_page(visit) { Ok(moved(room)) } else { Err(moved_problem()) };
    }
    let handover = visit.gate.handover(room, &ticket);
    let scheme = if visit.origin.https() { "https" } else { "http" };
    let path = format!("/.waiting-room/rooms/{}/resume", room.name());
    let url = format!("{scheme}://{}{path}?code={}", visit.origin.host(), handover.code);
    let mut response = if wants_page(visit) {
        let body = DevicePage {
            room: room.name().to_owned(),
            title: room.title().to_owned(),
            picture: picture(&url),
            code: handover.code,
            address: format!("{}{path}", visit.origin.host()),
            expires_in_ms: handover.expires_in_ms,
        };
        let mut response = page(StatusCode::OK, &body);
        reply::refresh(&mut response, LOOK_AGAIN_MS);
        response
    } else {
        let body = json!({
            "room": room.name(), "code": handover.code, "url": url, "expires_in_ms": handover.expires_in_ms,
        });
        reply::json(StatusCode::OK, &body)
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept, cookie"));
    Ok(response)
}

fn picture(url: &str) -> String {
    let Ok(code) = qrcode::QrCode::new(url.as_bytes()) else { return String::new() };
    let picture = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(QR_PIXELS, QR_PIXELS).build();
    // Inside a page an SVG has no XML declaration.
    picture.split_once("?>").map_or(picture.clone(), |(_, svg)| svg.to_owned())
}

/// Where the code of another device is typed, or comes with the picture's link.
pub(super) fn form(visit: Visit<'_>, room: &Room) -> Response<Body> {
    let query = visit.path.and_then(|path| path.with_query().split_once('?').map(|(_, query)| fields(query)));
    let code = query.and_then(|query| query.get("code").cloned()).unwrap_or_default();
    paper(StatusCode::OK, room, (code, uuid::Uuid::new_v4().simple().to_string()), None)
}

/// Uses a code.
pub(super) async fn resume(visit: Visit<'_>, room: &Room, body: Body) -> Result<Response<Body>, Problem> {
    let text = read_text(body).await?;
    let is_json = visit.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let (code, attempt) = if is_json {
        let body: Value =
            serde_json::from_str(&text).map_err(|_| Problem::new(Code::JsonMalformed, "Send {\"code\": \"…\"}."))?;
        let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (field("code"), field("attempt"))
    } else {
        let form = fields(&text);
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        (field("code"), field("attempt"))
    };
    let attempt = if attempt.is_empty() { uuid::Uuid::new_v4().simple().to_string() } else { attempt };
    match visit.gate.resume(room, (&code, &attempt), visit.origin.address()).await {
        Ok(grant) => Ok(arrived(visit, room, &grant, is_json)),
        Err(refused) if is_json || !wants_page(visit) => Err(problem(&refused)),
        Err(refused) => {
            let says = problem(&refused);
            Ok(paper(says.code().status(), room, (code, attempt), Some(says.detail().to_owned())))
        }
    }
}

fn arrived(visit: Visit<'_>, room: &Room, grant: &Grant, is_json: bool) -> Response<Body> {
    if is_json || !wants_page(visit) {
        let ticket = grant.ticket.as_deref().and_then(|text| visit.gate.ticket(text, room));
        let standing = visit.gate.standing(room, ticket);
        return super::api::facts(visit, room, StatusCode::OK, standing, grant);
    }
    let mut response = see_other(&format!("/.waiting-room/rooms/{}/line", room.name()));
    set_cookies(&mut response, visit, room, grant);
    response
}

fn problem(refused: &NotResumed) -> Problem {
    match refused {
        NotResumed::Wrong => Problem::new(
            Code::ResumeRefused,
            "This code is not one of now: it may be mistyped, older than ten minutes, or used. Ask the other device for a \
             new one.",
        ),
        NotResumed::TooManyTries { retry_after_ms } => {
            let detail = "Too many wrong codes came from your network. Wait a minute, then try again.";
            Problem::new(Code::LoginThrottled, detail).retry_after(*retry_after_ms)
        }
        NotResumed::Line(_) => {
            line_unavailable("The line cannot be told at this moment. Try again with the same code.")
        }
    }
}

fn paper(status: StatusCode, room: &Room, (code, attempt): (String, String), error: Option<String>) -> Response<Body> {
    page(status, &ResumePage { room: room.name().to_owned(), title: room.title().to_owned(), code, attempt, error })
}

/// The line at an address of its own, for who came by a code: it knows no page that they wanted.
pub(super) async fn line(visit: Visit<'_>, room: &Room) -> Result<Response<Body>, Problem> {
    if visit.gate.holds_entry(visit.headers, room) {
        return Ok(see_other("/"));
    }
    match visit.gate.turn(room, ticket(visit, room)?).await {
        Turn::In(grant) => {
            let mut response = see_other("/");
            set_cookies(&mut response, visit, room, &grant);
            Ok(response)
        }
        Turn::Wait(standing, grant) => Ok(reply::waiting(visit, room, *standing, &grant)),
        Turn::Gone(Gone::Moved) => Ok(moved(room)),
        Turn::Gone(_) => Err(Problem::new(Code::TicketSpent, "This ticket has been used or given up.")),
    }
}

/// What the device that a place has left is shown.
pub(super) fn moved(room: &Room) -> Response<Body> {
    page(StatusCode::OK, &MovedPage { room: room.name().to_owned(), title: room.title().to_owned() })
}

/// Asks whether somebody really wants to leave: without scripts nothing else would.
pub(super) fn ask_to_leave(visit: Visit<'_>, room: &Room) -> Result<Response<Body>, Problem> {
    let held = ticket(visit, room)?;
    let back = format!("/.waiting-room/rooms/{}/line", room.name());
    let referred = visit.headers.get(http::header::REFERER).and_then(|value| value.to_str().ok());
    let back = referred.and_then(|url| onward_of(url, visit.origin.host())).unwrap_or(back);
    let body = LeavePage {
        room: room.name().to_owned(),
        title: room.title().to_owned(),
        moved: visit.gate.left_by(room, &held),
        back,
    };
    Ok(page(StatusCode::OK, &body))
}

/// The path of a page of this site.
fn onward_of(url: &str, host: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let ours = uri.authority().is_some_and(|authority| authority.as_str() == host);
    let path = uri.path_and_query().filter(|_| ours)?;
    CanonicalPath::parse(path).ok().map(|path| path.with_query())
}
