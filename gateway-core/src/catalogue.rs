//! What is on sale: films, screenings with their seats, products; and how much of it is left. Sells nothing.

mod check;
mod compare;
mod demo;
mod instant;
mod seed;
mod store;
#[cfg(test)]
mod tests;

use serde::Deserialize;

pub use check::Fault;
pub use seed::{
    Campaign, Catalogue, Film as FilmEntry, Hall, HallRow, Product as ProductEntry, Sale as SaleEntry,
    Screening as ScreeningEntry, SeedError, Seeded,
};
pub(crate) use seed::{seed, seed_telling};

use crate::base::{Currency, CustomerId, Money};
use crate::db::{Db, DbError};

/// A film.
#[derive(Clone, Debug)]
pub(crate) struct Film {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) synopsis: String,
    pub(crate) genre: String,
    pub(crate) minutes: i64,
    pub(crate) poster_url: String,
}

/// A screening and how much of it is left.
#[derive(Clone, Debug)]
pub(crate) struct Screening {
    pub(crate) id: String,
    pub(crate) film_id: String,
    pub(crate) film_title: String,
    pub(crate) hall: String,
    pub(crate) starts_at: i64,
    pub(crate) sale: Windows,
    pub(crate) opening: Opening,
    pub(crate) left: Left,
    pub(crate) price_from: i64,
}

/// The windows and limits of the sale that something belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    pub(crate) currency: Currency,
    pub(crate) hold_ms: i64,
    pub(crate) pay_ms: i64,
    pub(crate) seats_max: i64,
}

/// Whether a sale sells, by the database's clock when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Open,
    /// It begins then.
    NotStarted {
        starts_at: i64,
    },
    /// It ended then.
    Ended {
        ends_at: i64,
    },
}

impl Opening {
    /// `starts_at` itself is in the sale, `ends_at` is not.
    pub(crate) fn at(starts_at: Option<i64>, ends_at: Option<i64>, now_ms: i64) -> Self {
        match (starts_at, ends_at) {
            (Some(starts_at), _) if now_ms < starts_at => Self::NotStarted { starts_at },
            (_, Some(ends_at)) if now_ms >= ends_at => Self::Ended { ends_at },
            _ => Self::Open,
        }
    }

    fn state(self, left: Left) -> SaleState {
        match self {
            Self::Open => left.state(),
            Self::NotStarted { starts_at } => SaleState::NotStarted { starts_at },
            Self::Ended { .. } => SaleState::Ended,
        }
    }
}

impl Screening {
    /// What a buyer can expect.
    pub(crate) fn state(&self) -> SaleState {
        self.opening.state(self.left)
    }
}

impl Product {
    /// What a buyer can expect.
    pub(crate) fn state(&self) -> SaleState {
        self.opening.state(self.left)
    }
}

/// What happens to who picks seats so that a single one stays alone between others, where picking elsewhere would not
/// leave one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrphanRule {
    /// Nothing.
    #[default]
    Off,
    /// The answer says so.
    Warn,
    /// The pick is refused.
    Deny,
}

impl OrphanRule {
    const ALL: [Self; 3] = [Self::Off, Self::Warn, Self::Deny];

    /// The word in files and in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }

    /// Reads [`OrphanRule::as_str`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }
}

/// How many are left. What has lapsed counts as free, swept or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) free: i64,
    pub(crate) held: i64,
    pub(crate) sold: i64,
}

/// What a buyer can expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaleState {
    OnSale,
    /// Nothing free, but holds that lapse may bring some back.
    AllHeld,
    SoldOut,
    /// Nothing is sold before then.
    NotStarted {
        starts_at: i64,
    },
    /// Nothing is sold any more.
    Ended,
}

impl Left {
    /// Free, held and sold together.
    pub(crate) fn total(self) -> i64 {
        self.free + self.held + self.sold
    }

    /// What a buyer can expect of an open sale.
    fn state(self) -> SaleState {
        match (self.free, self.held) {
            (1.., _) => SaleState::OnSale,
            (_, 1..) => SaleState::AllHeld,
            _ => SaleState::SoldOut,
        }
    }
}

impl SaleState {
    /// The word in answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OnSale => "on_sale",
            Self::AllHeld => "all_held",
            Self::SoldOut => "sold_out",
            Self::NotStarted { .. } => "not_started",
            Self::Ended => "ended",
        }
    }
}

/// A seat on the map.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) name: String,
    pub(crate) row: String,
    pub(crate) number: i64,
    /// Place in the grid from 1; a jump between neighbours is an aisle.
    pub(crate) column: i64,
    pub(crate) section: String,
    pub(crate) wheelchair: bool,
    pub(crate) price: i64,
    pub(crate) state: SeatState,
    /// Kept or bought by the customer who asks.
    pub(crate) mine: bool,
}

/// Who has a seat, as shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeatState {
    Free,
    Held,
    Sold,
    Blocked,
}

impl SeatState {
    /// The word in answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Blocked => "blocked",
        }
    }
}

/// A product and how much of it is left.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) price: Money,
    pub(crate) per_order_max: i64,
    pub(crate) pay_ms: i64,
    pub(crate) opening: Opening,
    pub(crate) capacity: i64,
    pub(crate) left: Left,
}

/// What is left of one sale, seats and products together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaleLeft {
    pub(crate) sale: String,
    pub(crate) left: Left,
}

/// All films, in their order.
pub(crate) async fn films(db: &Db) -> Result<Vec<Film>, DbError> {
    store::films(db).await
}

/// One film.
pub(crate) async fn film(db: &Db, id: &str) -> Result<Option<Film>, DbError> {
    store::film(db, id).await
}

/// The screenings of a film, in order of time.
pub(crate) async fn screenings(db: &Db, film: &str) -> Result<Vec<Screening>, DbError> {
    store::screenings(db, film).await
}

/// One screening.
pub(crate) async fn screening(db: &Db, id: &str) -> Result<Option<Screening>, DbError> {
    store::screening(db, id).await
}

/// The seats of a screening as `viewer` sees them.
pub(crate) async fn seats(db: &Db, screening: &str, viewer: Option<CustomerId>) -> Result<Vec<Seat>, DbError> {
    store::seats(db, screening, viewer).await
}

/// All products, in their order.
pub(crate) async fn products(db: &Db) -> Result<Vec<Product>, DbError> {
    store::products(db).await
}

/// One product.
pub(crate) async fn product(db: &Db, id: &str) -> Result<Option<Product>, DbError> {
    Ok(store::products(db).await?.into_iter().find(|product| product.id == id))
}

/// What is left of each sale.
pub(crate) async fn remaining(db: &Db) -> Result<Vec<SaleLeft>, DbError> {
    store::remaining(db).await
}
