//! Renders every page of the shop and the sandbox processor, to `target/pages/` for looking at, and checks what no
//! page may contain.

use super::films::{Film, FilmPage, FilmsPage, SaleState, Screening, ScreeningPage};
use super::seats::{Cell, Seat, SeatState, SeatsPage, Why, rows};
use super::*;
use crate::http::asset;
use std::path::PathBuf;

mod buying;
mod outside;

fn pages_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/pages")
}

fn write(name: &str, bytes: &[u8]) {
    let path = pages_dir().join(name);
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folder");
    std::fs::write(&path, bytes).expect("write");
}

/// Writes a page, and fails if it contains what the policy would refuse, or text that was not escaped.
fn keep<T: Template>(name: &str, page: &T) -> String {
    let html = page.render().expect("renders");
    write(name, html.as_bytes());
    let lower = html.to_lowercase();
    assert!(!lower.contains(" style="), "{name}: style attribute");
    assert!(!lower.contains("<b>evil"), "{name}: not escaped");
    for tag in lower.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let handler = tag.split_whitespace().any(|word| word.starts_with("on") && word.contains('='));
        assert!(!handler, "{name}: event handler in <{tag}>");
        assert!(!tag.starts_with("script") || tag.contains(" src=\"/static/"), "{name}: script in <{tag}>");
        assert!(!tag.contains("src=\"http") && !tag.contains("src=\"//"), "{name}: elsewhere in <{tag}>");
    }
    html
}

fn layout(here: &str) -> Layout {
    Layout { customer: Some("ada@example.org".to_owned()), here: here.to_owned(), flash: None }
}

fn euro(amount: i64) -> Price {
    Price { amount, currency: "EUR".to_owned() }
}

/// Saturday 21 November 2026, 19:00.
const EVENING: Moment = Moment { at_ms: 1_795_287_600_000 };

fn film(id: &str, title: &str, genre: &str, synopsis: &str) -> Film {
    Film {
        id: id.to_owned(),
        title: title.to_owned(),
        synopsis: synopsis.to_owned(),
        genre: genre.to_owned(),
        minutes: 104,
        poster_url: format!("/static/posters/{id}.svg"),
    }
}

fn lighthouse() -> Film {
    film(
        "the-last-lighthouse",
        "The Last Lighthouse",
        "Drama",
        "The lamp is to be switched off on Sunday. Its keeper has other plans, and so has the sea.",
    )
}

fn screening(id: &str, seats_free: i64, state: SaleState) -> Screening {
    Screening {
        id: id.to_owned(),
        film_title: "The Last Lighthouse".to_owned(),
        hall: "Hall 1".to_owned(),
        starts_at: EVENING,
        price_from: euro(1_200),
        seats_total: 204,
        seats_free,
        state,
    }
}

/// A hall of 204 seats with two aisles, as the demonstration has it.
fn hall() -> Vec<Seat> {
    let mut seats = Vec::new();
    for (r, row) in "ABCDEFGHIJKLMN".chars().enumerate() {
        let (section, amount) = match r {
            0..=4 => ("Stalls", 1_200),
            5..=9 => ("Middle", 1_600),
            _ => ("Balcony", 1_400),
        };
        let (first, last) = if r < 3 { (3, 14) } else { (1, if r == 13 { 12 } else { 16 }) };
        for place in first..=last {
            let number = place - first + 1;
            let column = place + i64::from(place > 4) + i64::from(place > 12);
            let lot = (r * 31 + usize::try_from(place).expect("small") * 17) % 23;
            let state = match lot {
                _ if row == 'H' && (number == 9 || number == 10) => SeatState::Free,
                _ if row == 'G' && number == 8 => SeatState::Held,
                0..=5 => SeatState::Sold,
                6 | 7 => SeatState::Held,
                _ if r == 13 && place < 3 => SeatState::Blocked,
                _ => SeatState::Free,
            };
            seats.push(Seat {
                name: format!("{row}{number}"),
                row: row.to_string(),
                number,
                column,
                section: section.to_owned(),
                wheelchair: r == 3 && !(3..=14).contains(&place),
                price: euro(amount),
                state,
                mine: row == 'G' && number == 8,
                picked: row == 'H' && (number == 9 || number == 10),
            });
        }
    }
    seats
}

#[test]
fn films_render() {
    let films = vec![
        lighthouse(),
        film(
            "paper-cities",
            "Paper Cities",
            "Adventure",
            "Two cousins fold a town that does not want to stay flat. Hand-made, and made for all ages.",
        ),
        film(
            "a-map-of-rain",
            "A Map of Rain",
            "Romance",
            "She draws where it will fall; he forgets his umbrella. A small film about long walks.",
        ),
    ];
    let html = keep("shop/films.html", &FilmsPage { layout: layout("/films"), films });
    assert!(html.contains("data-testid=\"film-paper-cities\""));
    let screenings = vec![
        screening("lighthouse-1900", 132, SaleState::OnSale),
        screening("lighthouse-2130", 0, SaleState::AllHeld),
        screening("lighthouse-2330", 0, SaleState::SoldOut),
    ];
    keep("shop/film.html", &FilmPage { layout: layout("/films/x"), film: lighthouse(), screenings });
    keep(
        "shop/screening.html",
        &ScreeningPage {
            layout: layout("/screenings/lighthouse-1900"),
            film: lighthouse(),
            screening: screening("lighthouse-1900", 132, SaleState::OnSale),
            seats_max: 8,
            hold_ms: 120_000,
            pay_ms: 420_000,
        },
    );
}

#[test]
fn the_seat_map_renders() {
    let mut page = SeatsPage {
        layout: layout("/screenings/lighthouse-1900/seats"),
        screening: screening("lighthouse-1900", 132, SaleState::OnSale),
        rows: rows(hall()),
        may_return_in_ms: None,
        seats_max: 8,
        hold_ms: 120_000,
        refused: Why::Not,
        offers: Vec::new(),
        idempotency_key: "k".to_owned(),
    };
    let html = keep("shop/seats.html", &page);
    assert!(html.contains("aria-label=\"Row A, seat 1, Stalls, €12.00, "));
    assert_eq!(html.matches("type=\"checkbox\"").count(), 208);
    assert_eq!(html.matches(" checked").count(), 2);
    page.refused = Why::LeavesAlone(vec!["H8".to_owned()]);
    assert!(keep("shop/seats-alone.html", &page).contains("Seat H8 would stay alone"));
    page.refused = Why::Taken(vec!["H9".to_owned(), "H10".to_owned()]);
    page.offers = vec![Link { path: "/screenings/x/seats?pick=G9,G10".to_owned(), label: "G9, G10".to_owned() }];
    let lost = keep("shop/seats-lost.html", &page);
    assert!(lost.contains("Seats H9, H10 have just been taken"));
    assert!(lost.contains("href=\"/screenings/x/seats?pick=G9,G10\""));
    (page.screening.state, page.may_return_in_ms) = (SaleState::AllHeld, Some(61_500));
    assert!(keep("shop/seats-held.html", &page).contains("runs out in 1:02"));
    (page.screening.state, page.may_return_in_ms) = (SaleState::NotStarted(EVENING), None);
    assert!(keep("shop/seats-early.html", &page).contains("The sale begins on"));
}

#[test]
fn rows_are_as_wide_as_the_hall() {
    let rows = rows(hall().into_iter().rev().collect());
    assert_eq!(rows.first().map(|row| row.row.as_str()), Some("A"));
    assert!(rows.iter().all(|row| row.cells.len() == 18));
    let gaps = |row: &super::seats::SeatRow| row.cells.iter().filter(|cell| matches!(cell, Cell::Gap)).count();
    assert_eq!(rows.iter().map(gaps).collect::<Vec<_>>(), [6, 6, 6, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 6]);
    assert_eq!(rows.iter().filter(|row| row.starts_block).count(), 3);
}

#[test]
fn foreign_words_are_escaped() {
    let mut evil = lighthouse();
    evil.title = "<b>evil</b>".to_owned();
    evil.synopsis = "\"<b>evil</b>".to_owned();
    let mut layout = layout("/films?\"><b>evil</b>&next=//x");
    layout.customer = None;
    layout.flash = Some(Flash { bad: true, text: "<b>evil</b>".to_owned() });
    keep("shop/escaped.html", &FilmPage { layout, film: evil, screenings: Vec::new() });
}

#[test]
fn money_and_time_are_written_for_people() {
    assert_eq!(euro(123_456_789).to_string(), "€1,234,567.89");
    assert_eq!(euro(-5).to_string(), "−€0.05");
    assert_eq!(Price { amount: 1_500, currency: "JPY".to_owned() }.to_string(), "¥1,500");
    assert_eq!(Price { amount: 1_500, currency: "SEK".to_owned() }.to_string(), "15.00\u{a0}SEK");
    assert_eq!((EVENING.date(), EVENING.time()), ("Sat 21 November".to_owned(), "19:00".to_owned()));
    assert_eq!(EVENING.iso(), "2026-11-21T19:00:00Z");
    assert_eq!(Moment { at_ms: i64::MAX }.date(), "");
    assert_eq!(
        (span(120_000), span(60_000), span(90_000)),
        ("2 minutes".into(), "1 minute".into(), "90 seconds".into())
    );
    assert_eq!((clock(119_001), clock(-1)), ("2:00".to_owned(), "0:00".to_owned()));
}

#[test]
fn assets_are_found_by_path() {
    write("shop/policy.txt", asset::CONTENT_SECURITY_POLICY.as_bytes());
    for asset in asset::all() {
        assert_eq!(asset::asset(asset.path).map(|found| &found.etag), Some(&asset.etag));
        write(&format!("static/{}", asset.path), asset.bytes);
    }
    assert!(asset::asset("../page.rs").is_none());
}
