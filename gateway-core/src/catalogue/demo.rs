//! The demo sale: three films, six screenings, one poster, a thousand coupons.

use super::seed::{Campaign, Catalogue, Film, Hall, HallRow, Product, Sale, Screening, hold_ms, pay_ms};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How much longer a hold lasts when its holder asks for it.
const EXTEND_MS: i64 = 60_000;

/// From now until the night of the demo.
const DAYS_AHEAD: i64 = 14;

/// Row, section, price in cents, seats.
const ROWS: [(&str, &str, i64, &str); 14] = [
    ("A", "Stalls", 1200, "..sss.ssssss.sss.."),
    ("B", "Stalls", 1200, ".ssss.ssssss.ssss."),
    ("C", "Stalls", 1200, ".ssss.ssssss.ssss."),
    ("D", "Stalls", 1400, ".ssss.ssssss.ssss."),
    ("E", "Stalls", 1400, "sssss.ssssss.sssss"),
    ("F", "Stalls", 1400, "sssss.ssssss.sssss"),
    ("G", "Stalls", 1400, "sssss.ssssss.sssss"),
    ("H", "Stalls", 1400, "..ssw.wsxxsw.wss.."),
    ("I", "Circle", 1800, ".ssss.ssssss.ssss."),
    ("J", "Circle", 1800, "sssss.ssssss.sssss"),
    ("K", "Circle", 1800, "sssss.ssssss.sssss"),
    ("L", "Circle", 1600, "sssss.ssssss.sssss"),
    ("M", "Circle", 1600, ".ssss.ssssss.ssss."),
    ("N", "Circle", 1600, "..sss.ssxxss.sss.."),
];

/// Film, title, genre, minutes, synopsis, short name in the ids of its screenings.
const FILMS: [(&str, &str, &str, i64, &str, &str); 3] = [
    (
        "the-last-lighthouse",
        "The Last Lighthouse",
        "Drama",
        118,
        "The keeper of the last manned light on the coast has one winter left. \
         Then a ship that should not exist answers his signal.",
        "lighthouse",
    ),
    (
        "paper-cities",
        "Paper Cities",
        "Animation",
        96,
        "A girl folds a city from her grandmother's letters, and one night it begins to fold back. \
         Drawn by hand, frame by frame.",
        "paper",
    ),
    (
        "a-map-of-rain",
        "A Map of Rain",
        "Mystery",
        107,
        "A cartographer is hired to map a valley where it has rained for nine years. \
         Every morning, her map is a little different.",
        "rain",
    ),
];

impl Catalogue {
    /// The demo sale, two weeks after `now_ms`. Its ids never change; its times are those of the first seeding.
    pub fn demo(now_ms: i64) -> Self {
        let night = now_ms - now_ms.rem_euclid(DAY_MS) + DAYS_AHEAD * DAY_MS;
        let halls = ["Hall 1", "Hall 2", "Hall 3"].map(hall);
        let films: Vec<Film> = FILMS.iter().map(film).collect();
        let screenings = FILMS.iter().zip(&halls).flat_map(|(film, hall)| showings(film, &hall.name, night));
        let sale = Sale {
            id: String::from("demo"),
            title: String::from("Opening night"),
            currency: String::from("EUR"),
            hold_ms: hold_ms(),
            pay_ms: pay_ms(),
            seats_max: 8,
            screenings: screenings.collect(),
            products: vec![Product {
                id: String::from("poster"),
                title: String::from("Signed poster: The Last Lighthouse"),
                price: 2500,
                per_order_max: 4,
                stock: 100,
                per_customer_max: None,
            }],
            campaigns: vec![Campaign {
                id: String::from("demo"),
                coupons: 1000,
                amount_off: 500,
                ..Campaign::default()
            }],
            extend_ms: EXTEND_MS,
            cancel_until: Some(night),
            ..Sale::default()
        };
        Self { films, halls: halls.into(), sales: vec![sale] }
    }
}

fn hall(name: &str) -> Hall {
    let row = |&(row, section, price, seats): &(&str, &str, i64, &str)| HallRow {
        row: row.to_owned(),
        section: section.to_owned(),
        price,
        seats: seats.to_owned(),
    };
    Hall { name: name.to_owned(), rows: ROWS.iter().map(row).collect() }
}

fn film(&(id, title, genre, minutes, synopsis, _): &(&str, &str, &str, i64, &str, &str)) -> Film {
    Film {
        id: id.to_owned(),
        title: title.to_owned(),
        synopsis: synopsis.to_owned(),
        genre: genre.to_owned(),
        minutes,
        poster_url: format!("/static/posters/{id}.svg"),
    }
}

fn showings(
    &(film, _, _, _, _, short): &(&str, &str, &str, i64, &str, &str),
    hall: &str,
    night: i64,
) -> [Screening; 2] {
    [("1900", 19 * HOUR_MS), ("2130", 21 * HOUR_MS + HOUR_MS / 2)].map(|(clock, after)| Screening {
        id: format!("{short}-{clock}"),
        film: film.to_owned(),
        hall: hall.to_owned(),
        starts_at: night + after,
    })
}
