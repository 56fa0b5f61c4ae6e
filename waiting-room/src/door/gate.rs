//! The gate: keys, rules and rooms of this node, and the two things a visitor can do with them, join and go in.
//! Knows no request and no page.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::pass::Admitted;
use super::room::{Entered, Room, Rooms};
use super::wait::{self, Eta, Place};
use crate::credential::{EntryGrant, EntryRefused, EntrySigner, EntryVerifier, Ticket, TicketKeys, entry_token};
use crate::line::{RoomState, Session, Snapshot};
use crate::path::{CanonicalPath, Rules};
use crate::settings::Clock;
use crate::store::StoreError;

/// First come, first served: there is one lane.
const LANE: u8 = 0;
/// While the store is away a page asks this often, in milliseconds, before jitter.
const POLL_AWAY_MS: u64 = 4_000;

/// Everything that decides.
pub(crate) struct Gate {
    pub(crate) rules: Rules,
    pub(crate) rooms: Rooms,
    pub(super) tickets: TicketKeys,
    signer: EntrySigner,
    verifier: EntryVerifier,
    clock: Clock,
}

/// What a visitor is told about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Waiting,
    Called,
    Paused,
    /// The line cannot be seen right now.
    OneMoment,
}

/// A visitor's standing in a room, as this node knows it.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    /// `None` while the line cannot give a place.
    pub(crate) place: Option<Place>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) eta: Option<Eta>,
    pub(crate) poll_after_ms: u64,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) now_ms: i64,
}

/// What a visitor gets to keep: written into cookies, and into JSON for those who ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) ticket: Option<String>,
    pub(crate) entry: Option<Granted>,
}

/// An entry token and how long it lasts, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) token: String,
    pub(crate) expires_in_ms: i64,
}

/// The outcome of joining or claiming.
pub(crate) enum Turn {
    In(Grant),
    /// Not yet, with a ticket if one was just drawn.
    Wait(Box<Standing>, Grant),
    /// The ticket has been used, or belongs to a line that is no more.
    Gone(Gone),
}

/// Why a ticket is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    Spent,
    Unknown,
}

impl Gate {
    pub(crate) fn new(
        rules: Rules,
        rooms: Rooms,
        tickets: TicketKeys,
        signer: EntrySigner,
        verifier: EntryVerifier,
        clock: Clock,
    ) -> Gate {
        Gate { rules, rooms, tickets, signer, verifier, clock }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Public keys of entry tokens.
    pub(crate) fn jwks(&self) -> String {
        self.signer.jwks()
    }

    /// The ticket behind a text, if it is one of this line: signed by us, for this room, in this life of the line.
    /// A ticket of a younger line than this node has seen is kept: the next tick will know it.
    pub(crate) fn ticket(&self, text: &str, room: &Room) -> Option<Ticket> {
        let ticket = self.tickets.verify(text, room.name())?;
        (ticket.epoch >= room.snapshot().epoch && ticket.lane == LANE && ticket.number > 0).then_some(ticket)
    }

    pub(super) fn pass_by_rule(&self, method: &Method, path: &CanonicalPath) -> Option<Admitted> {
        Admitted::by_rule(&self.rules, method, path)
    }

    pub(super) fn pass_by_token(&self, token: &str, room: &str) -> Result<Admitted, EntryRefused> {
        Admitted::by_token(&self.verifier, token, room, self.now_ms())
    }

    /// Whether these headers carry an entry that holds now.
    pub(crate) fn holds_entry(&self, headers: &HeaderMap, room: &Room) -> bool {
        entry_token(headers, room.name()).is_some_and(|token| self.pass_by_token(token, room.name()).is_ok())
    }

    /// Draws a number; if the room is calm, in at once.
    ///
    /// # Errors
    /// [`StoreError`]: nobody is let in, and there is no number.
    pub(crate) async fn join(&self, room: &Room) -> Result<Turn, StoreError> {
        let joining = room.join().await?;
        let ticket = Ticket {
            room: room.name().to_owned(),
            epoch: joining.epoch,
            lane: LANE,
            number: joining.number,
            issued_at_ms: self.now_ms(),
        };
        let text = self.tickets.mint(&ticket);
        let entry = joining.session.and_then(|session| self.grant(&ticket, &session));
        let grant = Grant { ticket: Some(text), entry };
        if grant.entry.is_some() {
            return Ok(Turn::In(grant));
        }
        Ok(Turn::Wait(Box::new(self.standing(room, Some(ticket))), grant))
    }

    /// Asks to go in with a ticket. Costs a call to the store only if this node believes that the ticket is called.
    pub(crate) async fn enter(&self, room: &Room, ticket: Ticket) -> Turn {
        let mut standing = self.standing(room, Some(ticket.clone()));
        let called = standing.place.is_some_and(|place| place.called);
        if !called || standing.status == Status::Paused {
            return Turn::Wait(Box::new(standing), Grant::default());
        }
        match room.claim(ticket.epoch, ticket.number).await {
            Ok(Entered::In(session)) => match self.grant(&ticket, &session) {
                Some(entry) => Turn::In(Grant { ticket: None, entry: Some(entry) }),
                None => Turn::Wait(Box::new(standing), Grant::default()),
            },
            Ok(Entered::NotYet(retry_ms)) => {
                standing = self.standing(room, Some(ticket));
                standing.poll_after_ms = retry_ms.unwrap_or(standing.poll_after_ms);
                Turn::Wait(Box::new(standing), Grant::default())
            }
            Ok(Entered::Spent) => Turn::Gone(Gone::Spent),
            Ok(Entered::Unknown) => Turn::Gone(Gone::Unknown),
            // An error keeps the visitor waiting. It never lets anybody in.
            Err(_) => Turn::Wait(Box::new(self.away(room, Some(ticket))), Grant::default()),
        }
    }

    /// Where somebody stands, from this node's memory alone.
    pub(crate) fn standing(&self, room: &Room, ticket: Option<Ticket>) -> Standing {
        let snapshot = room.snapshot();
        // A ticket of a line that this node has yet to see has a place, but nobody here knows how far in front.
        let seen = ticket.as_ref().is_none_or(|ticket| ticket.epoch == snapshot.epoch);
        if !room.store_ok() || !seen {
            return self.away(room, ticket);
        }
        // Who has no ticket yet stands where the next number would.
        let next = snapshot.issued.saturating_add(1);
        let place = Place::of(ticket.as_ref().map_or(next, |ticket| ticket.number), &snapshot);
        let status = match snapshot.state {
            RoomState::Paused | RoomState::Closed | RoomState::SoldOut => Status::Paused,
            RoomState::Open | RoomState::Draining if place.called => Status::Called,
            RoomState::Open | RoomState::Draining => Status::Waiting,
        };
        Standing {
            status,
            place: ticket.as_ref().map(|_| place),
            ticket,
            eta: wait::eta_of(place, &snapshot),
            poll_after_ms: wait::poll_after_ms(place, &snapshot, rand::random()),
            snapshot,
            now_ms: self.now_ms(),
        }
    }

    /// The standing of somebody while the line cannot be seen: the last place, and no promise.
    pub(crate) fn away(&self, room: &Room, ticket: Option<Ticket>) -> Standing {
        let snapshot = room.snapshot();
        let known = ticket.as_ref().filter(|ticket| ticket.epoch == snapshot.epoch);
        Standing {
            status: Status::OneMoment,
            place: known.map(|ticket| Place::of(ticket.number, &snapshot)),
            ticket,
            eta: None,
            poll_after_ms: POLL_AWAY_MS + rand::random_range(0..POLL_AWAY_MS / 2),
            snapshot,
            now_ms: self.now_ms(),
        }
    }

    fn grant(&self, ticket: &Ticket, session: &Session) -> Option<Granted> {
        let now_ms = self.now_ms();
        let token = self.signer.mint(&EntryGrant {
            room: ticket.room.clone(),
            ticket: format!("{}.{}.{}.{}", ticket.room, ticket.epoch, ticket.lane, ticket.number),
            session: session.id.clone(),
            from_ms: now_ms,
            until_ms: now_ms.saturating_add(session.expires_in_ms),
        })?;
        Some(Granted { token, expires_in_ms: session.expires_in_ms })
    }
}
