//! The seats of a screening as picking sees them.

use crate::db::{Db, DbError, Row, Tx, params};
use crate::reservation::seating::{Hall, Place, Standing};

const PLACES: &str = "\
    select seat_no, row_name, place, section, kind, state, free_after
      from seat
     where screening_id = ?";

/// The hall as the transaction sees it. Nothing is locked: the claim decides.
pub(in crate::reservation) async fn hall_in(tx: &mut Tx, screening: &str) -> Result<Hall, DbError> {
    let now_ms = tx.now_ms();
    hall_from(tx.rows(PLACES, params![screening]).await?, now_ms)
}

/// The hall, for showing.
pub(in crate::reservation) async fn hall(db: &Db, screening: &str) -> Result<Hall, DbError> {
    let now_ms = db.now_ms().await?;
    hall_from(db.scan(PLACES, params![screening]).await?, now_ms)
}

fn hall_from(rows: Vec<Row>, now_ms: i64) -> Result<Hall, DbError> {
    let place = |mut row: Row| {
        Ok(Place {
            name: row.text()?,
            row: row.text()?,
            column: row.int()?,
            section: row.text()?,
            wheelchair: row.text()? == "wheelchair",
            standing: match (row.text()?.as_str(), row.int_or_null()?) {
                ("free", _) => Standing::Free,
                (_, Some(free_after)) if free_after <= now_ms => Standing::Free,
                ("held" | "pending", free_after) => Standing::Kept(free_after.map(|at| at.saturating_sub(now_ms))),
                _ => Standing::Gone,
            },
        })
    };
    Ok(Hall::new(rows.into_iter().map(place).collect::<Result<_, DbError>>()?))
}
