//! Statements over a whole group: what is asked for, what is stored already, and what becomes of it, in one statement each.

use std::collections::{BTreeMap, HashMap};

use super::goods::{ProductRow, Stock, StockMove};
use super::{SELECT_LINES, from_row, lines_from};
use crate::base::{CustomerId, ReservationId};
use crate::catalogue::Opening;
use crate::db::{Bulk, DbError, Row, Sql, Tx, Value, params};
use crate::reservation::Reservation;

const CLOSED: Sql = Sql { sqlite: ")", mysql: ")" };

static PRODUCTS: Bulk = Bulk::keys(
    "\
    select p.id, p.sale_id, p.title, p.price, p.per_order_max, p.per_customer_max, a.currency, a.pay_ms,
           a.starts_at, a.ends_at
      from product p
      join sale a on a.id = p.sale_id
     where p.id in (",
    CLOSED,
);

static STOCKS_LOCKED: Bulk = Bulk::keys(
    "\
    select product_id, capacity, available, held, sold
      from stock
     where product_id in (",
    Sql { sqlite: ") order by product_id", mysql: ") order by product_id for update" },
);

static CUSTOMERS_LOCKED: Bulk = Bulk::keys(
    "select id from customer where id in (",
    Sql { sqlite: ") order by id", mysql: ") order by id for update" },
);

/// What customers have of products: what nothing but time keeps counts until its time is over, swept or not.
static HAD: Bulk = Bulk::keys(
    "\
    select r.customer_id, l.product_id, cast(sum(l.quantity) as signed)
      from reservation r
      join reservation_line l on l.reservation_id = r.id
     where l.product_id is not null
       and (r.state in ('paying', 'closing', 'review', 'booked')
            or (r.state in ('held', 'checkout') and r.due_at > ?))
       and r.customer_id in (",
    Sql { sqlite: ") group by r.customer_id, l.product_id", mysql: ") group by r.customer_id, l.product_id" },
);

static STORED: Bulk = Bulk::keys(
    "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at, coupon_code, discount
      from reservation
     where id in (",
    CLOSED,
);

static LOCKED: Bulk = Bulk::keys(
    "\
    select id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, reason,
           ticket_code, version, created_at, coupon_code, discount
      from reservation
     where id in (",
    Sql { sqlite: ") order by id", mysql: ") order by id for update" },
);

static LINES: Bulk = Bulk::keys(
    "\
    select reservation_id, seat_no, product_id, title, quantity, price
      from reservation_line
     where reservation_id in (",
    Sql { sqlite: ") order by reservation_id, line_no", mysql: ") order by reservation_id, line_no" },
);

static LAPSED_AMONG: Bulk = Bulk::keys(
    "\
    select id
      from reservation
     where state in ('held', 'checkout')
       and due_at <= ?
       and id in (",
    CLOSED,
);

static INSERT: Bulk = Bulk::rows(
    "\
    insert into reservation
           (id, sale_id, screening_id, customer_id, state, due_at, pay_until, pay_ms, amount, currency, version,
            created_at, updated_at, coupon_code, discount)
    values ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
);

static INSERT_LINES: Bulk = Bulk::rows(
    "\
    insert into reservation_line (reservation_id, line_no, seat_no, product_id, title, quantity, price)
    values ",
    "(?, ?, ?, ?, ?, ?, ?)",
);

static MOVED: Bulk = Bulk::rows(
    "\
    insert into stock_movement (reservation_id, line_no, kind, product_id, quantity, at_ms)
    values ",
    "(?, ?, ?, ?, ?, ?)",
);

fn keys(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| Value::from(*name)).collect()
}

pub(in crate::reservation) async fn products(
    tx: &mut Tx,
    names: &[&str],
) -> Result<BTreeMap<String, ProductRow>, DbError> {
    let (mut found, now_ms) = (BTreeMap::new(), tx.now_ms());
    for mut row in tx.rows_of(&PRODUCTS, &[], &keys(names)).await? {
        let id = row.text()?;
        let product = ProductRow {
            sale_id: row.text()?,
            title: row.text()?,
            price: row.int()?,
            per_order_max: row.int()?,
            per_customer_max: row.int_or_null()?,
            currency: row.currency()?,
            pay_ms: row.int()?,
            opening: Opening::at(row.int_or_null()?, row.int_or_null()?, now_ms),
        };
        found.insert(id, product);
    }
    Ok(found)
}

/// The numbers of these products, locked until the transaction ends. `names` is sorted.
pub(in crate::reservation) async fn lock_stocks(
    tx: &mut Tx,
    names: &[&str],
) -> Result<BTreeMap<String, Stock>, DbError> {
    let mut stocks = BTreeMap::new();
    for mut row in tx.rows_of(&STOCKS_LOCKED, &[], &keys(names)).await? {
        let product = row.text()?;
        let stock = Stock { capacity: row.int()?, available: row.int()?, held: row.int()?, sold: row.int()? };
        stocks.insert(product, stock);
    }
    Ok(stocks)
}

/// Locks these customers until the transaction ends: what they have is counted, and nobody adds to it meanwhile. `ids` is
/// sorted.
pub(in crate::reservation) async fn lock_customers(tx: &mut Tx, ids: &[CustomerId]) -> Result<(), DbError> {
    let ids: Vec<Value> = ids.iter().copied().map(Value::from).collect();
    tx.rows_of(&CUSTOMERS_LOCKED, &[], &ids).await.map(|_| ())
}

/// How many of which product these customers hold or have.
pub(in crate::reservation) async fn had(
    tx: &mut Tx,
    ids: &[CustomerId],
) -> Result<HashMap<(CustomerId, String), i64>, DbError> {
    let ids: Vec<Value> = ids.iter().copied().map(Value::from).collect();
    let now_ms = Value::from(tx.now_ms());
    let rows = tx.rows_of(&HAD, &[now_ms], &ids).await?;
    rows.into_iter().map(|mut row| Ok(((row.customer_id()?, row.text()?), row.int()?))).collect()
}

/// Those of `ids` that are stored.
pub(in crate::reservation) async fn stored(
    tx: &mut Tx,
    ids: impl Iterator<Item = ReservationId>,
) -> Result<HashMap<ReservationId, Reservation>, DbError> {
    let ids: Vec<Value> = ids.map(Value::from).collect();
    let mut stored = HashMap::new();
    for row in tx.rows_of(&STORED, &[], &ids).await? {
        let mut reservation = from_row(row)?;
        // One by one: repeats are rare.
        reservation.lines = lines_from(tx.rows(SELECT_LINES, params![reservation.id]).await?)?;
        stored.insert(reservation.id, reservation);
    }
    Ok(stored)
}

/// Those of these that there are, with their lines, locked until the transaction ends. `ids` is sorted.
pub(in crate::reservation) async fn lock_all(
    tx: &mut Tx,
    ids: &[ReservationId],
) -> Result<HashMap<ReservationId, Reservation>, DbError> {
    let ids: Vec<Value> = ids.iter().copied().map(Value::from).collect();
    let mut locked = HashMap::new();
    for row in tx.rows_of(&LOCKED, &[], &ids).await? {
        let reservation = from_row(row)?;
        locked.insert(reservation.id, reservation);
    }
    let mut lines: HashMap<ReservationId, Vec<Row>> = HashMap::new();
    for mut row in tx.rows_of(&LINES, &[], &ids).await? {
        lines.entry(row.reservation_id()?).or_default().push(row);
    }
    for (id, lines) in lines {
        if let Some(reservation) = locked.get_mut(&id) {
            reservation.lines = lines_from(lines)?;
        }
    }
    Ok(locked)
}

/// Those of `ids` that only time keeps, and whose time is over.
pub(in crate::reservation) async fn lapsed_among(
    tx: &mut Tx,
    ids: &[ReservationId],
) -> Result<Vec<ReservationId>, DbError> {
    let now_ms = Value::from(tx.now_ms());
    let ids: Vec<Value> = ids.iter().copied().map(Value::from).collect();
    let rows = tx.rows_of(&LAPSED_AMONG, &[now_ms], &ids).await?;
    rows.into_iter().map(|mut row| row.reservation_id()).collect()
}

/// New reservations with their lines.
pub(in crate::reservation) async fn insert_all(tx: &mut Tx, new: &[&Reservation]) -> Result<(), DbError> {
    let (mut heads, mut all_lines) = (Vec::with_capacity(new.len()), Vec::with_capacity(new.len()));
    for new in new {
        heads.push(super::head(new));
        all_lines.extend(super::lines(new));
    }
    tx.insert_all(&INSERT, heads).await?;
    tx.insert_all(&INSERT_LINES, all_lines).await
}

/// Writes down that each line's stock is held.
pub(in crate::reservation) async fn record_holds(tx: &mut Tx, new: &[&Reservation]) -> Result<(), DbError> {
    let (kind, now_ms) = (StockMove::Hold.name(), tx.now_ms());
    let movements = new.iter().flat_map(|new| {
        (1_i64..)
            .zip(&new.lines)
            .map(|(line_no, line)| params![new.id, line_no, kind, line.product.clone(), line.quantity, now_ms])
    });
    let movements = movements.collect();
    tx.insert_all(&MOVED, movements).await
}
