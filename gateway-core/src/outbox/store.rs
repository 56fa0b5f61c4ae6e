//! Statements on the outbox and the inbox. Whatever an owner writes names its fence.

use std::collections::HashSet;

use super::letters::Letter;
use crate::base::{MessageId, ReservationId};
use crate::db::{Bulk, Db, DbError, Row, Sql, Tx, Value, params};

const INSERT: &str = "\
    insert into outbox
           (id, consumer, order_id, kind, payload, state, fence, tries, due_at, created_at, updated_at)
    values (?, ?, ?, ?, ?, 'ready', 0, 0, ?, ?, ?)";

static WRITTEN: Bulk = Bulk::keys("select id from outbox where id in (", Sql { sqlite: ")", mysql: ")" });

/// The first of each order that is not heard yet, if it is due.
const WAITING: &str = "\
    select o.id
      from outbox o
     where o.consumer = ?
       and o.state = 'ready'
       and o.due_at <= ?
       and not exists (select 1
                         from outbox e
                        where e.order_id = o.order_id
                          and e.seq < o.seq
                          and e.consumer = o.consumer
                          and e.state = 'ready')
     order by o.due_at, o.seq
     limit ?";

/// An owner that is still there at the end of its lease has vanished, which may count as a failure.
static TAKE: Bulk = Bulk::keys(
    "\
    update outbox
       set fence = fence + 1, tries = tries + case when owner is null then 0 else ? end, owner = ?, due_at = ?,
           updated_at = ?
     where state = 'ready'
       and due_at <= ?
       and id in (",
    Sql { sqlite: ")", mysql: ")" },
);

static TAKEN: Bulk = Bulk::keys(
    "\
    select id, order_id, kind, payload, fence, tries
      from outbox
     where owner = ?
       and state = 'ready'
       and id in (",
    Sql { sqlite: ") order by seq", mysql: ") order by seq" },
);

static HELD: Bulk = Bulk::keys(
    "\
    select id, order_id, kind, payload, fence, tries
      from outbox
     where state = 'ready'
       and id in (",
    Sql { sqlite: ") order by seq", mysql: ") order by seq" },
);

/// What was heard needs its words no more.
static DONE: Bulk = Bulk::any(
    "\
    update outbox
       set state = 'done', payload = '', updated_at = ?
     where state = 'ready'
       and (",
    "(id = ? and fence = ?)",
    ")",
);

static HEARD: Bulk = Bulk::rows("insert into inbox (consumer, message_id, heard_at) values ", "(?, ?, ?)");

const FAILED: &str = "\
    update outbox
       set state = ?, owner = null, tries = ?, due_at = ?, last_error = ?, updated_at = ?
     where id = ?
       and state = 'ready'
       and fence = ?";

const DELETE_OLD_MESSAGES: &str = "delete from outbox where state in ('done', 'dropped') and updated_at < ?";

const DELETE_OLD_NOTES: &str = "delete from inbox where heard_at < ?";

const LETTERS: &str = "\
    select id, order_id, consumer, kind, payload, state, tries, due_at, last_error, created_at
      from outbox
     where state = ?
     order by seq
     limit ?";

const LETTER: &str = "\
    select id, order_id, consumer, kind, payload, state, tries, due_at, last_error, created_at
      from outbox
     where id = ?";

const REPLAY: &str = "\
    update outbox
       set state = 'ready', owner = null, tries = 0, due_at = ?, updated_at = ?
     where id = ?
       and state = 'dead'";

const DROP: &str = "\
    update outbox
       set state = 'dropped', payload = '', updated_at = ?
     where id = ?
       and state = 'dead'";

const BACKLOG: &str = "select count(*), coalesce(min(created_at), 0) from outbox where state = 'ready'";

const DEAD: &str = "select count(*) from outbox where state = 'dead'";

/// A message to be written.
pub(super) struct New {
    pub(super) id: MessageId,
    pub(super) order: ReservationId,
    pub(super) to: &'static str,
    pub(super) kind: &'static str,
    pub(super) payload: String,
}

/// A message, and the fence under which it is ours.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(super) id: MessageId,
    pub(super) order: ReservationId,
    pub(super) kind: String,
    pub(super) payload: String,
    pub(super) fence: i64,
    pub(super) tries: i64,
}

/// `Duplicate` when a message with this id is there.
pub(super) async fn insert(tx: &mut Tx, new: &New) -> Result<(), DbError> {
    let now = tx.now_ms();
    let values = params![new.id, new.to, new.order, new.kind, new.payload.as_str(), now, now, now];
    tx.execute(INSERT, values).await.map(|_| ())
}

/// Those of these that are there, in whatever state.
pub(super) async fn written(tx: &mut Tx, ids: impl Iterator<Item = MessageId>) -> Result<HashSet<MessageId>, DbError> {
    let keys: Vec<Value> = ids.map(Value::from).collect();
    tx.rows_of(&WRITTEN, &[], &keys).await?.into_iter().map(|mut row| row.message_id()).collect()
}

/// What can be taken, as far as can be seen without a lock.
pub(super) async fn waiting(db: &Db, consumer: &str, now_ms: i64, max: i64) -> Result<Vec<MessageId>, DbError> {
    let rows = db.rows(WAITING, params![consumer, now_ms, max]).await?;
    rows.into_iter().map(|mut row| row.message_id()).collect()
}

/// Who takes messages.
pub(super) struct Owner {
    /// Never used before.
    pub(super) name: String,
    /// The end of its lease.
    pub(super) until: i64,
    /// Whether an owner that vanished counts as a failure.
    pub(super) counts_vanished: bool,
}

/// Takes those that are still to be had.
pub(super) async fn take(tx: &mut Tx, owner: &Owner, ids: &[MessageId]) -> Result<Vec<Taken>, DbError> {
    let now = tx.now_ms();
    let keys: Vec<Value> = ids.iter().copied().map(Value::from).collect();
    let items = ids.iter().map(|id| params![*id]).collect();
    let (name, counts) = (owner.name.as_str(), i64::from(owner.counts_vanished));
    let first = [counts.into(), name.into(), owner.until.into(), now.into(), now.into()];
    if tx.change_all(&TAKE, &first, items).await? == 0 {
        return Ok(Vec::new());
    }
    tx.rows_of(&TAKEN, &[name.into()], &keys).await?.into_iter().map(read_taken).collect()
}

/// Those of these that still wait, as they are now.
pub(super) async fn held(tx: &mut Tx, ids: &[MessageId]) -> Result<Vec<Taken>, DbError> {
    let keys: Vec<Value> = ids.iter().copied().map(Value::from).collect();
    tx.rows_of(&HELD, &[], &keys).await?.into_iter().map(read_taken).collect()
}

fn read_taken(mut row: Row) -> Result<Taken, DbError> {
    Ok(Taken {
        id: row.message_id()?,
        order: row.reservation_id()?,
        kind: row.text()?,
        payload: row.text()?,
        fence: row.int()?,
        tries: row.int()?,
    })
}

/// How many of these were still ours, and are done now.
pub(super) async fn done(tx: &mut Tx, taken: &[Taken]) -> Result<u64, DbError> {
    let now = tx.now_ms();
    tx.change_all(&DONE, &[now.into()], taken.iter().map(|one| params![one.id, one.fence]).collect()).await
}

/// Notes that these take effect in this transaction. `Duplicate` when one did so before.
pub(super) async fn hear(tx: &mut Tx, consumer: &str, taken: &[Taken]) -> Result<(), DbError> {
    let now = tx.now_ms();
    tx.insert_all(&HEARD, taken.iter().map(|one| params![consumer, one.id, now]).collect()).await
}

/// What is written about a message that failed.
pub(super) struct Failed<'a> {
    pub(super) to: &'static str,
    pub(super) tries: i64,
    pub(super) due_at: i64,
    pub(super) error: &'a str,
}

/// Whether the message was still ours.
pub(super) async fn failed(tx: &mut Tx, taken: &Taken, failed: &Failed<'_>) -> Result<bool, DbError> {
    let now = tx.now_ms();
    let values = params![failed.to, failed.tries, failed.due_at, failed.error, now, taken.id, taken.fence];
    Ok(tx.execute(FAILED, values).await? == 1)
}

pub(super) async fn delete_older(tx: &mut Tx, before: i64) -> Result<u64, DbError> {
    let messages = tx.execute(DELETE_OLD_MESSAGES, params![before]).await?;
    Ok(messages + tx.execute(DELETE_OLD_NOTES, params![before]).await?)
}

/// At most `max` in this state, the oldest first.
pub(super) async fn letters(db: &Db, state: &str, max: i64) -> Result<Vec<Letter>, DbError> {
    db.rows(LETTERS, params![state, max]).await?.into_iter().map(read_letter).collect()
}

pub(super) async fn letter(db: &Db, id: MessageId) -> Result<Option<Letter>, DbError> {
    db.row(LETTER, params![id]).await?.map(read_letter).transpose()
}

fn read_letter(mut row: Row) -> Result<Letter, DbError> {
    Ok(Letter {
        id: row.message_id()?,
        order: row.reservation_id()?,
        to: row.text()?,
        kind: row.text()?,
        payload: row.text()?,
        state: row.text()?,
        tries: row.int()?,
        due_at: row.int()?,
        last_error: row.text_or_null()?,
        created_at: row.int()?,
    })
}

/// Whether it was dead, and is to be tried again now.
pub(super) async fn replay(tx: &mut Tx, id: MessageId) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(REPLAY, params![now, now, id]).await? == 1)
}

/// Whether it was dead, and is given up.
pub(super) async fn give_up(tx: &mut Tx, id: MessageId) -> Result<bool, DbError> {
    let now = tx.now_ms();
    Ok(tx.execute(DROP, params![now, id]).await? == 1)
}

/// How many wait, since when the oldest does, and how many are dead.
pub(super) async fn backlog(db: &Db) -> Result<(i64, i64, i64), DbError> {
    let one = DbError::Shape("a count");
    let mut ready = db.row(BACKLOG, params![]).await?.ok_or(one.clone())?;
    let mut dead = db.row(DEAD, params![]).await?.ok_or(one)?;
    Ok((ready.int()?, ready.int()?, dead.int()?))
}
