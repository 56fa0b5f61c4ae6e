//! Looks through a catalogue before anything of it is stored: everything that cannot be, each with its place.

use std::collections::BTreeSet;
use std::fmt;

use super::seed::{Campaign, Catalogue, Film, Hall, Product, Sale, Screening};
use crate::base::Currency;

/// The most characters of a slug and of a name on a door; the columns hold no more.
const NAME_CHARS_MAX: usize = 64;

/// The most characters of a title.
const TITLE_CHARS_MAX: usize = 200;

const SYNOPSIS_CHARS_MAX: usize = 2_000;

const POSTER_CHARS_MAX: usize = 500;

/// The widest row, in seats and gaps.
const ROW_CHARS_MAX: usize = 64;

/// The longest window: a week. Longer is a slip of the pen.
const WINDOW_MS_MAX: i64 = 7 * 24 * 3_600_000;

/// The highest price, the largest stock, and the most that one line of an order comes to: the sum over an order stays far
/// from the edge.
const NUMBER_MAX: i64 = 1_000_000_000_000;

/// Something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `sales[0].screenings[2].hall`.
    pub at: String,
    /// What is wrong, and what would fit.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// All faults of a catalogue, in its order.
pub(super) fn faults(catalogue: &Catalogue) -> Vec<Fault> {
    let mut look = Look { catalogue, faults: Vec::new(), ids: BTreeSet::new() };
    for (n, film) in catalogue.films.iter().enumerate() {
        look.film(&format!("films[{n}]"), film);
    }
    for (n, hall) in catalogue.halls.iter().enumerate() {
        look.hall(&format!("halls[{n}]"), hall);
    }
    for (n, sale) in catalogue.sales.iter().enumerate() {
        look.sale(&format!("sales[{n}]"), sale);
    }
    look.faults
}

struct Look<'a> {
    catalogue: &'a Catalogue,
    faults: Vec<Fault>,
    /// What was named already, with its kind: each once.
    ids: BTreeSet<(&'static str, &'a str)>,
}

impl<'a> Look<'a> {
    fn need(&mut self, holds: bool, at: &str, name: &str, what: impl Into<String>) {
        if !holds {
            self.faults.push(Fault { at: format!("{at}.{name}"), what: what.into() });
        }
    }

    fn text(&mut self, at: &str, name: &str, text: &str, most: usize) {
        let fits = !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control);
        self.need(fits, at, name, format!("from 1 to {most} characters, on one line"));
    }

    fn number(&mut self, at: &str, name: &str, number: i64, least: i64, most: i64) {
        self.need((least..=most).contains(&number), at, name, format!("{number} is not from {least} to {most}"));
    }

    fn once(&mut self, at: &str, name: &str, kind: &'static str, id: &'a str) {
        let new = self.ids.insert((kind, id));
        self.need(new, at, name, format!("there is another {kind} {id:?}"));
    }

    fn slug(&mut self, at: &str, kind: &'static str, slug: &'a str) {
        let plain = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let fits = plain && (1..=NAME_CHARS_MAX).contains(&slug.len());
        self.need(fits, at, "id", format!("{slug:?} is no slug: a-z, 0-9 and - only, at most {NAME_CHARS_MAX}"));
        self.once(at, "id", kind, slug);
    }

    fn film(&mut self, at: &str, film: &'a Film) {
        self.slug(at, "film", &film.id);
        self.text(at, "title", &film.title, TITLE_CHARS_MAX);
        self.text(at, "synopsis", &film.synopsis, SYNOPSIS_CHARS_MAX);
        self.text(at, "genre", &film.genre, NAME_CHARS_MAX);
        self.number(at, "minutes", film.minutes, 1, 10_000);
        let own = film.poster_url.starts_with('/') && !film.poster_url.starts_with("//");
        let fits = own && film.poster_url.len() <= POSTER_CHARS_MAX;
        self.need(fits, at, "poster_url", "a path of this site, like /static/posters/film.svg");
    }

    fn hall(&mut self, at: &str, hall: &'a Hall) {
        self.text(at, "name", &hall.name, NAME_CHARS_MAX);
        self.once(at, "name", "hall", &hall.name);
        let mut rows = BTreeSet::new();
        for (n, row) in hall.rows.iter().enumerate() {
            let at = format!("{at}.rows[{n}]");
            let named = (1..=4).contains(&row.row.len()) && row.row.bytes().all(|b| b.is_ascii_uppercase());
            self.need(named, &at, "row", format!("{:?} is not one to four of A-Z", row.row));
            self.need(rows.insert(&row.row), &at, "row", format!("there is another row {:?} in this hall", row.row));
            self.text(&at, "section", &row.section, NAME_CHARS_MAX);
            self.number(&at, "price", row.price, 1, NUMBER_MAX);
            let drawn = row.seats.chars().all(|what| matches!(what, 's' | 'w' | 'x' | '.'));
            let fits = drawn && row.seats.len() <= ROW_CHARS_MAX && !row.places().is_empty();
            let what =
                format!("s a seat, w a wheelchair space, x a seat not for sale, . a gap; {ROW_CHARS_MAX} at most");
            self.need(fits, &at, "seats", what);
        }
        self.need(!hall.rows.is_empty(), at, "rows", "a hall has at least one row");
    }

    fn sale(&mut self, at: &str, sale: &'a Sale) {
        self.slug(at, "sale", &sale.id);
        self.text(at, "title", &sale.title, TITLE_CHARS_MAX);
        let currency = Currency::parse(&sale.currency).is_some();
        self.need(currency, at, "currency", format!("{:?} is not three capital letters, like EUR", sale.currency));
        self.number(at, "hold_ms", sale.hold_ms, 1, WINDOW_MS_MAX);
        self.number(at, "pay_ms", sale.pay_ms, 1, WINDOW_MS_MAX);
        self.number(at, "extend_ms", sale.extend_ms, 0, WINDOW_MS_MAX);
        self.number(at, "seats_max", sale.seats_max, 1, 16);
        if let Some(most) = sale.seats_per_customer_max {
            self.number(at, "seats_per_customer_max", most, 1, NUMBER_MAX);
        }
        if let (Some(starts), Some(ends)) = (sale.starts_at, sale.ends_at) {
            self.need(starts < ends, at, "ends_at", "a sale ends after it has started");
        }
        for (n, screening) in sale.screenings.iter().enumerate() {
            self.screening(&format!("{at}.screenings[{n}]"), screening);
        }
        for (n, product) in sale.products.iter().enumerate() {
            self.product(&format!("{at}.products[{n}]"), product);
        }
        for (n, campaign) in sale.campaigns.iter().enumerate() {
            let at = format!("{at}.campaigns[{n}]");
            self.campaign(&at, campaign);
        }
    }

    fn campaign(&mut self, at: &str, campaign: &'a Campaign) {
        self.slug(at, "campaign", &campaign.id);
        self.number(at, "coupons", campaign.coupons, 0, NUMBER_MAX);
        self.number(at, "amount_off", campaign.amount_off, 0, NUMBER_MAX);
        self.number(at, "percent_off_bp", campaign.percent_off_bp, 0, 10_000);
        self.number(at, "minimum_amount", campaign.minimum_amount, 0, NUMBER_MAX);
        let one = campaign.amount_off == 0 || campaign.percent_off_bp == 0;
        self.need(one, at, "percent_off_bp", "a campaign has amount_off or percent_off_bp, not both");
        if let (Some(starts), Some(ends)) = (campaign.starts_at, campaign.ends_at) {
            self.need(starts < ends, at, "ends_at", "a campaign ends after it has started");
        }
    }

    fn screening(&mut self, at: &str, screening: &'a Screening) {
        self.slug(at, "screening", &screening.id);
        let film = self.catalogue.films.iter().any(|film| film.id == screening.film);
        self.need(film, at, "film", format!("there is no film {:?} among `films`", screening.film));
        let hall = self.catalogue.halls.iter().any(|hall| hall.name == screening.hall);
        self.need(hall, at, "hall", format!("there is no hall {:?} among `halls`", screening.hall));
    }

    fn product(&mut self, at: &str, product: &'a Product) {
        self.slug(at, "product", &product.id);
        self.text(at, "title", &product.title, TITLE_CHARS_MAX);
        self.number(at, "price", product.price, 1, NUMBER_MAX);
        self.number(at, "per_order_max", product.per_order_max, 1, NUMBER_MAX);
        let payable = product.price.checked_mul(product.per_order_max).is_some_and(|sum| sum <= NUMBER_MAX);
        self.need(
            payable,
            at,
            "per_order_max",
            format!("so many come to more than {NUMBER_MAX}, the most for one line"),
        );
        if let Some(most) = product.per_customer_max {
            self.number(at, "per_customer_max", most, 1, NUMBER_MAX);
        }
        self.number(at, "stock", product.stock, 0, NUMBER_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small;

    fn at(change: impl FnOnce(&mut Catalogue)) -> Vec<String> {
        let mut catalogue = small(1, 1);
        change(&mut catalogue);
        faults(&catalogue).into_iter().map(|fault| fault.at).collect()
    }

    #[test]
    fn what_fits_has_no_faults() {
        assert_eq!(faults(&small(1, 1)), []);
        assert_eq!(faults(&Catalogue::demo(0)), []);
    }

    #[test]
    fn each_fault_has_its_place_and_all_are_found() {
        assert_eq!(at(|c| c.sales[0].screenings[0].hall = String::from("Hal")), ["sales[0].screenings[0].hall"]);
        assert_eq!(at(|c| c.halls[0].rows[1].seats = String::from("sSs")), ["halls[0].rows[1].seats"]);
        assert_eq!(at(|c| c.halls[0].rows[1].row = String::from("A")), ["halls[0].rows[1].row"]);
        assert_eq!(at(|c| c.films.push(c.films[0].clone())), ["films[1].id"]);
        let two = at(|c| {
            c.films[0].title = "x".repeat(201);
            c.sales[0].products[0].stock = -1;
        });
        assert_eq!(two, ["films[0].title", "sales[0].products[0].stock"]);
        let dear = at(|c| (c.sales[0].products[0].price, c.sales[0].products[0].per_order_max) = (NUMBER_MAX, 2));
        assert_eq!(dear, ["sales[0].products[0].per_order_max"]);
        let most = at(|c| c.sales[0].products[0].price = i64::MAX);
        assert_eq!(most, ["sales[0].products[0].price", "sales[0].products[0].per_order_max"]);
        let order = at(|c| (c.sales[0].starts_at, c.sales[0].ends_at) = (Some(2), Some(2)));
        assert_eq!(order, ["sales[0].ends_at"]);
    }
}
