//! Records what the provider said: the try, its transaction, a refund if one is due, and what the order is told of it, in
//! one commit, for all whose answers came while the previous one was under way. The only place that makes a verdict of an
//! answer.

use super::Payments;
use super::processors::Heard;
use super::state::{Attempt, Event, Evidence, Transaction};
use super::store::{self, AttemptRow, Move};
use crate::base::AttemptId;
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::{Work, pool_of};
use crate::metrics;
use crate::outbox::{self, Event as Told};

/// The first wait before a try without a verdict is looked at again; it doubles up to `LOOK_AGAIN_MS_MAX`.
const LOOK_AGAIN_MS: i64 = 500;

/// Waiting for the customer starts slower: an event or the customer's return will tell.
const WAIT_FOR_CUSTOMER_MS: i64 = 2_000;

const LOOK_AGAIN_MS_MAX: i64 = 30_000;

/// Why money goes back.
pub(super) mod cause {
    /// It came when the order was gone.
    pub(crate) const LATE: &str = "late";
    /// The order had been paid by another try.
    pub(crate) const DUPLICATE: &str = "duplicate";
    /// The order was booked, and is cancelled.
    pub(crate) const CANCELLED: &str = "cancelled";
    /// It was not what was asked for.
    pub(crate) const MISMATCH: &str = "amount_mismatch";
}

impl Payments {
    /// Records `heard` about a try, and answers with the try as it stands afterwards. It may not be on the disk yet.
    pub(super) async fn record(&self, id: AttemptId, heard: &Heard) -> Result<Option<AttemptRow>, DbError> {
        let pool = pool_of(self.db(), &id.to_bytes());
        let recorded = self.shared.records.submit(pool, (id, heard.clone())).await?;
        if let Some((attempt, refund)) = &recorded {
            if *refund == Refund::Due {
                tracing::warn!(attempt = %attempt.id, "money is given back");
                self.shared.due.notify_one();
            }
            // A verdict is news once the order has heard it.
            if let Some(order) = attempt.reservation_id.filter(|_| attempt.state.is_live()) {
                self.shared.news.tell(order);
            }
        }
        Ok(recorded.map(|(attempt, _)| attempt))
    }
}

/// The writer of what was heard.
pub(super) struct Records(pub(super) Db);

impl Work for Records {
    type Member = (AttemptId, Heard);
    type Outcome = Option<(AttemptRow, Refund)>;

    async fn run(&self, heard: &[(AttemptId, Heard)]) -> Result<Vec<Self::Outcome>, DbError> {
        // Nobody relies on it: whoever is told of it is told after a later commit, and what a loss of power undoes is asked again.
        in_tx!(self.0.unsynced(), tx, { record_all(tx, heard).await })
    }
}

/// All tries are locked at once, in the order of their ids: groups do not wait for each other in a circle.
async fn record_all(tx: &mut Tx, heard: &[(AttemptId, Heard)]) -> Result<Vec<Option<(AttemptRow, Refund)>>, DbError> {
    let mut ids: Vec<AttemptId> = heard.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut tries = store::lock_attempts(tx, &ids).await?;
    let mut recorded = Vec::with_capacity(heard.len());
    for (id, heard) in heard {
        // Heard of twice in one group: as the first left it.
        let attempt = match tries.remove(id) {
            None => store::lock_attempts(tx, &[*id]).await?.remove(id),
            first => first,
        };
        recorded.push(match attempt {
            Some(attempt) => Some(record(tx, attempt, heard).await?),
            None => None,
        });
    }
    Ok(recorded)
}

/// Whether money has to go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refund {
    None,
    Due,
}

async fn record(tx: &mut Tx, mut attempt: AttemptRow, heard: &Heard) -> Result<(AttemptRow, Refund), DbError> {
    let id = attempt.id;
    let evidence = heard.evidence(attempt.money);
    let from = attempt.state;
    let to = from.on(evidence);
    let action_url = match heard {
        Heard::ActionNeeded(url) => Some(url.as_str()),
        Heard::Captured(_)
        | Heard::Accepted
        | Heard::Declined
        | Heard::Cancelled
        | Heard::Refused
        | Heard::Absent
        | Heard::NoAnswer(_) => None,
    };
    let known = if to == from && !from.is_live() { attempt.error_class.as_deref() } else { None };
    let change = Move {
        from,
        to,
        action_url,
        error_class: known.or(heard.error_class(attempt.money)),
        due_at: look_again_ms(to, evidence, attempt.tries).map(|wait| tx.now_ms().saturating_add(wait)),
    };
    if !store::move_attempt(tx, id, &change).await? {
        return Err(DbError::Shape("a payment attempt that stays as it was while it is locked"));
    }
    if to != from {
        count(tx, to);
    }
    let mut refund = Refund::None;
    if let (Evidence::Conflict, Heard::Captured(money)) = (evidence, heard)
        && to != Attempt::Captured
        && money.amount > 0
    {
        store::insert_refund(tx, id, cause::MISMATCH, money.amount).await?;
        refund = Refund::Due;
    }
    if to != from && to == Attempt::Captured {
        refund = captured(tx, &attempt).await?;
    } else if to != from {
        not_captured(tx, &attempt, to, evidence).await?;
    }
    attempt.action_url = action_url.map(str::to_owned).or(attempt.action_url);
    attempt.state = to;
    Ok((attempt, refund))
}

/// Counts a verdict, or that there is none, once it is kept.
fn count(tx: &mut Tx, to: Attempt) {
    let payment = match to {
        Attempt::Captured => metrics::Payment::Captured,
        Attempt::Failed => metrics::Payment::Failed,
        Attempt::Cancelled => metrics::Payment::Cancelled,
        Attempt::Unknown => metrics::Payment::Unknown,
        Attempt::Sending | Attempt::Sent | Attempt::RequiresAction => return,
    };
    tx.when_kept(move || metrics::payment(payment));
}

/// The money is there: the order is told, or it is one too many and goes back.
async fn captured(tx: &mut Tx, attempt: &AttemptRow) -> Result<Refund, DbError> {
    if matches!(attempt.transaction_state, Transaction::Completed | Transaction::Refunded) {
        store::insert_refund(tx, attempt.id, cause::DUPLICATE, attempt.money.amount).await?;
        return Ok(Refund::Due);
    }
    learned(tx, attempt, Evidence::Captured).await?;
    if let Some(order) = attempt.reservation_id {
        let captured = Told::PaymentCaptured { attempt_id: attempt.id, amount: attempt.money.amount };
        outbox::publish(tx, order, &captured).await?;
    }
    Ok(Refund::None)
}

async fn not_captured(tx: &mut Tx, attempt: &AttemptRow, to: Attempt, evidence: Evidence) -> Result<(), DbError> {
    learned(tx, attempt, evidence).await?;
    if let (false, Some(order)) = (to.is_live(), attempt.reservation_id) {
        outbox::publish(tx, order, &Told::PaymentFailed { attempt_id: Some(attempt.id) }).await?;
    }
    Ok(())
}

async fn learned(tx: &mut Tx, attempt: &AttemptRow, evidence: Evidence) -> Result<(), DbError> {
    let from = attempt.transaction_state;
    match from.on(Event::Learned(evidence)) {
        Some(to) if to != from => {
            if !store::move_transaction(tx, attempt.transaction_id, from, to).await? {
                return Err(DbError::Shape("a transaction that stays as it was while it is locked"));
            }
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

/// How long until somebody should ask again; `None` when all is known.
fn look_again_ms(state: Attempt, evidence: Evidence, tries: i64) -> Option<i64> {
    let first_ms = match (state, evidence) {
        (Attempt::Captured, _) => return None,
        (Attempt::RequiresAction, _) => WAIT_FOR_CUSTOMER_MS,
        (Attempt::Sending | Attempt::Sent | Attempt::Unknown, _)
        | (Attempt::Failed | Attempt::Cancelled, Evidence::NoAnswer) => LOOK_AGAIN_MS,
        (
            Attempt::Failed | Attempt::Cancelled,
            Evidence::Accepted
            | Evidence::ActionNeeded
            | Evidence::Captured
            | Evidence::Declined
            | Evidence::Withdrawn
            | Evidence::Conflict,
        ) => return None,
    };
    let doublings = u32::try_from(tries.clamp(0, 8)).unwrap_or(8);
    Some(first_ms.saturating_mul(1 << doublings).min(LOOK_AGAIN_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Evidence, LOOK_AGAIN_MS_MAX, look_again_ms};

    #[test]
    fn whatever_is_not_known_is_asked_again() {
        for state in Attempt::ALL.into_iter().filter(|state| state.is_live()) {
            let wait = look_again_ms(state, Evidence::NoAnswer, i64::MAX);
            assert_eq!(wait, Some(LOOK_AGAIN_MS_MAX), "{state:?}");
        }
        assert_eq!(look_again_ms(Attempt::Unknown, Evidence::NoAnswer, 1), Some(1_000));
        assert_eq!(look_again_ms(Attempt::Captured, Evidence::NoAnswer, 1), None);
        assert_eq!(look_again_ms(Attempt::Failed, Evidence::Declined, 1), None);
    }

    #[test]
    fn a_rumour_about_a_finished_try_is_followed_until_the_provider_answers() {
        assert!(look_again_ms(Attempt::Cancelled, Evidence::NoAnswer, 3).is_some());
        assert!(look_again_ms(Attempt::Cancelled, Evidence::Withdrawn, 3).is_none());
    }
}
