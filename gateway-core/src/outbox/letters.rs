//! The outbox as an operator sees it: what is dead and why, and the two things that can be done about it. Works on the
//! database, whether or not a core is running.

use super::store;
use crate::base::{Clock, MessageId, ReservationId};
use crate::db::{Db, DbError, in_tx};
use crate::settings::Settings;

/// A message as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its id.
    pub id: MessageId,
    /// The order that it is about.
    pub order: ReservationId,
    /// Who has to hear of it: `order` or `payment`.
    pub to: String,
    /// What it says.
    pub kind: String,
    /// Its words as JSON; empty once it was heard.
    pub payload: String,
    /// `ready`, `done`, `dead` or `dropped`.
    pub state: String,
    /// How often it failed.
    pub tries: i64,
    /// When it is tried next, epoch milliseconds.
    pub due_at: i64,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When it was written, epoch milliseconds.
    pub created_at: i64,
}

/// The states that a message can be in.
pub const STATES: [&str; 4] = ["dead", "ready", "done", "dropped"];

/// The outbox of one database.
pub struct Letters(Db);

impl Letters {
    /// Connects. The schema has to be there already: looking changes nothing.
    ///
    /// # Errors
    /// The database cannot be reached or is not fit for use.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, DbError> {
        Ok(Self(Db::connect_to(&settings.database_url, settings.durability(), clock).await?))
    }

    #[cfg(test)]
    pub(super) fn of(db: &Db) -> Self {
        Self(db.clone())
    }

    /// At most `max` messages in this state, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, state: &str, max: i64) -> Result<Vec<Letter>, DbError> {
        store::letters(&self.0, state, max).await
    }

    /// One message. What a customer pays with is not shown.
    ///
    /// # Errors
    /// The database fails.
    pub async fn show(&self, id: MessageId) -> Result<Option<Letter>, DbError> {
        let found = store::letter(&self.0, id).await?;
        Ok(found.map(|letter| Letter { payload: without_token(&letter.payload), ..letter }))
    }

    /// Has a dead message tried again. Whether it was dead.
    ///
    /// # Errors
    /// The database fails.
    pub async fn replay(&self, id: MessageId) -> Result<bool, DbError> {
        in_tx!(self.0, tx, {
            tx.brings_work();
            store::replay(tx, id).await
        })
    }

    /// Gives a dead message up for good. Whether it was dead.
    ///
    /// # Errors
    /// The database fails.
    pub async fn drop(&self, id: MessageId) -> Result<bool, DbError> {
        in_tx!(self.0, tx, { store::give_up(tx, id).await })
    }
}

fn without_token(payload: &str) -> String {
    let Ok(mut words) = serde_json::from_str::<serde_json::Value>(payload) else { return payload.to_owned() };
    if let Some(token) = words.get_mut("payment_token") {
        *token = "…".into();
    }
    words.to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_customer_pays_with_is_not_shown() {
        let shown = super::without_token(r#"{"event":"payment_requested","payment_token":"tok_secret","method":"x"}"#);
        assert!(shown.contains("payment_requested") && !shown.contains("tok_secret"), "{shown}");
        assert_eq!(super::without_token(""), "");
    }
}
