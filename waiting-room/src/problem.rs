//! Every refusal of this crate as `application/problem+json`: the one table of codes, statuses and whether a retry
//! is safe. Nothing else in the crate chooses an error status.

use axum::body::Body;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Safe,
    AfterChange,
    Never,
}

/// What went wrong. The names are stable: clients branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    RequestRefused,
    PathRefused,
    JsonMalformed,
    TicketRequired,
    TicketInvalid,
    LoginRequired,
    EntryRequired,
    EntryExpired,
    ProofRequired,
    IdentityRequired,
    AccessRequired,
    AccessRefused,
    ResumeRefused,
    CrossSite,
    RoomClosed,
    NotFound,
    RoomUnknown,
    MethodNotAllowed,
    TicketSpent,
    IdentityUsed,
    PlaceMoved,
    SoldOut,
    NothingToUndo,
    BodyTooLarge,
    UriTooLong,
    ExpectationRefused,
    ValueRefused,
    Waiting,
    TooManyJoins,
    LoginThrottled,
    HeadersTooLarge,
    UpstreamUnreachable,
    UpstreamFailed,
    LineUnavailable,
    QueueFull,
    ComeLater,
    UpstreamTimeout,
}

impl Code {
    /// Every code, for the table in docs/api.md and the test that compares.
    #[cfg(test)]
    pub(crate) const ALL: [Code; 37] = [
        Code::RequestRefused,
        Code::PathRefused,
        Code::JsonMalformed,
        Code::TicketRequired,
        Code::TicketInvalid,
        Code::LoginRequired,
        Code::EntryRequired,
        Code::EntryExpired,
        Code::ProofRequired,
        Code::IdentityRequired,
        Code::AccessRequired,
        Code::AccessRefused,
        Code::ResumeRefused,
        Code::CrossSite,
        Code::RoomClosed,
        Code::NotFound,
        Code::RoomUnknown,
        Code::MethodNotAllowed,
        Code::TicketSpent,
        Code::IdentityUsed,
        Code::PlaceMoved,
        Code::SoldOut,
        Code::NothingToUndo,
        Code::BodyTooLarge,
        Code::UriTooLong,
        Code::ExpectationRefused,
        Code::ValueRefused,
        Code::Waiting,
        Code::TooManyJoins,
        Code::LoginThrottled,
        Code::HeadersTooLarge,
        Code::UpstreamUnreachable,
        Code::UpstreamFailed,
        Code::LineUnavailable,
        Code::QueueFull,
        Code::ComeLater,
        Code::UpstreamTimeout,
    ];

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, StatusCode, Retry, &'static str) {
        use Retry::{AfterChange, Never, Safe};
        match self {
            Code::RequestRefused => ("request_refused", StatusCode::BAD_REQUEST, Never, "The request can be read in two ways"),
            Code::PathRefused => ("path_refused", StatusCode::BAD_REQUEST, Never, "The path can be read in two ways"),
            Code::JsonMalformed => ("malformed_body", StatusCode::BAD_REQUEST, AfterChange, "The body is not the JSON that is expected"),
            Code::TicketRequired => ("ticket_required", StatusCode::UNAUTHORIZED, AfterChange, "No ticket was sent"),
            Code::TicketInvalid => ("ticket_invalid", StatusCode::UNAUTHORIZED, AfterChange, "The ticket is not valid here"),
            Code::LoginRequired => ("login_required", StatusCode::UNAUTHORIZED, AfterChange, "The operator must log in"),
            Code::EntryRequired => ("entry_required", StatusCode::FORBIDDEN, AfterChange, "Entry is needed"),
            Code::EntryExpired => ("entry_expired", StatusCode::FORBIDDEN, AfterChange, "The entry has run out"),
            Code::ProofRequired => ("proof_required", StatusCode::FORBIDDEN, AfterChange, "A proof of work is needed"),
            Code::IdentityRequired => ("identity_required", StatusCode::FORBIDDEN, AfterChange, "The room asks who you are"),
            Code::AccessRequired => ("access_required", StatusCode::FORBIDDEN, AfterChange, "An access code is needed"),
            Code::AccessRefused => ("access_refused", StatusCode::FORBIDDEN, AfterChange, "The access code is not known here"),
            Code::ResumeRefused => ("code_refused", StatusCode::FORBIDDEN, AfterChange, "The code of the other device is not valid"),
            Code::CrossSite => ("cross_site", StatusCode::FORBIDDEN, Never, "The request came from another site"),
            Code::RoomClosed => ("room_closed", StatusCode::FORBIDDEN, AfterChange, "The room is closed"),
            Code::NotFound => ("not_found", StatusCode::NOT_FOUND, Never, "There is nothing here"),
            Code::RoomUnknown => ("room_unknown", StatusCode::NOT_FOUND, Never, "There is no such room"),
            Code::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, Never, "The method is not allowed"),
            Code::TicketSpent => ("ticket_spent", StatusCode::CONFLICT, AfterChange, "The ticket has been used"),
            Code::IdentityUsed => ("identity_used", StatusCode::CONFLICT, Never, "Your place has been used"),
            Code::PlaceMoved => ("place_moved", StatusCode::CONFLICT, AfterChange, "The place goes on with another device"),
            Code::SoldOut => ("sold_out", StatusCode::CONFLICT, Never, "Sold out"),
            Code::NothingToUndo => ("nothing_to_undo", StatusCode::CONFLICT, AfterChange, "There is nothing to undo"),
            Code::BodyTooLarge => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, AfterChange, "The body is too large"),
            Code::UriTooLong => ("uri_too_long", StatusCode::URI_TOO_LONG, AfterChange, "The address is too long"),
            Code::ExpectationRefused => ("expectation_refused", StatusCode::EXPECTATION_FAILED, AfterChange, "The expectation cannot be met"),
            Code::ValueRefused => ("value_refused", StatusCode::UNPROCESSABLE_ENTITY, AfterChange, "A value is out of range"),
            Code::Waiting => ("waiting", StatusCode::TOO_MANY_REQUESTS, Safe, "It is not your turn yet"),
            Code::TooManyJoins => ("too_many_joins", StatusCode::TOO_MANY_REQUESTS, Safe, "Too many have joined from your network"),
            Code::LoginThrottled => ("too_many_tries", StatusCode::TOO_MANY_REQUESTS, Safe, "Too many attempts"),
            Code::HeadersTooLarge => ("headers_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, AfterChange, "The headers are too large"),
            Code::UpstreamUnreachable => ("upstream_unreachable", StatusCode::BAD_GATEWAY, Safe, "The shop cannot be reached"),
            Code::UpstreamFailed => ("upstream_failed", StatusCode::BAD_GATEWAY, Never, "The shop broke off its answer"),
            Code::LineUnavailable => ("line_unavailable", StatusCode::SERVICE_UNAVAILABLE, Safe, "One moment, please"),
            Code::ComeLater => ("come_later", StatusCode::SERVICE_UNAVAILABLE, Safe, "Crawlers come again later"),
            Code::QueueFull => ("queue_full", StatusCode::SERVICE_UNAVAILABLE, Safe, "The line is full"),
            Code::UpstreamTimeout => ("upstream_timeout", StatusCode::GATEWAY_TIMEOUT, Never, "The shop did not answer in time"),
        }
    }

    /// The code as clients and metrics see it.
    pub(crate) const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with the code.
    pub(crate) const fn status(self) -> StatusCode {
        self.row().1
    }
}

impl Retry {
    const fn as_str(self) -> &'static str {
        match self {
            Retry::Safe => "safe",
            Retry::AfterChange => "after_change",
            Retry::Never => "never",
        }
    }
}

/// One refusal: a code, a sentence that helps, and what belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    extra: Map<String, Value>,
    retry_after_ms: Option<u64>,
    allow: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem { code, detail: detail.into(), extra: Map::new(), retry_after_ms: None, allow: None }
    }

    /// 405 with the methods that are allowed.
    pub(crate) fn method(allow: &'static str) -> Problem {
        let detail = format!("Allowed here: {allow}.");
        Problem { allow: Some(allow), ..Problem::new(Code::MethodNotAllowed, detail) }
    }

    /// Adds a member to the body.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to come back, in milliseconds: exactly in the body, in whole seconds in `Retry-After`.
    pub(crate) fn retry_after(mut self, wait_ms: u64) -> Problem {
        self.retry_after_ms = Some(wait_ms);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// When to come back, in milliseconds, if that was said.
    pub(crate) fn comes_back_ms(&self) -> Option<u64> {
        self.retry_after_ms
    }

    /// What went wrong in a few words.
    pub(crate) fn title(&self) -> &'static str {
        self.code.row().3
    }

    /// What to do about it.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer; `request_id` is the one that was sent on, or would have been.
    pub(crate) fn respond(self, request_id: Option<&str>) -> Response<Body> {
        let (name, status, retry, title) = self.code.row();
        let mut body = self.extra;
        body.insert("type".to_owned(), json!(format!("urn:vestibule:problem:{name}")));
        body.insert("title".to_owned(), json!(title));
        body.insert("status".to_owned(), json!(status.as_u16()));
        body.insert("detail".to_owned(), json!(self.detail));
        body.insert("code".to_owned(), json!(name));
        body.insert("retry".to_owned(), json!(retry.as_str()));
        if let Some(id) = request_id {
            body.insert("request_id".to_owned(), json!(id));
        }
        if let Some(wait_ms) = self.retry_after_ms {
            body.insert("retry_after_ms".to_owned(), json!(wait_ms));
        }
        let mut response = Response::new(Body::from(Value::Object(body).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait_ms) = self.retry_after_ms {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000)));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_snake_case() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }

    #[tokio::test]
    async fn a_problem_says_what_when_and_whether_again() {
        let response = Problem::new(Code::Waiting, "Wait.").with("ahead", 3).retry_after(1_200).respond(Some("r-1"));
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            body,
            json!({"type": "urn:vestibule:problem:waiting", "title": "It is not your turn yet", "status": 429,
                "detail": "Wait.", "code": "waiting", "retry": "safe", "request_id": "r-1", "retry_after_ms": 1200, "ahead": 3})
        );
    }
}
