//! The operator's pages: login, the dashboard's first picture, and its forms for browsers without scripts. Live
//! numbers come by events.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Form};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::auth::{Attempt, SESSION_COOKIE, SESSION_MS, Who, see_other, throttled};
use super::facts::Facts;
use super::page::{self, DashboardPage, LoginPage, Notice};
use super::{Desk, api, asset, change, history};
use crate::line::RoomChange;
use crate::metrics::{self, Login};
use crate::problem::{Code, Problem};
use crate::proxy::is_cross_site;

/// `POST /login`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    password: String,
    #[serde(default)]
    name: String,
}

/// `POST /rooms/{room}`: the fields of the admin API as a form sends them, all of them texts.
type RoomForm = BTreeMap<String, String>;

/// Fields that an empty text takes away; other empty fields stay as they are.
const MAY_BE_EMPTY: [&str; 4] = ["message", "prequeue_at", "opens_at", "closes_at"];
/// Fields that are numbers.
const NUMBERS: [&str; 4] = ["rate_per_minute", "burst", "max_active", "queue_max"];
/// How many changes the dashboard shows.
const CHANGES_SHOWN: usize = 10;

/// A form as it arrived: what cannot be read is a problem like any other.
type Filled<T> = Result<Form<T>, FormRejection>;

fn filled<T>(form: Filled<T>) -> Result<T, Problem> {
    form.map(|Form(form)| form).map_err(|refused| Problem::new(Code::ValueRefused, refused.body_text()))
}

pub(super) async fn show(State(desk): State<Desk>) -> Response {
    dashboard(&desk, StatusCode::OK, None).await
}

async fn dashboard(desk: &Desk, status: StatusCode, notice: Option<Notice>) -> Response {
    let mut rooms = Vec::new();
    for room in desk.door.gate().rooms.iter() {
        // Without its history the page is still the page.
        let changes = history::of(room).await.unwrap_or_default().into_iter().take(CHANGES_SHOWN);
        let lines = changes.map(|changed| page::Change { at_ms: changed.at_ms, who: changed.who, text: changed.text });
        rooms.push(Facts::of(&desk.door, room).into_view(lines.collect()));
    }
    answer(status, &DashboardPage { rooms, server_now_ms: desk.door.gate().now_ms(), notice })
}

pub(super) async fn change(
    State(desk): State<Desk>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
    form: Filled<RoomForm>,
) -> Response {
    let outcome = match filled(form).and_then(read) {
        Ok(change) => api::apply(&desk, &who, &name, &without_the_same(&desk, &name, change)).await,
        Err(problem) => Err(problem),
    };
    back(&desk, outcome).await
}

pub(super) async fn undo(
    State(desk): State<Desk>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
) -> Response {
    let outcome = api::take_back(&desk, &who, &name).await;
    back(&desk, outcome).await
}

/// To the dashboard, with what was wrong if something was.
async fn back(desk: &Desk, outcome: Result<Facts, Problem>) -> Response {
    match outcome {
        Ok(_) => see_other("/"),
        Err(problem) => {
            let notice = Notice { bad: true, text: problem.detail().to_owned() };
            dashboard(desk, problem.code().status(), Some(notice)).await
        }
    }
}

fn read(form: RoomForm) -> Result<RoomChange, Problem> {
    let mut fields = Map::new();
    for (name, text) in form {
        let trimmed = text.trim();
        if trimmed.is_empty() && !MAY_BE_EMPTY.contains(&name.as_str()) {
            continue;
        }
        let value = match trimmed.parse::<u64>() {
            Ok(number) if NUMBERS.contains(&name.as_str()) => number.into(),
            Ok(_) | Err(_) => Value::String(text),
        };
        fields.insert(name, value);
    }
    if fields.contains_key("ramp") {
        // The form sends the rate that it was filled with; a ramp goes on from the one of now.
        fields.remove("rate_per_minute");
    }
    change::read(fields)
}

/// A form sends every field that it was filled with: what is as it was is not asked for, so the log of changes tells what
/// somebody did. A rate is, while a ramp moves it: it ends the ramp.
fn without_the_same(desk: &Desk, name: &str, mut change: RoomChange) -> RoomChange {
    let Some(room) = desk.door.gate().rooms.get(name) else { return change };
    let line = room.snapshot();
    change.rate_per_minute = change.rate_per_minute.filter(|&rate| rate != line.rate_per_minute || line.ramp.is_some());
    change.burst = change.burst.filter(|&burst| burst != line.burst);
    change.max_active = change.max_active.filter(|&max| max != line.max_active);
    change.queue_max = change.queue_max.filter(|&max| max != line.queue_max);
    change.method = change.method.filter(|&method| method != line.method);
    change.message = change.message.filter(|message| *message != line.message);
    let differs = |asked: Option<i64>, at_ms: Option<i64>| asked.filter(|&asked| asked != at_ms.unwrap_or(0));
    change.prequeue_at_ms = differs(change.prequeue_at_ms, line.prequeue_at_ms);
    change.opens_at_ms = differs(change.opens_at_ms, line.opens_at_ms);
    change.closes_at_ms = differs(change.closes_at_ms, line.closes_at_ms);
    change
}

pub(super) async fn login_page() -> Response {
    answer(StatusCode::OK, &LoginPage { error: None })
}

pub(super) async fn login(State(desk): State<Desk>, headers: HeaderMap, form: Filled<Credentials>) -> Response {
    if is_cross_site(&headers) {
        return Problem::new(Code::CrossSite, "Log in on the dashboard's own page.").respond(None);
    }
    let form = match filled(form) {
        Ok(form) => form,
        Err(problem) => return problem.respond(None),
    };
    let who = match Who::named(&form.name) {
        Ok(who) => who,
        Err(problem) => {
            return answer(problem.code().status(), &LoginPage { error: Some(problem.detail().to_owned()) });
        }
    };
    let now_ms = desk.door.gate().now_ms();
    match desk.guard.attempt(&form.password, now_ms) {
        Attempt::Accepted => {
            metrics::operator_login(Login::Accepted);
            let session = desk.guard.session(&who, now_ms.saturating_add(SESSION_MS));
            let mut response = see_other("/");
            set_session(&mut response, &session, SESSION_MS / 1000);
            response
        }
        Attempt::Refused => {
            let error = Some("That is not the operator's password.".to_owned());
            answer(StatusCode::UNAUTHORIZED, &LoginPage { error })
        }
        Attempt::Throttled { retry_after_ms } => {
            let problem = throttled(retry_after_ms);
            let error = Some(format!("{}. {}", problem.title(), problem.detail()));
            let mut response = answer(problem.code().status(), &LoginPage { error });
            if let Some(wait) = problem.respond(None).headers_mut().remove(http::header::RETRY_AFTER) {
                response.headers_mut().insert(http::header::RETRY_AFTER, wait);
            }
            response
        }
    }
}

pub(super) async fn logout() -> Response {
    let mut response = see_other("/login");
    set_session(&mut response, "", 0);
    response
}

fn set_session(response: &mut Response, value: &str, max_age_s: i64) {
    let text = format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict");
    if let Ok(cookie) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn answer(status: StatusCode, template: &impl Template) -> Response {
    let text = template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be rendered");
        String::new()
    });
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(asset::CONTENT_SECURITY_POLICY));
    response
}

pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let Some(asset) = asset::asset(&name) else { return Err(api::nothing().await) };
    let known = headers.get(IF_NONE_MATCH).is_some_and(|etag| etag.as_bytes() == asset.etag.as_bytes());
    let mut response = Response::new(if known { Body::empty() } else { Body::from(asset.bytes) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(crate::visitor::asset::CACHE_CONTROL));
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        headers.insert(ETAG, etag);
    }
    Ok(response)
}
