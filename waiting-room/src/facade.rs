//! The front door as the binary uses it: everything put together, and the one `match` that a request goes through.
//! Owns no listener and no clock.

mod answer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::HeaderName;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::answer::Answer;
use crate::credential::{AccessKey, BadAccess, EntrySigner, EntryVerifier, ProofKey, TicketKeys};
use crate::door::{Access, AccessFiles, Arrival, Gate, Rooms, Verdict};
use crate::line::{Health, Orders};
use crate::metrics::{Seen, Verdicts};
use crate::operator;
use crate::path::{CanonicalPath, PathRefused, Rules};
use crate::problem::{Code, Problem};
use crate::proxy::{Origin, Passage, SessionEnds, Trust, Upstream, inspect};
use crate::settings::{Clock, OpenError, RoomSettings, Settings};
use crate::stock::{Remaining, Stock};
use crate::store::{self, LineStore, StoreError};
use crate::visitor::{self, Visit};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Shortest key that signs tickets, in bytes: the strength of the signature itself.
const TICKET_KEY_BYTES_MIN: usize = 32;

/// The keys of a front door. All nodes of one door have the same.
pub struct Secrets {
    /// Signs tickets: at least 32 random bytes.
    pub ticket_key: Vec<u8>,
    /// Signs entry tokens: an Ed25519 key in PKCS#8 form, as [`new_entry_key`](crate::new_entry_key) makes one.
    pub entry_key_pkcs8: Vec<u8>,
    /// What the files say that `access_codes` and `access_tokens` of the settings name, by room.
    pub access: BTreeMap<String, AccessFiles>,
}

/// The front door. Cheap to clone; all clones are the same door.
#[derive(Clone)]
pub struct Door(Arc<House>);

struct House {
    gate: Gate,
    upstream: Upstream,
    trust: Trust,
    stock: Stock,
    page_status: StatusCode,
    store_kind: &'static str,
    verdicts: Verdicts,
}

impl Door {
    /// Checks settings and keys, connects to the line's store and finds or begins all rooms. `journal_dir` is where
    /// the memory store keeps its journal.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`] may pass by itself; the others need somebody to change something.
    pub async fn open(
        settings: Settings,
        secrets: Secrets,
        clock: Clock,
        journal_dir: PathBuf,
    ) -> Result<Door, OpenError> {
        settings.check()?;
        let store = store::open(&settings.store, &journal_dir, Arc::clone(&clock)).await?;
        Door::with_store(&settings, &secrets, clock, &store).await
    }

    /// The same door over a store that is already open, with joins and claims as that store takes them.
    ///
    /// # Errors
    /// As [`Door::open`].
    pub async fn with_store(
        settings: &Settings,
        secrets: &Secrets,
        clock: Clock,
        store: &Arc<dyn LineStore>,
    ) -> Result<Door, OpenError> {
        settings.check()?;
        let refuse = |error: &dyn std::fmt::Display| OpenError::Settings(error.to_string());
        if secrets.ticket_key.len() < TICKET_KEY_BYTES_MIN {
            return Err(OpenError::Settings(format!("the ticket key needs at least {TICKET_KEY_BYTES_MIN} bytes")));
        }
        let signer = EntrySigner::new(&secrets.entry_key_pkcs8).map_err(|bad| refuse(&bad))?;
        let verifier = EntryVerifier::from_jwks(&signer.jwks()).map_err(|bad| refuse(&bad))?;
        let rules = Rules::of(&settings.rooms).map_err(|bad| refuse(&bad))?;
        let tickets = TicketKeys::new(&secrets.ticket_key);
        let access_key = AccessKey::new(&secrets.ticket_key);
        let access = read_access(settings, &secrets.access, &access_key)?;
        let rooms = settings.rooms.iter().zip(access).map(|((name, room), access)| (name, room, access)).collect();
        let rooms = Rooms::open(rooms, store, &tickets, &clock).await.map_err(|error| match error {
            StoreError::Unreachable(_) | StoreError::Busy => OpenError::Unreachable(error.to_string()),
            StoreError::NoRoom(_)
            | StoreError::Full
            | StoreError::Closed
            | StoreError::NoLane
            | StoreError::Proof
            | StoreError::Invalid(_) => refuse(&error),
        })?;
        let keys = (tickets, ProofKey::new(&secrets.ticket_key));
        let timeout = Duration::from_millis(settings.upstream_timeout_ms);
        Ok(Door(Arc::new(House {
            gate: Gate::new(rules, rooms, keys, (signer, verifier), clock),
            upstream: Upstream::new(settings.upstream_authority()?, timeout, settings.body_bytes_max),
            trust: Trust::new(settings.trusted()?),
            stock: Stock::default(),
            page_status: settings.status()?,
            store_kind: if settings.store == "memory" { "memory" } else { "redis" },
            verdicts: Verdicts::new(),
        })))
    }

    /// Answers one request of a visitor. Always answers; `peer` is the other end of the connection.
    pub fn answer(&self, request: Request<Body>, peer: SocketAddr) -> Answer {
        let (parts, body) = request.into_parts();
        let origin = Origin::of(&parts, peer, &self.0.trust);
        let path = inspect(&parts).and_then(|()| canonical(&parts));
        if let Ok(path) = &path
            && let Some(response) = visitor::at_once(self.0.visit(&parts, &origin, Some(path)))
        {
            self.0.verdicts.count(Seen::Own);
            return Answer::at_once(marked(response, &origin));
        }
        let house = Arc::clone(&self.0);
        Answer::later(async move {
            let visit = house.visit(&parts, &origin, path.as_ref().ok());
            let response = match &path {
                Ok(path) => house.decide(visit, path, &parts, body).await,
                Err(problem) => {
                    house.verdicts.count(Seen::Refuse);
                    visitor::refusal(visit, problem.clone())
                }
            };
            marked(response, &origin)
        })
    }

    /// The operator's side: admin API, dashboard and live events. To be served on a listener of its own.
    pub fn operator(&self, password: String) -> axum::Router {
        operator::router(self.clone(), password)
    }

    /// Moves the lines on, keeps this node's view of them fresh, and steers rooms with an autopilot, until stopped.
    pub async fn run(&self, stop: CancellationToken) {
        let House { gate, upstream, stock, .. } = &*self.0;
        let health = |over_ms| {
            let measured = upstream.pulse().health(tokio::time::Instant::now(), over_ms);
            Health { orders: stock.orders(), ..measured }
        };
        tokio::join!(gate.rooms.run(&stop), gate.rooms.steer(&stop, health));
    }

    /// Listens to what is left to sell, by sale; a sale belongs to the room of the same name.
    pub fn watch_remaining(&self, remaining: watch::Receiver<BTreeMap<String, Remaining>>) {
        self.0.stock.watch(remaining);
    }

    /// Listens to how busy the shop is with orders, for rooms with an autopilot; `None` while nobody knows.
    pub fn watch_orders(&self, orders: watch::Receiver<Option<Orders>>) {
        self.0.stock.watch_orders(orders);
    }

    /// Whether this node can let people in.
    ///
    /// # Errors
    /// Says in words what is missing. The queue page stays up all the same.
    pub async fn check(&self) -> Result<(), String> {
        for room in self.0.gate.rooms.iter() {
            room.tick().await.map_err(|error| format!("room {}: {error}", room.name()))?;
        }
        Ok(())
    }

    /// Public keys of entry tokens as a JSON Web Key Set, for whatever stands behind.
    pub fn jwks(&self) -> String {
        self.0.gate.jwks()
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    pub(crate) fn stock(&self) -> &Stock {
        &self.0.stock
    }

    pub(crate) fn store_kind(&self) -> &'static str {
        self.0.store_kind
    }
}

/// Whether these settings can be used, and the files that rooms name for codes and keys, without opening anything.
///
/// # Errors
/// Says which setting or file is wrong, and where.
pub fn check_settings(settings: &Settings, files: &BTreeMap<String, AccessFiles>) -> Result<(), OpenError> {
    settings.check()?;
    Rules::of(&settings.rooms).map_err(|bad| OpenError::Settings(bad.to_string()))?;
    read_access(settings, files, &AccessKey::new(&[])).map(drop)
}

/// What all rooms ask, in their order.
fn read_access(
    settings: &Settings,
    files: &BTreeMap<String, AccessFiles>,
    key: &AccessKey,
) -> Result<Vec<Access>, OpenError> {
    let none = AccessFiles::default();
    let of_room = |(name, room): (&'_ String, &'_ RoomSettings)| {
        Access::read(name, room, files.get(name).unwrap_or(&none), key).map_err(|bad| {
            let codes = room.access_codes.as_deref().filter(|_| bad != BadAccess::Keys);
            let file = codes.or(room.access_tokens.as_ref().map(|tokens| tokens.keys.as_path()));
            let file = file.map(|file| format!(" ({})", file.display())).unwrap_or_default();
            OpenError::Settings(format!("access to the room {name}{file}: {bad}"))
        })
    };
    settings.rooms.iter().map(of_room).collect()
}

/// The same id in the visitor's hands, in our logs and in the upstream's.
fn marked(mut response: Response<Body>, origin: &Origin) -> Response<Body> {
    response.headers_mut().insert(REQUEST_ID, origin.request_id().clone());
    response
}

impl House {
    fn visit<'a>(&'a self, parts: &'a Parts, origin: &'a Origin, path: Option<&'a CanonicalPath>) -> Visit<'a> {
        Visit {
            gate: &self.gate,
            stock: &self.stock,
            origin,
            method: &parts.method,
            headers: &parts.headers,
            path,
            page_status: self.page_status,
        }
    }

    /// The whole front door on one screen.
    async fn decide(&self, visit: Visit<'_>, path: &CanonicalPath, parts: &Parts, body: Body) -> Response<Body> {
        let arrival = Arrival {
            method: visit.method,
            host: visit.origin.host(),
            address: visit.origin.address(),
            path,
            headers: visit.headers,
        };
        match self.gate.verdict(&arrival).await {
            Verdict::Own => {
                self.verdicts.count(Seen::Own);
                visitor::own(visit, path.own().unwrap_or_default(), body).await
            }
            Verdict::Pass(admitted, room, grant) => {
                self.verdicts.count(Seen::Pass);
                let passage = Passage { path, origin: visit.origin };
                let entry = admitted.entry().cloned();
                let response = match self.upstream.forward(admitted, passage, parts, body).await {
                    Ok(response) => response,
                    Err(problem) => visitor::refusal(visit, problem),
                };
                if let (Some(_), Some(room), Some(entry)) = (response.extensions().get::<SessionEnds>(), room, entry) {
                    self.gate.end(room, &entry);
                    return visitor::farewell(response, visit, room);
                }
                // Also on a failure: the visitor must not lose an entry to an upstream that stumbled.
                visitor::keep(response, visit, room, &grant)
            }
            Verdict::Wait(room, standing, grant) => {
                self.verdicts.count(Seen::Wait);
                visitor::waiting(visit, room, *standing, &grant)
            }
            Verdict::Prove(room) => {
                self.verdicts.count(Seen::Wait);
                visitor::check(visit, room)
            }
            Verdict::Ask(room) => {
                self.verdicts.count(Seen::Wait);
                visitor::ask_for_code(visit, room)
            }
            Verdict::Refuse(problem) => {
                self.verdicts.count(Seen::Refuse);
                visitor::refusal(visit, problem)
            }
        }
    }
}

fn canonical(parts: &Parts) -> Result<CanonicalPath, Problem> {
    let refuse = |refused: PathRefused| {
        let code = if refused == PathRefused::TooLong { Code::UriTooLong } else { Code::PathRefused };
        Problem::new(code, format!("Not accepted here: {refused}."))
    };
    let raw = parts.uri.path_and_query().ok_or_else(|| refuse(PathRefused::NotAbsolute))?;
    CanonicalPath::parse(raw).map_err(refuse)
}

#[cfg(test)]
mod tests;
