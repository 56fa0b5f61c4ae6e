//! The two calls to the line that people come in by: joining it, and asking to go in. How somebody joins is decided here,
//! by what they have shown; who gets a place is the line's to say.

use super::access::Proved;
use super::book::Placed;
use super::desk::NotJoined;
use super::room::{Room, in_time};
use crate::credential::{Arrival, Ticket};
use crate::line::{Claimed, GENERAL, Given, Identity, Joiner, Session, Snapshot, lane_of};
use crate::metrics;
use crate::settings::LaneSettings;
use crate::store::StoreError;

/// A number that was just drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joining {
    pub(crate) epoch: u64,
    /// With its lane.
    pub(crate) number: u64,
    /// Set if the room was calm: in at once.
    pub(crate) session: Option<Session>,
    /// This identity had the number before, and has used it up.
    pub(crate) used: bool,
}

/// The answer to somebody who asks to go in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entered {
    In(Session),
    /// The place is kept; ask again after so many milliseconds, if the line said so.
    NotYet(Option<u64>),
    Spent,
    /// The place goes on with another device.
    Moved,
    /// The line has never given out this number in this epoch.
    Unknown,
}

impl Room {
    /// How somebody joins: by the lane that what they have shown is for, or that they ask for.
    pub(super) fn joiner(&self, proved: &Proved, lane_asked: u8) -> Result<Joiner, NotJoined> {
        let shown = proved.lane.as_deref().and_then(|name| self.snapshot().lane_named(name).map(|(index, _)| index));
        let lane = shown.and_then(|index| u8::try_from(index).ok()).unwrap_or(lane_asked);
        let identity = proved.identity.map(Identity).filter(|_| self.settings().one_place_per_identity);
        if self.settings().one_place_per_identity && identity.is_none() {
            return Err(NotJoined::NoIdentity);
        }
        Ok(Joiner { lane, identity, ..Joiner::default() })
    }

    /// The index of a lane that whoever asks for it may use.
    pub(crate) fn open_lane(&self, name: &str) -> Option<usize> {
        let open = |lane: &LaneSettings| lane.anyone && lane.name == name;
        let may = name == GENERAL || self.settings().lanes.iter().any(open);
        self.snapshot().lane_named(name).filter(|_| may).map(|(index, _)| index)
    }

    /// Draws a number, or finds the one that this identity has.
    pub(super) async fn join(&self, joiner: Joiner) -> Result<Joining, StoreError> {
        let joiners = [joiner];
        let joined = self.keep(in_time(self.store.join(self.name(), &joiners)).await, |joined| &joined.snapshot)?;
        let epoch = joined.snapshot.epoch;
        match joined.given.into_iter().next() {
            Some(Given::New { number, session }) => {
                metrics::joined(self.name(), lane_label(number, &joined.snapshot), session.is_some());
                Ok(Joining { epoch, number, session, used: false })
            }
            Some(Given::Known { number, used }) => Ok(Joining { epoch, number, session: None, used }),
            Some(Given::Refused(refused)) => Err(refused.into()),
            None => Err(StoreError::Unreachable("the store gave no answer".to_owned())),
        }
    }

    /// Draws numbers for people who came while the store was away, oldest first, each under the name of its ticket.
    /// A copy of a ticket gets the number that the first one got, at whichever node.
    pub(super) async fn join_as(&self, arrivals: &[Arrival]) -> Result<Vec<Result<Placed, StoreError>>, StoreError> {
        // Whoever has one place joins by who they are, and everybody else by the name of their promise.
        let has_one_place = self.settings().one_place_per_identity;
        let joiner = |arrival: &Arrival| {
            let name = Some(Identity(arrival.name));
            let identity = name.filter(|_| has_one_place);
            Joiner { lane: arrival.lane, identity, late: name.filter(|_| !has_one_place), proof: None }
        };
        let joiners: Vec<Joiner> = arrivals.iter().map(joiner).collect();
        let joined = self.keep(in_time(self.store.join(self.name(), &joiners)).await, |joined| &joined.snapshot)?;
        let (at_ms, epoch) = (self.now_ms(), joined.snapshot.epoch);
        let place = |given| match given {
            Given::New { number, session } => {
                metrics::joined(self.name(), lane_label(number, &joined.snapshot), session.is_some());
                Ok(Placed { epoch, number, session, at_ms })
            }
            Given::Known { number, .. } => Ok(Placed { epoch, number, session: None, at_ms }),
            Given::Refused(refused) => Err(refused.into()),
        };
        Ok(joined.given.into_iter().map(place).collect())
    }

    /// Asks to go in with a position of an epoch.
    pub(super) async fn claim(&self, ticket: &Ticket, position: u64) -> Result<Entered, StoreError> {
        let epoch = ticket.epoch;
        let answer = in_time(self.store.claim(self.name(), epoch, &[position])).await;
        let (claimed, snapshot) = self.keep(answer, |(_, snapshot)| snapshot)?;
        let claimed = claimed.into_iter().next().unwrap_or(Claimed::Unknown);
        metrics::claimed(self.name(), lane_label(position, &snapshot), &claimed);
        if snapshot.epoch != epoch {
            return Ok(Entered::Unknown);
        }
        // The reply counts every move before it. Who has not moved by then has the place; the line moves none that is used.
        self.follow_moves(&snapshot).await?;
        if self.moved().has_moved(ticket) {
            return Ok(Entered::Moved);
        }
        Ok(match claimed {
            Claimed::Admitted(session) => Entered::In(session),
            Claimed::NotCalled => Entered::NotYet(None),
            Claimed::NoBudget { retry_after_ms } => Entered::NotYet(u64::try_from(retry_after_ms).ok()),
            Claimed::Spent => Entered::Spent,
            Claimed::Unknown => Entered::Unknown,
        })
    }
}

/// The lane of a number, as metrics name it.
fn lane_label(number: u64, line: &Snapshot) -> &str {
    line.lane(lane_of(number)).map_or("unknown", |lane| lane.name.as_str())
}
