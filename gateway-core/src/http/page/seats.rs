//! The seat map: a hall as rows of cells, which posts the chosen seats as a plain form.

use super::films::{SaleState, Screening};
use super::{Layout, Link, Price, clock, span};
use askama::Template;

/// `GET /screenings/{id}/seats`
#[derive(Template)]
#[template(path = "shop/seats.html")]
pub(crate) struct SeatsPage {
    pub(crate) layout: Layout,
    pub(crate) screening: Screening,
    /// Front row first; every row has the same number of cells.
    pub(crate) rows: Vec<SeatRow>,
    /// Where all is in baskets: when the time of the first of them is over.
    pub(crate) may_return_in_ms: Option<i64>,
    /// Seats one order may hold.
    pub(crate) seats_max: i64,
    /// How long a hold lasts, in milliseconds.
    pub(crate) hold_ms: i64,
    pub(crate) refused: Why,
    /// The same map with other seats chosen, in place of what was refused.
    pub(crate) offers: Vec<Link>,
    /// Fresh for each rendering; makes a double click one hold.
    pub(crate) idempotency_key: String,
}

/// Why the pick before this one was refused (after a 409).
pub(crate) enum Why {
    /// There was none, or it was not.
    Not,
    /// Somebody else took these first.
    Taken(Vec<String>),
    /// These would stay alone between others.
    LeavesAlone(Vec<String>),
}

/// One row of the hall.
pub(crate) struct SeatRow {
    /// `A`
    pub(crate) row: String,
    /// `Stalls`
    pub(crate) section: String,
    /// Of its first seat; shown beside the section's name.
    pub(crate) price: Price,
    pub(crate) cells: Vec<Cell>,
    /// Whether another section or price begins with this row: drawn with both and a gap.
    pub(crate) starts_block: bool,
}

/// One square of the grid.
pub(crate) enum Cell {
    /// An aisle, or the missing corner of a short row.
    Gap,
    Seat(Seat),
}

/// A seat on the map.
pub(crate) struct Seat {
    /// `A1`: what the form posts.
    pub(crate) name: String,
    /// `A`
    pub(crate) row: String,
    /// 1-based, as on the chair.
    pub(crate) number: i64,
    /// 1-based place in the grid; a jump between neighbours is an aisle.
    pub(crate) column: i64,
    /// `Stalls`
    pub(crate) section: String,
    pub(crate) wheelchair: bool,
    pub(crate) price: Price,
    pub(crate) state: SeatState,
    /// Held by who is looking.
    pub(crate) mine: bool,
    /// Preselected by `?pick=A1,A2`.
    pub(crate) picked: bool,
}

/// Who has a seat.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeatState {
    Free,
    Held,
    Sold,
    /// Not for sale: broken, or kept by the house.
    Blocked,
}

impl SeatState {
    /// As in the JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Blocked => "blocked",
        }
    }
}

impl Seat {
    /// Whether it can be chosen.
    pub(crate) fn open(&self) -> bool {
        self.state == SeatState::Free
    }

    /// The state to draw: like the JSON's, with `mine` for a seat the visitor holds.
    pub(crate) fn shown(&self) -> &'static str {
        if self.mine && self.state == SeatState::Held { "mine" } else { self.state.word() }
    }

    /// The class of the chair.
    pub(crate) const fn kind(&self) -> &'static str {
        if self.wheelchair { "wheelchair" } else { "standard" }
    }

    /// What a screen reader says: `Row A, seat 1, Stalls, €12.00, free`.
    pub(crate) fn label(&self) -> String {
        let chair = if self.wheelchair { ", wheelchair space" } else { "" };
        let state = if self.mine && self.state == SeatState::Held { "held by you" } else { self.state.word() };
        format!("Row {}, seat {}, {}{chair}, {}, {state}", self.row, self.number, self.section, self.price)
    }
}

/// Lays seats, in any order, out in rows of cells, row A in front. Columns nobody sits in become gaps.
pub(crate) fn rows(mut seats: Vec<Seat>) -> Vec<SeatRow> {
    // "A" … "Z", then "AA": shorter names first.
    seats.sort_by(|a, b| (a.row.len(), &a.row, a.column).cmp(&(b.row.len(), &b.row, b.column)));
    let columns = seats.iter().map(|seat| seat.column).max().unwrap_or(0);
    let mut rows: Vec<SeatRow> = Vec::new();
    for seat in seats {
        if rows.last().is_none_or(|last| last.row != seat.row) {
            let starts_block =
                rows.last().is_none_or(|last| last.section != seat.section || last.price.amount != seat.price.amount);
            rows.push(SeatRow {
                row: seat.row.clone(),
                section: seat.section.clone(),
                price: seat.price.clone(),
                cells: Vec::new(),
                starts_block,
            });
        }
        if let Some(row) = rows.last_mut() {
            pad(&mut row.cells, seat.column - 1);
            row.cells.push(Cell::Seat(seat));
        }
    }
    for row in &mut rows {
        pad(&mut row.cells, columns);
    }
    rows
}

fn pad(cells: &mut Vec<Cell>, width: i64) {
    while i64::try_from(cells.len()).is_ok_and(|len| len < width) {
        cells.push(Cell::Gap);
    }
}
