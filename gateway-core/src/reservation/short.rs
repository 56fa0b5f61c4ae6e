//! What somebody found short: who keeps some of it beyond their time, and when the time of the first of the others is over.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::share::Share;
use super::store;
use crate::base::ReservationId;
use crate::coupon::Coupon;
use crate::db::{Db, DbError, Tx};

/// How many lapsed orders a group that found too little clears away at most before it looks again.
const LAPSED_CLEARED_MAX: i64 = 64;

/// The products of which fewer are left than somebody wanted, while some are only held.
fn short(shares: &[Share]) -> Vec<&str> {
    let mut short: Vec<&str> = Vec::new();
    for share in shares {
        let Share::Short { lost } = share else { continue };
        for (product, left) in lost {
            if left.held > 0 && !short.contains(&product.as_str()) {
                short.push(product);
            }
        }
    }
    short
}

/// What keeps something of a product that somebody found short, or a coupon, beyond its deadline. `None` when nothing
/// does.
pub(super) async fn lapsed_for(
    tx: &mut Tx,
    shares: &[Share],
    coupons: &HashMap<String, Coupon>,
) -> Result<Option<Vec<ReservationId>>, DbError> {
    let mut users: HashSet<ReservationId> = HashSet::new();
    for share in shares {
        if let Share::CouponUsed { code } = share {
            users.extend(coupons.get(code).and_then(|coupon| coupon.used_by));
        }
    }
    let users: Vec<ReservationId> = users.into_iter().collect();
    let mut lapsed = store::lapsed_among(tx, &users).await?;
    for product in short(shares) {
        lapsed.extend(store::lapsed_on(tx, product, LAPSED_CLEARED_MAX).await?);
    }
    Ok(Some(lapsed).filter(|lapsed| !lapsed.is_empty()))
}

/// For each product that somebody found short, in how many milliseconds the time of the first who keeps some is over. Asked
/// once for a whole group. What is being paid for has no such time.
pub(super) async fn returns(tx: &mut Tx, shares: &[Share]) -> Result<BTreeMap<String, i64>, DbError> {
    let mut returns = BTreeMap::new();
    for product in short(shares) {
        if let Some(due_at) = store::next_due_on(tx, product).await? {
            returns.insert(product.to_owned(), due_at.saturating_sub(tx.now_ms()));
        }
    }
    Ok(returns)
}

/// In how many milliseconds some of a product may come back, for showing: when the time of the first who keeps some is over.
pub(crate) async fn product_returns_in_ms(db: &Db, product: &str) -> Result<Option<i64>, DbError> {
    let now_ms = db.now_ms().await?;
    Ok(store::next_due_of(db, product, now_ms).await?.map(|due_at| due_at.saturating_sub(now_ms)))
}

/// The same of the seats of a screening.
pub(crate) async fn seats_return_in_ms(db: &Db, screening: &str) -> Result<Option<i64>, DbError> {
    let now_ms = db.now_ms().await?;
    Ok(store::next_free_of(db, screening, now_ms).await?.map(|free_at| free_at.saturating_sub(now_ms)))
}
