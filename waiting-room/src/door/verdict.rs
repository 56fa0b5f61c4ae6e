//! The verdict for one request: pass, wait or be refused. It asks the line where it must; it never answers.

use http::{HeaderMap, Method};

use super::gate::{Gate, Gone, Grant, Standing, Turn};
use super::pass::Admitted;
use super::room::Room;
use crate::credential::{EntryRefused, Ticket, cookie, entry_token, ticket_cookie};
use crate::path::CanonicalPath;
use crate::problem::{Code, Problem};
use crate::store::StoreError;

/// What the verdict looks at.
pub(crate) struct Arrival<'a> {
    pub(crate) method: &'a Method,
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
        let accept: Vec<&str> =
            headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let names = |kind: &str| accept.iter().any(|value| value.contains(kind));
        let json = names("application/json") || names("application/problem+json");
        if json && !names("text/html") { Reads::Json } else { Reads::Page }
    }
}

impl Gate {
    /// Decides about one request.
    pub(crate) async fn verdict<'gate>(&'gate self, arrival: &Arrival<'_>) -> Verdict<'gate> {
        if arrival.path.own().is_some() {
            return Verdict::Own;
        }
        if let Some(admitted) = self.pass_by_rule(arrival.method, arrival.path) {
            return Verdict::Pass(admitted, None, Grant::default());
        }
        let Some(room) = self.rules.room_of(arrival.path).and_then(|name| self.rooms.get(name)) else {
            return Verdict::Refuse(Problem::new(Code::RoomUnknown, "No room guards this path."));
        };
        let refused = match entry_token(arrival.headers, room.name()) {
            Some(token) => match self.pass_by_token(token, room.name()) {
                Ok(admitted) => return Verdict::Pass(admitted, Some(room), Grant::default()),
                Err(refused) => Some(refused),
            },
            None => None,
        };
        let page = Reads::of(arrival.headers) == Reads::Page && is_read(arrival.method);
        if refused == Some(EntryRefused::Expired) && !page {
            let detail = "The entry token has run out; join again for a new ticket.";
            return Verdict::Refuse(Problem::new(Code::EntryExpired, detail).with("join", join_path(room)));
        }
        let ticket = cookie(arrival.headers, &ticket_cookie(room.name())).and_then(|text| self.ticket(text, room));
        if !is_read(arrival.method) {
            return Verdict::Refuse(self.waiting(room, ticket));
        }
        self.take_turn(room, ticket).await
    }

    /// Someone without entry who wants to look: in if it is their turn, otherwise a place in line.
    async fn take_turn<'gate>(&'gate self, room: &'gate Room, ticket: Option<Ticket>) -> Verdict<'gate> {
        let turn = match ticket {
            Some(ticket) => match self.enter(room, ticket).await {
                // A used ticket, or one of a line that is no more: back to the end.
                Turn::Gone(Gone::Spent | Gone::Unknown) => self.join(room).await,
                turn @ (Turn::In(_) | Turn::Wait(..)) => Ok(turn),
            },
            None => self.join(room).await,
        };
        match turn {
            Ok(Turn::In(grant)) => self.pass_with(room, grant),
            Ok(Turn::Wait(standing, grant)) => Verdict::Wait(room, standing, grant),
            Ok(Turn::Gone(_)) => Verdict::Refuse(Problem::new(Code::TicketSpent, "Join again for a new ticket.")),
            // An error keeps the visitor waiting. It never lets anybody in.
            Err(StoreError::Full) => Verdict::Refuse(line_unavailable("The line is full.")),
            Err(StoreError::Closed) => Verdict::Refuse(line_unavailable("The line takes nobody in now.")),
            Err(StoreError::Unreachable(_) | StoreError::Busy | StoreError::NoRoom(_) | StoreError::Invalid(_)) => {
                Verdict::Wait(room, Box::new(self.away(room, None)), Grant::default())
            }
        }
    }

    /// A fresh entry is checked like any other before it lets anybody in.
    fn pass_with<'gate>(&'gate self, room: &'gate Room, grant: Grant) -> Verdict<'gate> {
        let token = grant.entry.as_ref().map(|entry| entry.token.as_str()).unwrap_or_default();
        match self.pass_by_token(token, room.name()) {
            Ok(admitted) => Verdict::Pass(admitted, Some(room), grant),
            Err(_) => Verdict::Wait(room, Box::new(self.away(room, None)), grant),
        }
    }

    /// The answer to somebody who waits and wants to change something: never a redirect, never a page.
    fn waiting(&self, room: &Room, ticket: Option<Ticket>) -> Problem {
        let standing = self.standing(room, ticket);
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

/// When to try again after the line could not be asked, in milliseconds.
const LINE_RETRY_MS: u64 = 3_000;

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn join_path(room: &Room) -> String {
    format!("/.waiting-room/rooms/{}/tickets", room.name())
}
