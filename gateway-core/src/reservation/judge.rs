//! A group of orders judged: who gets what, by the rows as they stand, and what is written down for it.

use std::collections::{BTreeMap, HashMap};

use super::hold::total_of;
use super::order::{HoldStock, Lost, Refused, StockOutcome, products_of};
use super::share::{Pot, Share, Wish, share};
use super::store::{self, ProductRow, Stock, StockMove};
use super::{Line, Reservation, State, limit, short};
use crate::base::{Money, ReservationId};
use crate::catalogue::Opening;
use crate::coupon::{self, Coupon};
use crate::db::{DbError, Tx};
use crate::metrics::{self, Goods, Hold};

/// One ask on its way through the group.
#[expect(clippy::large_enum_variant, reason = "at most a group of them, for a moment")]
enum Fate {
    Decided(StockOutcome),
    /// Fits, and is dealt with by its place among those that fit.
    Fits(usize),
}

/// Who gets what, before it is written down.
pub(super) struct Judged<'a> {
    before: BTreeMap<String, Stock>,
    left: BTreeMap<String, Stock>,
    coupons: HashMap<String, Coupon>,
    /// Those that fit.
    new: Vec<(Reservation, &'a HoldStock)>,
    /// What each of those gets.
    shares: Vec<Share>,
    fates: Vec<Fate>,
}

/// The stock is locked first, then the coupons: what a transaction of an unknown outcome holds is waited for, so the look
/// for the ids that are stored already is the last word. Of each product so many more count as left as are `freed`.
pub(super) async fn judge<'a>(
    tx: &mut Tx,
    asks: &[&'a HoldStock],
    freed: &BTreeMap<String, i64>,
) -> Result<Judged<'a>, DbError> {
    let mut names: Vec<&str> = asks.iter().flat_map(|ask| &ask.lines).map(|(product, _)| product.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let products = store::products(tx, &names).await?;
    let quota = limit::quota(tx, asks, &products).await?;
    let mut before = store::lock_stocks(tx, &names).await?;
    for (product, stock) in &mut before {
        let freed = freed.get(product).copied().unwrap_or(0);
        stock.available += freed;
        stock.held -= freed;
    }
    let coupons = coupon::lock(tx, asks.iter().filter_map(|ask| ask.coupon.as_deref()).collect()).await?;
    let stored = store::stored(tx, asks.iter().map(|ask| ask.id)).await?;

    let mut new: Vec<(Reservation, &HoldStock)> = Vec::new();
    let mut fates = Vec::with_capacity(asks.len());
    for ask in asks {
        fates.push(match stored.get(&ask.id) {
            Some(earlier) if is_of(earlier, ask) => Fate::Decided(StockOutcome::Repeated(earlier.clone())),
            Some(_) => Fate::Decided(StockOutcome::Refused(Refused::KeyReused)),
            None => match reservation(ask, &products, &coupons, tx.now_ms())? {
                Ok(reservation) => {
                    new.push((reservation, ask));
                    Fate::Fits(new.len() - 1)
                }
                Err(refused) => Fate::Decided(StockOutcome::Refused(refused)),
            },
        });
    }
    let wishes: Vec<Wish<'_>> = new.iter().map(|(_, ask)| ask.wish()).collect();
    let unused = coupons.iter().filter(|(_, one)| one.used_by.is_none()).map(|(code, _)| code.as_str()).collect();
    let mut pot = Pot { stock: before.clone(), quota, unused };
    let shares = share(&mut pot, &wishes);
    let left = pot.stock;
    Ok(Judged { before, left, coupons, new, shares, fates })
}

impl Judged<'_> {
    /// What keeps something that somebody did not get beyond its deadline. `None` when nothing does.
    pub(super) async fn lapsed(&self, tx: &mut Tx) -> Result<Option<Vec<ReservationId>>, DbError> {
        short::lapsed_for(tx, &self.shares, &self.coupons).await
    }

    /// What each is told.
    pub(super) async fn outcomes(self, tx: &mut Tx) -> Result<Vec<StockOutcome>, DbError> {
        let mut returns = short::returns(tx, &self.shares).await?;
        // Who gets some now may leave it unpaid, too.
        for ((order, _), _) in self.new.iter().zip(&self.shares).filter(|(_, share)| **share == Share::Granted) {
            let Some(due_at) = order.due_at else { continue };
            for (product, _) in products_of(order) {
                let in_ms = due_at.saturating_sub(tx.now_ms());
                returns.entry(product).and_modify(|first| *first = in_ms.min(*first)).or_insert(in_ms);
            }
        }
        let outcomes = self.fates.into_iter().map(|fate| match fate {
            Fate::Decided(outcome) => Ok(outcome),
            Fate::Fits(place) => outcome(&self.new, &self.shares, &returns, place),
        });
        outcomes.collect()
    }

    /// The rows first, then one conditional statement for each counter.
    pub(super) async fn store(&self, tx: &mut Tx) -> Result<(), DbError> {
        let with_shares = self.new.iter().zip(&self.shares);
        let granted = with_shares.filter_map(|((order, _), share)| (*share == Share::Granted).then_some(order));
        let granted: Vec<&Reservation> = granted.collect();
        if granted.is_empty() {
            return Ok(());
        }
        store::insert_all(tx, &granted).await?;
        store::record_holds(tx, &granted).await?;
        let uses: Vec<_> = granted.iter().filter_map(|order| Some((order.coupon.as_deref()?, order.id))).collect();
        coupon::use_all(tx, &uses).await?;
        for (product, stock) in &self.before {
            let taken = stock.available - self.left.get(product).map_or(stock.available, |left| left.available);
            if taken > 0 && !store::move_stock(tx, StockMove::Hold, product, taken).await? {
                return Err(DbError::Shape("stock that stays as it was while it is locked"));
            }
        }
        let placed = granted.len();
        tx.when_kept(move || metrics::holds(Goods::Stock, Hold::Placed, placed));
        Ok(())
    }
}

/// Whether an order that is stored is what is asked for.
fn is_of(earlier: &Reservation, ask: &HoldStock) -> bool {
    earlier.customer_id == ask.customer && products_of(earlier) == ask.lines && earlier.coupon == ask.coupon
}

/// The order as it would stand, or why it cannot be whatever is left.
pub(super) fn reservation(
    ask: &HoldStock,
    products: &BTreeMap<String, ProductRow>,
    coupons: &HashMap<String, Coupon>,
    now_ms: i64,
) -> Result<Result<Reservation, Refused>, DbError> {
    let mut lines = Vec::with_capacity(ask.lines.len());
    let mut first: Option<&ProductRow> = None;
    for (id, quantity) in &ask.lines {
        let Some(product) = products.get(id) else { return Ok(Err(Refused::NoSuchProduct(id.clone()))) };
        if product.opening != Opening::Open {
            return Ok(Err(Refused::Closed(product.opening)));
        }
        if *quantity > product.per_order_max {
            let (product, per_order_max) = (id.clone(), product.per_order_max);
            return Ok(Err(Refused::TooMany { product, per_order_max }));
        }
        if first.is_some_and(|first| first.sale_id != product.sale_id) {
            return Ok(Err(Refused::MixedSales));
        }
        let title = product.title.clone();
        lines.push(Line { seat: None, product: Some(id.clone()), title, quantity: *quantity, price: product.price });
        first.get_or_insert(product);
    }
    let Some(sale) = first else { return Ok(Err(Refused::NoLines)) };
    let subtotal = total_of(&lines)?;
    let discount = match ask.coupon.as_ref().map(|code| coupons.get(code)) {
        None => Ok(0),
        Some(None) => Err(coupon::Refused::Unknown),
        // Whether it is used already is decided among the group.
        Some(Some(coupon)) => coupon.discount(ask.customer, &sale.sale_id, subtotal, now_ms),
    };
    let discount = match discount {
        Ok(discount) => discount,
        Err(refused) => return Ok(Err(Refused::Coupon(refused))),
    };
    let until = Some(now_ms.saturating_add(sale.pay_ms));
    Ok(Ok(Reservation {
        id: ask.id,
        sale_id: sale.sale_id.clone(),
        screening_id: None,
        customer_id: ask.customer,
        state: State::Checkout,
        due_at: until,
        pay_until: until,
        pay_ms: sale.pay_ms,
        total: Money { amount: subtotal.saturating_sub(discount), currency: sale.currency },
        coupon: ask.coupon.clone(),
        discount,
        reason: None,
        ticket_code: None,
        version: 1,
        created_at: now_ms,
        lines,
    }))
}

pub(super) fn outcome(
    new: &[(Reservation, &HoldStock)],
    shares: &[Share],
    returns: &BTreeMap<String, i64>,
    place: usize,
) -> Result<StockOutcome, DbError> {
    let one = |place: usize| new.get(place).map(|(reservation, _)| reservation.clone());
    let lost = DbError::Shape("a share for each wish");
    Ok(StockOutcome::Refused(match shares.get(place) {
        Some(Share::Granted) => return one(place).map(StockOutcome::Ordered).ok_or(lost),
        Some(Share::Repeat { of }) => return one(*of).map(StockOutcome::Repeated).ok_or(lost),
        Some(Share::KeyReused) => Refused::KeyReused,
        Some(Share::OverLimit { product, had, most }) => {
            Refused::OverLimit { product: product.clone(), had: *had, per_customer_max: *most }
        }
        Some(Share::CouponUsed { .. }) => Refused::Coupon(coupon::Refused::Used),
        Some(Share::Short { lost }) => refused(lost, returns),
        None => return Err(lost),
    }))
}

/// Too little of these. What will not come back is named first, and decides.
fn refused(short: &[(String, Stock)], returns: &BTreeMap<String, i64>) -> Refused {
    let (gone, held): (Vec<_>, Vec<_>) = short.iter().partition(|(_, left)| left.held == 0);
    let named = gone.iter().chain(&held);
    let lost = named.map(|(product, left)| Lost { product: product.clone(), available: left.available }).collect();
    if !gone.is_empty() {
        return Refused::SoldOut { lost };
    }
    // All of them are wanted: the last one's time counts, and without one nobody knows.
    let times: Option<Vec<i64>> = held.iter().map(|(product, _)| returns.get(product).copied()).collect();
    Refused::AllHeld { lost, may_return_in_ms: times.and_then(|times| times.into_iter().max()) }
}
