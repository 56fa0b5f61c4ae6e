//! Orders of stock, in groups: whoever wants of the same goods at the same time is served by one transaction. The
//! statements guard the stock as if everybody came alone; the group only shares their price.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::ahead::{Ahead, Going};
use super::judge::judge;
use super::share::Wish;
use super::{LINES_MAX, Reservation, step, store};
use crate::base::{CustomerId, ReservationId};
use crate::catalogue::Opening;
use crate::coupon;
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::{GROUP_MAX, Load, Unserved, Work, Writers};
use crate::metrics::{self, Goods, Hold};

/// How often a group that found too little clears lapsed orders away before it looks again. What lapses in the meantime is
/// the next group's.
const CLEARINGS_MAX: usize = 2;

/// On a database with one writer all pools are one: several would only wait for each other.
const ONE_POOL: &str = "";

/// How many orders look first after one that found too little: about a second's worth. While stock comes back bit by bit, most
/// are refused, and none of these waits for the writer, nor for the commit of who got some.
const LOOKING: u32 = 256;

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

/// A product of which less is left than was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) product: String,
    /// So many could be had.
    pub(crate) available: i64,
}

/// Why there is no order.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Fewer are left than were asked for, and of the first of these none will come back.
    SoldOut {
        lost: Vec<Lost>,
    },
    /// Fewer are left than were asked for, but some of each are only held.
    AllHeld {
        lost: Vec<Lost>,
        /// When the time of the first who holds some is over, of the product for which that is latest. What is being paid for
        /// has no such time.
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

/// Orders of stock: the writers, and those who look before they write.
pub(crate) struct StockOrders {
    writers: Writers<Orders>,
    looks: Writers<Looks>,
    /// How many of the next ones look first: some, as long as people find too little.
    looking: AtomicU32,
}

/// What the writers do.
struct Orders(Db);

/// Tells those who get nothing, by what was committed last and who is on the way, and has nobody wait for the writer in vain.
struct Looks {
    db: Db,
    ahead: Arc<Ahead>,
}

/// What a look came to.
enum Looked {
    /// There is too little for it.
    Told(Refused),
    /// It may get something, or it is for the writer to say what is wrong with it.
    Goes(Going),
}

impl StockOrders {
    pub(crate) fn on(db: Db) -> Self {
        let looks = Looks { db: db.clone(), ahead: Arc::default() };
        Self { writers: Writers::new(Orders(db)), looks: Writers::new(looks), looking: AtomicU32::new(0) }
    }

    /// How busy the writers are now.
    pub(crate) fn busy(&self) -> Load {
        self.writers.busy()
    }

    async fn submit(&self, ask: HoldStock) -> Result<StockOutcome, Unserved> {
        let one_writer = self.writers.work().0.has_one_writer();
        let pool = match ask.lines.first() {
            Some((product, _)) if !one_writer => product.clone(),
            _ => ONE_POOL.to_owned(),
        };
        let looks = self.looking.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let looked = if looks {
            self.looks.submit(ONE_POOL, ask).await?
        } else {
            Looked::Goes(self.looks.work().ahead.join(ask))
        };
        let outcome = match looked {
            Looked::Told(refused) => StockOutcome::Refused(refused),
            Looked::Goes(going) => self.writers.submit(&pool, going).await?,
        };
        if one_writer && matches!(&outcome, StockOutcome::Refused(refused) if refused.is_short()) {
            self.looking.store(LOOKING, Ordering::Relaxed);
        }
        Ok(outcome)
    }
}

impl Refused {
    /// Whether too little was left for it.
    fn is_short(&self) -> bool {
        matches!(self, Self::SoldOut { .. } | Self::AllHeld { .. })
    }
}

impl Work for Orders {
    type Member = Going;
    type Outcome = StockOutcome;

    async fn run(&self, going: &[Going]) -> Result<Vec<StockOutcome>, DbError> {
        let asks: Vec<&HoldStock> = going.iter().map(|one| &one.ask).collect();
        order_all(&self.0, &asks).await
    }

    /// Nobody is told of an order that is not there. Who is refused in the same group need not wait for it.
    fn rests_on(&self, _going: &Going, outcome: &StockOutcome) -> Option<&Db> {
        matches!(outcome, StockOutcome::Ordered(_) | StockOutcome::Repeated(_)).then_some(&self.0)
    }

    fn report(&self, load: Load) {
        metrics::load(load);
    }
}

impl Work for Looks {
    type Member = HoldStock;
    type Outcome = Looked;

    async fn run(&self, asks: &[HoldStock]) -> Result<Vec<Looked>, DbError> {
        let refused = look(&self.db, &self.ahead.first(GROUP_MAX), asks).await?;
        let looked = asks.iter().zip(refused).map(|(ask, refused)| match refused {
            Some(refused) => Looked::Told(refused),
            None => Looked::Goes(self.ahead.join(ask.clone())),
        });
        Ok(looked.collect())
    }
}

/// Takes stock for an order that is in CHECKOUT at once. Repeated with the same id, it answers with the first order.
pub(crate) async fn hold_stock(orders: &StockOrders, ask: &HoldStock) -> Result<StockOutcome, Unserved> {
    let outcome = match (sums(&ask.lines), code_of(ask)) {
        (Ok(lines), Ok(coupon)) => orders.submit(HoldStock { lines, coupon, ..ask.clone() }).await,
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

async fn order_all(db: &Db, asks: &[&HoldStock]) -> Result<Vec<StockOutcome>, DbError> {
    for clearings_left in (0..=CLEARINGS_MAX).rev() {
        let mut lapsed = match in_tx!(db.unsynced(), tx, { order_in(tx, asks, clearings_left > 0).await })? {
            Done::Outcomes(outcomes) => return Ok(outcomes),
            Done::Lapsed(lapsed) => lapsed,
        };
        lapsed.sort_unstable();
        lapsed.dedup();
        // A transaction of its own: it locks orders before stock, as everybody who ends an order does.
        in_tx!(db.unsynced(), tx, { step::lapse_all(tx, &lapsed).await })?;
    }
    Err(DbError::Shape("a last look that clears nothing"))
}

async fn order_in(tx: &mut Tx, asks: &[&HoldStock], clear: bool) -> Result<Done, DbError> {
    let judged = judge(tx, asks, &BTreeMap::new()).await?;
    if clear && let Some(lapsed) = judged.lapsed(tx).await? {
        return Ok(tx.undo(Done::Lapsed(lapsed)));
    }
    judged.store(tx).await?;
    judged.outcomes(tx).await.map(Done::Outcomes)
}

/// Who gets nothing because too little is left, even if all that has lapsed comes back, and after those who are ahead got theirs:
/// these need not wait for who writes, "sold out" is told even while the disk stalls. `None` for the others, for who asks again while
/// the first ask is on its way, and for everybody on a server, where transactions do not wait for each other anyway.
async fn look(db: &Db, ahead: &[HoldStock], asks: &[HoldStock]) -> Result<Vec<Option<Refused>>, DbError> {
    let Some(mut tx) = db.snapshot().await? else { return Ok(asks.iter().map(|_| None).collect()) };
    let lapsed = store::lapsed_stock(&mut tx).await?;
    let all: Vec<&HoldStock> = ahead.iter().chain(asks).collect();
    let outcomes = judge(&mut tx, &all, &lapsed).await?.outcomes(&mut tx).await?;
    let is_ahead = |ask: &HoldStock| ahead.iter().any(|one| one.id == ask.id);
    let short = asks.iter().zip(outcomes.into_iter().skip(ahead.len())).map(|(ask, outcome)| match outcome {
        StockOutcome::Refused(refused) if refused.is_short() && !is_ahead(ask) => Some(refused),
        StockOutcome::Ordered(_) | StockOutcome::Repeated(_) | StockOutcome::Refused(_) => None,
    });
    Ok(short.collect())
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
