//! Turns problems into pages for people, and into the login page where a login is what is missing.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::App;
use super::asset::CONTENT_SECURITY_POLICY;
use super::page::{ErrorPage, Layout, Link};
use super::problem::{Code, Problem};
use super::visitor::{Form, known, request_id};

/// What has to be remembered of a request to answer it.
#[derive(Clone)]
pub(crate) struct Asked {
    form: Form,
    request_id: Option<String>,
    safe: bool,
    here: String,
    headers: HeaderMap,
}

impl Asked {
    /// Of this request.
    pub(crate) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let here = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let mut kept = HeaderMap::new();
        for name in [header::COOKIE, header::AUTHORIZATION] {
            if let Some(value) = headers.get(&name) {
                kept.insert(name, value.clone());
            }
        }
        Self {
            form: Form::of(headers),
            request_id: request_id(headers),
            safe: matches!(*method, Method::GET | Method::HEAD),
            here,
            headers: kept,
        }
    }
}

/// The layer: whatever problem comes out gets the form that was asked for.
pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let asked = Asked::of(request.method(), request.uri(), request.headers());
    let response = next.run(request).await;
    dressed(&app, &asked, response).await
}

/// The response as the visitor gets it. Done twice, it changes nothing the second time.
pub(crate) async fn dressed(app: &App, asked: &Asked, mut response: Response) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>().or_else(|| bare(&response)) else {
        return response;
    };
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut dressed = match asked.form {
        Form::Json => problem.to_response(asked.request_id.as_deref()),
        Form::Page => as_page(app, asked, &problem).await,
    };
    if let Some(allow) = allow {
        dressed.headers_mut().insert(header::ALLOW, allow);
    }
    dressed
}

/// What the router refuses by itself, an unreadable path or query, comes as plain text.
fn bare(response: &Response) -> Option<Problem> {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let plain = response.status() == StatusCode::BAD_REQUEST && kind.starts_with("text/plain");
    plain.then(|| Problem::new(Code::MalformedRequest).detail("The path or the query cannot be read."))
}

async fn as_page(app: &App, asked: &Asked, problem: &Problem) -> Response {
    if matches!(problem.code, Code::LoginRequired | Code::TokenExpired | Code::TokenInvalid) {
        let back = match &problem.onward {
            Some((path, _)) => path.as_str(),
            None if asked.safe => asked.here.as_str(),
            None => "/films",
        };
        return to_login(back);
    }
    let page = ErrorPage {
        layout: layout_of(app, &asked.headers, if asked.safe { &asked.here } else { "/films" }).await,
        status: problem.code.status().as_u16(),
        title: problem.code.title().to_owned(),
        detail: problem.detail.to_string(),
        code: problem.code.as_str().to_owned(),
        request_id: asked.request_id.clone(),
        onward: problem.onward.as_ref().map(|(path, label)| Link { path: path.clone(), label: (*label).to_owned() }),
    };
    let mut response = html(&page);
    *response.status_mut() = problem.code.status();
    if let Some(seconds) = problem.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// To the login page, and back to `path` afterwards.
pub(crate) fn to_login(path: &str) -> Response {
    Redirect::to(&format!("/login?next={}", escaped(path))).into_response()
}

/// Percent-encodes all that is not plain.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// What every page has around it. A database that does not say the address leaves it out.
pub(crate) async fn layout_of(app: &App, headers: &HeaderMap, here: &str) -> Layout {
    let customer = match known(app, headers) {
        Ok(customer) => app.auth.email(customer.0).await.ok().flatten(),
        Err(_) => None,
    };
    Layout { customer, here: here.to_owned(), flash: None }
}

/// A page with its policy.
pub(crate) fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
            (policy, Html(text)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
