//! The verdict for one request: pass, wait or be refused. It asks the line where it must; it never answers.

use std::net::IpAddr;

use http::{HeaderMap, Method};

use super::desk::{Comer, NotJoined};
use super::gate::{Gate, Gone, Grant, Standing, Turn};
use super::late::Held;
use super::pass::Admitted;
use super::room::Room;
use super::shut::Shut;
use crate::credential::{EntryRefused, cookie, entry_token, ticket_cookie};
use crate::line::Phase;
use crate::path::{Bypassed, CanonicalPath, Seen};
use crate::problem::{Code, Problem};

/// What the verdict looks at.
pub(crate) struct Arrival<'a> {
    pub(crate) method: &'a Method,
    /// As in `Host`.
    pub(crate) host: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) path: &'a CanonicalPath,
    pub(crate) headers: &'a HeaderMap,
}

/// What is to be done with a request.
pub(crate) enum Verdict<'gate> {
    /// It is for the door itself: what follows `/.waiting-room/`.
    Own,
    /// Forward it; the visitor keeps the grant.
    Pass(Admitted, Option<&'gate Room>, Grant),
    /// Show the place.
    Wait(&'gate Room, Box<Standing>, Grant),
    /// Ask for a proof of work before a place is given.
    Prove(&'gate Room),
    /// Ask for an access code before a place is given.
    Ask(&'gate Room),
    /// Say why not.
    Refuse(Problem),
}

/// What kind of answer a visitor can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Page,
    Json,
}

impl Reads {
    /// JSON for who names it and does not want a page, a page for everybody else.
    pub(crate) fn of(headers: &HeaderMap) -> Reads {
        let (mut json, mut page) = (false, false);
        for value in headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
            // What scripts and apps send is not searched.
            let plain = value == "application/json";
            json |= plain || value.contains("application/json") || value.contains("application/problem+json");
            page |= !plain && value.contains("text/html");
        }
        if json && !page { Reads::Json } else { Reads::Page }
    }
}

impl<'a> Arrival<'a> {
    fn comer(&self) -> Comer<'a> {
        Comer { address: self.address, proof: proof(self.headers), shown: shown(self.headers), lane: 0 }
    }
}

/// Header in which a proof of work is sent.
const PROOF_HEADER: &str = "x-waiting-room-proof";

/// Header in which an access code or a token is sent. It goes no further than the door.
const ACCESS_HEADER: &str = "x-waiting-room-access";

/// The access code or token of a request.
pub(crate) fn shown(headers: &HeaderMap) -> Option<&str> {
    headers.get(ACCESS_HEADER).map(|value| value.to_str().unwrap_or("?"))
}

/// The proof of work of a request.
pub(crate) fn proof(headers: &HeaderMap) -> Option<&str> {
    headers.get(PROOF_HEADER).and_then(|value| value.to_str().ok())
}

impl Gate {
    /// Decides about one request.
    pub(crate) async fn verdict<'gate>(&'gate self, arrival: &Arrival<'_>) -> Verdict<'gate> {
        if arrival.path.own().is_some() {
            return Verdict::Own;
        }
        let rules = self.rules.room_of(arrival.host, arrival.path);
        if let Some(admitted) = rules.and_then(|rules| Admitted::by_rule(rules, arrival.method, arrival.path)) {
            return Verdict::Pass(admitted, None, Grant::default());
        }
        let seen =
            Seen { method: arrival.method, path: arrival.path, headers: arrival.headers, address: arrival.address };
        let bypass = |rules| Admitted::by_bypass(rules, &seen, || self.bypass_token(rules.name()));
        if let Some(admitted) = rules.and_then(bypass) {
            return Verdict::Pass(admitted, None, Grant::default());
        }
        if rules.and_then(|rules| rules.bypasses(&seen)) == Some(Bypassed::Later) {
            let detail = "There is a waiting room here for a while. Crawlers need not wait in it: come again later.";
            return Verdict::Refuse(Problem::new(Code::ComeLater, detail).retry_after(CRAWLER_RETRY_MS));
        }
        let Some(room) = rules.and_then(|rules| self.rooms.get(rules.name())) else {
            return Verdict::Refuse(Problem::new(Code::RoomUnknown, "No room guards this path."));
        };
        let refused = match entry_token(arrival.headers, room.name()) {
            Some(token) => match self.pass_by_token(token, room, repeats(arrival)) {
                Ok(admitted) => match self.renewed(room, &admitted).await {
                    Ok(grant) => return Verdict::Pass(admitted, Some(room), grant),
                    Err(refused) => Some(refused),
                },
                Err(refused) => Some(refused),
            },
            None => None,
        };
        let page = Reads::of(arrival.headers) == Reads::Page && is_read(arrival.method);
        // Only where the operator chose that everybody goes in without the store.
        let opened = room.is_opened();
        if refused == Some(EntryRefused::Expired) && !page && !opened {
            let detail = "The entry token has run out; join again for a new ticket.";
            return Verdict::Refuse(Problem::new(Code::EntryExpired, detail).with("join", join_path(room)));
        }
        let ticket = cookie(arrival.headers, &ticket_cookie(room.name())).and_then(|text| self.held(text, room));
        // Who is early sees what is waited for.
        let shut = Shut::of(&room.snapshot(), ticket.is_some()).filter(|shut| *shut != Shut::Early);
        if let Some(shut) = shut {
            return Verdict::Refuse(shut.problem());
        }
        if !is_read(arrival.method) && !opened {
            return Verdict::Refuse(self.waiting(room, ticket));
        }
        self.take_turn(room, ticket, arrival).await
    }

    /// Someone without entry who wants to look: in if it is their turn, otherwise a place in line.
    async fn take_turn<'gate>(
        &'gate self,
        room: &'gate Room,
        ticket: Option<Held>,
        arrival: &Arrival<'_>,
    ) -> Verdict<'gate> {
        let turn = match ticket {
            Some(ticket) if self.left_by(room, &ticket) => {
                let standing = Box::new(self.standing(room, ticket.number()));
                return Verdict::Wait(room, standing, Grant::default());
            }
            Some(ticket) => match self.turn(room, ticket).await {
                // A used ticket, or one of a line that is no more: back to the end.
                Turn::Gone(Gone::Spent | Gone::Unknown) => self.join(room, arrival.comer()).await,
                // The device that a place has left is told so, and does not join anew by itself.
                turn @ (Turn::In(_) | Turn::Wait(..) | Turn::Gone(Gone::Moved)) => Ok(turn),
            },
            // Nobody draws a number before people may join.
            None if room.snapshot().phase == Phase::Early => Err(NotJoined::Shut(Shut::Early)),
            None => self.join(room, arrival.comer()).await,
        };
        match turn {
            Ok(Turn::In(grant)) => self.pass_with(room, grant),
            Ok(Turn::Wait(standing, grant)) => Verdict::Wait(room, standing, grant),
            Ok(Turn::Gone(Gone::Moved)) => Verdict::Refuse(moved_problem()),
            Ok(Turn::Gone(_)) => Verdict::Refuse(Problem::new(Code::TicketSpent, "Join again for a new ticket.")),
            Err(NotJoined::Proof) if Reads::of(arrival.headers) == Reads::Page => Verdict::Prove(room),
            Err(NotJoined::AccessMissing) if room.takes_codes() && Reads::of(arrival.headers) == Reads::Page => {
                Verdict::Ask(room)
            }
            Err(NotJoined::Shut(Shut::Early)) => {
                Verdict::Wait(room, Box::new(self.standing(room, None)), Grant::default())
            }
            // An error keeps the visitor waiting. It never lets anybody in.
            Err(NotJoined::Line(_)) => Verdict::Wait(room, Box::new(self.away(room, None)), Grant::default()),
            Err(refused) => Verdict::Refuse(refused.problem(room.name())),
        }
    }

    /// A fresh entry is checked like any other before it lets anybody in.
    fn pass_with<'gate>(&'gate self, room: &'gate Room, grant: Grant) -> Verdict<'gate> {
        let token = grant.entry.as_ref().map(|entry| entry.token.as_str()).unwrap_or_default();
        match self.pass_by_token(token, room, false) {
            Ok(admitted) => Verdict::Pass(admitted, Some(room), grant),
            Err(_) => Verdict::Wait(room, Box::new(self.away(room, None)), grant),
        }
    }

    /// The answer to somebody who waits and wants to change something: never a redirect, never a page.
    fn waiting(&self, room: &Room, ticket: Option<Held>) -> Problem {
        if ticket.as_ref().is_some_and(|ticket| self.left_by(room, ticket)) {
            return moved_problem();
        }
        let standing = self.standing(room, ticket.and_then(Held::number));
        let detail = match standing.place {
            Some(_) => "You are in line; come back with an entry token when it is your turn.",
            None => "There is a line: join it, and come back with an entry token.",
        };
        let problem = Problem::new(Code::Waiting, detail)
            .with("room", room.name())
            .with("join", join_path(room))
            .retry_after(standing.poll_after_ms);
        match standing.place {
            Some(place) => problem.with("position", place.number).with("ahead", place.ahead),
            None => problem,
        }
    }
}

/// The problem of a line that cannot be asked.
pub(crate) fn line_unavailable(detail: &str) -> Problem {
    Problem::new(Code::LineUnavailable, detail).retry_after(LINE_RETRY_MS)
}

/// What an app is told that has a ticket of a place that has moved.
pub(crate) fn moved_problem() -> Problem {
    let detail = "This place goes on with another device. Give this ticket up to join anew.";
    Problem::new(Code::PlaceMoved, detail)
}

/// When a crawler is to come again, in milliseconds.
const CRAWLER_RETRY_MS: u64 = 3_600_000;

/// When to try again after the line could not be asked, in milliseconds.
const LINE_RETRY_MS: u64 = 3_000;

/// Whether this may be the repeat of a request whose answer was lost.
fn repeats(arrival: &Arrival<'_>) -> bool {
    !is_read(arrival.method) && arrival.headers.contains_key("idempotency-key")
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn join_path(room: &Room) -> String {
    format!("/.waiting-room/rooms/{}/tickets", room.name())
}
