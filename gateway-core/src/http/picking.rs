//! What is asked of a hold, as JSON or a form, and why it was refused.

use serde::Deserialize;
use serde_json::json;

use super::body::{Fields, FromForm};
use super::flashsale::{self, all_held, closed, over_limit};
use super::problem::{Code, Problem};
use super::replay::key_reused;
use super::screenings::no_such_screening;
use crate::reservation::{Best, NoBlock, Pick, SeatsOutcome};

/// Seats by name or the best that are left, and products with them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Picked {
    seats: Option<Vec<String>>,
    best: Option<BestSeats>,
    #[serde(default)]
    products: Vec<flashsale::Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BestSeats {
    quantity: usize,
    section: Option<String>,
    #[serde(default)]
    wheelchair: usize,
}

impl FromForm for Picked {
    fn from_form(fields: &Fields) -> Result<Self, Problem> {
        let best = match fields.one("best").filter(|value| !value.is_empty()) {
            Some(_) => {
                let quantity = usize::try_from(fields.number("best")?).unwrap_or(0);
                Some(BestSeats { quantity, section: None, wheelchair: 0 })
            }
            None => None,
        };
        let named: Vec<String> = fields.all("seats").map(str::to_owned).collect();
        let seats = best.is_none().then_some(named);
        Ok(Self { seats, best, products: Vec::new() })
    }
}

impl Picked {
    /// The named seats, to come back to.
    pub(super) fn named(&self) -> &[String] {
        self.seats.as_deref().unwrap_or_default()
    }

    /// What the reservation is asked for.
    pub(super) fn into_parts(self) -> Result<(Pick, Vec<(String, i64)>), Problem> {
        let pick = match (self.seats, self.best) {
            (Some(seats), None) => Pick::Named(seats),
            (None, Some(best)) => {
                let BestSeats { quantity, section, wheelchair } = best;
                if wheelchair > quantity {
                    return Err(Problem::new(Code::InvalidBody)
                        .detail("wheelchair says how many of the seats are wheelchair spaces: at most quantity."));
                }
                Pick::Best(Best { quantity, wheelchair, section })
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(Problem::new(Code::InvalidBody).detail("Send either seats, by name, or best."));
            }
        };
        Ok((pick, self.products.into_iter().map(flashsale::Line::into_pair).collect()))
    }
}

/// Why nothing is held.
pub(super) fn problem(refused: SeatsOutcome) -> Problem {
    match refused {
        SeatsOutcome::Taken(seats) => Problem::new(Code::SeatsTaken)
            .detail(format!("Nothing is held for you. Taken: {}.", seats.join(", ")))
            .with("seats", seats),
        SeatsOutcome::LeavesAlone(seats) => Problem::new(Code::SeatsLeftAlone)
            .detail(format!(
                "Nothing is held for you: {} would be left alone between others. Choose seats that leave none.",
                seats.join(", ")
            ))
            .with("seats", seats),
        SeatsOutcome::NoBlock(none) => no_block(none),
        SeatsOutcome::NoSuchScreening => no_such_screening(),
        SeatsOutcome::NoSuchSeat(seats) => {
            Problem::new(Code::NoSuchSeat).detail("The hall has no such seat.").with("seats", seats)
        }
        SeatsOutcome::NoSeats => Problem::new(Code::NoSeats).detail("Choose at least one seat."),
        SeatsOutcome::TooMany { seats_max } => Problem::new(Code::TooManySeats)
            .detail(format!("One order may hold {seats_max} seats."))
            .with("seats_max", seats_max),
        SeatsOutcome::Closed(opening) => closed(opening),
        SeatsOutcome::OverLimit { had, per_customer_max } => over_limit(had, per_customer_max),
        SeatsOutcome::Products(refused) => flashsale::problem(refused),
        SeatsOutcome::KeyReused => key_reused(),
        SeatsOutcome::Held(_) | SeatsOutcome::HeldLeaving(..) => Problem::new(Code::Internal),
    }
}

fn no_block(none: NoBlock) -> Problem {
    match none {
        NoBlock::Together(most) => Problem::new(Code::NotTogether)
            .detail(match most {
                0 => String::from("There are no such seats next to each other."),
                most => format!("At most {most} such seats are free next to each other."),
            })
            .with("together_max", json!(most)),
        NoBlock::Kept(may_return_in_ms) => all_held(may_return_in_ms),
        NoBlock::Gone => Problem::new(Code::SoldOut).detail("There is no seat left."),
    }
}
