//! Who is an operator: one password, as a bearer for programs or as a signed session cookie for browsers. Attempts
//! are throttled for all together, because there is one account.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{digest, hmac};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use subtle::ConstantTimeEq;

use super::Desk;
use super::history::UNDOING;
use crate::credential::cookie;
use crate::line::AUTOPILOT;
use crate::metrics::{self, Login};
use crate::problem::{Code, Problem};
use crate::proxy::is_cross_site;

/// The cookie of a session. Its own listener, but cookies know no ports: the name must differ from visitors' ones.
pub(super) const SESSION_COOKIE: &str = "vestibule_operator";
/// A night's work, in milliseconds.
pub(super) const SESSION_MS: i64 = 12 * 3600 * 1000;
/// Wrong passwords per minute before nobody may try for the rest of it.
const FAILURES_PER_MINUTE_MAX: u32 = 10;
const MINUTE_MS: i64 = 60_000;

/// The header in which a program says for whom it acts.
const NAME_HEADER: &str = "x-operator-name";
/// Longest name, in characters: it stands in every line of the history.
const NAME_CHARS_MAX: usize = 40;

/// Who changes a room, as they call themselves: there is one password, so it is a note and no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who(String);

impl Who {
    /// Reads a name; without one it is "operator".
    pub(super) fn named(name: &str) -> Result<Who, Problem> {
        let name = name.trim();
        if name.is_empty() {
            return Ok(Who("operator".to_owned()));
        }
        let taken = name == AUTOPILOT || name.ends_with(UNDOING);
        if taken || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            let detail = format!(
                "A name has at most {NAME_CHARS_MAX} characters, is not \"{AUTOPILOT}\" and does not end with \"{UNDOING}\"."
            );
            return Err(Problem::new(Code::ValueRefused, detail).with("field", "name"));
        }
        Ok(Who(name.to_owned()))
    }

    /// As the history names whoever takes a change back.
    pub(super) fn undoing(&self) -> Who {
        Who(format!("{}{UNDOING}", self.0))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Accepted,
    Refused,
    Throttled { retry_after_ms: u64 },
}

/// Knows the password's hash and signs sessions.
pub(super) struct Guard {
    password: digest::Digest,
    /// Of this process only: a restart ends all sessions.
    session_key: hmac::Key,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    since_ms: i64,
    count: u32,
}

impl Guard {
    pub(super) fn new(password: String) -> Guard {
        let secret: [u8; 32] = rand::random();
        Guard {
            password: digest::digest(&digest::SHA256, &password.into_bytes()),
            session_key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            failures: Mutex::default(),
        }
    }

    /// Judges a password. While throttled the right one is refused as well, or throttling would be an oracle.
    pub(super) fn attempt(&self, password: &str, now_ms: i64) -> Attempt {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let age_ms = now_ms.saturating_sub(failures.since_ms);
        if age_ms >= MINUTE_MS {
            *failures = Failures { since_ms: now_ms, count: 0 };
        } else if failures.count >= FAILURES_PER_MINUTE_MAX {
            metrics::operator_login(Login::Throttled);
            return Attempt::Throttled { retry_after_ms: u64::try_from(MINUTE_MS - age_ms).unwrap_or_default() };
        }
        // Hashes have one length, so that not even the password's length shows in the time.
        let given = digest::digest(&digest::SHA256, password.as_bytes());
        if bool::from(given.as_ref().ct_eq(self.password.as_ref())) {
            return Attempt::Accepted;
        }
        failures.count += 1;
        metrics::operator_login(Login::Refused);
        Attempt::Refused
    }

    /// Somebody's session that lasts until a time, in milliseconds since 1970.
    pub(super) fn session(&self, who: &Who, until_ms: i64) -> String {
        let signed = [until_ms.to_be_bytes().as_slice(), who.0.as_bytes()].concat();
        let tag = hmac::sign(&self.session_key, &signed);
        URL_SAFE_NO_PAD.encode([tag.as_ref(), &signed].concat())
    }

    /// Whose session this is, if it is one and not over.
    fn whose(&self, text: &str, now_ms: i64) -> Option<Who> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, signed) = bytes.split_at_checked(digest::SHA256_OUTPUT_LEN)?;
        hmac::verify(&self.session_key, signed, tag).ok()?;
        let (&until_ms, who) = signed.split_first_chunk::<8>()?;
        let who = String::from_utf8(who.to_vec()).ok()?;
        (now_ms < i64::from_be_bytes(until_ms)).then_some(Who(who))
    }
}

/// Lets operators through; browsers are shown the login, programs get a problem.
pub(super) async fn require(State(desk): State<Desk>, mut request: Request, next: Next) -> Response {
    match allowed(&desk, request.method(), request.headers()) {
        Ok(who) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(problem) => {
            let page = request.headers().get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
            if page && problem.code() == Code::LoginRequired { to_login() } else { problem.respond(None) }
        }
    }
}

fn allowed(desk: &Desk, method: &Method, headers: &HeaderMap) -> Result<Who, Problem> {
    let now_ms = desk.door.gate().now_ms();
    if let Some(value) = headers.get(AUTHORIZATION) {
        let password = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        return match desk.guard.attempt(password, now_ms) {
            Attempt::Accepted => {
                let name = headers.get(NAME_HEADER).map(|name| String::from_utf8_lossy(name.as_bytes()));
                Who::named(&name.unwrap_or_default())
            }
            Attempt::Refused => Err(Problem::new(Code::LoginRequired, "The password is not the operator's.")),
            Attempt::Throttled { retry_after_ms } => Err(throttled(retry_after_ms)),
        };
    }
    let Some(who) = cookie(headers, SESSION_COOKIE).and_then(|text| desk.guard.whose(text, now_ms)) else {
        let detail = "Log in, or send `Authorization: Bearer` with the operator's password.";
        return Err(Problem::new(Code::LoginRequired, detail));
    };
    if method != Method::GET && method != Method::HEAD && is_cross_site(headers) {
        return Err(Problem::new(Code::CrossSite, "Change rooms from the dashboard's own pages."));
    }
    Ok(who)
}

pub(super) fn throttled(retry_after_ms: u64) -> Problem {
    Problem::new(Code::LoginThrottled, "Wait a little before the next attempt.").retry_after(retry_after_ms)
}

pub(super) fn to_login() -> Response {
    see_other("/login")
}

pub(super) fn see_other(path: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(path));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_passwords_close_the_minute() {
        let guard = Guard::new("right".to_owned());
        for _ in 0..FAILURES_PER_MINUTE_MAX {
            assert_eq!(guard.attempt("wrong", MINUTE_MS), Attempt::Refused);
        }
        assert_eq!(guard.attempt("right", MINUTE_MS + 1), Attempt::Throttled { retry_after_ms: 59_999 });
        assert_eq!(guard.attempt("right", 2 * MINUTE_MS), Attempt::Accepted);
    }

    #[test]
    fn sessions_end_and_cannot_be_made_up() {
        let guard = Guard::new("right".to_owned());
        let ada = Who("ada".to_owned());
        let session = guard.session(&ada, 1_000);
        assert_eq!(guard.whose(&session, 999), Some(ada));
        assert_eq!(guard.whose(&session, 1_000), None);
        assert_eq!(Guard::new("right".to_owned()).whose(&session, 0), None);
        assert_eq!(guard.whose("", 0), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&session).unwrap();
        for at in [0, 40, 42] {
            bytes[at] ^= 0x40;
            assert_eq!(guard.whose(&URL_SAFE_NO_PAD.encode(&bytes), 0), None);
            bytes[at] ^= 0x40;
        }
    }

    #[test]
    fn names_are_short_and_the_autopilots_is_its_own() {
        assert_eq!(Who::named("  ").unwrap().as_str(), "operator");
        assert_eq!(Who::named(" Ada L. ").unwrap().as_str(), "Ada L.");
        for bad in ["autopilot", "a\nb", &"x".repeat(41)] {
            assert!(Who::named(bad).is_err(), "{bad}");
        }
    }
}
