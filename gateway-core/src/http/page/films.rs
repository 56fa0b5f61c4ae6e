//! The pages that need no entry: films, one film, one screening.

use super::{Layout, Moment, Price, span};
use askama::Template;

/// A film, as cards and headings show it.
pub(crate) struct Film {
    /// Slug: `the-last-lighthouse`.
    pub(crate) id: String,
    pub(crate) title: String,
    /// Two or three sentences.
    pub(crate) synopsis: String,
    pub(crate) genre: String,
    /// Running time in minutes.
    pub(crate) minutes: i64,
    /// Same-origin path: `/static/posters/the-last-lighthouse.svg`.
    pub(crate) poster_url: String,
}

/// A screening with how much of it is left.
pub(crate) struct Screening {
    /// Slug: `lighthouse-1900`.
    pub(crate) id: String,
    pub(crate) film_title: String,
    /// `Hall 1`
    pub(crate) hall: String,
    pub(crate) starts_at: Moment,
    /// The cheapest seat.
    pub(crate) price_from: Price,
    pub(crate) seats_total: i64,
    pub(crate) seats_free: i64,
    pub(crate) state: SaleState,
}

/// Whether something can be bought now. Screenings and products share it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaleState {
    OnSale,
    /// Nothing free, but holds that lapse may bring some back.
    AllHeld,
    SoldOut,
    /// The sale begins then.
    NotStarted(Moment),
    /// The sale is over.
    Ended,
}

impl SaleState {
    /// The stable word for tests and scripts.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::OnSale => "on_sale",
            Self::AllHeld => "all_held",
            Self::SoldOut => "sold_out",
            Self::NotStarted(_) => "not_started",
            Self::Ended => "ended",
        }
    }

    /// Whether the sale sells at all, or would if there were some.
    pub(crate) const fn open(self) -> bool {
        matches!(self, Self::OnSale | Self::AllHeld | Self::SoldOut)
    }
}

/// `GET /films`
#[derive(Template)]
#[template(path = "shop/films.html")]
pub(crate) struct FilmsPage {
    pub(crate) layout: Layout,
    pub(crate) films: Vec<Film>,
}

/// `GET /films/{id}`
#[derive(Template)]
#[template(path = "shop/film.html")]
pub(crate) struct FilmPage {
    pub(crate) layout: Layout,
    pub(crate) film: Film,
    /// In order of time.
    pub(crate) screenings: Vec<Screening>,
}

/// `GET /screenings/{id}`: the last page before the line.
#[derive(Template)]
#[template(path = "shop/screening.html")]
pub(crate) struct ScreeningPage {
    pub(crate) layout: Layout,
    pub(crate) film: Film,
    pub(crate) screening: Screening,
    /// Seats one order may hold.
    pub(crate) seats_max: i64,
    /// How long a hold lasts, in milliseconds.
    pub(crate) hold_ms: i64,
    /// How long checkout may take, in milliseconds.
    pub(crate) pay_ms: i64,
}
