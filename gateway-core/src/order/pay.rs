//! A customer pays: the order is PAYING and the payments are asked, in one commit. Then the call waits for what becomes of
//! it, as long as a provider may take, and otherwise says that it is under way.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::{AttemptId, CustomerId, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::outbox::{self, Event, News, Requested};
use crate::payment::{Payments, Standing};
use crate::reservation::step::{self, Began, Paid};
use crate::reservation::{self, Reservation, State};

/// How often the rows are looked at while nothing is heard: the payments may be another process.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// What the call waits beyond the provider's time: two messages' way.
const MESSAGES_TAKE: Duration = Duration::from_secs(1);

/// An order to be paid.
pub(crate) struct Pay {
    /// New, or derived from the caller's idempotency key.
    pub(crate) attempt_id: AttemptId,
    pub(crate) order: ReservationId,
    pub(crate) customer: CustomerId,
    pub(crate) method: String,
    pub(crate) token: Option<String>,
    pub(crate) return_url: Option<String>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum PayOutcome {
    /// Paid, now or before.
    Booked,
    /// Under way: the customer has to go to the page, if there is one, or wait.
    Running { action_url: Option<String> },
    /// No money came and none will from this try; the order can be paid again.
    Declined,
    /// No such order, or somebody else's.
    NotFound,
    /// The order is in no state to be paid.
    Refused(Box<Reservation>),
}

enum Begun {
    /// The payments are asked for this try.
    Asked,
    /// They are since an earlier run of the same call.
    AskedBefore,
    /// Another call's try is under way.
    Running,
    Is(PayOutcome),
}

/// The paying of orders. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Orders {
    db: Db,
    payments: Payments,
    news: News,
    patience: Duration,
}

impl Orders {
    /// `provider_takes`: how long the provider may take for one call.
    pub(crate) fn new(db: Db, payments: Payments, news: News, provider_takes: Duration) -> Self {
        Self { db, payments, news, patience: provider_takes + MESSAGES_TAKE }
    }

    /// Pays an order, and says how it stands when the provider's time is up.
    pub(crate) async fn pay(&self, pay: &Pay) -> Result<PayOutcome, DbError> {
        let mut listener = self.news.listen(pay.order);
        let own = match in_tx!(self.db, tx, { begin(tx, pay).await })? {
            Begun::Is(outcome) => return Ok(outcome),
            // Nothing can be known yet: the rows are looked at when there is news.
            Begun::Asked => {
                listener.news(LOOK_PAUSE).await;
                Some(pay.attempt_id)
            }
            Begun::AskedBefore => Some(pay.attempt_id),
            Begun::Running => None,
        };
        let end = Instant::now() + self.patience;
        loop {
            let standing = match own {
                Some(id) => self.payments.standing(id).await?,
                None => self.payments.standing_of_order(pay.order).await?,
            };
            let Some(order) = reservation::find(&self.db, pay.order, pay.customer).await? else {
                return Ok(PayOutcome::NotFound);
            };
            if let Some(outcome) = judge(order, standing) {
                return Ok(outcome);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(PayOutcome::Running { action_url: None });
            }
            listener.news(left.min(LOOK_PAUSE)).await;
        }
    }
}

async fn begin(tx: &mut Tx, pay: &Pay) -> Result<Begun, DbError> {
    let reservation = match step::begin_paying(tx, pay.order, pay.customer).await? {
        Began::Now(reservation) => reservation,
        Began::Before => return Ok(Begun::Running),
        Began::NotFound => return Ok(Begun::Is(PayOutcome::NotFound)),
        Began::Refused(reservation) if reservation.state == State::Booked => {
            return Ok(Begun::Is(PayOutcome::Booked));
        }
        Began::Refused(reservation) => return Ok(Begun::Is(PayOutcome::Refused(Box::new(reservation)))),
    };
    if reservation.total.amount == 0 {
        return Ok(Begun::Is(match step::paid(tx, pay.order).await? {
            Paid::Booked(_) => PayOutcome::Booked,
            Paid::TooLate(reservation) => PayOutcome::Refused(Box::new(reservation)),
            Paid::NotFound => PayOutcome::NotFound,
        }));
    }
    let asked = Event::PaymentRequested(Requested {
        attempt_id: pay.attempt_id,
        customer: pay.customer,
        money: reservation.total,
        method: pay.method.clone(),
        payment_token: pay.token.clone(),
        return_url: pay.return_url.clone(),
    });
    match outbox::publish(tx, pay.order, &asked).await {
        Ok(()) => Ok(Begun::Asked),
        // The same call again, after its first run was cut off: it begins nothing new, also when its try is over.
        Err(DbError::Duplicate) => Ok(tx.undo(Begun::AskedBefore)),
        Err(error) => Err(error),
    }
}

/// What to tell the customer of an order and the try that was read before it. `None`: a message is on its way, and more
/// will be known soon.
fn judge(order: Reservation, standing: Standing) -> Option<PayOutcome> {
    match (order.state, standing) {
        (State::Booked, _) => Some(PayOutcome::Booked),
        (State::Cancelled | State::Reversed, _) => Some(PayOutcome::Refused(Box::new(order))),
        (State::Paying, Standing::Waits { action_url }) => Some(PayOutcome::Running { action_url }),
        (State::Closing | State::Review, _) => Some(PayOutcome::Running { action_url: None }),
        (State::Held | State::Checkout | State::Released, Standing::NotPaid) => Some(PayOutcome::Declined),
        (State::Released, Standing::Begins | Standing::Waits { .. }) => Some(PayOutcome::Refused(Box::new(order))),
        (State::Paying, Standing::Begins | Standing::NotPaid)
        | (State::Held | State::Checkout, Standing::Begins | Standing::Waits { .. })
        | (State::Paying | State::Held | State::Checkout | State::Released, Standing::Paid) => None,
    }
}
