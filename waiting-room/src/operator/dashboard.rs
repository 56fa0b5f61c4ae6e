//! The operator's pages: login, the dashboard's first picture, and its forms for browsers without scripts. Live
//! numbers come by events.

use askama::Template;
use axum::Form;
use axum::body::Body;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::auth::{Attempt, SESSION_COOKIE, SESSION_MS, see_other, throttled};
use super::facts::Facts;
use super::page::{DashboardPage, LoginPage, Notice};
use super::{Desk, api, asset};
use crate::line::{RoomChange, RoomState};
use crate::metrics::{self, Login};
use crate::problem::{Code, Problem};
use crate::proxy::is_cross_site;

/// `POST /login`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    password: String,
}

/// `POST /rooms/{room}`: fields that are missing or empty stay as they are, except the message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomForm {
    rate_per_minute: Option<String>,
    burst: Option<String>,
    state: Option<RoomState>,
    message: Option<String>,
}

/// A form as it arrived: what cannot be read is a problem like any other.
type Filled<T> = Result<Form<T>, FormRejection>;

fn filled<T>(form: Filled<T>) -> Result<T, Problem> {
    form.map(|Form(form)| form).map_err(|refused| Problem::new(Code::ValueRefused, refused.body_text()))
}

pub(super) async fn show(State(desk): State<Desk>) -> Response {
    dashboard(&desk, StatusCode::OK, None)
}

fn dashboard(desk: &Desk, status: StatusCode, notice: Option<Notice>) -> Response {
    let rooms = Facts::all(&desk.door).into_iter().map(Facts::into_view).collect();
    page(status, &DashboardPage { rooms, server_now_ms: desk.door.gate().now_ms(), notice })
}

pub(super) async fn change(State(desk): State<Desk>, Path(name): Path<String>, form: Filled<RoomForm>) -> Response {
    let outcome = match filled(form).and_then(RoomForm::read) {
        Ok(change) => api::apply(&desk, &name, &change).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(_) => see_other("/"),
        Err(problem) => {
            let notice = Notice { bad: true, text: problem.detail().to_owned() };
            dashboard(&desk, problem.code().status(), Some(notice))
        }
    }
}

impl RoomForm {
    fn read(self) -> Result<RoomChange, Problem> {
        let number = |field: &str, text: Option<String>| match text.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(digits) => digits.parse().map(Some).map_err(|_| {
                Problem::new(Code::ValueRefused, format!("{field} must be a whole number")).with("field", field)
            }),
        };
        Ok(RoomChange {
            rate_per_minute: number("rate_per_minute", self.rate_per_minute)?,
            burst: number("burst", self.burst)?,
            state: self.state,
            message: self.message,
            ..RoomChange::default()
        })
    }
}

pub(super) async fn login_page() -> Response {
    page(StatusCode::OK, &LoginPage { error: None })
}

pub(super) async fn login(State(desk): State<Desk>, headers: HeaderMap, form: Filled<Credentials>) -> Response {
    if is_cross_site(&headers) {
        return Problem::new(Code::CrossSite, "Log in on the dashboard's own page.").respond(None);
    }
    let form = match filled(form) {
        Ok(form) => form,
        Err(problem) => return problem.respond(None),
    };
    let now_ms = desk.door.gate().now_ms();
    match desk.guard.attempt(&form.password, now_ms) {
        Attempt::Accepted => {
            metrics::operator_login(Login::Accepted);
            let session = desk.guard.session(now_ms.saturating_add(SESSION_MS));
            let mut response = see_other("/");
            set_session(&mut response, &session, SESSION_MS / 1000);
            response
        }
        Attempt::Refused => {
            let error = Some("That is not the operator's password.".to_owned());
            page(StatusCode::UNAUTHORIZED, &LoginPage { error })
        }
        Attempt::Throttled { retry_after_ms } => {
            let problem = throttled(retry_after_ms);
            let error = Some(format!("{}. {}", problem.title(), problem.detail()));
            let mut response = page(problem.code().status(), &LoginPage { error });
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

fn page(status: StatusCode, template: &impl Template) -> Response {
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
