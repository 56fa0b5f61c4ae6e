//! A catalogue as an operator writes it, and how it gets into the database: what is there already stays as it is.

use serde::Deserialize;

use super::check::{Fault, faults};
use super::compare;
use super::instant;
use super::{OrphanRule, store};
use crate::db::{Db, DbError, in_tx};

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

/// How long seats are held where a sale does not say: two minutes to check out.
pub(super) fn hold_ms() -> i64 {
    120_000
}

/// How long there is to pay where a sale does not say: seven minutes.
pub(super) fn pay_ms() -> i64 {
    420_000
}

/// A sale: its windows, its limits, and what is sold in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sale {
    /// Slug; the waiting room of the same name can show what is left.
    pub id: String,
    /// For people.
    pub title: String,
    /// ISO 4217, three capital letters.
    pub currency: String,
    /// How long seats are held before checkout; unset is two minutes.
    #[serde(default = "hold_ms")]
    pub hold_ms: i64,
    /// How long there is to pay after checkout; unset is seven minutes.
    #[serde(default = "pay_ms")]
    pub pay_ms: i64,
    /// Seats in one order, at most 16.
    pub seats_max: i64,
    /// Seats that one customer may hold and have in the whole sale; unset is no limit.
    #[serde(default)]
    pub seats_per_customer_max: Option<i64>,
    /// When it begins; unset is at once. As every time: `2026-12-01T20:00:00Z` or epoch milliseconds.
    #[serde(default, deserialize_with = "instant::or_none")]
    pub starts_at: Option<i64>,
    /// When it ends: nothing new is held or ordered. What is held by then can still be checked out and paid.
    #[serde(default, deserialize_with = "instant::or_none")]
    pub ends_at: Option<i64>,
    /// What happens to who would leave a single seat alone.
    #[serde(default)]
    pub orphans: OrphanRule,
    /// How much longer a hold lasts when its holder asks for it, once; 0 is not at all.
    #[serde(default)]
    pub extend_ms: i64,
    /// Until when customers may cancel what they have booked, and get their money back; unset is never.
    #[serde(default, deserialize_with = "instant::or_none")]
    pub cancel_until: Option<i64>,
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
    /// When the film begins.
    #[serde(deserialize_with = "instant::needed")]
    pub starts_at: i64,
}

/// A product with stock.
#[derive(Clone, Debug, Default, Deserialize)]
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
    /// The most that one customer may hold and have of it; unset is no limit.
    #[serde(default)]
    pub per_customer_max: Option<i64>,
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
    /// From when coupons can be had and used; unset is at once.
    #[serde(default, deserialize_with = "instant::or_none")]
    pub starts_at: Option<i64>,
    /// When that is over; unset is never.
    #[serde(default, deserialize_with = "instant::or_none")]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeded {
    /// New sales.
    pub sales: u64,
    /// New films.
    pub films: u64,
    /// New screenings, with all their seats.
    pub screenings: u64,
    /// New products.
    pub products: u64,
    /// New seats, those that are not for sale included.
    pub seats: u64,
    /// New campaigns.
    pub campaigns: u64,
    /// What was there and is not as the catalogue has it. It stays as it was: a sentence each.
    pub differences: Vec<String>,
}

/// Why a catalogue was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Something in it does not fit: all that was found. Nothing was stored.
    #[error("the catalogue is not usable: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Fault>),
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
    pub(super) fn places(&self) -> Vec<Seat<'_>> {
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

impl Catalogue {
    /// How many things it has, each seat counted: what a seeding's progress is measured by.
    pub fn size(&self) -> u64 {
        let seats =
            |screening: &Screening| self.hall(screening).iter().map(|row| row.places().len()).sum::<usize>() + 1;
        let sale = |sale: &Sale| {
            sale.screenings.iter().map(seats).sum::<usize>() + sale.products.len() + sale.campaigns.len() + 1
        };
        let all = self.films.len() + self.sales.iter().map(sale).sum::<usize>();
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// The rows of a screening's hall.
    pub(super) fn hall(&self, screening: &Screening) -> &[HallRow] {
        let hall = self.halls.iter().find(|hall| hall.name == screening.hall);
        hall.map(|hall| hall.rows.as_slice()).unwrap_or_default()
    }
}

/// Stores what is not there yet.
pub(crate) async fn seed(db: &Db, catalogue: &Catalogue) -> Result<Seeded, SeedError> {
    seed_telling(db, catalogue, &|_| ()).await
}

/// Stores what is not there yet, after all of it was looked through. Each screening comes with all its seats or not at
/// all, so whatever interrupts a seeding, the next one goes on. `progress` hears how much of [`Catalogue::size`] is done.
pub(crate) async fn seed_telling(
    db: &Db,
    catalogue: &Catalogue,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Seeded, SeedError> {
    let faults = faults(catalogue);
    if !faults.is_empty() {
        return Err(SeedError::Invalid(faults));
    }
    let mut seeded = Seeded { differences: compare::differences(db, catalogue).await?, ..Seeded::default() };
    for (place, film) in (0_i64..).zip(&catalogue.films) {
        seeded.films += u64::from(in_tx!(db, tx, { store::add_film(tx, place, film).await })?);
        progress(1);
    }
    for sale in &catalogue.sales {
        seeded.sales += u64::from(in_tx!(db, tx, { store::add_sale(tx, sale).await })?);
        progress(1);
        seed_sale(db, catalogue, sale, &mut seeded, progress).await?;
    }
    Ok(seeded)
}

async fn seed_sale(
    db: &Db,
    catalogue: &Catalogue,
    sale: &Sale,
    seeded: &mut Seeded,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), SeedError> {
    for screening in &sale.screenings {
        let seats: Vec<Seat<'_>> = catalogue.hall(screening).iter().flat_map(HallRow::places).collect();
        let count = u64::try_from(seats.len()).unwrap_or(u64::MAX);
        if in_tx!(db, tx, { store::add_screening(tx, &sale.id, screening, &seats).await })? {
            seeded.screenings += 1;
            seeded.seats += count;
        }
        progress(count + 1);
    }
    for (place, product) in (0_i64..).zip(&sale.products) {
        seeded.products += u64::from(in_tx!(db, tx, { store::add_product(tx, &sale.id, place, product).await })?);
        progress(1);
    }
    for campaign in &sale.campaigns {
        seeded.campaigns += u64::from(in_tx!(db, tx, { store::add_campaign(tx, &sale.id, campaign).await })?);
        progress(1);
    }
    Ok(())
}
