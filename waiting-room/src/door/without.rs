//! What a node does by itself while the store is away, where the operator chose that (`on_store_loss`), and how the line
//! learns of it afterwards. In a room that holds, nothing here lets anybody in.

use super::gate::{Gate, Gone, Grant, Granted, Standing, Status, Turn, place_of};
use super::late::Held;
use super::lots::Position;
use super::reach::Reach;
use super::room::Room;
use super::stand_in::{CONFIRM_MS, Rank, Share, StandIn};
use crate::credential::Ticket;
use crate::line::{Method, Phase, RoomState, Session, Snapshot, lane_of, numbered, within_lane};
use crate::metrics;
use crate::settings::OnStoreLoss;
use crate::store::StoreError;
use std::sync::{MutexGuard, PoisonError};

/// While the store is away a page asks this often, in milliseconds, before jitter.
const POLL_AWAY_MS: u64 = 4_000;
/// Who is near asks so often, in milliseconds.
const POLL_NEAR_MS: u64 = 1_000;
/// People of whom the line is told in one round: the line must move on meanwhile.
const TOLD_MAX: usize = 128;

/// How a room stands while its store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    Local { since_ms: i64 },
    Open,
}

/// Whether people may go in by the room's state and schedule, as last seen.
fn lets_in(line: &Snapshot, has_number: bool, now_ms: i64) -> bool {
    let open = match line.state {
        RoomState::Open => true,
        RoomState::Draining => has_number,
        RoomState::Paused | RoomState::Closed | RoomState::SoldOut => false,
    };
    open && line.phase == Phase::Running && line.closes_at_ms.is_none_or(|at_ms| now_ms < at_ms)
}

impl Room {
    pub(super) fn stand_in(&self) -> MutexGuard<'_, StandIn> {
        self.stand_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the operator chose for the store's loss.
    pub(crate) fn on_store_loss(&self) -> OnStoreLoss {
        self.settings().on_store_loss
    }

    /// People this node let in without the store since it began.
    pub(crate) fn let_in_without_store(&self) -> u64 {
        self.stand_in().count
    }

    fn share(&self, line: &Snapshot) -> Share {
        let nodes = self.settings().local_nodes;
        // A session that goes on may have ended at another node; nobody can tell.
        let lasts_ms = if line.session_renewal { i64::MAX } else { self.session_ms() };
        Share {
            rate_per_minute: line.rate_per_minute,
            burst: line.burst,
            nodes,
            places: self.places_alone(line, nodes),
            lasts_ms,
        }
    }

    /// This node's part of the places that were free under the cap when the store went away, and one for each session
    /// that ended here since.
    fn places_alone(&self, line: &Snapshot, nodes: u32) -> u64 {
        if line.max_active == 0 || line.method == Method::PassThrough {
            return u64::MAX;
        }
        let free = u64::from(line.max_active).saturating_sub(line.active);
        free / u64::from(nodes.max(1)) + self.reports().ends_untold()
    }

    /// Whether, and how, this node lets people in by itself now.
    fn alone(&self, has_number: bool, now_ms: i64) -> Option<Alone> {
        let mode = self.on_store_loss();
        let Reach::Away { since_ms } = self.late().reach() else { return None };
        if now_ms - since_ms < CONFIRM_MS || !lets_in(&self.snapshot(), has_number, now_ms) {
            return None;
        }
        match mode {
            OnStoreLoss::Hold => None,
            OnStoreLoss::Local => Some(Alone::Local { since_ms }),
            OnStoreLoss::Open => Some(Alone::Open),
        }
    }

    /// Everybody goes in, because the operator chose so.
    pub(super) fn is_opened(&self) -> bool {
        self.on_store_loss() == OnStoreLoss::Open && self.alone(false, self.now_ms()) == Some(Alone::Open)
    }

    /// The store answers again. What nodes let in just now is not counted by its meter: it waits until it would be.
    pub(super) fn store_came_back(&self) {
        let now_ms = self.now_ms();
        if self.on_store_loss() == OnStoreLoss::Local
            && let Some(since_ms) = self.away_since_ms()
            && now_ms - since_ms >= CONFIRM_MS
        {
            self.stand_in().quiet_until_ms = now_ms + self.share(&self.snapshot()).quiet_ms();
        }
    }

    /// In how many milliseconds the line may let people in again, if not now.
    pub(super) fn quiet_ms(&self) -> Option<u64> {
        if self.on_store_loss() != OnStoreLoss::Local {
            return None;
        }
        let left_ms = self.stand_in().quiet_until_ms - self.now_ms();
        u64::try_from(left_ms).ok().filter(|ms| *ms > 0)
    }

    /// Tells the line who went in without it: their numbers are used up. Whether it knows of everybody.
    pub(super) async fn tell(&self) -> bool {
        for _ in 0..TOLD_MAX {
            let Some(rank) = self.stand_in().untold() else { return true };
            let told = match rank {
                Rank::Place { position, number } => {
                    self.take_in(numbered(lane_of(number), position), None, self.lets_out_at_ms(rank)).await
                }
                Rank::Late(arrival) => self.use_up(arrival).await,
            };
            match told {
                Ok(())
                | Err(
                    StoreError::Invalid(_)
                    | StoreError::Full
                    | StoreError::Closed
                    | StoreError::NoLane
                    | StoreError::Proof,
                ) => {
                    self.stand_in().told(rank);
                }
                Err(StoreError::Unreachable(_) | StoreError::Busy | StoreError::NoRoom(_)) => return false,
            }
        }
        false
    }

    /// When the entry of this one runs out.
    fn lets_out_at_ms(&self, rank: Rank) -> i64 {
        self.stand_in().let_in_at_ms(rank).map_or(0, |at_ms| at_ms.saturating_add(self.session_ms()))
    }

    /// Draws the number of somebody who is inside already, and uses it up: no copy of the ticket goes in again.
    async fn use_up(&self, arrival: crate::credential::Arrival) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        self.late().book().take_one(arrival, now_ms);
        for placed in self.join_late(&[arrival]).await? {
            match self.position_of(placed.number, &self.snapshot()) {
                Position::At(position) => {
                    let (entry, until_ms) = (arrival.label(), self.lets_out_at_ms(Rank::Late(arrival)));
                    self.take_in(position, Some(&entry), until_ms).await?;
                }
                Position::NotDrawn | Position::NotKnown => self.leave(placed.number).await?,
            }
        }
        Ok(())
    }
}

impl Gate {
    /// The standing of somebody while the line cannot be seen: the last place, and no promise.
    pub(crate) fn away(&self, room: &Room, ticket: Option<Ticket>) -> Standing {
        let snapshot = room.snapshot();
        let standing = Standing {
            status: Status::OneMoment,
            place: place_of(room, ticket.as_ref(), &snapshot),
            ticket,
            eta: None,
            poll_after_ms: POLL_AWAY_MS + rand::random_range(0..POLL_AWAY_MS / 2),
            next: None,
            snapshot,
            now_ms: self.now_ms(),
        };
        match standing.ticket.clone() {
            Some(ticket) => self.alone(room, &Held::Number(ticket), standing),
            None => standing,
        }
    }

    /// Somebody's turn at a node that is by itself: in, or not; `None` leaves it to the line.
    pub(super) fn turn_alone(&self, room: &Room, held: &Held) -> Option<Turn> {
        if room.on_store_loss() == OnStoreLoss::Hold {
            return None;
        }
        let now_ms = self.now_ms();
        let rank = rank_of(room, held)?;
        let before = room.stand_in().let_in_at_ms(rank);
        if let Some(at_ms) = before {
            // A copy, or a lost answer: the same session for as long as it lasts.
            let left_ms = at_ms + room.session_ms() - now_ms;
            return Some(if left_ms > 0 { self.let_in(room, held, left_ms)? } else { Turn::Gone(Gone::Spent) });
        }
        let mode = match room.alone(matches!(held, Held::Number(_)), now_ms)? {
            Alone::Open => {
                match held {
                    Held::Number(_) => room.stand_in().admit(rank, now_ms),
                    // Without a number there is nothing to use up: once the entry is over, the ticket is a place at the end.
                    Held::Provisional(_) => room.stand_in().count += 1,
                }
                OnStoreLoss::Open
            }
            Alone::Local { since_ms } => {
                let share = room.share(&room.snapshot());
                if !room.stand_in().claim(rank, share, since_ms, now_ms) {
                    return None;
                }
                OnStoreLoss::Local
            }
        };
        metrics::let_in_without_store(room.name(), mode);
        self.let_in(room, held, room.session_ms())
    }

    fn let_in(&self, room: &Room, held: &Held, lasts_ms: i64) -> Option<Turn> {
        let entry = match held {
            // The session that the line would have given: nobody has two of them.
            Held::Number(ticket) => {
                let position = position_of(room, held)?;
                self.grant(ticket, &Session::derive(ticket.epoch, position, 0, lasts_ms))
            }
            Held::Provisional(ticket) => {
                let name = ticket.arrival.label();
                let token = self.token(room.name(), &format!("{}.{name}", room.name()), &name, lasts_ms)?;
                Some(Granted { token, expires_in_ms: lasts_ms })
            }
        };
        Some(Turn::In(Grant { ticket: None, entry: Some(entry?) }))
    }

    /// Somebody without a ticket, in a room that is opened: in, with a provisional ticket that is used up.
    pub(super) fn join_opened(&self, room: &Room, held: &Held, ticket: String) -> Option<Turn> {
        match self.turn_alone(room, held)? {
            Turn::In(grant) => Some(Turn::In(Grant { ticket: Some(ticket), ..grant })),
            turn @ (Turn::Wait(..) | Turn::Gone(_)) => Some(turn),
        }
    }

    /// The same standing, and whether it is their turn to ask at this node.
    pub(super) fn alone(&self, room: &Room, held: &Held, standing: Standing) -> Standing {
        if room.on_store_loss() == OnStoreLoss::Hold {
            return standing;
        }
        let now_ms = self.now_ms();
        let (Some(rank), Some(alone)) = (rank_of(room, held), room.alone(matches!(held, Held::Number(_)), now_ms))
        else {
            return standing;
        };
        let share = room.share(&room.snapshot());
        let near = match alone {
            Alone::Open => true,
            Alone::Local { .. } => {
                share.is_safe() && room.stand_in().is_near(rank, share, standing.poll_after_ms, now_ms)
            }
        };
        if near {
            let poll_after_ms = POLL_NEAR_MS + rand::random_range(0..POLL_NEAR_MS / 4);
            return Standing { status: Status::Called, poll_after_ms, ..standing };
        }
        standing
    }
}

fn rank_of(room: &Room, held: &Held) -> Option<Rank> {
    match held {
        Held::Number(ticket) => {
            let position = within_lane(position_of(room, held)?);
            Some(Rank::Place { position, number: ticket.in_line() })
        }
        Held::Provisional(ticket) => Some(Rank::Late(ticket.arrival)),
    }
}

fn position_of(room: &Room, held: &Held) -> Option<u64> {
    let Held::Number(ticket) = held else { return None };
    let line = room.snapshot();
    match room.position_of(ticket.in_line(), &line) {
        Position::At(position) if ticket.epoch == line.epoch => Some(position),
        Position::At(_) | Position::NotDrawn | Position::NotKnown => None,
    }
}
