//! Products that are held together with seats: all or nothing, in the transaction of the seats. The rules are those of
//! an order of stock, for a group of one.

use std::collections::{HashMap, HashSet};

use super::judge;
use super::order::{HoldStock, Refused, StockOutcome};
use super::share::{Pot, share};
use super::store::{self, StockMove};
use super::{Line, Reservation, limit, short};
use crate::base::ReservationId;
use crate::db::{DbError, Tx};

/// What became of them.
pub(super) enum Extras {
    /// Taken, if the transaction is kept.
    Lines(Vec<Line>),
    Refused(Refused),
    /// Too little is left, but these keep some beyond their deadline.
    Lapsed(Vec<ReservationId>),
}

/// Takes what `ask` wants, of the sale that its seats belong to.
pub(super) async fn take(tx: &mut Tx, ask: &HoldStock, sale_id: &str, clear: bool) -> Result<Extras, DbError> {
    let names: Vec<&str> = ask.lines.iter().map(|(product, _)| product.as_str()).collect();
    let products = store::products(tx, &names).await?;
    let quota = limit::quota(tx, &[ask], &products).await?;
    let stock = store::lock_stocks(tx, &names).await?;
    // Coupons go with orders of stock alone.
    let coupons = HashMap::new();
    let wanted = match judge::reservation(ask, &products, &coupons, tx.now_ms())? {
        Ok(wanted) if wanted.sale_id == sale_id => wanted,
        Ok(_) => return Ok(Extras::Refused(Refused::MixedSales)),
        Err(refused) => return Ok(Extras::Refused(refused)),
    };
    let mut pot = Pot { stock, quota, unused: HashSet::new() };
    let shares = share(&mut pot, &[ask.wish()]);
    if clear && let Some(lapsed) = short::lapsed_for(tx, &shares, &coupons).await? {
        return Ok(Extras::Lapsed(lapsed));
    }
    let returns = short::returns(tx, &shares).await?;
    let wanted = match judge::outcome(&[(wanted, ask)], &shares, &returns, 0)? {
        StockOutcome::Ordered(wanted) | StockOutcome::Repeated(wanted) => wanted,
        StockOutcome::Refused(refused) => return Ok(Extras::Refused(refused)),
    };
    for (product, quantity) in &ask.lines {
        if !store::move_stock(tx, StockMove::Hold, product, *quantity).await? {
            return Err(DbError::Shape("stock that stays as it was while it is locked"));
        }
    }
    Ok(Extras::Lines(wanted.lines))
}

/// Writes down that they are held. The reservation's row is there by now.
pub(super) async fn record(tx: &mut Tx, reservation: &Reservation) -> Result<(), DbError> {
    for (line_no, line) in (1_i64..).zip(&reservation.lines).filter(|(_, line)| line.product.is_some()) {
        store::record_movement(tx, reservation.id, line_no, StockMove::Hold, line).await?;
    }
    Ok(())
}
