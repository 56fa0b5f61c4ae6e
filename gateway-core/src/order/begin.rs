//! Orders begin to be paid, in groups: PAYING, and the payments are asked, in one commit for all who queued while the previous
//! one was under way.

use std::collections::HashSet;

use super::pay::{Pay, PayOutcome};
use crate::base::{MessageId, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::Work;
use crate::outbox::{self, Event, Requested};
use crate::reservation::State;
use crate::reservation::step::{self, Began, Locked, Paid};

/// What became of the wish to pay.
#[derive(Debug)]
pub(super) enum Begun {
    /// The payments are asked for this try.
    Asked,
    /// They are since an earlier run of the same call.
    AskedBefore,
    /// Another call's try is under way.
    Running,
    Is(PayOutcome),
}

/// What the writers do.
pub(super) struct Begins(pub(super) Db);

impl Work for Begins {
    type Member = Pay;
    type Outcome = Begun;

    async fn run(&self, pays: &[Pay]) -> Result<Vec<Begun>, DbError> {
        in_tx!(self.0.unsynced(), tx, { begin_all(tx, pays).await })
    }

    /// Who is told at once how the order stands. The others hear of a verdict, which is committed later.
    fn rests_on(&self, _pay: &Pay, begun: &Begun) -> Option<&Db> {
        matches!(begun, Begun::Is(_)).then_some(&self.0)
    }
}

/// The orders are locked first: what a transaction of an unknown outcome holds is waited for, so the look for messages that
/// are written already is the last word.
async fn begin_all(tx: &mut Tx, pays: &[Pay]) -> Result<Vec<Begun>, DbError> {
    let mut orders: Vec<ReservationId> = pays.iter().map(|pay| pay.order).collect();
    orders.sort_unstable();
    let mut locked = step::lock_all(tx, &orders).await?;
    let asked = outbox::published(tx, pays.iter().map(|pay| pay.attempt_id.into())).await?;
    let mut begun = Vec::with_capacity(pays.len());
    for pay in pays {
        begun.push(begin(tx, &mut locked, pay, &asked).await?);
    }
    Ok(begun)
}

async fn begin(tx: &mut Tx, locked: &mut Locked, pay: &Pay, asked: &HashSet<MessageId>) -> Result<Begun, DbError> {
    if asked.contains(&pay.attempt_id.into()) {
        // The same call again, after its first run was cut off: it begins nothing new, also when its try is over.
        return Ok(Begun::AskedBefore);
    }
    let reservation = match step::begin_paying(tx, locked, pay.order, pay.customer).await? {
        Began::Now(reservation) => reservation,
        Began::Before => return Ok(Begun::Running),
        Began::NotFound => return Ok(Begun::Is(PayOutcome::NotFound)),
        Began::Refused(reservation) if reservation.state == State::Booked => {
            return Ok(Begun::Is(PayOutcome::Booked));
        }
        Began::Refused(reservation) => return Ok(Begun::Is(PayOutcome::Refused(Box::new(reservation)))),
    };
    if reservation.total.amount == 0 {
        return Ok(Begun::Is(match step::paid(tx, locked, pay.order).await? {
            Paid::Booked(_) => PayOutcome::Booked,
            Paid::TooLate(reservation) => PayOutcome::Refused(Box::new(reservation)),
            Paid::NotFound => PayOutcome::NotFound,
        }));
    }
    let wanted = Event::PaymentRequested(Requested {
        attempt_id: pay.attempt_id,
        customer: pay.customer,
        money: reservation.total,
        method: pay.method.clone(),
        payment_token: pay.token.clone(),
        return_url: pay.return_url.clone(),
    });
    outbox::publish(tx, pay.order, &wanted).await?;
    Ok(Begun::Asked)
}
