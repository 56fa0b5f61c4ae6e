//! Before a room opens: what it waits for, and how somebody stands who waits with it.

use std::sync::Arc;

use super::gate::{Gate, Standing, Status, place_of};
use super::room::Room;
use super::shut::Shut;
use super::wait;
use crate::credential::Ticket;
use crate::line::{Phase, Snapshot};

/// A time of the room's schedule that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Epoch milliseconds, by the store's clock.
    pub(crate) at_ms: i64,
    pub(crate) left_ms: u64,
}

impl Gate {
    /// What the room waits for, if it has not opened. This needs no store: a schedule is known to all nodes, and only
    /// once its time has come must the line be seen.
    pub(super) fn before_opening(&self, room: &Room, line: &Snapshot) -> Option<(Status, Moment)> {
        // What is closed or sold out waits for no opening.
        if Shut::of(line, true).is_some() {
            return None;
        }
        let (status, at_ms) = match line.phase {
            Phase::Early => (Status::Early, line.prequeue_at_ms.or(line.opens_at_ms)?),
            Phase::Prequeue => (Status::Prequeue, line.opens_at_ms?),
            Phase::Running | Phase::Over => return None,
        };
        let now_ms = if room.store_ok() { line.at_ms } else { self.now_ms().max(line.at_ms) };
        let left_ms = u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0);
        (room.store_ok() || left_ms > 0).then_some((status, Moment { at_ms, left_ms }))
    }

    pub(super) fn at_opening(
        &self,
        room: &Room,
        ticket: Option<Ticket>,
        snapshot: Arc<Snapshot>,
        status: Status,
        next: Moment,
    ) -> Standing {
        // The line is not told who is there: pages wait for the opening without asking, and whoever has not asked while
        // others did would be taken to be away.
        Standing {
            status,
            place: place_of(room, ticket.as_ref(), &snapshot),
            ticket,
            eta: None,
            poll_after_ms: wait::poll_at_opening_ms(next.left_ms, rand::random()),
            next: Some(next),
            snapshot,
            now_ms: self.now_ms(),
        }
    }
}
