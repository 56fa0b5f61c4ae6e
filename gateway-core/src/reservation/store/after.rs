//! Statements on orders that were booked or wait for a person.

use super::Reservation;
use crate::base::ReservationId;
use crate::db::{Db, DbError, Row, Tx, params};
use crate::reservation::after::Decision;

const CANCEL_UNTIL: &str = "\
    select a.cancel_until
      from reservation r
      join sale a on a.id = r.sale_id
     where r.id = ?";

const IN_REVIEW: &str = "select id from reservation where state = 'review' order by updated_at, id limit ?";

const INSERT_DECISION: &str = "insert into decision (reservation_id, kind, who, note, at_ms) values (?, ?, ?, ?, ?)";

const DECISIONS: &str = "select kind, who, note, at_ms from decision where reservation_id = ? order by at_ms";

pub(in crate::reservation) async fn cancel_until(tx: &mut Tx, id: ReservationId) -> Result<Option<i64>, DbError> {
    until_from(tx.row(CANCEL_UNTIL, params![id]).await?)
}

pub(in crate::reservation) async fn cancel_until_of(db: &Db, id: ReservationId) -> Result<Option<i64>, DbError> {
    until_from(db.row(CANCEL_UNTIL, params![id]).await?)
}

fn until_from(row: Option<Row>) -> Result<Option<i64>, DbError> {
    match row {
        Some(mut row) => row.int_or_null(),
        None => Ok(None),
    }
}

pub(in crate::reservation) async fn in_review(db: &Db, limit: i64) -> Result<Vec<Reservation>, DbError> {
    let mut all = Vec::new();
    for mut row in db.rows(IN_REVIEW, params![limit]).await? {
        all.extend(super::read(db, row.reservation_id()?).await?);
    }
    Ok(all)
}

pub(in crate::reservation) async fn insert_decision(
    tx: &mut Tx,
    order: &Reservation,
    by: Decision<'_>,
) -> Result<(), DbError> {
    let values = params![order.id, order.state.as_str(), by.who, by.note, tx.now_ms()];
    tx.execute(INSERT_DECISION, values).await.map(|_| ())
}

pub(in crate::reservation) async fn decisions(
    db: &Db,
    id: ReservationId,
) -> Result<Vec<(String, String, String, i64)>, DbError> {
    let rows = db.rows(DECISIONS, params![id]).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?, row.text()?, row.int()?))).collect()
}
