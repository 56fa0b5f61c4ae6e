//! Statements on the catalogue. Seats whose hold has lapsed read as free: the clock says so, not the sweeper.

mod seeding;

use std::collections::BTreeMap;

use super::{Film, Left, Opening, Product, SaleLeft, Screening, Seat, SeatState, Windows};
use crate::base::{CustomerId, Money};
use crate::db::{Db, DbError, Row, params};

pub(super) use seeding::*;

const FILMS: &str = "select id, title, synopsis, genre, minutes, poster_url from film order by place, id";

const FILM: &str = "select id, title, synopsis, genre, minutes, poster_url from film where id = ?";

const SCREENINGS_OF_FILM: &str = "\
    select s.id, s.film_id, f.title, s.hall, s.starts_at, a.currency, a.hold_ms, a.pay_ms, a.seats_max,
           a.starts_at, a.ends_at
      from screening s
      join film f on f.id = s.film_id
      join sale a on a.id = s.sale_id
     where s.film_id = ?
     order by s.starts_at, s.id";

const SCREENING: &str = "\
    select s.id, s.film_id, f.title, s.hall, s.starts_at, a.currency, a.hold_ms, a.pay_ms, a.seats_max,
           a.starts_at, a.ends_at
      from screening s
      join film f on f.id = s.film_id
      join sale a on a.id = s.sale_id
     where s.id = ?";

const SEATS_LEFT: &str = "\
    select cast(sum(case when state = 'free' or free_after <= ? then 1 else 0 end) as signed),
           cast(sum(case when state in ('held', 'pending') and (free_after is null or free_after > ?)
                         then 1 else 0 end) as signed),
           cast(sum(case when state = 'sold' then 1 else 0 end) as signed),
           min(case when state <> 'blocked' then price end)
      from seat
     where screening_id = ?
    having count(*) > 0";

const SEATS: &str = "\
    select s.seat_no, s.row_name, s.seat_number, s.place, s.section, s.kind, s.price, s.state, s.free_after,
           r.customer_id
      from seat s
      left join reservation r on r.id = s.reservation_id
     where s.screening_id = ?
     order by s.row_name, s.place";

const PRODUCTS: &str = "\
    select p.id, p.title, p.price, a.currency, p.per_order_max, a.pay_ms, a.starts_at, a.ends_at, t.capacity,
           t.available, t.held, t.sold
      from product p
      join sale a on a.id = p.sale_id
      join stock t on t.product_id = p.id
     order by p.place, p.id";

const LAPSED_STOCK: &str = "\
    select l.product_id, cast(sum(l.quantity) as signed)
      from reservation r
      join reservation_line l on l.reservation_id = r.id
     where r.state in ('held', 'checkout')
       and r.due_at <= ?
       and l.product_id is not null
     group by l.product_id";

const SEATS_LEFT_BY_SALE: &str = "\
    select c.sale_id,
           cast(sum(case when s.state = 'free' or s.free_after <= ? then 1 else 0 end) as signed),
           cast(sum(case when s.state in ('held', 'pending') and (s.free_after is null or s.free_after > ?)
                         then 1 else 0 end) as signed),
           cast(sum(case when s.state = 'sold' then 1 else 0 end) as signed)
      from screening c
      join seat s on s.screening_id = c.id
     group by c.sale_id";

const STOCK_LEFT_BY_SALE: &str = "\
    select p.sale_id, cast(sum(t.available) as signed), cast(sum(t.held) as signed), cast(sum(t.sold) as signed)
      from product p
      join stock t on t.product_id = p.id
     group by p.sale_id";

const LAPSED_STOCK_BY_SALE: &str = "\
    select r.sale_id, cast(sum(l.quantity) as signed)
      from reservation r
      join reservation_line l on l.reservation_id = r.id
     where r.state in ('held', 'checkout')
       and r.due_at <= ?
       and l.product_id is not null
     group by r.sale_id";

pub(super) async fn films(db: &Db) -> Result<Vec<Film>, DbError> {
    db.rows(FILMS, params![]).await?.into_iter().map(film_from).collect()
}

pub(super) async fn film(db: &Db, id: &str) -> Result<Option<Film>, DbError> {
    db.row(FILM, params![id]).await?.map(film_from).transpose()
}

fn film_from(mut row: Row) -> Result<Film, DbError> {
    Ok(Film {
        id: row.text()?,
        title: row.text()?,
        synopsis: row.text()?,
        genre: row.text()?,
        minutes: row.int()?,
        poster_url: row.text()?,
    })
}

pub(super) async fn screenings(db: &Db, film: &str) -> Result<Vec<Screening>, DbError> {
    let mut all = Vec::new();
    let now_ms = db.now_ms().await?;
    for row in db.rows(SCREENINGS_OF_FILM, params![film]).await? {
        all.push(with_left(db, now_ms, screening_from(row, now_ms)?).await?);
    }
    Ok(all)
}

pub(super) async fn screening(db: &Db, id: &str) -> Result<Option<Screening>, DbError> {
    let Some(row) = db.row(SCREENING, params![id]).await? else { return Ok(None) };
    let now_ms = db.now_ms().await?;
    with_left(db, now_ms, screening_from(row, now_ms)?).await.map(Some)
}

fn screening_from(mut row: Row, now_ms: i64) -> Result<Screening, DbError> {
    Ok(Screening {
        id: row.text()?,
        film_id: row.text()?,
        film_title: row.text()?,
        hall: row.text()?,
        starts_at: row.int()?,
        sale: Windows { currency: row.currency()?, hold_ms: row.int()?, pay_ms: row.int()?, seats_max: row.int()? },
        opening: opening_from(&mut row, now_ms)?,
        left: Left::default(),
        price_from: 0,
    })
}

fn opening_from(row: &mut Row, now_ms: i64) -> Result<Opening, DbError> {
    Ok(Opening::at(row.int_or_null()?, row.int_or_null()?, now_ms))
}

async fn with_left(db: &Db, now_ms: i64, mut screening: Screening) -> Result<Screening, DbError> {
    if let Some(mut row) = db.scan(SEATS_LEFT, params![now_ms, now_ms, screening.id.as_str()]).await?.pop() {
        screening.left = left_from(&mut row)?;
        screening.price_from = row.int_or_null()?.unwrap_or(0);
    }
    Ok(screening)
}

fn left_from(row: &mut Row) -> Result<Left, DbError> {
    Ok(Left { free: row.int()?, held: row.int()?, sold: row.int()? })
}

pub(super) async fn seats(db: &Db, screening: &str, viewer: Option<CustomerId>) -> Result<Vec<Seat>, DbError> {
    let now_ms = db.now_ms().await?;
    let rows = db.scan(SEATS, params![screening]).await?;
    rows.into_iter().map(|row| seat_from(row, now_ms, viewer)).collect()
}

fn seat_from(mut row: Row, now_ms: i64, viewer: Option<CustomerId>) -> Result<Seat, DbError> {
    let (name, row_name, number, column) = (row.text()?, row.text()?, row.int()?, row.int()?);
    let (section, kind, price, state) = (row.text()?, row.text()?, row.int()?, row.text()?);
    let lapsed = row.int_or_null()?.is_some_and(|at| at <= now_ms);
    let owner = row.bytes_or_null()?.as_deref().and_then(CustomerId::from_bytes);
    let state = match state.as_str() {
        "free" => SeatState::Free,
        "held" | "pending" if lapsed => SeatState::Free,
        "held" | "pending" => SeatState::Held,
        "sold" => SeatState::Sold,
        _ => SeatState::Blocked,
    };
    let mine = owner.is_some() && owner == viewer && state != SeatState::Free;
    let wheelchair = kind == "wheelchair";
    Ok(Seat { name, row: row_name, number, column, section, wheelchair, price, state, mine })
}

pub(super) async fn products(db: &Db) -> Result<Vec<Product>, DbError> {
    let now_ms = db.now_ms().await?;
    let lapsed = sums(db.scan(LAPSED_STOCK, params![now_ms]).await?)?;
    let rows = db.rows(PRODUCTS, params![]).await?;
    rows.into_iter().map(|row| product_from(row, now_ms, &lapsed)).collect()
}

fn product_from(mut row: Row, now_ms: i64, lapsed: &BTreeMap<String, i64>) -> Result<Product, DbError> {
    let mut product = Product {
        id: row.text()?,
        title: row.text()?,
        price: Money { amount: row.int()?, currency: row.currency()? },
        per_order_max: row.int()?,
        pay_ms: row.int()?,
        opening: opening_from(&mut row, now_ms)?,
        capacity: row.int()?,
        left: left_from(&mut row)?,
    };
    give_back(&mut product.left, lapsed.get(&product.id));
    Ok(product)
}

/// The two reads are not one moment: what was swept between them is not given back twice.
fn give_back(left: &mut Left, lapsed: Option<&i64>) {
    let lapsed = lapsed.copied().unwrap_or(0).min(left.held);
    left.held -= lapsed;
    left.free += lapsed;
}

fn sums(rows: Vec<Row>) -> Result<BTreeMap<String, i64>, DbError> {
    rows.into_iter().map(|mut row| Ok((row.text()?, row.int()?))).collect()
}

pub(super) async fn remaining(db: &Db) -> Result<Vec<SaleLeft>, DbError> {
    let now_ms = db.now_ms().await?;
    let lapsed = sums(db.scan(LAPSED_STOCK_BY_SALE, params![now_ms]).await?)?;
    let mut sales: BTreeMap<String, Left> = BTreeMap::new();
    for mut row in db.scan(STOCK_LEFT_BY_SALE, params![]).await? {
        let sale = row.text()?;
        let mut left = left_from(&mut row)?;
        give_back(&mut left, lapsed.get(&sale));
        sales.insert(sale, left);
    }
    for mut row in db.scan(SEATS_LEFT_BY_SALE, params![now_ms, now_ms]).await? {
        let left = sales.entry(row.text()?).or_default();
        let seats = left_from(&mut row)?;
        left.free += seats.free;
        left.held += seats.held;
        left.sold += seats.sold;
    }
    Ok(sales.into_iter().map(|(sale, left)| SaleLeft { sale, left }).collect())
}
