//! Those who come while nobody can give numbers. They get a provisional ticket, and a number once the store is back, in
//! the order of arrival: within this node exactly, among nodes as well as they notice the return at the same time.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::book::{Book, Placed};
use super::desk::is_full;
use super::gate::{Gate, Gone, Grant, Standing, Status, Turn};
use super::reach::{Event, Reach};
use super::room::Room;
use super::shut::Shut;
use crate::credential::{Arrival, Provisional, Ticket};
use crate::line::{Identity, Joiner, Snapshot};
use crate::settings::OnStoreLoss;
use crate::store::{GROUP_MAX, StoreError};

/// The least time between two polls of a provisional ticket while the store is away, in milliseconds, and the most
/// before jitter: the more there are, the longer.
const POLL_MS_MIN: u64 = 2_000;
const POLL_MS_MAX: u64 = 8_000;
/// So many polls a second a node answers without noticing.
const POLLS_PER_SECOND: u64 = 20_000;
/// After the time at which a number was to be given, until it surely is, in milliseconds.
const LAG_MS: u64 = 150;
/// When a line that would not give a number is asked again, in milliseconds; one that is full, later.
const AGAIN_MS: u64 = 1_000;
const FULL_MS: u64 = 20_000;

/// What a visitor has: a number, or the promise of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    Number(Ticket),
    Provisional(Provisional),
}

impl Held {
    /// The ticket, if there is a number on it.
    pub(crate) fn number(self) -> Option<Ticket> {
        match self {
            Held::Number(ticket) => Some(ticket),
            Held::Provisional(_) => None,
        }
    }
}

/// One room's late comers on this node, and whether its store can be reached.
// Std mutexes: never held across an `.await`.
pub(super) struct Late {
    /// This run of this node. Two that draw the same are told apart by their tickets' times.
    node: u64,
    given: AtomicU64,
    reach: Mutex<Reach>,
    book: Mutex<Book>,
    /// How far the store's clock was ahead of this node's when it was last here.
    ahead_ms: AtomicI64,
}

impl Late {
    pub(super) fn new() -> Late {
        let (given, ahead_ms) = (AtomicU64::new(0), AtomicI64::new(0));
        Late { node: rand::random(), given, reach: Mutex::default(), book: Mutex::default(), ahead_ms }
    }

    pub(super) fn reach(&self) -> Reach {
        *self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on(&self, event: Event, now_ms: i64) {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        *reach = reach.on(event, now_ms);
    }

    /// The store went away, or answered again.
    pub(super) fn store_is(&self, ok: bool, now_ms: i64) {
        let owing = self.book().waiting() > 0;
        self.on(if ok { Event::Answered { owing } } else { Event::Failed }, now_ms);
    }

    /// Learns the store's clock. While people wait for their numbers it stays as it was: their tickets tell its time.
    pub(super) fn learn(&self, snapshot: &Snapshot, now_ms: i64) {
        if self.reach() == Reach::Here {
            self.ahead_ms.store(snapshot.at_ms.saturating_sub(now_ms), Ordering::Relaxed);
        }
    }

    fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::Relaxed)
    }

    /// A ticket for somebody who came at `now_ms`.
    fn give(&self, room: &str, joiner: &Joiner, now_ms: i64) -> Provisional {
        let nth = self.given.fetch_add(1, Ordering::Relaxed);
        let mut arrival = Arrival::new(now_ms.saturating_add(self.ahead_ms()), self.node, nth, joiner.lane);
        if let Some(Identity(name)) = joiner.identity {
            // Whoever has one place joins under their own name, with however many tickets.
            arrival.name = name;
        }
        let ticket = Provisional { room: room.to_owned(), arrival };
        self.book().hear(ticket.arrival, now_ms);
        ticket
    }
}

impl Room {
    /// Since when, by this node's clock, new people get provisional tickets.
    pub(crate) fn away_since_ms(&self) -> Option<i64> {
        self.late().reach().away_since_ms()
    }

    /// People with a provisional ticket who asked this node a short while ago.
    pub(crate) fn provisional(&self) -> usize {
        self.late().book().waiting()
    }

    /// Gives those their numbers whose time has come, oldest first.
    pub(super) async fn settle(&self) {
        let now_ms = self.now_ms();
        let late = self.late();
        if matches!(late.reach(), Reach::Away { .. }) {
            return;
        }
        // What went in locally is used up before anybody else goes in. An opened room lets in far more people than could
        // be told of in time; its numbers follow one after the other.
        let told = self.tell().await;
        if !told && self.on_store_loss() == OnStoreLoss::Local || self.quiet_ms().is_some() {
            return;
        }
        let (Reach::Back { .. }, Some(up_to_ms)) = (late.reach(), late.reach().due_up_to_ms(now_ms)) else { return };
        // In a calm room joining lets people in at once: each joins by their own poll, so that an entry begins when it is
        // given, and not when it is found.
        while !self.is_calm() {
            let due = late.book().take(up_to_ms.saturating_add(late.ahead_ms()), GROUP_MAX, now_ms);
            if due.is_empty() {
                break;
            }
            if self.join_late(&due).await.is_err() {
                return;
            }
        }
        if up_to_ms == i64::MAX {
            late.on(Event::Settled, now_ms);
        }
    }

    /// Whether the line lets people in as they join, as far as this node knows: nobody waits, the cursor has passed what was
    /// skipped, and no more have come here than its budget can hold.
    fn is_calm(&self) -> bool {
        let line = self.snapshot();
        let few = self.late().book().waiting() <= line.burst as usize;
        few && line.lanes.iter().all(|lane| lane.cursor == lane.issued && lane.called_waiting == 0)
    }

    /// The number of a provisional ticket, if there is one; whoever comes after all others are settled gets it now.
    async fn number_of(&self, arrival: Arrival) -> Option<Placed> {
        let now_ms = self.now_ms();
        let late = self.late();
        let known = late.book().hear(arrival, now_ms);
        let due = late.reach().due_in_ms(arrival.at_ms.saturating_sub(late.ahead_ms()), now_ms) == Some(0);
        let alone = late.reach() == Reach::Here || due && self.is_calm();
        if known.is_some() || !alone || self.quiet_ms().is_some() || !late.book().take_one(arrival, now_ms) {
            return known;
        }
        self.join_late(&[arrival]).await.ok()?.pop()
    }

    /// Draws numbers for people in the order of their arrival, and remembers them.
    /// Whom the line refuses, waits on; the first refusal is the error.
    pub(super) async fn join_late(&self, arrivals: &[Arrival]) -> Result<Vec<Placed>, StoreError> {
        let joined = self.join_as(arrivals).await;
        let now_ms = self.now_ms();
        let mut book = self.late().book();
        let answers = joined.inspect_err(|_| book.put_back(arrivals, now_ms))?;
        let (mut all, mut refused) = (Vec::new(), None);
        for (&arrival, answer) in arrivals.iter().zip(answers) {
            match answer {
                Ok(placed) => {
                    book.place(arrival, placed.clone());
                    all.push(placed);
                }
                Err(error) => {
                    book.put_back(&[arrival], now_ms);
                    refused = refused.or(Some(error));
                }
            }
        }
        refused.map_or(Ok(all), Err)
    }

    /// Gives up a provisional ticket, and the number if it has become one.
    pub(crate) async fn leave_late(&self, ticket: &Provisional) -> Result<(), StoreError> {
        let placed = self.late().book().forget(ticket.arrival);
        match placed.filter(|placed| placed.epoch == self.snapshot().epoch) {
            Some(placed) => self.leave(placed.number).await,
            None => Ok(()),
        }
    }
}

impl Gate {
    /// What a visitor shows: a ticket of this line, or a provisional one of this room.
    pub(crate) fn held(&self, text: &str, room: &Room) -> Option<Held> {
        let number = self.ticket(text, room).map(Held::Number);
        let here_ms = self.now_ms().saturating_add(room.late().ahead_ms());
        let provisional = || self.tickets.verify_provisional(text, room.name()).filter(|ticket| ticket.holds(here_ms));
        number.or_else(|| provisional().map(Held::Provisional))
    }

    /// A provisional ticket for somebody who came at `arrived_ms`.
    pub(super) fn promise(&self, room: &Room, joiner: &Joiner, arrived_ms: i64) -> Turn {
        let ticket = room.late().give(room.name(), joiner, arrived_ms);
        let text = self.tickets.mint_provisional(&ticket);
        if room.is_opened()
            && let Some(turn) = self.join_opened(room, &Held::Provisional(ticket.clone()), text.clone())
        {
            return turn;
        }
        crate::metrics::provisional(room.name());
        Turn::Wait(Box::new(self.promised(room, &ticket)), Grant { ticket: Some(text), entry: None })
    }

    /// Asks to go in, with whatever the visitor has.
    pub(crate) async fn turn(&self, room: &Room, held: Held) -> Turn {
        if self.left_by(room, &held) {
            return Turn::Gone(Gone::Moved);
        }
        if let Some(turn) = self.turn_alone(room, &held) {
            return turn;
        }
        let ticket = match held {
            Held::Number(ticket) => return self.enter(room, ticket).await,
            Held::Provisional(ticket) => ticket,
        };
        let (ticket, grant) = match self.redeem(room, &ticket).await {
            Turn::Wait(standing, grant) => match standing.ticket {
                Some(ticket) => (ticket, grant),
                None => return Turn::Wait(standing, grant),
            },
            turn @ (Turn::In(_) | Turn::Gone(_)) => return turn,
        };
        match self.enter(room, ticket).await {
            Turn::In(Grant { entry, .. }) => Turn::In(Grant { entry, ..grant }),
            Turn::Wait(standing, _) => Turn::Wait(standing, grant),
            Turn::Gone(gone) => Turn::Gone(gone),
        }
    }

    /// Turns a provisional ticket into one with a number, if it has one by now.
    pub(crate) async fn redeem(&self, room: &Room, provisional: &Provisional) -> Turn {
        let Some(placed) = room.number_of(provisional.arrival).await else {
            return Turn::Wait(Box::new(self.promised(room, provisional)), Grant::default());
        };
        if placed.epoch < room.snapshot().epoch {
            return Turn::Gone(Gone::Unknown);
        }
        let ticket = self.numbered(room, placed.epoch, placed.number);
        let age_ms = self.now_ms() - placed.at_ms;
        let left = |session: crate::line::Session| crate::line::Session {
            expires_in_ms: session.expires_in_ms - age_ms,
            ..session
        };
        let session = placed.session.map(left).filter(|session| session.expires_in_ms > 0);
        let grant = Grant {
            ticket: Some(self.tickets.mint(&ticket)),
            entry: session.and_then(|session| self.grant(&ticket, &session)),
        };
        if grant.entry.is_some() {
            return Turn::In(grant);
        }
        Turn::Wait(Box::new(self.standing(room, Some(ticket))), grant)
    }

    /// The standing of somebody who has no number yet: a place behind all who came before, and no more is known.
    fn promised(&self, room: &Room, ticket: &Provisional) -> Standing {
        let snapshot = room.snapshot();
        let poll_after_ms = poll_after_ms(room, ticket, &snapshot, self.now_ms());
        let status = Shut::of(&snapshot, true).map_or(Status::Provisional, Status::Shut);
        let standing = Standing { status, poll_after_ms, ..self.away(room, None) };
        self.alone(room, &Held::Provisional(ticket.clone()), standing)
    }
}

/// When a provisional ticket is worth being shown again.
fn poll_after_ms(room: &Room, ticket: &Provisional, line: &Snapshot, now_ms: i64) -> u64 {
    let late = room.late();
    let arrived_ms = ticket.arrival.at_ms.saturating_sub(late.ahead_ms());
    let base_ms = match late.reach().due_in_ms(arrived_ms, now_ms) {
        None => (late.book().waiting() as u64 * 1_000 / POLLS_PER_SECOND).clamp(POLL_MS_MIN, POLL_MS_MAX),
        Some(_) if is_full(line) => FULL_MS,
        Some(0) => AGAIN_MS,
        Some(ms) => ms.unsigned_abs() + LAG_MS,
    };
    base_ms + rand::random_range(0..base_ms / 2)
}
