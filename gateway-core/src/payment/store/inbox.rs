//! Statements on the inbox of webhooks.

use crate::db::{Db, DbError, Tx, params};

const INSERT_WEBHOOK: &str = "\
    insert into webhook_inbox (provider, event_id, kind, reference, body, state, tries, due_at, received_at)
    values (?, ?, ?, ?, ?, ?, 0, ?, ?)";

const PARKED_WEBHOOKS: &str = "\
    select event_id, reference, tries
      from webhook_inbox
     where state = 'parked'
       and due_at <= ?
     limit ?";

const MOVE_WEBHOOK: &str = "\
    update webhook_inbox
       set state = ?, tries = tries + 1, due_at = ?
     where provider = ?
       and event_id = ?";

/// One event as it came in.
pub(in crate::payment) struct NewWebhook<'a> {
    pub(in crate::payment) provider: &'static str,
    pub(in crate::payment) event_id: &'a str,
    pub(in crate::payment) kind: &'a str,
    pub(in crate::payment) reference: &'a str,
    pub(in crate::payment) body: &'a [u8],
    pub(in crate::payment) state: &'static str,
    pub(in crate::payment) due_at: Option<i64>,
}

/// `Duplicate` when the event is there already.
pub(in crate::payment) async fn insert_webhook(tx: &mut Tx, new: &NewWebhook<'_>) -> Result<(), DbError> {
    let now = tx.now_ms();
    let values = params![new.provider, new.event_id, new.kind, new.reference, new.body, new.state, new.due_at, now];
    tx.execute(INSERT_WEBHOOK, values).await.map(|_| ())
}

/// Parked events that are due: event id, reference, tries.
pub(in crate::payment) async fn parked_webhooks(
    db: &Db,
    now: i64,
    max: i64,
) -> Result<Vec<(String, String, i64)>, DbError> {
    let rows = db.rows(PARKED_WEBHOOKS, params![now, max]).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?, row.int()?))).collect()
}

pub(in crate::payment) async fn move_webhook(
    tx: &mut Tx,
    provider: &'static str,
    event_id: &str,
    to: &'static str,
    due_at: Option<i64>,
) -> Result<(), DbError> {
    tx.execute(MOVE_WEBHOOK, params![to, due_at, provider, event_id]).await.map(|_| ())
}
