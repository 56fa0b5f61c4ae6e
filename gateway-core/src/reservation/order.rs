//! Orders of stock, in groups: whoever wants of the same goods at the same time is served by one transaction. The
//! statements guard the stock as if everybody came alone; the group only shares their price.

use std::collections::{BTreeMap, HashMap};

use super::hold::total_of;
use super::share::{Pot, Share, Wish, share};
use super::store::{self, ProductRow, Stock, StockMove};
use super::{LINES_MAX, Line, Reservation, State, limit, short, step};
use crate::base::{CustomerId, Money, ReservationId};
use crate::catalogue::Opening;
use crate::coupon::{self, Coupon};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::{Load, Unserved, Work, Writers};
use crate::metrics::{self, Goods, Hold};

/// How often a group that found too little clears lapsed orders away before it looks again. What lapses in the meantime is
/// the next group's.
const CLEARINGS_MAX: usize = 2;

/// On a database with one writer all pools are one: several would only wait for each other.
const ONE_POOL: &str = "";

/// Some of some products, wanted for an order.
#[derive(Clone)]
pub(crate) struct HoldStock {
    /// New, or derived from the caller's idempotency key.
    pub(crate) id: ReservationId,
    pub(crate) customer: CustomerId,
    /// Product and quantity.
    pub(crate) lines: Vec<(String, i64)>,
    /// The code of a coupon, as the customer typed it.
    pub(crate) coupon: Option<String>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum StockOutcome {
    /// A new order in CHECKOUT.
    Ordered(Reservation),
    /// The order of an earlier run with the same id, as it stands now.
    Repeated(Reservation),
    /// Nothing was taken.
    Refused(Refused),
}

/// Why there is no order.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Fewer are left than were asked for, and none will come back.
    SoldOut {
        product: String,
        available: i64,
    },
    /// Fewer are left than were asked for, but some are only held.
    AllHeld {
        product: String,
        available: i64,
        /// When the time of the first who holds some is over. What is being paid for has no such time.
        may_return_in_ms: Option<i64>,
    },
    NoSuchProduct(String),
    NoLines,
    TooMany {
        product: String,
        per_order_max: i64,
    },
    TooManyLines,
    /// One order belongs to one sale.
    MixedSales,
    /// The sale does not sell now.
    Closed(Opening),
    /// The customer has so many of it, and would have more than one may.
    OverLimit {
        product: String,
        had: i64,
        per_customer_max: i64,
    },
    /// Its coupon cannot be used for it.
    Coupon(coupon::Refused),
    /// The id belongs to something else.
    KeyReused,
}

/// The writers of orders of stock.
pub(crate) type StockOrders = Writers<Orders>;

/// What they do.
pub(crate) struct Orders {
    db: Db,
    load: tokio::sync::watch::Sender<Load>,
}

impl StockOrders {
    pub(crate) fn on(db: Db) -> Self {
        Self::new(Orders { db, load: tokio::sync::watch::Sender::default() })
    }

    /// How busy they are, for whoever lets people in.
    pub(crate) fn load(&self) -> tokio::sync::watch::Receiver<Load> {
        self.work().load.subscribe()
    }
}

impl Work for Orders {
    type Member = HoldStock;
    type Outcome = StockOutcome;

    async fn run(&self, asks: &[HoldStock]) -> Result<Vec<StockOutcome>, DbError> {
        order_all(&self.db, asks).await
    }

    fn report(&self, load: Load) {
        metrics::load(load);
        self.load.send_replace(load);
    }
}

/// Takes stock for an order that is in CHECKOUT at once. Repeated with the same id, it answers with the first order.
pub(crate) async fn hold_stock(orders: &StockOrders, ask: &HoldStock) -> Result<StockOutcome, Unserved> {
    let outcome = match (sums(&ask.lines), code_of(ask)) {
        (Ok(lines), Ok(coupon)) => {
            let pool = match lines.first() {
                Some((product, _)) if !orders.work().db.has_one_writer() => product.clone(),
                _ => ONE_POOL.to_owned(),
            };
            orders.submit(&pool, HoldStock { lines, coupon, ..ask.clone() }).await
        }
        (Err(refused), _) | (_, Err(refused)) => Ok(StockOutcome::Refused(refused)),
    };
    count(&outcome);
    outcome
}

/// Each product once, in the order in which they are locked.
pub(super) fn sums(lines: &[(String, i64)]) -> Result<Vec<(String, i64)>, Refused> {
    let mut sums: BTreeMap<&String, i64> = BTreeMap::new();
    for (product, quantity) in lines {
        let sum = sums.entry(product).or_default();
        *sum = sum.saturating_add(*quantity);
    }
    if sums.is_empty() || sums.values().any(|quantity| *quantity < 1) {
        return Err(Refused::NoLines);
    }
    if sums.len() > LINES_MAX {
        return Err(Refused::TooManyLines);
    }
    Ok(sums.into_iter().map(|(product, quantity)| (product.clone(), quantity)).collect())
}

fn code_of(ask: &HoldStock) -> Result<Option<String>, Refused> {
    let code = |typed: &String| coupon::code_of(typed).ok_or(Refused::Coupon(coupon::Refused::Unknown));
    ask.coupon.as_ref().map(code).transpose()
}

/// What was placed has been counted by its commit.
fn count(outcome: &Result<StockOutcome, Unserved>) {
    let hold = match outcome {
        Ok(StockOutcome::Ordered(_) | StockOutcome::Repeated(_)) | Err(Unserved::Failed(_)) => return,
        Ok(StockOutcome::Refused(Refused::SoldOut { .. })) => Hold::SoldOut,
        Ok(StockOutcome::Refused(Refused::AllHeld { .. })) => Hold::AllHeld,
        Ok(StockOutcome::Refused(_)) => Hold::Refused,
        Err(Unserved::Full { .. }) => Hold::Busy,
    };
    metrics::hold(Goods::Stock, hold);
}

/// What a transaction over a group came to.
enum Done {
    Outcomes(Vec<StockOutcome>),
    /// Too little was left, but these keep some beyond their deadline. Nothing was done.
    Lapsed(Vec<ReservationId>),
}

async fn order_all(db: &Db, asks: &[HoldStock]) -> Result<Vec<StockOutcome>, DbError> {
    for clearings_left in (0..=CLEARINGS_MAX).rev() {
        let mut lapsed = match in_tx!(db, tx, { order_in(tx, asks, clearings_left > 0).await })? {
            Done::Outcomes(outcomes) => return Ok(outcomes),
            Done::Lapsed(lapsed) => lapsed,
        };
        lapsed.sort_unstable();
        lapsed.dedup();
        // A transaction of its own: it locks orders before stock, as everybody who ends an order does.
        in_tx!(db, tx, { step::lapse_all(tx, &lapsed).await })?;
    }
    Err(DbError::Shape("a last look that clears nothing"))
}

/// One ask on its way through the group.
#[expect(clippy::large_enum_variant, reason = "at most a group of them, for a moment")]
enum Fate {
    Decided(StockOutcome),
    /// Fits, and is dealt with by its place among those that fit.
    Fits(usize),
}

/// The stock is locked first, then the coupons: what a transaction of an unknown outcome holds is waited for, so the look
/// for the ids that are stored already is the last word.
async fn order_in(tx: &mut Tx, asks: &[HoldStock], clear: bool) -> Result<Done, DbError> {
    let mut names: Vec<&str> = asks.iter().flat_map(|ask| &ask.lines).map(|(product, _)| product.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let products = store::products(tx, &names).await?;
    let quota = limit::quota(tx, asks, &products).await?;
    let before = store::lock_stocks(tx, &names).await?;
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
    if clear && let Some(lapsed) = short::lapsed_for(tx, &shares, &coupons).await? {
        return Ok(tx.undo(Done::Lapsed(lapsed)));
    }
    store_granted(tx, &new, &shares, &before, &pot.stock).await?;
    let returns = short::returns(tx, &shares).await?;
    let outcomes = fates.into_iter().map(|fate| match fate {
        Fate::Decided(outcome) => Ok(outcome),
        Fate::Fits(place) => outcome(&new, &shares, &returns, place),
    });
    outcomes.collect::<Result<_, _>>().map(Done::Outcomes)
}

pub(super) fn products_of(reservation: &Reservation) -> Vec<(String, i64)> {
    reservation.lines.iter().filter_map(|line| Some((line.product.clone()?, line.quantity))).collect()
}

impl HoldStock {
    /// What it wants, to be shared out.
    pub(super) fn wish(&self) -> Wish<'_> {
        Wish { id: self.id, customer: self.customer, lines: &self.lines, coupon: self.coupon.as_deref() }
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

/// The rows first, then one conditional statement for each counter.
async fn store_granted(
    tx: &mut Tx,
    new: &[(Reservation, &HoldStock)],
    shares: &[Share],
    before: &BTreeMap<String, Stock>,
    left: &BTreeMap<String, Stock>,
) -> Result<(), DbError> {
    let granted: Vec<&Reservation> = new
        .iter()
        .zip(shares)
        .filter_map(|((reservation, _), share)| (*share == Share::Granted).then_some(reservation))
        .collect();
    if granted.is_empty() {
        return Ok(());
    }
    store::insert_all(tx, &granted).await?;
    store::record_holds(tx, &granted).await?;
    let uses: Vec<_> = granted.iter().filter_map(|order| Some((order.coupon.as_deref()?, order.id))).collect();
    coupon::use_all(tx, &uses).await?;
    for (product, stock) in before {
        let taken = stock.available - left.get(product).map_or(stock.available, |left| left.available);
        if taken > 0 && !store::move_stock(tx, StockMove::Hold, product, taken).await? {
            return Err(DbError::Shape("stock that stays as it was while it is locked"));
        }
    }
    let placed = granted.len();
    tx.when_kept(move || metrics::holds(Goods::Stock, Hold::Placed, placed));
    Ok(())
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
        Some(Share::Short { product, left: Stock { available, held: 0, .. } }) => {
            Refused::SoldOut { product: product.clone(), available: *available }
        }
        Some(Share::Short { product, left }) => {
            let may_return_in_ms = returns.get(product).copied();
            Refused::AllHeld { product: product.clone(), available: left.available, may_return_in_ms }
        }
        None => return Err(lost),
    }))
}
