//! The gate: keys, rules and rooms of this node, and the two things a visitor can do with them, join and go in.
//! Knows no request and no page.

use std::sync::Arc;

use http::HeaderMap;

use super::desk::{Comer, NotJoined, is_full};
use super::joining::Entered;
use super::lots::Position;
use super::opening::Moment;
use super::pass::Admitted;
use super::room::{Room, Rooms};
use super::shut::Shut;
use super::wait::{self, Eta, Place};
use crate::credential::{
    EntryGrant, EntryRefused, EntrySigner, EntryVerifier, ProofKey, Ticket, TicketKeys, entry_token,
};
use crate::line::{Joiner, LANES_MAX, Proof, RoomState, Session, Snapshot, lane_of, numbered, within_lane};
use crate::metrics;
use crate::path::Rules;
use crate::settings::Clock;
use crate::store::StoreError;

/// How long a ticket is believed of a line that this node, whose store answers, has not seen, in milliseconds.
const YOUNGER_MS: i64 = 15_000;

/// A device that a place has left need not ask often, in milliseconds.
const POLL_MOVED_MS: u64 = 60_000;

/// How long the token of a request that need not wait lasts, in milliseconds.
const BYPASS_TOKEN_MS: i64 = 60_000;

/// Everything that decides.
pub(crate) struct Gate {
    pub(crate) rules: Rules,
    pub(crate) rooms: Rooms,
    pub(super) tickets: TicketKeys,
    signer: EntrySigner,
    verifier: EntryVerifier,
    pub(super) proofs: ProofKey,
    clock: Clock,
}

/// What a visitor is told about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nobody can join yet.
    Early,
    /// People join, and nobody goes in before the opening.
    Prequeue,
    Waiting,
    Called,
    Paused,
    /// The place went on with another device.
    Moved,
    /// Nobody goes in any more.
    Shut(Shut),
    /// The line cannot be seen right now.
    OneMoment,
    /// Came while no numbers could be given; one will come.
    Provisional,
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
    /// What [`Status::Early`] and [`Status::Prequeue`] wait for.
    pub(crate) next: Option<Moment>,
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
    /// The place goes on with another device.
    Moved,
}

impl Gate {
    pub(crate) fn new(
        rules: Rules,
        rooms: Rooms,
        (tickets, proofs): (TicketKeys, ProofKey),
        (signer, verifier): (EntrySigner, EntryVerifier),
        clock: Clock,
    ) -> Gate {
        Gate { rules, rooms, tickets, signer, verifier, proofs, clock }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Public keys of entry tokens.
    pub(crate) fn jwks(&self) -> String {
        self.signer.jwks()
    }

    /// The ticket behind a text, if it is one of this line: signed by us, for this room, in this life of the line.
    /// A ticket of a younger line than this node has seen is kept for a while: the next tick will know it, unless that
    /// line gave way to an older one. So is one of a lane that it has yet to hear of, and one of an older line that may be
    /// brought back by it.
    pub(crate) fn ticket(&self, text: &str, room: &Room) -> Option<Ticket> {
        let ticket = self.tickets.verify(text, room.name())?;
        let line = room.look();
        let may_come = || !room.store_ok() || self.now_ms().saturating_sub(ticket.issued_at_ms) <= YOUNGER_MS;
        let may_heal = room.may_heal(&ticket, &line);
        let holds = ticket.epoch == line.epoch || may_heal || ticket.epoch > line.epoch && may_come();
        (holds && usize::from(ticket.lane) < LANES_MAX && ticket.number > 0).then_some(ticket)
    }

    /// `repeats`: it may be the repeat of a request whose answer was lost, so a session that has just ended holds still.
    pub(super) fn pass_by_token(&self, token: &str, room: &Room, repeats: bool) -> Result<Admitted, EntryRefused> {
        let now_ms = self.now_ms();
        let admitted = Admitted::by_token(&self.verifier, token, room.name(), now_ms)?;
        match admitted.entry() {
            Some(entry) if room.reports().is_over(entry.session(), repeats, now_ms) => Err(EntryRefused::Expired),
            Some(_) | None => Ok(admitted),
        }
    }

    pub(super) fn token(&self, room: &str, ticket: &str, session: &str, lasts_ms: i64) -> Option<String> {
        let from_ms = self.now_ms();
        let (room, ticket, session) = (room.to_owned(), ticket.to_owned(), session.to_owned());
        self.signer.mint(&EntryGrant { room, ticket, session, from_ms, until_ms: from_ms.saturating_add(lasts_ms) })
    }

    /// Whether these headers carry an entry that holds now.
    pub(crate) fn holds_entry(&self, headers: &HeaderMap, room: &Room) -> bool {
        entry_token(headers, room.name()).is_some_and(|token| self.pass_by_token(token, room, false).is_ok())
    }

    /// Draws a number; if the room is calm, in at once. An identity that has a number gets a ticket of that one.
    ///
    /// # Errors
    /// [`NotJoined`]: nobody is let in, and there is no number.
    pub(crate) async fn join(&self, room: &Room, comer: Comer<'_>) -> Result<Turn, NotJoined> {
        let arrived_ms = self.now_ms();
        let joined = match self.ask(room, comer) {
            // Nobody overtakes those who came while the store was away.
            Ok(joiner) if room.away_since_ms().is_some() || room.quiet_ms().is_some() => {
                return Ok(self.promise(room, &joiner, arrived_ms));
            }
            Ok(joiner) => match room.join(joiner).await {
                Err(StoreError::Unreachable(_) | StoreError::NoRoom(_)) => {
                    return Ok(self.promise(room, &joiner, arrived_ms));
                }
                joined => joined.map_err(|error| NotJoined::by(error, &room.snapshot())),
            },
            Err(refused) => Err(refused),
        };
        let joined = joined.and_then(|joining| if joining.used { Err(NotJoined::Used) } else { Ok(joining) });
        let joining = joined.inspect_err(|refused| metrics::not_joined(room.name(), refused))?;
        let ticket = self.numbered(room, joining.epoch, joining.number);
        let text = self.tickets.mint(&ticket);
        let entry = joining.session.and_then(|session| self.grant(&ticket, &session));
        let grant = Grant { ticket: Some(text), entry };
        if grant.entry.is_some() {
            return Ok(Turn::In(grant));
        }
        let standing = self.standing(room, Some(ticket));
        if let Some(eta) = standing.eta {
            let number = (joining.epoch, joining.number);
            room.promises.told(number, standing.snapshot.waiting(), eta, standing.now_ms);
        }
        Ok(Turn::Wait(Box::new(standing), grant))
    }

    /// A ticket with a number that the line has just given.
    pub(super) fn numbered(&self, room: &Room, epoch: u64, number: u64) -> Ticket {
        Ticket {
            room: room.name().to_owned(),
            epoch,
            lane: u8::try_from(lane_of(number)).unwrap_or(u8::MAX),
            number: within_lane(number),
            issued_at_ms: self.now_ms(),
            // Whoever has a place by their identity has it wherever it went on.
            generation: room.moved().generation(epoch, number),
        }
    }

    /// What the room asks before it gives out a number. A proof is used up only by who may join otherwise.
    fn ask(&self, room: &Room, comer: Comer<'_>) -> Result<Joiner, NotJoined> {
        let (desk, now_ms) = (room.desk(), self.now_ms());
        let proved = room.access().prove(room.name(), comer.shown, comer.address, now_ms)?;
        let joiner = room.joiner(&proved, comer.lane)?;
        // Who has a place in a room that is shut or full now finds it again: only the line knows that.
        let may_have_one = joiner.identity.is_some();
        if let Some(shut) = Shut::of(&room.snapshot(), false).filter(|_| !may_have_one) {
            return Err(NotJoined::Shut(shut));
        }
        // The line says the same; asking it would only cost a call for each of those who come in vain.
        if is_full(&room.snapshot()) && !may_have_one {
            return Err(NotJoined::Full);
        }
        // Who has shown who they are need not work as well.
        let proof = match desk.proofs().filter(|_| proved.identity.is_none()) {
            Some(proofs) => {
                let name = comer.proof.and_then(|text| self.proofs.verify(text, room.name(), now_ms));
                Some((proofs, name.ok_or(NotJoined::Proof)?))
            }
            None => None,
        };
        desk.admit(comer.address, now_ms).map_err(|retry_after_ms| NotJoined::TooMany { retry_after_ms })?;
        match proof {
            // What this node knows needs no call; of other nodes the line knows.
            Some((proofs, name)) if !proofs.first_use(name, now_ms) => Err(NotJoined::Proof),
            Some((_, name)) => Ok(Joiner { proof: Some(Proof(name)), ..joiner }),
            None => Ok(joiner),
        }
    }

    /// A token for a request that need not wait: as short as requests are, and for nobody to keep.
    pub(super) fn bypass_token(&self, room: &str) -> Option<String> {
        self.token(room, &format!("{room}.bypass"), "bypass", BYPASS_TOKEN_MS)
    }

    /// Asks to go in with a ticket. Costs a call to the store only if this node believes that the ticket is called.
    pub(crate) async fn enter(&self, room: &Room, ticket: Ticket) -> Turn {
        let mut standing = self.standing(room, Some(ticket.clone()));
        if standing.status == Status::Moved {
            return Turn::Gone(Gone::Moved);
        }
        let place = standing.place.filter(|place| place.called);
        let still = matches!(standing.status, Status::Paused | Status::Early | Status::Prequeue | Status::Shut(_));
        let Some(place) = place.filter(|_| !still && room.store_ok()) else {
            return Turn::Wait(Box::new(standing), Grant::default());
        };
        if let Some(quiet_ms) = room.quiet_ms() {
            standing.poll_after_ms = standing.poll_after_ms.max(quiet_ms);
            return Turn::Wait(Box::new(standing), Grant::default());
        }
        match room.claim(&ticket, place.position()).await {
            Ok(Entered::Moved) => Turn::Gone(Gone::Moved),
            Ok(Entered::In(session)) => match self.grant(&ticket, &session) {
                Some(entry) => {
                    if let Some(outcome) = room.promises.came(ticket.epoch, ticket.in_line(), self.now_ms()) {
                        metrics::eta(room.name(), outcome);
                    }
                    Turn::In(Grant { ticket: None, entry: Some(entry) })
                }
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

    /// Where somebody stands, from this node's memory alone. Who is near the front is noted as being there.
    pub(crate) fn standing(&self, room: &Room, ticket: Option<Ticket>) -> Standing {
        let snapshot = room.snapshot();
        if ticket.as_ref().is_some_and(|ticket| self.has_moved(room, ticket)) {
            return Standing {
                status: Status::Moved,
                place: None,
                poll_after_ms: POLL_MOVED_MS,
                ..self.away(room, None)
            };
        }
        // A ticket of a line that this node has yet to see has a place, but nobody here knows how far in front.
        let seen = ticket.as_ref().is_none_or(|ticket| ticket.epoch == snapshot.epoch);
        if seen && let Some((status, next)) = self.before_opening(room, &snapshot) {
            return self.at_opening(room, ticket, snapshot, status, next);
        }
        if !room.store_ok() || !seen {
            return self.away(room, ticket);
        }
        // Who has no ticket yet stands where the next number of the first lane would.
        let next = || numbered(0, snapshot.lane(0).map_or(0, |lane| lane.issued).saturating_add(1));
        let position = room.position_of(ticket.as_ref().map_or_else(next, Ticket::in_line), &snapshot);
        let shut = Shut::of(&snapshot, true);
        let Position::At(position) = position else {
            let away = self.away(room, ticket);
            return Standing { status: shut.map_or(away.status, Status::Shut), ..away };
        };
        let place = Place::of(position, &snapshot);
        if ticket.is_some() {
            hear(room, place, &snapshot);
        }
        let status = match (shut, snapshot.state) {
            (Some(shut), _) => Status::Shut(shut),
            (None, RoomState::Paused) => Status::Paused,
            (None, _) if place.called => Status::Called,
            (None, _) => Status::Waiting,
        };
        Standing {
            status,
            place: ticket.as_ref().map(|_| place),
            ticket,
            eta: wait::eta_of(place, &snapshot, room.pace_per_minute(place.lane)),
            poll_after_ms: wait::poll_after_ms(place, &snapshot, rand::random()),
            next: None,
            snapshot,
            now_ms: self.now_ms(),
        }
    }

    pub(super) fn grant(&self, ticket: &Ticket, session: &Session) -> Option<Granted> {
        let name = format!("{}.{}.{}.{}", ticket.room, ticket.epoch, ticket.lane, ticket.number);
        let token = self.token(&ticket.room, &name, &session.id, session.expires_in_ms)?;
        Some(Granted { token, expires_in_ms: session.expires_in_ms })
    }
}

/// Notes that somebody is there, if the line wants to know. By position: it is the one that a draw gave.
fn hear(room: &Room, place: Place, line: &Snapshot) {
    if wait::is_near(place, line) {
        room.reports().hear(place.position());
    }
}

/// The place of a ticket of this line, if it has one yet.
pub(super) fn place_of(room: &Room, ticket: Option<&Ticket>, line: &Snapshot) -> Option<Place> {
    let ticket = ticket.filter(|ticket| ticket.epoch == line.epoch)?;
    match room.position_of(ticket.in_line(), line) {
        Position::At(position) => Some(Place::of(position, line)),
        Position::NotDrawn | Position::NotKnown => None,
    }
}
