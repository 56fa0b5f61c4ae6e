//! A customer pays: the order is PAYING and the payments are asked, in one commit ([`super::begin`]). Then the call waits for
//! what becomes of it, as long as a provider may take, and otherwise says that it is under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::begin::{Begins, Begun};
use crate::base::{AttemptId, CustomerId, ReservationId};
use crate::db::{Db, DbError};
use crate::group::{Writers, pool_of};
use crate::outbox::News;
use crate::payment::{Payments, Standing};
use crate::reservation::{self, Reservation, State};

/// How often the rows are looked at while nothing is heard: the payments may be another process.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// What the call waits beyond the provider's time: two messages' way.
const MESSAGES_TAKE: Duration = Duration::from_secs(1);

/// An order to be paid.
#[derive(Clone)]
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

/// The paying of orders. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Orders {
    db: Db,
    begins: Arc<Writers<Begins>>,
    payments: Payments,
    news: News,
    patience: Duration,
}

impl Orders {
    /// `provider_takes`: how long the provider may take for one call.
    pub(crate) fn new(db: Db, payments: Payments, news: News, provider_takes: Duration) -> Self {
        let begins = Arc::new(Writers::new(Begins(db.clone())));
        Self { db, begins, payments, news, patience: provider_takes + MESSAGES_TAKE }
    }

    /// Pays an order, and says how it stands when the provider's time is up. What it says may have to wait for
    /// [`Db::on_disk`] before anybody else is told.
    pub(crate) async fn pay(&self, pay: &Pay) -> Result<PayOutcome, DbError> {
        let mut listener = self.news.listen(pay.order);
        let own = match self.begins.submit(pool_of(&self.db, &pay.order.to_bytes()), pay.clone()).await? {
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
