//! Statements of a seeding: what it adds, and what it finds stored already.

use crate::catalogue::seed;
use crate::db::{Bulk, Db, DbError, Tx, Value, params};

const INSERT_SALE: &str = "\
    insert into sale (id, title, currency, hold_ms, pay_ms, seats_max, starts_at, ends_at, seats_per_customer_max,
                      orphans, extend_ms, cancel_until)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_FILM: &str =
    "insert into film (id, title, synopsis, genre, minutes, poster_url, place) values (?, ?, ?, ?, ?, ?, ?)";

const INSERT_SCREENING: &str = "insert into screening (id, sale_id, film_id, hall, starts_at) values (?, ?, ?, ?, ?)";

static INSERT_SEATS: Bulk = Bulk::rows(
    "\
    insert into seat (screening_id, seat_no, row_name, seat_number, section, kind, price, place, state)
    values ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
);

const INSERT_PRODUCT: &str = "\
    insert into product (id, sale_id, title, price, per_order_max, per_customer_max, place)
    values (?, ?, ?, ?, ?, ?, ?)";

const INSERT_STOCK: &str = "insert into stock (product_id, capacity, available, held, sold) values (?, ?, ?, 0, 0)";

const INSERT_CAMPAIGN: &str = "\
    insert into campaign (id, sale_id, total, remaining, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?)";

const STORED_FILM: &str = "select title, minutes, poster_url from film where id = ?";

const STORED_SALE: &str = "\
    select title, currency, hold_ms, pay_ms, seats_max, starts_at, ends_at, seats_per_customer_max, orphans, extend_ms,
           cancel_until
      from sale
     where id = ?";

const STORED_SCREENING: &str = "\
    select sale_id, film_id, hall, starts_at,
           (select count(*) from seat where seat.screening_id = screening.id),
           (select cast(coalesce(sum(price), 0) as signed) from seat where seat.screening_id = screening.id)
      from screening
     where id = ?";

const STORED_PRODUCT: &str = "\
    select p.sale_id, p.title, p.price, p.per_order_max, p.per_customer_max, t.capacity
      from product p
      join stock t on t.product_id = p.id
     where p.id = ?";

const STORED_CAMPAIGN: &str = "\
    select sale_id, total, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount from campaign where id = ?";

/// Whether the row is new.
async fn added(tx: &mut Tx, statement: &'static str, values: Vec<Value>) -> Result<bool, DbError> {
    match tx.execute(statement, values).await {
        Ok(_) => Ok(true),
        Err(DbError::Duplicate) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(in crate::catalogue) async fn add_sale(tx: &mut Tx, sale: &seed::Sale) -> Result<bool, DbError> {
    let values = params![
        sale.id.as_str(),
        sale.title.as_str(),
        sale.currency.as_str(),
        sale.hold_ms,
        sale.pay_ms,
        sale.seats_max,
        sale.starts_at,
        sale.ends_at,
        sale.seats_per_customer_max,
        sale.orphans.as_str(),
        sale.extend_ms,
        sale.cancel_until
    ];
    added(tx, INSERT_SALE, values).await
}

pub(in crate::catalogue) async fn add_film(tx: &mut Tx, place: i64, film: &seed::Film) -> Result<bool, DbError> {
    let texts = (film.synopsis.as_str(), film.genre.as_str(), film.poster_url.as_str());
    let values = params![film.id.as_str(), film.title.as_str(), texts.0, texts.1, film.minutes, texts.2, place];
    added(tx, INSERT_FILM, values).await
}

/// The screening with all its seats, or nothing if it is there.
pub(in crate::catalogue) async fn add_screening(
    tx: &mut Tx,
    sale: &str,
    screening: &seed::Screening,
    seats: &[seed::Seat<'_>],
) -> Result<bool, DbError> {
    let (id, film, hall) = (screening.id.as_str(), screening.film.as_str(), screening.hall.as_str());
    let new = added(tx, INSERT_SCREENING, params![id, sale, film, hall, screening.starts_at]).await?;
    if new {
        tx.insert_all(&INSERT_SEATS, seats.iter().map(|seat| seat_values(id, seat)).collect()).await?;
    }
    Ok(new)
}

fn seat_values(screening: &str, seat: &seed::Seat<'_>) -> Vec<Value> {
    let kind = if seat.wheelchair { "wheelchair" } else { "standard" };
    let state = if seat.blocked { "blocked" } else { "free" };
    let name = format!("{}{}", seat.row.row, seat.number);
    let (row, section, price) = (seat.row.row.as_str(), seat.row.section.as_str(), seat.row.price);
    params![screening, name, row, seat.number, section, kind, price, seat.column, state]
}

pub(in crate::catalogue) async fn add_product(
    tx: &mut Tx,
    sale: &str,
    place: i64,
    product: &seed::Product,
) -> Result<bool, DbError> {
    let (id, title) = (product.id.as_str(), product.title.as_str());
    let values = params![id, sale, title, product.price, product.per_order_max, product.per_customer_max, place];
    if !added(tx, INSERT_PRODUCT, values).await? {
        return Ok(false);
    }
    tx.execute(INSERT_STOCK, params![id, product.stock, product.stock]).await?;
    Ok(true)
}

pub(in crate::catalogue) async fn add_campaign(
    tx: &mut Tx,
    sale: &str,
    campaign: &seed::Campaign,
) -> Result<bool, DbError> {
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

/// A row's fields as text, for showing what differs: names, and the same of the catalogue in the same order.
type Fields = Vec<(&'static str, String)>;

fn or_unset(number: Option<i64>) -> String {
    number.map_or_else(|| String::from("unset"), |number| number.to_string())
}

pub(in crate::catalogue) async fn stored_film(db: &Db, id: &str) -> Result<Option<Fields>, DbError> {
    let Some(mut row) = db.row(STORED_FILM, params![id]).await? else { return Ok(None) };
    Ok(Some(vec![("title", row.text()?), ("minutes", row.int()?.to_string()), ("poster_url", row.text()?)]))
}

pub(in crate::catalogue) fn fields_of_film(film: &seed::Film) -> Fields {
    let (title, poster_url) = (film.title.clone(), film.poster_url.clone());
    vec![("title", title), ("minutes", film.minutes.to_string()), ("poster_url", poster_url)]
}

pub(in crate::catalogue) async fn stored_sale(db: &Db, id: &str) -> Result<Option<Fields>, DbError> {
    let Some(mut row) = db.row(STORED_SALE, params![id]).await? else { return Ok(None) };
    Ok(Some(vec![
        ("title", row.text()?),
        ("currency", row.text()?),
        ("hold_ms", row.int()?.to_string()),
        ("pay_ms", row.int()?.to_string()),
        ("seats_max", row.int()?.to_string()),
        ("starts_at", or_unset(row.int_or_null()?)),
        ("ends_at", or_unset(row.int_or_null()?)),
        ("seats_per_customer_max", or_unset(row.int_or_null()?)),
        ("orphans", row.text()?),
        ("extend_ms", row.int()?.to_string()),
        ("cancel_until", or_unset(row.int_or_null()?)),
    ]))
}

pub(in crate::catalogue) fn fields_of_sale(sale: &seed::Sale) -> Fields {
    vec![
        ("title", sale.title.clone()),
        ("currency", sale.currency.clone()),
        ("hold_ms", sale.hold_ms.to_string()),
        ("pay_ms", sale.pay_ms.to_string()),
        ("seats_max", sale.seats_max.to_string()),
        ("starts_at", or_unset(sale.starts_at)),
        ("ends_at", or_unset(sale.ends_at)),
        ("seats_per_customer_max", or_unset(sale.seats_per_customer_max)),
        ("orphans", sale.orphans.as_str().to_owned()),
        ("extend_ms", sale.extend_ms.to_string()),
        ("cancel_until", or_unset(sale.cancel_until)),
    ]
}

pub(in crate::catalogue) async fn stored_screening(db: &Db, id: &str) -> Result<Option<Fields>, DbError> {
    let Some(mut row) = db.row(STORED_SCREENING, params![id]).await? else { return Ok(None) };
    Ok(Some(vec![
        ("the sale", row.text()?),
        ("film", row.text()?),
        ("hall", row.text()?),
        ("starts_at", row.int()?.to_string()),
        ("the number of seats", row.int()?.to_string()),
        ("the price of all seats", row.int()?.to_string()),
    ]))
}

pub(in crate::catalogue) fn fields_of_screening(
    sale: &str,
    screening: &seed::Screening,
    seats: i64,
    price: i64,
) -> Fields {
    vec![
        ("the sale", sale.to_owned()),
        ("film", screening.film.clone()),
        ("hall", screening.hall.clone()),
        ("starts_at", screening.starts_at.to_string()),
        ("the number of seats", seats.to_string()),
        ("the price of all seats", price.to_string()),
    ]
}

pub(in crate::catalogue) async fn stored_product(db: &Db, id: &str) -> Result<Option<Fields>, DbError> {
    let Some(mut row) = db.row(STORED_PRODUCT, params![id]).await? else { return Ok(None) };
    Ok(Some(vec![
        ("the sale", row.text()?),
        ("title", row.text()?),
        ("price", row.int()?.to_string()),
        ("per_order_max", row.int()?.to_string()),
        ("per_customer_max", or_unset(row.int_or_null()?)),
        ("stock", row.int()?.to_string()),
    ]))
}

pub(in crate::catalogue) fn fields_of_product(sale: &str, product: &seed::Product) -> Fields {
    vec![
        ("the sale", sale.to_owned()),
        ("title", product.title.clone()),
        ("price", product.price.to_string()),
        ("per_order_max", product.per_order_max.to_string()),
        ("per_customer_max", or_unset(product.per_customer_max)),
        ("stock", product.stock.to_string()),
    ]
}

pub(in crate::catalogue) async fn stored_campaign(db: &Db, id: &str) -> Result<Option<Fields>, DbError> {
    let Some(mut row) = db.row(STORED_CAMPAIGN, params![id]).await? else { return Ok(None) };
    Ok(Some(vec![
        ("the sale", row.text()?),
        ("coupons", row.int()?.to_string()),
        ("starts_at", or_unset(row.int_or_null()?)),
        ("ends_at", or_unset(row.int_or_null()?)),
        ("amount_off", row.int()?.to_string()),
        ("percent_off_bp", row.int()?.to_string()),
        ("minimum_amount", row.int()?.to_string()),
    ]))
}

pub(in crate::catalogue) fn fields_of_campaign(sale: &str, campaign: &seed::Campaign) -> Fields {
    vec![
        ("the sale", sale.to_owned()),
        ("coupons", campaign.coupons.to_string()),
        ("starts_at", or_unset(campaign.starts_at)),
        ("ends_at", or_unset(campaign.ends_at)),
        ("amount_off", campaign.amount_off.to_string()),
        ("percent_off_bp", campaign.percent_off_bp.to_string()),
        ("minimum_amount", campaign.minimum_amount.to_string()),
    ]
}
