//! Statements on campaigns, coupons, and what they are used for.

use std::collections::HashMap;

use super::Offer;
use super::terms::{Coupon, Terms};
use crate::base::{CustomerId, ReservationId};
use crate::db::{Bulk, Db, DbError, Row, Sql, Tx, Value, params};

const CAMPAIGN_LOCKED: Sql = Sql {
    sqlite: "\
    select sale_id, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount, remaining
      from campaign
     where id = ?",
    mysql: "\
    select sale_id, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount, remaining
      from campaign
     where id = ?
       for update",
};

/// Nobody is the customer where nobody is known: null is equal to nothing.
const OFFERS: &str = "\
    select c.id, k.code, c.sale_id, c.starts_at, c.ends_at, c.amount_off, c.percent_off_bp, c.minimum_amount
      from product p
      join campaign c on c.sale_id = p.sale_id
      left join coupon k on k.campaign_id = c.id and k.customer_id = ?
      left join coupon_use u on u.code = k.code
     where p.id = ?
       and u.code is null
       and (k.code is not null or c.remaining > 0)
     order by c.id";

const CLOSED: Sql = Sql { sqlite: ")", mysql: ")" };

static CODES: Bulk = Bulk::keys(
    "\
    select customer_id, code
      from coupon
     where campaign_id = ?
       and customer_id in (",
    CLOSED,
);

const TAKE: &str = "\
    update campaign
       set remaining = remaining - ?
     where id = ?
       and remaining >= ?";

static INSERT: Bulk =
    Bulk::rows("insert into coupon (campaign_id, customer_id, code, issued_at) values ", "(?, ?, ?, ?)");

static COUPONS_LOCKED: Bulk = Bulk::keys(
    "select code, customer_id, campaign_id from coupon where code in (",
    Sql { sqlite: ") order by code", mysql: ") order by code for update" },
);

static TERMS: Bulk = Bulk::keys(
    "\
    select id, sale_id, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount
      from campaign
     where id in (",
    CLOSED,
);

static USES: Bulk = Bulk::keys("select code, reservation_id from coupon_use where code in (", CLOSED);

static USE: Bulk = Bulk::rows("insert into coupon_use (code, reservation_id, used_at) values ", "(?, ?, ?)");

const GIVE_BACK: &str = "delete from coupon_use where reservation_id = ?";

/// What a campaign says, and how many are left, with it locked until the transaction ends. `None` when there is none.
pub(super) async fn lock_campaign(tx: &mut Tx, campaign: &str) -> Result<Option<(Terms, i64)>, DbError> {
    let Some(mut row) = tx.row(CAMPAIGN_LOCKED, params![campaign]).await? else { return Ok(None) };
    Ok(Some((terms_from(&mut row)?, row.int()?)))
}

pub(super) async fn offers(db: &Db, product: &str, customer: Option<CustomerId>) -> Result<Vec<Offer>, DbError> {
    let offer =
        |mut row: Row| Ok(Offer { campaign: row.text()?, code: row.text_or_null()?, terms: terms_from(&mut row)? });
    db.rows(OFFERS, params![customer, product]).await?.into_iter().map(offer).collect()
}

fn terms_from(row: &mut Row) -> Result<Terms, DbError> {
    Ok(Terms {
        sale_id: row.text()?,
        starts_at: row.int_or_null()?,
        ends_at: row.int_or_null()?,
        amount_off: row.int()?,
        percent_off_bp: row.int()?,
        minimum_amount: row.int()?,
    })
}

/// The codes that these customers have.
pub(super) async fn codes(
    tx: &mut Tx,
    campaign: &str,
    customers: impl Iterator<Item = CustomerId>,
) -> Result<HashMap<CustomerId, String>, DbError> {
    let customers: Vec<Value> = customers.map(Value::from).collect();
    let rows = tx.rows_of(&CODES, &[Value::from(campaign)], &customers).await?;
    rows.into_iter().map(|mut row| Ok((row.customer_id()?, row.text()?))).collect()
}

pub(super) async fn take(tx: &mut Tx, campaign: &str, many: usize) -> Result<bool, DbError> {
    let many = i64::try_from(many).map_err(|_| DbError::Shape("a group of a size that fits"))?;
    Ok(tx.execute(TAKE, params![many, campaign, many]).await? == 1)
}

pub(super) async fn insert_all(tx: &mut Tx, campaign: &str, new: &[(CustomerId, &str)]) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let rows = new.iter().map(|(customer, code)| params![campaign, *customer, *code, now_ms]).collect();
    tx.insert_all(&INSERT, rows).await
}

/// The coupons with these codes, locked until the transaction ends. Their uses are read without a lock: whoever gives one
/// back may hold it and wait for stock that we have.
pub(super) async fn lock(tx: &mut Tx, mut codes: Vec<&str>) -> Result<HashMap<String, Coupon>, DbError> {
    codes.sort_unstable();
    codes.dedup();
    let codes: Vec<Value> = codes.into_iter().map(Value::from).collect();
    let mut found = Vec::new();
    for mut row in tx.rows_of(&COUPONS_LOCKED, &[], &codes).await? {
        found.push((row.text()?, row.customer_id()?, row.text()?));
    }
    let mut campaigns: Vec<&str> = found.iter().map(|(_, _, campaign)| campaign.as_str()).collect();
    campaigns.sort_unstable();
    campaigns.dedup();
    let campaigns: Vec<Value> = campaigns.into_iter().map(Value::from).collect();
    let mut terms: HashMap<String, Terms> = HashMap::new();
    for mut row in tx.rows_of(&TERMS, &[], &campaigns).await? {
        terms.insert(row.text()?, terms_from(&mut row)?);
    }
    let mut uses: HashMap<String, ReservationId> = HashMap::new();
    for mut row in tx.rows_of(&USES, &[], &codes).await? {
        uses.insert(row.text()?, row.reservation_id()?);
    }
    let coupon = |(code, customer, campaign): (String, CustomerId, String)| {
        let terms = terms.get(&campaign).cloned().ok_or(DbError::Shape("a campaign of its coupons"))?;
        let used_by = uses.remove(&code);
        Ok((code, Coupon { customer, terms, used_by }))
    };
    found.into_iter().map(coupon).collect()
}

pub(super) async fn use_all(tx: &mut Tx, uses: &[(&str, ReservationId)]) -> Result<(), DbError> {
    let now_ms = tx.now_ms();
    let rows = uses.iter().map(|(code, order)| params![*code, *order, now_ms]).collect();
    tx.insert_all(&USE, rows).await
}

/// Whether the order had one.
pub(super) async fn give_back(tx: &mut Tx, order: ReservationId) -> Result<bool, DbError> {
    Ok(tx.execute(GIVE_BACK, params![order]).await? == 1)
}
