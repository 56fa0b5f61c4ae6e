//! The same question behind the door as in front of it: a layer for whatever stands behind, so that going around the
//! door gets nobody in. Knows open rules and public keys, nothing of queues.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{Request, Response};
use tower::{Layer, Service};

use super::{EntryRefused, EntryVerifier, entry_token};
use crate::path::{CanonicalPath, Rules};
use crate::problem::{Code, Problem};
use crate::settings::{Clock, OpenError, RoomSettings};

/// Lets open paths through and asks for an entry token everywhere else. Wrap any service of the upstream with it.
#[derive(Clone)]
pub struct EntryLayer {
    desk: Arc<Desk>,
}

struct Desk {
    verifier: Arc<EntryVerifier>,
    rules: Rules,
    clock: Clock,
}

impl EntryLayer {
    /// A layer with the same rooms as the door in front.
    ///
    /// # Errors
    /// [`OpenError::Settings`] when an open rule cannot be read.
    pub fn new(
        verifier: Arc<EntryVerifier>,
        rooms: &BTreeMap<String, RoomSettings>,
        clock: Clock,
    ) -> Result<EntryLayer, OpenError> {
        let rules = Rules::of(rooms).map_err(|bad| OpenError::Settings(bad.to_string()))?;
        Ok(EntryLayer { desk: Arc::new(Desk { verifier, rules, clock }) })
    }
}

impl Desk {
    fn check(&self, parts: &Parts) -> Result<(), Problem> {
        let refuse = |detail: &str| Problem::new(Code::PathRefused, detail);
        let raw = parts.uri.path_and_query().ok_or_else(|| refuse("The request has no path."))?;
        let path = CanonicalPath::parse(raw).map_err(|refused| refuse(&format!("Here {refused}.")))?;
        // Routing here sees the raw path: deciding about another spelling of it would be deciding about another path.
        // The door sends canonical paths only, so nobody who came through it is refused.
        if path.as_str() != raw.path() {
            return Err(refuse("The path is not in its canonical form; come through the front door."));
        }
        let required =
            || Problem::new(Code::EntryRequired, "Come through the front door: it sends an entry token along.");
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(Authority::as_str)).unwrap_or_default();
        let room = self.rules.room_of(host, &path).ok_or_else(required)?;
        if room.is_open(&parts.method, &path) {
            return Ok(());
        }
        let room = room.name();
        let token = entry_token(&parts.headers, room).ok_or_else(required)?;
        self.verifier.verify(token, room, (self.clock)()).map_err(|refused| match refused {
            EntryRefused::Invalid => required(),
            EntryRefused::Expired => {
                Problem::new(Code::EntryExpired, "The entry token has run out; queue again at the front door.")
            }
        })
    }
}

impl<S> Layer<S> for EntryLayer {
    type Service = EntryGate<S>;

    fn layer(&self, inner: S) -> EntryGate<S> {
        EntryGate { inner, desk: Arc::clone(&self.desk) }
    }
}

/// A service behind an [`EntryLayer`].
#[derive(Clone)]
pub struct EntryGate<S> {
    inner: S,
    desk: Arc<Desk>,
}

impl<S> Service<Request<Body>> for EntryGate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.desk.check(&parts) {
            Ok(()) => Box::pin(self.inner.call(Request::from_parts(parts, body))),
            Err(problem) => {
                let id = parts.headers.get("x-request-id").and_then(|value| value.to_str().ok());
                let response = problem.respond(id);
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
