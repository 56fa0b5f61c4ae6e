//! The provider's ledger: its own SQLite file. Every change of a charge and the event that tells of it are one
//! transaction.

use std::path::Path;

use super::state::{Charge, Event};
use crate::Clock;
use crate::db::{Db, DbError, Durability, Row, Tx, in_tx, params};

const SCHEMA: [&str; 4] = [
    "create table if not exists charge (
        reference     text    primary key,
        amount        integer not null check (amount >= 0),
        currency      text    not null,
        method        text    not null,
        return_url    text,
        state         text    not null check (state in ('requires_action', 'captured', 'declined', 'cancelled')),
        captured      integer not null default 0 check (captured >= 0),
        refunded      integer not null default 0 check (refunded >= 0 and refunded <= captured),
        created_at_ms integer not null,
        updated_at_ms integer not null
    ) strict",
    "create table if not exists refund (
        refund_id     text    primary key,
        reference     text    not null references charge (reference),
        amount        integer not null check (amount > 0),
        created_at_ms integer not null
    ) strict",
    "create table if not exists event (
        event_id      text    primary key,
        reference     text    not null,
        kind          text    not null,
        attempts      integer not null default 0,
        due_at_ms     integer not null,
        created_at_ms integer not null,
        delivered     integer not null default 0
    ) strict",
    "create index if not exists event_due on event (delivered, due_at_ms)",
];

const CHARGE: &str = "\
    select reference, amount, currency, method, return_url, state, captured, refunded
      from charge
     where reference = ?";

const INSERT_CHARGE: &str = "\
    insert into charge (reference, amount, currency, method, return_url, state, captured, created_at_ms, updated_at_ms)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?)";

const MOVE_CHARGE: &str = "\
    update charge
       set state = ?, captured = ?, updated_at_ms = ?
     where reference = ?
       and state = ?";

const REFUND: &str = "select reference, amount from refund where refund_id = ?";

const INSERT_REFUND: &str = "insert into refund (refund_id, reference, amount, created_at_ms) values (?, ?, ?, ?)";

const ADD_REFUNDED: &str = "\
    update charge
       set refunded = refunded + ?, updated_at_ms = ?
     where reference = ?
       and state = 'captured'
       and refunded + ? <= captured";

const INSERT_EVENT: &str =
    "insert into event (event_id, reference, kind, due_at_ms, created_at_ms) values (?, ?, ?, ?, ?)";

const DUE_EVENTS: &str = "\
    select event_id, reference, kind, attempts, created_at_ms
      from event
     where delivered = 0
       and due_at_ms <= ?
     order by due_at_ms
     limit ?";

const EVENT_DELIVERED: &str = "update event set delivered = 1, attempts = attempts + 1 where event_id = ?";

const EVENT_AGAIN: &str = "update event set attempts = attempts + 1, due_at_ms = ? where event_id = ?";

const TOTALS: &str = "\
    select currency, sum(captured), sum(refunded), count(*)
      from charge
     where state = 'captured'
     group by currency
     order by currency";

/// One charge as the ledger has it. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChargeRow {
    pub(super) reference: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) method: String,
    pub(super) return_url: Option<String>,
    pub(super) state: Charge,
    pub(super) captured: i64,
    pub(super) refunded: i64,
}

/// One event that is due for delivery.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    pub(super) event_id: String,
    pub(super) reference: String,
    pub(super) kind: String,
    pub(super) attempts: i64,
    pub(super) created_at_ms: i64,
}

/// What became of a new charge.
pub(super) enum Placed {
    /// It is new, or the same as before: this is how it stands.
    Stands(ChargeRow),
    /// The reference already stands for another amount, currency or method.
    Other,
}

/// What became of an event on a charge.
pub(super) enum Moved {
    /// It happened now or earlier: this is how the charge stands.
    Stands(ChargeRow),
    /// It came too late: this is how the charge stands.
    TooLate(ChargeRow),
    /// There is no such charge.
    Unknown,
}

/// What became of a refund.
pub(super) enum Refunded {
    /// The money is on its way back, now or since an earlier call with the same id.
    Stands(ChargeRow),
    /// The id stands for another refund, or more than was captured would go back.
    Refused,
    /// There is no such charge.
    Unknown,
}

/// One currency's sum over all captured charges.
pub(super) struct Total {
    pub(super) currency: String,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) charges: i64,
}

/// The ledger. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ledger(Db);

impl Ledger {
    /// Opens the file, and creates it with its tables if it is not there.
    pub(super) async fn open(path: &Path, clock: Clock) -> Result<Self, DbError> {
        let db = Db::connect_to(&format!("sqlite://{}", path.display()), Durability::Demanded, clock).await?;
        in_tx!(db, tx, {
            for statement in SCHEMA {
                tx.execute(statement, params![]).await?;
            }
            Ok::<_, DbError>(())
        })?;
        Ok(Self(db))
    }

    /// The charge with this reference.
    pub(super) async fn charge(&self, reference: &str) -> Result<Option<ChargeRow>, DbError> {
        self.0.row(CHARGE, params![reference]).await?.map(charge_row).transpose()
    }

    /// Writes a new charge down, or finds the one that has its reference. A charge that was cancelled before it
    /// came stays cancelled, whatever its amount. `told` is the event to deliver with it, if any.
    pub(super) async fn place(&self, new: &ChargeRow, told: Option<&str>, now: i64) -> Result<Placed, DbError> {
        in_tx!(self.0, tx, {
            if let Some(found) = find(tx, &new.reference).await? {
                let same = found.amount == new.amount && found.currency == new.currency && found.method == new.method;
                return Ok(if same || found.state == Charge::Cancelled {
                    Placed::Stands(found)
                } else {
                    Placed::Other
                });
            }
            insert(tx, new, now).await?;
            if let Some(event_id) = told {
                insert_event(tx, event_id, new, now).await?;
            }
            Ok(Placed::Stands(new.clone()))
        })
    }

    /// The customer's decision on the hosted page, with the event that tells the merchant.
    pub(super) async fn decide(
        &self,
        reference: &str,
        event: Event,
        event_id: &str,
        now: i64,
    ) -> Result<Moved, DbError> {
        in_tx!(self.0, tx, {
            let Some(found) = find(tx, reference).await? else { return Ok(Moved::Unknown) };
            match found.state.on(event) {
                None => Ok(Moved::TooLate(found)),
                Some(next) if next == found.state => Ok(Moved::Stands(found)),
                Some(next) => {
                    let row = change(tx, found, next, now).await?;
                    insert_event(tx, event_id, &row, now).await?;
                    Ok(Moved::Stands(row))
                }
            }
        })
    }

    /// The merchant withdraws. A reference that never came is written down as cancelled, so that a charge which
    /// is still on its way finds itself cancelled when it arrives.
    pub(super) async fn cancel(&self, reference: &str, now: i64) -> Result<Moved, DbError> {
        in_tx!(self.0, tx, {
            let Some(found) = find(tx, reference).await? else {
                let row = ChargeRow {
                    reference: reference.to_owned(),
                    amount: 0,
                    currency: String::new(),
                    method: String::new(),
                    return_url: None,
                    state: Charge::Cancelled,
                    captured: 0,
                    refunded: 0,
                };
                insert(tx, &row, now).await?;
                return Ok(Moved::Stands(row));
            };
            match found.state.on(Event::Cancel) {
                None => Ok(Moved::TooLate(found)),
                Some(next) if next == found.state => Ok(Moved::Stands(found)),
                Some(next) => Ok(Moved::Stands(change(tx, found, next, now).await?)),
            }
        })
    }

    /// Gives money back, once per refund id and never more than was captured.
    pub(super) async fn refund(
        &self,
        reference: &str,
        refund_id: &str,
        amount: i64,
        now: i64,
    ) -> Result<Refunded, DbError> {
        in_tx!(self.0, tx, {
            let Some(found) = find(tx, reference).await? else { return Ok(Refunded::Unknown) };
            if let Some(mut earlier) = tx.row(REFUND, params![refund_id]).await? {
                let same = (earlier.text()?.as_str(), earlier.int()?) == (reference, amount);
                return Ok(if same { Refunded::Stands(found) } else { Refunded::Refused });
            }
            if tx.execute(ADD_REFUNDED, params![amount, now, reference, amount]).await? == 0 {
                return Ok(Refunded::Refused);
            }
            tx.execute(INSERT_REFUND, params![refund_id, reference, amount, now]).await?;
            Ok(Refunded::Stands(ChargeRow { refunded: found.refunded.saturating_add(amount), ..found }))
        })
    }

    /// Events that are due, oldest first.
    pub(super) async fn due_events(&self, now: i64, max: i64) -> Result<Vec<EventRow>, DbError> {
        let rows = self.0.rows(DUE_EVENTS, params![now, max]).await?;
        let event = |mut row: Row| {
            Ok(EventRow {
                event_id: row.text()?,
                reference: row.text()?,
                kind: row.text()?,
                attempts: row.int()?,
                created_at_ms: row.int()?,
            })
        };
        rows.into_iter().map(event).collect()
    }

    /// The merchant has this event, or it is given up. After a loss of power it may be told again.
    pub(super) async fn event_done(&self, event_id: &str) -> Result<(), DbError> {
        in_tx!(self.0.unsynced(), tx, { tx.execute(EVENT_DELIVERED, params![event_id]).await.map(|_| ()) })
    }

    /// The merchant did not take this event: try again at `due_at_ms`.
    pub(super) async fn event_again(&self, event_id: &str, due_at_ms: i64) -> Result<(), DbError> {
        in_tx!(self.0.unsynced(), tx, { tx.execute(EVENT_AGAIN, params![due_at_ms, event_id]).await.map(|_| ()) })
    }

    /// Sums by currency: what a merchant's books must agree with.
    pub(super) async fn totals(&self) -> Result<Vec<Total>, DbError> {
        let total = |mut row: Row| {
            Ok(Total { currency: row.text()?, captured: row.int()?, refunded: row.int()?, charges: row.int()? })
        };
        self.0.scan(TOTALS, params![]).await?.into_iter().map(total).collect()
    }
}

async fn find(tx: &mut Tx, reference: &str) -> Result<Option<ChargeRow>, DbError> {
    tx.row(CHARGE, params![reference]).await?.map(charge_row).transpose()
}

async fn insert(tx: &mut Tx, row: &ChargeRow, now: i64) -> Result<(), DbError> {
    let ChargeRow { reference, amount, currency, method, return_url, state, captured, refunded: _ } = row;
    let return_url = return_url.clone();
    let params = params![reference, *amount, currency, method, return_url, state.name(), *captured, now, now];
    tx.execute(INSERT_CHARGE, params).await.map(|_| ())
}

async fn change(tx: &mut Tx, row: ChargeRow, next: Charge, now: i64) -> Result<ChargeRow, DbError> {
    let captured = if next == Charge::Captured { row.amount } else { 0 };
    tx.execute(MOVE_CHARGE, params![next.name(), captured, now, &row.reference, row.state.name()]).await?;
    Ok(ChargeRow { state: next, captured, ..row })
}

async fn insert_event(tx: &mut Tx, event_id: &str, row: &ChargeRow, now: i64) -> Result<(), DbError> {
    let kind = format!("charge.{}", row.state.name());
    tx.execute(INSERT_EVENT, params![event_id, &row.reference, kind, now, now]).await.map(|_| ())
}

fn charge_row(mut row: Row) -> Result<ChargeRow, DbError> {
    Ok(ChargeRow {
        reference: row.text()?,
        amount: row.int()?,
        currency: row.text()?,
        method: row.text()?,
        return_url: row.text_or_null()?,
        state: Charge::named(&row.text()?).ok_or(DbError::Shape("a charge's state"))?,
        captured: row.int()?,
        refunded: row.int()?,
    })
}
