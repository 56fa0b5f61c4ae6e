//! What an operator does in the core's database without a running core: seeding a catalogue, looking at orders, and deciding
//! what only a person can. Refunds that a decision asks for are sent by the core as soon as it runs.

use crate::auth::{Auth, TokenError};
use crate::base::{Clock, CustomerId, ReservationId, rfc3339};
use crate::catalogue::{self, Catalogue, SeedError, Seeded};
use crate::db::{Db, DbError, in_tx};
use crate::payment::call_off;
use crate::reservation::after::{self, By, CalledOff, Decision, Verdict};
use crate::reservation::{Reservation, Stepped};
use crate::schema;
use crate::settings::{OpenError, Secrets, Settings};

/// Orders in one list: more than that, nobody looks through.
const LISTED_MAX: i64 = 200;

/// The most characters of a name and of a note.
const WHO_CHARS_MAX: usize = 64;
const NOTE_CHARS_MAX: usize = 500;

/// The core's database, for operators. Cheap to clone.
#[derive(Clone)]
pub struct Office {
    db: Db,
}

/// An order as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFacts {
    /// `order_…`
    pub order: String,
    /// `booked`, `review`, …
    pub state: String,
    /// Why it is there, in a word.
    pub reason: Option<String>,
    /// `cust_…`
    pub customer: String,
    /// `EUR 12.50`
    pub total: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// What is in it, a text each.
    pub lines: Vec<String>,
    /// The tries to pay it: the provider's reference, and how each stands.
    pub tries: Vec<String>,
    /// What people decided about it, and why.
    pub decisions: Vec<String>,
}

/// What an operator wants of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It is under review, and the provider's books say that the money came: it is booked.
    SettlePaid,
    /// It is under review, and no money came: it is released.
    SettleNotPaid,
    /// It is booked, and given back: seats and stock are free, the money goes back.
    Cancel,
    /// It is booked, and the provider took the money back: seats and stock are free, the ticket is void.
    Reverse,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum WishError {
    /// No such order.
    #[error("there is no order {0}")]
    NoSuchOrder(String),
    /// Not in this state.
    #[error("order {order} is {state}: {wanted}")]
    NotPossible {
        /// `order_…`
        order: String,
        /// Where it stands.
        state: String,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// The name or the note cannot be kept.
    #[error("{0}")]
    Invalid(String),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why there are no customers.
#[derive(Debug, thiserror::Error)]
pub enum MadeNone {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The key does not sign.
    #[error("the tokens cannot be signed")]
    Unsigned,
}

impl From<TokenError> for MadeNone {
    fn from(_: TokenError) -> Self {
        Self::Unsigned
    }
}

impl Office {
    /// Connects once and brings the schema up to date, as the core does.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`] may pass by itself; the others need a change of the settings.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, OpenError> {
        let db = Db::connect_to(&settings.database_url, settings.durability(), clock).await?;
        db.migrate(&schema::MIGRATIONS).await?;
        Ok(Self { db })
    }

    #[cfg(test)]
    pub(crate) fn over(db: Db) -> Self {
        Self { db }
    }

    /// New customers for a load test, each with a token, as it is sent. Nobody can log in as one of them. `settings` and
    /// `secrets` are those of the core that will check the tokens.
    ///
    /// # Errors
    /// The database fails, or the tokens cannot be signed.
    pub async fn make_customers(
        &self,
        count: u32,
        settings: &Settings,
        secrets: &Secrets,
        clock: Clock,
    ) -> Result<Vec<(CustomerId, String)>, MadeNone> {
        let auth = Auth::new(self.db.clone(), clock, &secrets.customer_key, settings.customer_token_ms);
        let customers = auth.make(count).await?;
        let with_token = |id| Ok((id, auth.token(id)?.0));
        customers.into_iter().map(with_token).collect()
    }

    /// Stores what is not there yet. What is there stays as it is, and is told where it differs. `progress` hears how
    /// much of [`Catalogue::size`] is done.
    ///
    /// # Errors
    /// Something in the catalogue does not fit, or the database fails.
    pub async fn seed(&self, catalogue: &Catalogue, progress: &(dyn Fn(u64) + Sync)) -> Result<Seeded, SeedError> {
        catalogue::seed_telling(&self.db, catalogue, progress).await
    }

    /// Orders that wait for a person, the longest first, at most 200.
    ///
    /// # Errors
    /// The database fails.
    pub async fn in_review(&self) -> Result<Vec<OrderFacts>, DbError> {
        let mut all = Vec::new();
        for order in after::in_review(&self.db, LISTED_MAX).await? {
            all.push(self.facts(&order).await?);
        }
        Ok(all)
    }

    /// One order; `None` if there is none of this id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn order(&self, id: &str) -> Result<Option<OrderFacts>, DbError> {
        let Some(id) = ReservationId::parse(id) else { return Ok(None) };
        match after::any(&self.db, id).await? {
            Some(order) => self.facts(&order).await.map(Some),
            None => Ok(None),
        }
    }

    async fn facts(&self, order: &Reservation) -> Result<OrderFacts, DbError> {
        let tries = call_off::tries_of(&self.db, order.id).await?;
        let decisions = after::decisions(&self.db, order.id).await?;
        Ok(OrderFacts {
            order: order.id.to_string(),
            state: order.state.to_string(),
            reason: order.reason.clone(),
            customer: order.customer_id.to_string(),
            total: order.total.to_string(),
            created_at: rfc3339(order.created_at),
            lines: order.lines.iter().map(|line| format!("{} x {}", line.quantity, line.title)).collect(),
            tries: tries
                .into_iter()
                .map(|(reference, state, amount)| format!("{reference} {state} {amount}"))
                .collect(),
            decisions: decisions
                .into_iter()
                .map(|(kind, who, note, at_ms)| format!("{} {kind} by {who}: {note}", rfc3339(at_ms)))
                .collect(),
        })
    }

    /// Does what a person decided, and writes down who it was and why, in one transaction.
    ///
    /// # Errors
    /// The order is not there, or in no state for it; the note is empty; the database fails.
    pub async fn decide(&self, id: &str, wish: Wish, who: &str, note: &str) -> Result<OrderFacts, WishError> {
        for (what, text, most) in [("name", who, WHO_CHARS_MAX), ("note", note, NOTE_CHARS_MAX)] {
            if text.trim().is_empty() || text.chars().count() > most {
                return Err(WishError::Invalid(format!("the {what} must have from 1 to {most} characters")));
            }
        }
        let order = ReservationId::parse(id).ok_or_else(|| WishError::NoSuchOrder(id.to_owned()))?;
        let by = Decision { who, note };
        let decided = in_tx!(self.db, tx, {
            let stepped = match wish {
                Wish::SettlePaid => after::settle(tx, order, Verdict::Paid).await?,
                Wish::SettleNotPaid => after::settle(tx, order, Verdict::NotPaid).await?,
                Wish::Reverse => after::reverse(tx, order).await?,
                Wish::Cancel => as_step(call_off::call_off(tx, order, By::Operator).await?),
            };
            if let Stepped::Done(order) = &stepped {
                // A second one of its kind changed nothing: the first one's reason stands.
                match after::decided(tx, order, by).await {
                    Ok(()) | Err(DbError::Duplicate) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok::<_, WishError>(stepped)
        })?;
        match decided {
            Stepped::Done(order) => Ok(self.facts(&order).await?),
            Stepped::NotFound => Err(WishError::NoSuchOrder(id.to_owned())),
            Stepped::Refused(order) => {
                let (order, state) = (order.id.to_string(), order.state.to_string());
                Err(WishError::NotPossible { order, state, wanted: wish.wanted() })
            }
        }
    }
}

impl Wish {
    const fn wanted(self) -> &'static str {
        match self {
            Self::SettlePaid | Self::SettleNotPaid => "only an order under review can be settled",
            Self::Cancel => "only a booked order can be cancelled",
            Self::Reverse => "only a booked order can be reversed",
        }
    }
}

fn as_step(called_off: CalledOff) -> Stepped {
    match called_off {
        CalledOff::Now(order) | CalledOff::Before(order) => Stepped::Done(order),
        CalledOff::Refused(order) => Stepped::Refused(order),
        CalledOff::NotFound | CalledOff::TooLate { .. } => Stepped::NotFound,
    }
}

#[cfg(test)]
mod tests;
