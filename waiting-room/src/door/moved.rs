//! Going on with another device: the one-time code of a place, what comes of using it, and what this node knows of the
//! places that have moved. Which of two devices holds a place is the line's to say, in one step; a node that has not
//! heard of a move yet asks before it lets anybody in.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::access::TRIES;
use super::desk::Limiter;
use super::gate::{Gate, Grant};
use super::late::Held;
use super::lots::Position;
use super::room::{Room, in_time};
use crate::credential::{CODE_MS, HeldPlace, Ticket};
use crate::line::{Generations, Move, Snapshot};
use crate::store::{BATCH_MAX, StoreError};

/// A generation is how often a place has moved, above a name for the attempt that moved it.
const ATTEMPT_BITS: u32 = 32;
/// Nobody moves a place more often; generations stay numbers that scripts count exactly.
const MOVES_MAX: u64 = 1 << 20;

/// The moves of one room as this node knows them.
pub(super) struct Moved {
    known: ArcSwap<Known>,
    tries: Limiter,
}

#[derive(Default)]
struct Known {
    epoch: u64,
    count: u64,
    generations: Generations,
}

impl Moved {
    pub(super) fn new() -> Moved {
        Moved { known: ArcSwap::default(), tries: Limiter::new(TRIES) }
    }

    /// Whether this node knows all moves that the line had made at this snapshot.
    pub(super) fn is_current(&self, line: &Snapshot) -> bool {
        let known = self.known.load();
        let fresh = line.moves == 0 && known.epoch != line.epoch;
        fresh || (known.epoch, known.count) == (line.epoch, line.moves)
    }

    pub(super) fn generation(&self, epoch: u64, number: u64) -> u64 {
        let known = self.known.load();
        if known.epoch == epoch { known.generations.get(&number).copied().unwrap_or(0) } else { 0 }
    }

    /// Whether the place went on with another device than the one with this ticket. A generation that this node has not
    /// heard of is younger than what it knows.
    pub(super) fn has_moved(&self, ticket: &Ticket) -> bool {
        ticket.generation < self.generation(ticket.epoch, ticket.in_line())
    }

    /// What this node knows of an epoch and the line does not: it was lost there.
    pub(super) fn lost(&self, epoch: u64, line: &Generations) -> Vec<Move> {
        let known = self.known.load();
        let lost = |(number, to): &(&u64, &u64)| line.get(*number).is_none_or(|generation| generation < *to);
        let again = |(&number, &to): (&u64, &u64)| Move { number, position: 0, from: None, to };
        if known.epoch == epoch { known.generations.iter().filter(lost).map(again).collect() } else { Vec::new() }
    }

    pub(super) fn learn(&self, line: &Snapshot, generations: &Generations) {
        self.known.rcu(|known| {
            let mut all = if known.epoch == line.epoch { known.generations.clone() } else { Generations::new() };
            for (&number, &generation) in generations {
                let place = all.entry(number).or_default();
                *place = generation.max(*place);
            }
            Arc::new(Known { epoch: line.epoch, count: line.moves, generations: all })
        });
    }
}

/// A code to go on with, and for how long it holds at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handover {
    pub(crate) code: String,
    pub(crate) expires_in_ms: i64,
}

/// Why a place did not go on with another device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotResumed {
    /// No code, not ours, too old, used, or of a place that is used up.
    Wrong,
    TooManyTries {
        retry_after_ms: u64,
    },
    /// The line could not be asked; the same attempt may be repeated.
    Line(StoreError),
}

impl Gate {
    /// Whether the place of this ticket went on with another device.
    pub(crate) fn has_moved(&self, room: &Room, ticket: &Ticket) -> bool {
        room.moved().has_moved(ticket)
    }

    /// The same of whatever somebody shows; a promise of a number has not moved.
    pub(crate) fn left_by(&self, room: &Room, held: &Held) -> bool {
        matches!(held, Held::Number(ticket) if self.has_moved(room, ticket))
    }

    /// The code with which the place of this ticket goes on elsewhere. Costs no call.
    pub(crate) fn handover(&self, room: &Room, ticket: &Ticket) -> Handover {
        let held = HeldPlace { epoch: ticket.epoch, lane: ticket.lane, number: ticket.number };
        let code =
            self.tickets.resume_code(room.name(), held, ticket.generation >> ATTEMPT_BITS, room.snapshot().at_ms);
        Handover { code, expires_in_ms: CODE_MS }
    }

    /// Gives the place of a code to whoever has it: a ticket of the same number, and the older one is worth nothing.
    ///
    /// # Errors
    /// [`NotResumed`]: the place is where it was.
    pub(crate) async fn resume(
        &self,
        room: &Room,
        (code, attempt): (&str, &str),
        address: std::net::IpAddr,
    ) -> Result<Grant, NotResumed> {
        let (moved, now_ms) = (room.moved(), self.now_ms());
        moved.tries.look(address, now_ms).map_err(|retry_after_ms| NotResumed::TooManyTries { retry_after_ms })?;
        let wrong = || {
            let _ = moved.tries.admit(address, now_ms);
            NotResumed::Wrong
        };
        let line = room.snapshot();
        let typed = self.tickets.read_code(room.name(), line.epoch, code).ok_or_else(wrong)?;
        let known = moved.generation(line.epoch, typed.held.in_line());
        let (times, last) = (known >> ATTEMPT_BITS, known & u64::from(u32::MAX));
        let attempt = u64::from(self.tickets.attempt(attempt));
        let is_code = |times: u64| self.tickets.is_code(room.name(), typed, times, line.at_ms);
        // The answer to this very attempt was lost: the place has moved here already.
        let repeated = times > 0 && last == attempt && is_code(times - 1);
        if !repeated && (!is_code(times) || times >= MOVES_MAX) {
            return Err(wrong());
        }
        let to = if repeated { known } else { (times + 1) << ATTEMPT_BITS | attempt };
        if !repeated && !self.move_to(room, typed.held, known, to).await.map_err(NotResumed::Line)? {
            return Err(wrong());
        }
        let HeldPlace { epoch, lane, number } = typed.held;
        let ticket = Ticket { room: room.name().to_owned(), epoch, lane, number, issued_at_ms: now_ms, generation: to };
        Ok(Grant { ticket: Some(self.tickets.mint(&ticket)), entry: None })
    }

    /// Whether the place has this generation now.
    async fn move_to(&self, room: &Room, held: HeldPlace, from: u64, to: u64) -> Result<bool, StoreError> {
        let position = match room.position_of(held.in_line(), &room.snapshot()) {
            Position::At(position) => position,
            Position::NotDrawn => 0,
            Position::NotKnown => return Err(StoreError::Busy),
        };
        let one = Move { number: held.in_line(), position, from: Some(from), to };
        let generations = room.move_places(held.epoch, &[one]).await?;
        Ok(generations.get(&held.in_line()) == Some(&to))
    }
}

impl Room {
    /// Lets places go on with another device; the generations of all that ever did.
    pub(super) async fn move_places(&self, epoch: u64, moves: &[Move]) -> Result<Generations, StoreError> {
        let answer = in_time(self.store.moves(self.name(), epoch, moves)).await;
        let (generations, snapshot) = self.keep(answer, |(_, snapshot)| snapshot)?;
        self.moved().learn(&snapshot, &generations);
        Ok(generations)
    }

    /// Asks which places moved if the line has counted more than this node knows of, and tells what the line has lost.
    pub(super) async fn follow_moves(&self, line: &Snapshot) -> Result<(), StoreError> {
        if self.moved().is_current(line) {
            return Ok(());
        }
        let lost = {
            let answer = in_time(self.store.moves(self.name(), line.epoch, &[])).await;
            let (generations, snapshot) = self.keep(answer, |(_, snapshot)| snapshot)?;
            let lost = self.moved().lost(snapshot.epoch, &generations);
            self.moved().learn(&snapshot, &generations);
            lost
        };
        for part in lost.chunks(BATCH_MAX) {
            self.move_places(line.epoch, part).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(epoch: u64, moves: u64) -> Snapshot {
        Snapshot { epoch, moves, ..Snapshot::default() }
    }

    fn ticket(epoch: u64, number: u64, generation: u64) -> Ticket {
        Ticket { room: "demo".to_owned(), epoch, lane: 0, number, issued_at_ms: 0, generation }
    }

    #[test]
    fn an_older_generation_has_moved_and_a_younger_one_has_not() {
        let moved = Moved::new();
        assert!(moved.is_current(&line(1, 0)) && !moved.is_current(&line(1, 2)), "in a new line nothing has moved");
        moved.learn(&line(1, 2), &Generations::from([(7, 5)]));
        assert!(moved.is_current(&line(1, 2)) && !moved.is_current(&line(1, 3)));
        assert!(moved.has_moved(&ticket(1, 7, 4)) && moved.has_moved(&ticket(1, 7, 0)));
        assert!(!moved.has_moved(&ticket(1, 7, 5)) && !moved.has_moved(&ticket(1, 7, 6)));
        assert!(
            !moved.has_moved(&ticket(1, 8, 0)) && !moved.has_moved(&ticket(2, 7, 0)),
            "another place, another line"
        );
    }

    #[test]
    fn what_the_line_has_lost_is_told_again() {
        let moved = Moved::new();
        moved.learn(&line(1, 2), &Generations::from([(7, 5), (8, 3), (9, 1)]));
        let left = Generations::from([(8, 3), (9, 4)]);
        assert_eq!(moved.lost(1, &left), [Move { number: 7, position: 0, from: None, to: 5 }]);
        assert_eq!(moved.lost(2, &left), []);
        moved.learn(&line(1, 4), &left);
        assert!(moved.has_moved(&ticket(1, 7, 4)) && moved.has_moved(&ticket(1, 9, 3)), "what is higher stays");
    }
}
