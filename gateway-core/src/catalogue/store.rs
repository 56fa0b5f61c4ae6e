//! Statements on the catalogue. Seats whose hold has lapsed read as free: the clock says so, not the sweeper.

use std::collections::BTreeMap;

use super::seed;
use super::{Film, Left, Product, SaleLeft, Screening, Seat, SeatState, Windows};
use crate::base::{CustomerId, Money};
use crate::db::{Db, DbError, Row, Tx, params};

const FILMS: &str = "select id, title, synopsis, genre, minutes, poster_url from film order by place, id";

const FILM: &str = "select id, title, synopsis, genre, minutes, poster_url from film where id = ?";

const SCREENINGS_OF_FILM: &str = "\
    select s.id, s.film_id, f.title, s.hall, s.starts_at, a.currency, a.hold_ms, a.pay_ms, a.seats_max
      from screening s
      join film f on f.id = s.film_id
      join sale a on a.id = s.sale_id
     where s.film_id = ?
     order by s.starts_at, s.id";

const SCREENING: &str = "\
    select s.id, s.film_id, f.title, s.hall, s.starts_at, a.currency, a.hold_ms, a.pay_ms, a.seats_max
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
    select p.id, p.title, p.price, a.currency, p.per_order_max, a.pay_ms, t.capacity, t.available, t.held, t.sold
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

const INSERT_SALE: &str =
    "insert into sale (id, title, currency, hold_ms, pay_ms, seats_max) values (?, ?, ?, ?, ?, ?)";

const INSERT_FILM: &str =
    "insert into film (id, title, synopsis, genre, minutes, poster_url, place) values (?, ?, ?, ?, ?, ?, ?)";

const INSERT_SCREENING: &str = "insert into screening (id, sale_id, film_id, hall, starts_at) values (?, ?, ?, ?, ?)";

const INSERT_SEAT: &str = "\
    insert into seat (screening_id, seat_no, row_name, seat_number, section, kind, price, place, state)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_PRODUCT: &str =
    "insert into product (id, sale_id, title, price, per_order_max, place) values (?, ?, ?, ?, ?, ?)";

const INSERT_STOCK: &str = "insert into stock (product_id, capacity, available, held, sold) values (?, ?, ?, 0, 0)";

const INSERT_CAMPAIGN: &str = "\
    insert into campaign (id, sale_id, total, remaining, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?)";

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
        all.push(with_left(db, now_ms, screening_from(row)?).await?);
    }
    Ok(all)
}

pub(super) async fn screening(db: &Db, id: &str) -> Result<Option<Screening>, DbError> {
    match db.row(SCREENING, params![id]).await? {
        Some(row) => with_left(db, db.now_ms().await?, screening_from(row)?).await.map(Some),
        None => Ok(None),
    }
}

fn screening_from(mut row: Row) -> Result<Screening, DbError> {
    Ok(Screening {
        id: row.text()?,
        film_id: row.text()?,
        film_title: row.text()?,
        hall: row.text()?,
        starts_at: row.int()?,
        sale: Windows { currency: row.currency()?, hold_ms: row.int()?, pay_ms: row.int()?, seats_max: row.int()? },
        left: Left::default(),
        price_from: 0,
    })
}

async fn with_left(db: &Db, now_ms: i64, mut screening: Screening) -> Result<Screening, DbError> {
    if let Some(mut row) = db.row(SEATS_LEFT, params![now_ms, now_ms, screening.id.as_str()]).await? {
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
    let rows = db.rows(SEATS, params![screening]).await?;
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
    let lapsed = sums(db.rows(LAPSED_STOCK, params![db.now_ms().await?]).await?)?;
    let rows = db.rows(PRODUCTS, params![]).await?;
    rows.into_iter().map(|row| product_from(row, &lapsed)).collect()
}

fn product_from(mut row: Row, lapsed: &BTreeMap<String, i64>) -> Result<Product, DbError> {
    let mut product = Product {
        id: row.text()?,
        title: row.text()?,
        price: Money { amount: row.int()?, currency: row.currency()? },
        per_order_max: row.int()?,
        pay_ms: row.int()?,
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
    let lapsed = sums(db.rows(LAPSED_STOCK_BY_SALE, params![now_ms]).await?)?;
    let mut sales: BTreeMap<String, Left> = BTreeMap::new();
    for mut row in db.rows(STOCK_LEFT_BY_SALE, params![]).await? {
        let sale = row.text()?;
        let mut left = left_from(&mut row)?;
        give_back(&mut left, lapsed.get(&sale));
        sales.insert(sale, left);
    }
    for mut row in db.rows(SEATS_LEFT_BY_SALE, params![now_ms, now_ms]).await? {
        let left = sales.entry(row.text()?).or_default();
        let seats = left_from(&mut row)?;
        left.free += seats.free;
        left.held += seats.held;
        left.sold += seats.sold;
    }
    Ok(sales.into_iter().map(|(sale, left)| SaleLeft { sale, left }).collect())
}

/// Whether the row is new.
async fn added(tx: &mut Tx, statement: &'static str, values: Vec<crate::db::Value>) -> Result<bool, DbError> {
    match tx.execute(statement, values).await {
        Ok(_) => Ok(true),
        Err(DbError::Duplicate) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn add_sale(tx: &mut Tx, sale: &seed::Sale) -> Result<bool, DbError> {
    let (id, title, currency) = (sale.id.as_str(), sale.title.as_str(), sale.currency.as_str());
    added(tx, INSERT_SALE, params![id, title, currency, sale.hold_ms, sale.pay_ms, sale.seats_max]).await
}

pub(super) async fn add_film(tx: &mut Tx, place: i64, film: &seed::Film) -> Result<bool, DbError> {
    let texts = (film.synopsis.as_str(), film.genre.as_str(), film.poster_url.as_str());
    let values = params![film.id.as_str(), film.title.as_str(), texts.0, texts.1, film.minutes, texts.2, place];
    added(tx, INSERT_FILM, values).await
}

pub(super) async fn add_screening(tx: &mut Tx, sale: &str, screening: &seed::Screening) -> Result<bool, DbError> {
    let (id, film, hall) = (screening.id.as_str(), screening.film.as_str(), screening.hall.as_str());
    added(tx, INSERT_SCREENING, params![id, sale, film, hall, screening.starts_at]).await
}

pub(super) async fn add_seat(tx: &mut Tx, screening: &str, seat: &seed::Seat<'_>) -> Result<(), DbError> {
    let kind = if seat.wheelchair { "wheelchair" } else { "standard" };
    let state = if seat.blocked { "blocked" } else { "free" };
    let name = format!("{}{}", seat.row.row, seat.number);
    let (row, section, price) = (seat.row.row.as_str(), seat.row.section.as_str(), seat.row.price);
    let values = params![screening, name, row, seat.number, section, kind, price, seat.column, state];
    tx.execute(INSERT_SEAT, values).await.map(|_| ())
}

pub(super) async fn add_product(tx: &mut Tx, sale: &str, place: i64, product: &seed::Product) -> Result<bool, DbError> {
    let (id, title) = (product.id.as_str(), product.title.as_str());
    if !added(tx, INSERT_PRODUCT, params![id, sale, title, product.price, product.per_order_max, place]).await? {
        return Ok(false);
    }
    tx.execute(INSERT_STOCK, params![id, product.stock, product.stock]).await?;
    Ok(true)
}

pub(super) async fn add_campaign(tx: &mut Tx, sale: &str, campaign: &seed::Campaign) -> Result<bool, DbError> {
    let seed::Campaign { id, coupons, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount } = campaign;
    let values = params![
        id.as_str(),
        sale,
        *coupons,
        *coupons,
        *starts_at,
        *ends_at,
        *amount_off,
        *percent_off_bp,
        *minimum_amount,
    ];
    added(tx, INSERT_CAMPAIGN, values).await
}
