//! A catalogue as an operator writes it, and how it gets into the database: what is there already stays as it is.

use serde::Deserialize;

use super::store;
use crate::base::Currency;
use crate::db::{Db, DbError, in_tx};

/// The most characters of a slug; the column holds no more.
const SLUG_CHARS_MAX: usize = 64;

/// The widest row, in seats and gaps.
const ROW_CHARS_MAX: usize = 64;

/// Everything that is on sale.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Films, shared by all sales, in the order in which they are shown.
    #[serde(default)]
    pub films: Vec<Film>,
    /// Halls, by which screenings get their seats.
    #[serde(default)]
    pub halls: Vec<Hall>,
    /// The sales.
    pub sales: Vec<Sale>,
}

/// A film.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Film {
    /// Slug.
    pub id: String,
    /// As on the poster.
    pub title: String,
    /// Two or three sentences.
    pub synopsis: String,
    /// One word or two.
    pub genre: String,
    /// Running time.
    pub minutes: i64,
    /// Same-origin path.
    pub poster_url: String,
}

/// A hall.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hall {
    /// As on the door: `Hall 1`.
    pub name: String,
    /// Front row first.
    pub rows: Vec<HallRow>,
}

/// A row of seats.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HallRow {
    /// `A`.
    pub row: String,
    /// `Stalls`.
    pub section: String,
    /// Of each seat, in minor units of the sale's currency.
    pub price: i64,
    /// From left to right: `s` a seat, `w` a wheelchair space, `x` a seat not for sale, `.` a gap.
    pub seats: String,
}

/// A sale: its windows, and what is sold in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sale {
    /// Slug; the waiting room of the same name can show what is left.
    pub id: String,
    /// For people.
    pub title: String,
    /// ISO 4217, three capital letters.
    pub currency: String,
    /// How long seats are held before checkout.
    pub hold_ms: i64,
    /// How long there is to pay after checkout.
    pub pay_ms: i64,
    /// Seats in one order, at most 16.
    pub seats_max: i64,
    /// Screenings.
    #[serde(default)]
    pub screenings: Vec<Screening>,
    /// Products without seats.
    #[serde(default)]
    pub products: Vec<Product>,
    /// Coupon campaigns.
    #[serde(default)]
    pub campaigns: Vec<Campaign>,
}

/// A screening of a film in a hall.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screening {
    /// Slug.
    pub id: String,
    /// Slug of the film.
    pub film: String,
    /// Name of the hall.
    pub hall: String,
    /// Epoch milliseconds.
    pub starts_at: i64,
}

/// A product with stock.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Slug.
    pub id: String,
    /// For people.
    pub title: String,
    /// In minor units of the sale's currency.
    pub price: i64,
    /// The most that one order may take.
    pub per_order_max: i64,
    /// How many there are.
    pub stock: i64,
}

/// A campaign that gives each customer one coupon, while there are some. A coupon takes something off one order of the
/// campaign's sale.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Slug.
    pub id: String,
    /// How many there are.
    pub coupons: i64,
    /// When coupons can be had and used, epoch milliseconds; without it, at once.
    #[serde(default)]
    pub starts_at: Option<i64>,
    /// When that is over, epoch milliseconds; without it, never.
    #[serde(default)]
    pub ends_at: Option<i64>,
    /// What a coupon takes off, in minor units of the sale's currency.
    #[serde(default)]
    pub amount_off: i64,
    /// Or the part that it takes off, in basis points (10000 is all of it), rounded down to whole minor units.
    #[serde(default)]
    pub percent_off_bp: i64,
    /// What an order must come to without it, in minor units.
    #[serde(default)]
    pub minimum_amount: i64,
}

/// What a seeding added; nothing, when all of it was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seeded {
    /// New sales.
    pub sales: u64,
    /// New films.
    pub films: u64,
    /// New screenings, with all their seats.
    pub screenings: u64,
    /// New products.
    pub products: u64,
    /// New campaigns.
    pub campaigns: u64,
}

/// Why a catalogue was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Something in it does not fit; the text says what.
    #[error("the catalogue is not usable: {0}")]
    Invalid(String),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// One seat of a row.
pub(super) struct Seat<'a> {
    pub(super) row: &'a HallRow,
    pub(super) number: i64,
    pub(super) column: i64,
    pub(super) wheelchair: bool,
    pub(super) blocked: bool,
}

impl HallRow {
    /// The seats, numbered from 1; gaps count as columns only.
    fn places(&self) -> Vec<Seat<'_>> {
        let taken = (1_i64..).zip(self.seats.chars()).filter(|(_, what)| *what != '.');
        let seat = |(number, (column, what))| Seat {
            row: self,
            number,
            column,
            wheelchair: what == 'w',
            blocked: what == 'x',
        };
        (1_i64..).zip(taken).map(seat).collect()
    }
}

/// Stores what is not there yet. Each screening comes with all its seats or not at all.
pub(crate) async fn seed(db: &Db, catalogue: &Catalogue) -> Result<Seeded, SeedError> {
    check(catalogue).map_err(SeedError::Invalid)?;
    let mut seeded = Seeded::default();
    for (place, film) in (0_i64..).zip(&catalogue.films) {
        seeded.films += u64::from(in_tx!(db, tx, { store::add_film(tx, place, film).await })?);
    }
    for sale in &catalogue.sales {
        seeded.sales += u64::from(in_tx!(db, tx, { store::add_sale(tx, sale).await })?);
        for screening in &sale.screenings {
            seeded.screenings += u64::from(add_screening(db, catalogue, sale, screening).await?);
        }
        for (place, product) in (0_i64..).zip(&sale.products) {
            seeded.products += u64::from(in_tx!(db, tx, { store::add_product(tx, &sale.id, place, product).await })?);
        }
        for campaign in &sale.campaigns {
            seeded.campaigns += u64::from(in_tx!(db, tx, { store::add_campaign(tx, &sale.id, campaign).await })?);
        }
    }
    Ok(seeded)
}

async fn add_screening(db: &Db, catalogue: &Catalogue, sale: &Sale, screening: &Screening) -> Result<bool, SeedError> {
    let rows = catalogue.halls.iter().find(|hall| hall.name == screening.hall).map(|hall| hall.rows.as_slice());
    in_tx!(db, tx, {
        let new = store::add_screening(tx, &sale.id, screening).await?;
        for row in rows.unwrap_or_default().iter().filter(|_| new) {
            for seat in row.places() {
                store::add_seat(tx, &screening.id, &seat).await?;
            }
        }
        Ok::<_, SeedError>(new)
    })
}

fn check(catalogue: &Catalogue) -> Result<(), String> {
    for film in &catalogue.films {
        check_slug(&film.id)?;
    }
    for row in catalogue.halls.iter().flat_map(|hall| &hall.rows) {
        check_row(row)?;
    }
    catalogue.sales.iter().try_for_each(|sale| check_sale(catalogue, sale))
}

fn check_sale(catalogue: &Catalogue, sale: &Sale) -> Result<(), String> {
    check_slug(&sale.id)?;
    let id = &sale.id;
    if Currency::parse(&sale.currency).is_none() {
        return Err(format!("sale {id}: currency must be three capital letters"));
    }
    if sale.hold_ms < 1 || sale.pay_ms < 1 || !(1..=16).contains(&sale.seats_max) {
        return Err(format!("sale {id}: hold_ms and pay_ms must be positive, seats_max from 1 to 16"));
    }
    for screening in &sale.screenings {
        check_slug(&screening.id)?;
        if catalogue.halls.iter().all(|hall| hall.name != screening.hall) {
            return Err(format!("screening {}: there is no hall {:?}", screening.id, screening.hall));
        }
        if catalogue.films.iter().all(|film| film.id != screening.film) {
            return Err(format!("screening {}: there is no film {:?}", screening.id, screening.film));
        }
    }
    for product in &sale.products {
        check_slug(&product.id)?;
        if product.price < 1 || product.per_order_max < 1 || product.stock < 0 {
            return Err(format!("product {}: price, per_order_max and stock must be positive", product.id));
        }
    }
    sale.campaigns.iter().try_for_each(check_campaign)
}

fn check_campaign(campaign: &Campaign) -> Result<(), String> {
    check_slug(&campaign.id)?;
    let id = &campaign.id;
    let whole = campaign.coupons >= 0 && campaign.amount_off >= 0 && campaign.minimum_amount >= 0;
    if !whole || !(0..=10_000).contains(&campaign.percent_off_bp) {
        return Err(format!("campaign {id}: no number may be negative, and percent_off_bp is 10000 at most"));
    }
    if campaign.amount_off > 0 && campaign.percent_off_bp > 0 {
        return Err(format!("campaign {id}: amount_off or percent_off_bp, not both"));
    }
    match (campaign.starts_at, campaign.ends_at) {
        (Some(start), Some(end)) if start >= end => Err(format!("campaign {id}: ends_at must be after starts_at")),
        _ => Ok(()),
    }
}

fn check_slug(slug: &str) -> Result<(), String> {
    let plain = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain && (1..=SLUG_CHARS_MAX).contains(&slug.len()) {
        return Ok(());
    }
    Err(format!("{slug:?} is no slug: a-z, 0-9 and - only, at most {SLUG_CHARS_MAX}"))
}

fn check_row(row: &HallRow) -> Result<(), String> {
    let named = !row.row.is_empty() && row.row.len() <= 4 && row.row.bytes().all(|b| b.is_ascii_uppercase());
    let drawn = row.seats.chars().all(|what| matches!(what, 's' | 'w' | 'x' | '.'));
    if named && drawn && row.seats.len() <= ROW_CHARS_MAX && row.price > 0 {
        return Ok(());
    }
    Err(format!("row {:?}: a name of capital letters, a price, and seats of s, w, x and . only", row.row))
}
