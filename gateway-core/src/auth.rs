//! Customers: who they are and how they prove it. Passwords are only ever kept as argon2id; tokens are not kept at all.

mod password;
mod store;
#[cfg(test)]
mod tests;
mod throttle;
mod token;

use std::sync::Mutex;

use tokio::sync::Semaphore;

use crate::base::{Clock, CustomerId};
use crate::db::{Db, DbError, in_tx};

use throttle::Throttle;
pub(crate) use token::{TokenError, Tokens};

/// Password hashes computed at once. Each takes about 20 MiB and a core: more would only starve everything else.
const HASHES_MAX: usize = 4;

/// Addresses longer than this are not addresses (RFC 5321).
const EMAIL_CHARS_MAX: usize = 254;

/// Length of a password in characters. The upper bound keeps hashing cheap to refuse.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// What no password makes.
const NO_HASH: &str = "none";

/// Customers who are made in one transaction: others write between two of them.
const MADE_AT_ONCE: usize = 1_000;

/// Registers customers and lets them in.
pub(crate) struct Auth {
    db: Db,
    clock: Clock,
    tokens: Tokens,
    hashes: Semaphore,
    /// A std mutex: held for a few map operations, never across an await.
    throttle: Mutex<Throttle>,
}

/// What became of a registration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    New(CustomerId),
    /// The same address with the same password: a repeat.
    Again(CustomerId),
    EmailTaken,
    Invalid(&'static str),
    Throttled {
        retry_after_ms: i64,
    },
}

/// What became of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LoggedIn {
    As(CustomerId),
    /// No such address or another password; it is not said which.
    Wrong,
    Throttled {
        retry_after_ms: i64,
    },
}

impl Auth {
    pub(crate) fn new(db: Db, clock: Clock, customer_key: &[u8], token_ms: i64) -> Self {
        let tokens = Tokens::new(customer_key, token_ms);
        let throttle = Mutex::new(Throttle::default());
        Self { db, clock, tokens, hashes: Semaphore::new(HASHES_MAX), throttle }
    }

    /// A fresh token for a customer, and how long it lasts in milliseconds.
    ///
    /// # Errors
    /// The key is unusable.
    pub(crate) fn token(&self, customer: CustomerId) -> Result<(String, i64), TokenError> {
        self.tokens.mint(customer, (self.clock)())
    }

    /// Who a token belongs to.
    ///
    /// # Errors
    /// It is not ours, not of this kind, or expired.
    pub(crate) fn verify(&self, token: &str) -> Result<CustomerId, TokenError> {
        self.tokens.verify(token, (self.clock)())
    }

    /// The address of a customer, for showing it to them.
    pub(crate) async fn email(&self, customer: CustomerId) -> Result<Option<String>, DbError> {
        store::email(&self.db, customer).await
    }

    /// Registers an address. Repeated with the same password it answers with the same customer.
    pub(crate) async fn register(&self, email: &str, password: String) -> Result<Registered, DbError> {
        let Some(email) = clean(email) else { return Ok(Registered::Invalid("This is not an e-mail address.")) };
        if !PASSWORD_CHARS.contains(&password.chars().count()) {
            return Ok(Registered::Invalid("A password has 8 to 128 characters."));
        }
        if store::by_email(&self.db, &email).await?.is_some() {
            return self.known_address(&email, password).await;
        }
        let hash = self.hash(password.clone()).await?;
        let id = CustomerId::new((self.clock)());
        match in_tx!(self.db, tx, { store::insert(tx, id, &email, &hash).await }) {
            Ok(()) => Ok(Registered::New(id)),
            Err(DbError::Duplicate) => self.known_address(&email, password).await,
            Err(error) => Err(error),
        }
    }

    /// New customers for a load test: they have tokens and no password, so nobody can ever log in as one of them.
    pub(crate) async fn make(&self, count: u32) -> Result<Vec<CustomerId>, DbError> {
        let new = |_| {
            let id = CustomerId::new((self.clock)());
            (id, format!("{id}@load.invalid"))
        };
        let new: Vec<(CustomerId, String)> = (0..count).map(new).collect();
        for some in new.chunks(MADE_AT_ONCE) {
            in_tx!(self.db, tx, { store::insert_all(tx, some, NO_HASH).await })?;
        }
        Ok(new.into_iter().map(|(id, _)| id).collect())
    }

    async fn known_address(&self, email: &str, password: String) -> Result<Registered, DbError> {
        Ok(match self.log_in(email, password).await? {
            LoggedIn::As(id) => Registered::Again(id),
            LoggedIn::Wrong => Registered::EmailTaken,
            LoggedIn::Throttled { retry_after_ms } => Registered::Throttled { retry_after_ms },
        })
    }

    /// Lets a customer in. An unknown address takes as long, and gets the same answer, as a wrong password.
    pub(crate) async fn log_in(&self, email: &str, password: String) -> Result<LoggedIn, DbError> {
        let Some(email) = clean(email) else { return Ok(LoggedIn::Wrong) };
        if let Err(retry_after_ms) = self.with_throttle(|throttle, now_ms| throttle.check(&email, now_ms)) {
            return Ok(LoggedIn::Throttled { retry_after_ms });
        }
        if password.chars().count() > *PASSWORD_CHARS.end() {
            return Ok(LoggedIn::Wrong);
        }
        let known = store::by_email(&self.db, &email).await?;
        let (id, hash) = known.map_or((None, password::nobodys().to_owned()), |(id, hash)| (Some(id), hash));
        let _turn = self.turn().await?;
        let right = in_background(move || password::verify(&password, &hash)).await?;
        match id.filter(|_| right) {
            Some(id) => {
                self.with_throttle(|throttle, _| throttle.succeeded(&email));
                Ok(LoggedIn::As(id))
            }
            None => {
                self.with_throttle(|throttle, now_ms| throttle.failed(&email, now_ms));
                Ok(LoggedIn::Wrong)
            }
        }
    }

    async fn hash(&self, password: String) -> Result<String, DbError> {
        let _turn = self.turn().await?;
        in_background(move || password::hash(&password)).await?.ok_or(DbError::Shape("a password hash"))
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, DbError> {
        self.hashes.acquire().await.map_err(|_| DbError::Shape("an open semaphore"))
    }

    fn with_throttle<T>(&self, work: impl FnOnce(&mut Throttle, i64) -> T) -> T {
        let now_ms = (self.clock)();
        let mut throttle = self.throttle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut throttle, now_ms)
    }
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DbError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| DbError::Shape("a background task that ends"))
}

/// The address as it is compared: trimmed, lower case. `None` when it cannot be one.
fn clean(email: &str) -> Option<String> {
    let email = email.trim().to_lowercase();
    let (name, domain) = email.split_once('@')?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let fits = email.len() <= EMAIL_CHARS_MAX && !name.is_empty() && !domain.is_empty();
    (fits && !domain.contains('@') && !email.contains(odd)).then_some(email)
}
