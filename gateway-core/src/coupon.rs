//! Coupons: at most one for each customer, and never more than the campaign has. The keys and the counter decide;
//! whoever wants of the same campaign at the same time is served by one transaction.
//!
//! An order takes its coupon in the transaction that takes its stock, after the stock, and gives it back with it.

mod store;
mod terms;
#[cfg(test)]
mod tests;

pub(crate) use terms::{Coupon, Refused, Terms};

use std::collections::{BTreeMap, HashMap};

use crate::base::{CustomerId, ReservationId};
use crate::db::{Db, DbError, Tx, in_tx};
use crate::group::{Unserved, Work, Writers};
use crate::metrics;
use terms::Window;

/// Characters of a code, from an alphabet without look-alikes.
const CODE_CHARS: usize = 10;
const CODE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Issued {
    /// Theirs now.
    Now {
        code: String,
    },
    /// Theirs since before.
    Before {
        code: String,
    },
    /// All are given away.
    Gone,
    /// The campaign begins later.
    NotYet {
        in_ms: i64,
    },
    /// The campaign has ended.
    Over,
    NoSuchCampaign,
}

/// What a customer can have, or has, to order with.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) campaign: String,
    pub(crate) terms: Terms,
    /// The customer's own, which no order has.
    pub(crate) code: Option<String>,
}

/// The writers of coupons: one pool for each campaign.
pub(crate) type Coupons = Writers<Issue>;

/// What they do.
pub(crate) struct Issue(Db);

/// A customer who wants one. The code is made before the first try, so that a later try knows its own.
pub(crate) struct Wish {
    campaign: String,
    customer: CustomerId,
    code: String,
}

impl Coupons {
    pub(crate) fn on(db: Db) -> Self {
        Self::new(Issue(db))
    }
}

impl Work for Issue {
    type Member = Wish;
    type Outcome = Issued;

    async fn run(&self, wishes: &[Wish]) -> Result<Vec<Issued>, DbError> {
        in_tx!(self.0, tx, { issue_in(tx, wishes).await })
    }
}

/// Gives `customer` a coupon of `campaign`.
pub(crate) async fn issue(coupons: &Coupons, campaign: &str, customer: CustomerId) -> Result<Issued, Unserved> {
    let wish = Wish { campaign: campaign.to_owned(), customer, code: new_code() };
    let issued = coupons.submit(campaign, wish).await;
    metrics::coupon(match issued {
        Ok(Issued::Now { .. }) => metrics::Coupon::Issued,
        Ok(Issued::Before { .. }) => metrics::Coupon::Repeated,
        Ok(Issued::Gone) => metrics::Coupon::Gone,
        Ok(Issued::NotYet { .. } | Issued::Over | Issued::NoSuchCampaign) => metrics::Coupon::Refused,
        Err(Unserved::Full { .. }) => metrics::Coupon::Busy,
        Err(Unserved::Failed(_)) => return issued,
    });
    issued
}

/// What a customer, or somebody who is not known yet, can order a product with now: coupons of their own that are free, and
/// campaigns that have some left. For showing: the order and the issuing decide.
pub(crate) async fn offers(db: &Db, product: &str, customer: Option<CustomerId>) -> Result<Vec<Offer>, DbError> {
    let now_ms = db.now_ms().await?;
    let mut offers = store::offers(db, product, customer).await?;
    offers.retain(|offer| offer.terms.window(now_ms) == Window::Open && offer.terms.takes_something_off());
    Ok(offers)
}

/// The campaign is locked first: what a transaction of an unknown outcome holds is waited for, so the look for coupons
/// that are stored already is the last word.
async fn issue_in(tx: &mut Tx, wishes: &[Wish]) -> Result<Vec<Issued>, DbError> {
    let mut campaigns: BTreeMap<&str, Vec<&Wish>> = BTreeMap::new();
    for wish in wishes {
        campaigns.entry(&wish.campaign).or_default().push(wish);
    }
    let mut handed_out = HashMap::new();
    for (campaign, wishes) in campaigns {
        let Some((terms, remaining)) = store::lock_campaign(tx, campaign).await? else {
            handed_out.insert(campaign, vec![Issued::NoSuchCampaign; wishes.len()].into_iter());
            continue;
        };
        let customers = wishes.iter().map(|wish| wish.customer);
        let had = store::codes(tx, campaign, customers).await?;
        let issued = hand_out(&terms, tx.now_ms(), remaining, had, &wishes);
        let new: Vec<(CustomerId, &str)> = wishes
            .iter()
            .zip(&issued)
            .filter_map(|(wish, (_, new))| new.then_some((wish.customer, wish.code.as_str())))
            .collect();
        if !new.is_empty() {
            store::insert_all(tx, campaign, &new).await?;
            if !store::take(tx, campaign, new.len()).await? {
                return Err(DbError::Shape("a campaign that stays as it was while it is locked"));
            }
        }
        handed_out.insert(campaign, issued.into_iter().map(|(issued, _)| issued).collect::<Vec<_>>().into_iter());
    }
    let one = |wish: &Wish| handed_out.get_mut(wish.campaign.as_str()).and_then(Iterator::next);
    wishes.iter().map(one).collect::<Option<_>>().ok_or(DbError::Shape("an outcome for each wish"))
}

/// Who gets one, in the order of arrival, and whether it is to be stored. Who has one is told so at any time. Pure.
fn hand_out(
    terms: &Terms,
    now_ms: i64,
    mut remaining: i64,
    mut had: HashMap<CustomerId, String>,
    wishes: &[&Wish],
) -> Vec<(Issued, bool)> {
    let window = terms.window(now_ms);
    let mut issued = Vec::with_capacity(wishes.len());
    for wish in wishes {
        issued.push(match (had.get(&wish.customer), window) {
            // Stored by an earlier try of this very wish.
            (Some(code), _) if *code == wish.code => (Issued::Now { code: code.clone() }, false),
            (Some(code), _) => (Issued::Before { code: code.clone() }, false),
            (None, Window::NotYet { in_ms }) => (Issued::NotYet { in_ms }, false),
            (None, Window::Over) => (Issued::Over, false),
            (None, Window::Open) if remaining < 1 => (Issued::Gone, false),
            (None, Window::Open) => {
                remaining -= 1;
                had.insert(wish.customer, wish.code.clone());
                (Issued::Now { code: wish.code.clone() }, true)
            }
        });
    }
    issued
}

/// A code as it is stored, from what somebody typed: case, spaces around it and look-alikes do not matter. `None` when it
/// cannot be one.
pub(crate) fn code_of(typed: &str) -> Option<String> {
    let alike = |typed: char| match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let code: String = typed.trim().chars().take(CODE_CHARS + 1).map(alike).collect();
    let fits = code.len() == CODE_CHARS && code.bytes().all(|byte| CODE_ALPHABET.contains(&byte));
    fits.then_some(code)
}

/// The coupons with these codes, locked until the transaction ends. Asks nothing where nobody has one.
pub(crate) async fn lock(tx: &mut Tx, codes: Vec<&str>) -> Result<HashMap<String, Coupon>, DbError> {
    if codes.is_empty() { Ok(HashMap::new()) } else { store::lock(tx, codes).await }
}

/// Marks coupons, which are locked and used by nobody, as used by these orders.
pub(crate) async fn use_all(tx: &mut Tx, uses: &[(&str, ReservationId)]) -> Result<(), DbError> {
    store::use_all(tx, uses).await
}

/// Gives the coupon of a dying order back.
pub(crate) async fn give_back(tx: &mut Tx, order: ReservationId) -> Result<(), DbError> {
    if store::give_back(tx, order).await? { Ok(()) } else { Err(DbError::Shape("a coupon that its order has")) }
}

fn new_code() -> String {
    let bytes: [u8; CODE_CHARS] = rand::random();
    bytes.iter().map(|byte| char::from(CODE_ALPHABET[usize::from(byte % 32)])).collect()
}
