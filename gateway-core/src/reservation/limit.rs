//! How many of a product one customer may have, where a sale says so.

use std::collections::BTreeMap;

use super::order::HoldStock;
use super::share::Quota;
use super::store::{self, ProductRow};
use crate::base::CustomerId;
use crate::db::{DbError, Tx};

/// What may be had of limited products, and is had. Who wants of one is locked until the end: before the stock, as
/// whoever holds seats does.
pub(super) async fn quota(
    tx: &mut Tx,
    asks: &[&HoldStock],
    products: &BTreeMap<String, ProductRow>,
) -> Result<Quota, DbError> {
    let limited = products.iter().filter_map(|(id, product)| Some((id.clone(), product.per_customer_max?)));
    let most: BTreeMap<String, i64> = limited.collect();
    let wants = |ask: &&&HoldStock| ask.lines.iter().any(|(product, _)| most.contains_key(product));
    let mut customers: Vec<CustomerId> = asks.iter().filter(wants).map(|ask| ask.customer).collect();
    if customers.is_empty() {
        return Ok(Quota::default());
    }
    customers.sort_unstable();
    customers.dedup();
    store::lock_customers(tx, &customers).await?;
    Ok(Quota { most, had: store::had(tx, &customers).await? })
}
