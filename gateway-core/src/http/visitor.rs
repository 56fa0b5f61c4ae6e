//! Who asks, and how they want it: the customer's token from header or cookie, a page or JSON, the request's id.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::App;
use super::problem::{Code, Problem};
use crate::auth::TokenError;
use crate::base::CustomerId;

/// The cookie that carries a customer's token.
pub(crate) const COOKIE: &str = "vestibule_customer";

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// HTML, and redirects after a form.
    Page,
    /// JSON.
    Json,
}

impl Form {
    /// What the headers ask for: a page if HTML comes first in `Accept`, or if a form was sent.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first =
            accept.split(',').map(|part| part.split(';').next().unwrap_or_default().trim()).find_map(
                |media| match media {
                    "text/html" | "application/xhtml+xml" => Some(Self::Page),
                    "application/json" | "application/problem+json" | "application/*" => Some(Self::Json),
                    _ => None,
                },
            );
        match first {
            Some(form) => form,
            None if super::body::is_form(headers) => Self::Page,
            None => Self::Json,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// The customer who asks. As an argument it demands one; as `Option<Customer>` a bad token counts as none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Customer(pub(crate) CustomerId);

impl FromRequestParts<App> for Customer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        known(app, &parts.headers)
    }
}

impl OptionalFromRequestParts<App> for Customer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Infallible> {
        Ok(known(app, &parts.headers).ok())
    }
}

/// The customer of a request, or why there is none.
pub(crate) fn known(app: &App, headers: &HeaderMap) -> Result<Customer, Problem> {
    let token = match bearer(headers) {
        Some(token) => Some(token.to_owned()),
        None => cookie(headers),
    };
    let Some(token) = token else { return Err(Problem::new(Code::LoginRequired).detail("Log in to do this.")) };
    app.auth.verify(&token).map(Customer).map_err(|error| match error {
        TokenError::Expired => Problem::new(Code::TokenExpired).detail("Log in again."),
        TokenError::Invalid => Problem::new(Code::TokenInvalid).detail("Log in again."),
    })
}

/// The bearer token, if there is one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| cookie::Cookie::split_parse(line.to_owned()).filter_map(Result::ok));
    cookies.find(|cookie| cookie.name() == COOKIE && !cookie.value().is_empty()).map(|cookie| cookie.value().to_owned())
}

/// The id that the front door gave this request; nothing else is passed on.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let sane = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    (sane && (1..=64).contains(&id.len())).then(|| id.to_owned())
}

/// Where to go after logging in: a path of our own, or nothing. What a browser could read as another host is refused.
pub(crate) fn own_path(next: &str) -> Option<&str> {
    let plain = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.chars().any(|c| c.is_control() || c.is_whitespace())
        && next.len() <= 1024
        && next.is_ascii();
    plain.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(header::HeaderName, &str)]) -> Form {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header value")));
        Form::of(&headers.collect())
    }

    #[test]
    fn browsers_get_pages_and_apps_get_json() {
        let chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(form(&[(header::ACCEPT, chrome)]), Form::Page);
        assert_eq!(form(&[(header::ACCEPT, "application/json, text/html")]), Form::Json);
        assert_eq!(form(&[(header::ACCEPT, "*/*")]), Form::Json);
        assert_eq!(form(&[]), Form::Json);
        assert_eq!(form(&[(header::CONTENT_TYPE, "application/x-www-form-urlencoded")]), Form::Page);
    }

    #[test]
    fn only_own_paths_are_gone_to() {
        assert_eq!(own_path("/screenings/a/seats?pick=A1,A2"), Some("/screenings/a/seats?pick=A1,A2"));
        for bad in ["", "films", "//evil.example", "/\\evil", "https://evil", "/a\nb", "/a b", "/ü"] {
            assert_eq!(own_path(bad), None, "{bad:?}");
        }
    }
}
