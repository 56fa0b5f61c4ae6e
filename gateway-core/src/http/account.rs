//! Logging in, signing up and logging out: a token for apps, a cookie for browsers.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::App;
use super::body::{Body, Fields, FromForm};
use super::page::account::{LoginPage, RegisterPage};
use super::people::{html, layout_of};
use super::problem::{Code, Problem};
use super::visitor::{COOKIE, Customer, Form, own_path};
use crate::auth::{LoggedIn, Registered};
use crate::base::CustomerId;

/// Where one lands who came from nowhere.
const HOME: &str = "/films";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/login", get(login_page).post(login))
        .route("/register", get(register_page).post(register))
        .route("/logout", post(logout))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Login,
    Register,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
    /// Forms only: where to go afterwards.
    #[serde(skip)]
    next: Option<String>,
}

impl FromForm for Credentials {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        let next = fields.one("next").map(str::to_owned);
        Ok(Self { email: fields.need("email")?, password: fields.need("password")?, next })
    }
}

#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

fn way_on(next: Option<&str>) -> String {
    next.and_then(own_path).unwrap_or(HOME).to_owned()
}

async fn login_page(
    State(app): State<App>,
    next: Result<Query<Next>, QueryRejection>,
    customer: Option<Customer>,
    headers: HeaderMap,
) -> Response {
    entrance(&app, Door::Login, next, customer, &headers).await
}

async fn register_page(
    State(app): State<App>,
    next: Result<Query<Next>, QueryRejection>,
    customer: Option<Customer>,
    headers: HeaderMap,
) -> Response {
    entrance(&app, Door::Register, next, customer, &headers).await
}

async fn entrance(
    app: &App,
    door: Door,
    next: Result<Query<Next>, QueryRejection>,
    customer: Option<Customer>,
    headers: &HeaderMap,
) -> Response {
    let next = way_on(next.ok().and_then(|Query(next)| next.next).as_deref());
    match customer {
        Some(_) => Redirect::to(&next).into_response(),
        None => form_page(app, door, headers, Typed { next, email: String::new() }, None).await,
    }
}

struct Typed {
    next: String,
    email: String,
}

async fn form_page(app: &App, door: Door, headers: &HeaderMap, typed: Typed, error: Option<String>) -> Response {
    let Typed { next, email } = typed;
    let layout = layout_of(app, headers, &next).await;
    match door {
        Door::Login => html(&LoginPage { layout, next, email, error }),
        Door::Register => html(&RegisterPage { layout, next, email, error }),
    }
}

async fn login(
    State(app): State<App>,
    form: Form,
    headers: HeaderMap,
    Body(sent): Body<Credentials>,
) -> Result<Response, Problem> {
    let Credentials { email, password, next } = sent;
    let typed = Typed { next: way_on(next.as_deref()), email: email.clone() };
    match app.auth.log_in(&email, password).await? {
        LoggedIn::As(customer) => welcome(&app, form, customer, &typed.next, StatusCode::OK),
        LoggedIn::Wrong => {
            let problem = Problem::new(Code::WrongLogin).detail("E-mail or password is wrong. Check both.");
            refuse(&app, form, Door::Login, &headers, typed, problem).await
        }
        LoggedIn::Throttled { retry_after_ms } => {
            refuse(&app, form, Door::Login, &headers, typed, throttled(retry_after_ms)).await
        }
    }
}

async fn register(
    State(app): State<App>,
    form: Form,
    headers: HeaderMap,
    Body(sent): Body<Credentials>,
) -> Result<Response, Problem> {
    let Credentials { email, password, next } = sent;
    let typed = Typed { next: way_on(next.as_deref()), email: email.clone() };
    let problem = match app.auth.register(&email, password).await? {
        Registered::New(customer) => return welcome(&app, form, customer, &typed.next, StatusCode::CREATED),
        Registered::Again(customer) => return welcome(&app, form, customer, &typed.next, StatusCode::OK),
        Registered::EmailTaken => Problem::new(Code::EmailTaken).detail("This address has an account. Log in instead."),
        Registered::Invalid(why) => Problem::new(Code::InvalidRegistration).detail(why),
        Registered::Throttled { retry_after_ms } => throttled(retry_after_ms),
    };
    refuse(&app, form, Door::Register, &headers, typed, problem).await
}

fn throttled(retry_after_ms: i64) -> Problem {
    let seconds = retry_after_ms.max(0).unsigned_abs().div_ceil(1000);
    Problem::new(Code::TooManyTries)
        .detail(format!("Too many wrong passwords. Try again in {seconds} seconds."))
        .retry_after_ms(retry_after_ms)
}

/// Browsers get the form again, with the reason; apps get the problem.
async fn refuse(
    app: &App,
    form: Form,
    door: Door,
    headers: &HeaderMap,
    typed: Typed,
    problem: Problem,
) -> Result<Response, Problem> {
    match form {
        Form::Json => Err(problem),
        Form::Page => {
            let status = problem.code.status();
            let page = form_page(app, door, headers, typed, Some(problem.detail.into_owned())).await;
            Ok((status, page).into_response())
        }
    }
}

fn welcome(app: &App, form: Form, customer: CustomerId, next: &str, status: StatusCode) -> Result<Response, Problem> {
    let (token, expires_in_ms) = app.auth.token(customer).map_err(|error| {
        tracing::error!(%error, "a token could not be signed");
        Problem::new(Code::Internal)
    })?;
    Ok(match form {
        Form::Json => {
            let id = customer.to_string();
            let body = json!({ "customer_id": id, "token": token, "expires_in_ms": expires_in_ms });
            (status, Json(body)).into_response()
        }
        Form::Page => {
            let mut response = Redirect::to(next).into_response();
            set_cookie(app, &mut response, &token, expires_in_ms / 1000);
            response
        }
    })
}

fn set_cookie(app: &App, response: &mut Response, value: &str, seconds: i64) {
    // Over plain HTTP, as on a developer's machine, browsers would drop a secure cookie.
    let secure = if app.settings.public_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

async fn logout(State(app): State<App>, form: Form) -> Response {
    let mut response = match form {
        Form::Page => Redirect::to(HOME).into_response(),
        Form::Json => StatusCode::NO_CONTENT.into_response(),
    };
    set_cookie(&app, &mut response, "", 0);
    response
}
