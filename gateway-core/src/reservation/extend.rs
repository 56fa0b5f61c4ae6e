//! One extension of a hold, as long as its sale allows. The row's own columns decide: two clicks extend once.

use super::store;
use super::{Reservation, State};
use crate::base::{CustomerId, ReservationId};
use crate::db::{Db, DbError, in_tx};

/// What became of it.
#[derive(Debug)]
pub(crate) enum Extended {
    /// It lasts longer now.
    Done(Reservation),
    NotFound,
    /// No hold any more, or its time is over.
    Refused(Reservation),
    /// It was extended before.
    Already(Reservation),
    /// The sale does not extend holds.
    NotOffered(Reservation),
}

/// Extends a hold that still lasts, from its deadline on.
pub(crate) async fn extend(db: &Db, id: ReservationId, owner: CustomerId) -> Result<Extended, DbError> {
    in_tx!(db, tx, {
        let Some(mut hold) = store::lock(tx, id).await?.filter(|hold| hold.customer_id == owner) else {
            return Ok(Extended::NotFound);
        };
        let (extend_ms, extended) = store::extension(tx, id).await?;
        if hold.state != State::Held || hold.has_lapsed(tx.now_ms()) {
            return Ok(Extended::Refused(hold));
        }
        if extended {
            return Ok(Extended::Already(hold));
        }
        if extend_ms < 1 {
            return Ok(Extended::NotOffered(hold));
        }
        let due_at = hold.due_at.unwrap_or(tx.now_ms()).saturating_add(extend_ms);
        if !store::extend(tx, id, due_at).await? {
            return Ok(Extended::Already(hold));
        }
        store::mark_seats(tx, id, "held", Some(due_at)).await?;
        (hold.due_at, hold.version) = (Some(due_at), hold.version + 1);
        Ok::<_, DbError>(Extended::Done(hold))
    })
}

/// By how much this hold can still be extended, in milliseconds; 0 is not at all.
pub(crate) async fn extendable_ms(db: &Db, hold: &Reservation) -> Result<i64, DbError> {
    if hold.state != State::Held {
        return Ok(0);
    }
    let (extend_ms, extended) = store::extension_of(db, hold.id).await?;
    Ok(if extended { 0 } else { extend_ms })
}
