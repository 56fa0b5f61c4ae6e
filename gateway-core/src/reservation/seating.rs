//! Where people sit, pure: the best seats that are left, seats that would stay alone, and what is near to what was lost.
//!
//! A block is seats of one row and one section next to each other, without an aisle between. Its cost is how far its
//! middle is from the middle of the hall, in seats, plus 1.4 for each row that it is away from where one sees best:
//! 62 % of the way back, over the rows that have such seats. The cheapest block is the best, the front and left one
//! among equals. A block that leaves a single seat alone comes after all that leave none.

use std::collections::BTreeSet;

/// Of a cost: what one seat to the side is worth.
const SEAT_COST: i64 = 100;

/// Where one sees best, in hundredths of the way back.
const BEST_ROW_PERCENT: i64 = 62;

/// A hundredth of a row, as tenths of a cost: 1.4 seats a row.
const ROW_COST_TENTHS: i64 = 14;

/// How many blocks are offered in place of what was lost.
const OFFERS_MAX: usize = 3;

/// Whether somebody can have a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Free,
    /// Somebody keeps it and may give it back, in so many milliseconds at the latest unless it is being paid for.
    Kept(Option<i64>),
    /// Sold, or not for sale.
    Gone,
}

/// One seat of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) row: String,
    pub(crate) column: i64,
    pub(crate) section: String,
    pub(crate) wheelchair: bool,
    pub(crate) standing: Standing,
}

/// Seats that somebody wants without naming them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Best {
    pub(crate) quantity: usize,
    /// How many of them are wheelchair spaces; the others are none.
    pub(crate) wheelchair: usize,
    pub(crate) section: Option<String>,
}

/// Why there is no such block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBlock {
    /// So many are free next to each other at most.
    Together(usize),
    /// None is free; some are kept and may come back, the first of them in so many milliseconds.
    Kept(Option<i64>),
    Gone,
}

/// The hall, front row first, each row from left to right.
#[derive(Debug)]
pub(crate) struct Hall {
    rows: Vec<Vec<Place>>,
    /// Twice the column of the middle.
    middle: i64,
}

struct Block<'a> {
    row: usize,
    places: &'a [Place],
    lonely: bool,
}

impl Block<'_> {
    fn names(&self) -> Vec<String> {
        self.places.iter().map(|place| place.name.clone()).collect()
    }

    /// Twice the column of its middle.
    fn middle(&self) -> i64 {
        self.places.first().map_or(0, |place| place.column) + self.places.last().map_or(0, |place| place.column)
    }
}

impl Hall {
    /// Seats in any order; rows are ordered `A` to `Z`, then `AA`.
    pub(crate) fn new(mut places: Vec<Place>) -> Self {
        places.sort_by(|a, b| (a.row.len(), &a.row, a.column).cmp(&(b.row.len(), &b.row, b.column)));
        let columns = || places.iter().map(|place| place.column);
        let middle = columns().min().unwrap_or(0) + columns().max().unwrap_or(0);
        let mut rows: Vec<Vec<Place>> = Vec::new();
        for place in places {
            match rows.last_mut().filter(|row| row.last().is_some_and(|last| last.row == place.row)) {
                Some(row) => row.push(place),
                None => rows.push(vec![place]),
            }
        }
        Self { rows, middle }
    }

    /// The best block, or that after so many better ones: who lost a race looks a little further.
    pub(crate) fn best(&self, wanted: &Best, skip: usize) -> Result<Vec<String>, NoBlock> {
        let mut blocks = self.blocks(wanted);
        let rows: BTreeSet<usize> = self.rows_of(wanted.section.as_deref()).collect();
        let ideal = BEST_ROW_PERCENT * (as_i64(rows.len()) - 1);
        let nth = |row: usize| as_i64(rows.iter().position(|one| *one == row).unwrap_or(0));
        let cost = |block: &Block<'_>| distance(block.middle() - self.middle, 100 * nth(block.row) - ideal);
        blocks.sort_by_key(|block| (block.lonely, cost(block), block.row, block.middle()));
        let as_good = blocks.iter().take_while(|block| block.lonely == blocks[0].lonely).count();
        match blocks.get(skip.min(as_good.saturating_sub(1))) {
            Some(block) => Ok(block.names()),
            None => Err(self.why_none(wanted)),
        }
    }

    /// Those free seats that would stay alone if these were taken: nobody beside them, where somebody could have sat.
    pub(crate) fn left_alone(&self, picked: &[String]) -> Vec<String> {
        let mut alone = Vec::new();
        for row in &self.rows {
            let taken = |column: i64| row.iter().any(|place| place.column == column && picked.contains(&place.name));
            let free = |column: i64| {
                !taken(column) && row.iter().any(|place| place.column == column && place.standing == Standing::Free)
            };
            let lonely = |place: &&Place| {
                let beside = [place.column - 1, place.column + 1];
                !place.wheelchair
                    && free(place.column)
                    && beside.into_iter().any(taken)
                    && !beside.into_iter().any(free)
            };
            alone.extend(row.iter().filter(lonely).map(|place| place.name.clone()));
        }
        alone
    }

    /// Whether as many seats of the same kind can be had together without leaving one alone.
    pub(crate) fn could_leave_none_alone(&self, picked: &[String]) -> bool {
        self.blocks(&self.like(picked)).iter().any(|block| !block.lonely)
    }

    /// Blocks of as many seats of the same kind, the nearest first; none shares a seat with another.
    pub(crate) fn near(&self, wanted: &[String]) -> Vec<Vec<String>> {
        let mut blocks = self.blocks(&self.like(wanted));
        let places = self.rows.iter().enumerate();
        let at: Vec<(i64, i64)> = places
            .flat_map(|(row, places)| places.iter().map(move |place| (row, place)))
            .filter(|(_, place)| wanted.contains(&place.name))
            .map(|(row, place)| (100 * as_i64(row), 2 * place.column))
            .collect();
        let Some(count) = Some(as_i64(at.len())).filter(|count| *count > 0) else { return Vec::new() };
        let row = at.iter().map(|(row, _)| row).sum::<i64>() / count;
        let middle = at.iter().map(|(_, column)| column).sum::<i64>() / count;
        let far = |block: &Block<'_>| distance(block.middle() - middle, 100 * as_i64(block.row) - row);
        blocks.sort_by_key(|block| (block.lonely, far(block), block.row, block.middle()));
        let mut offers: Vec<Vec<String>> = Vec::new();
        for block in blocks {
            let names = block.names();
            if !offers.iter().flatten().any(|seat| names.contains(seat)) {
                offers.push(names);
            }
            if offers.len() == OFFERS_MAX {
                break;
            }
        }
        offers
    }

    /// What these seats are, as a wish.
    fn like(&self, seats: &[String]) -> Best {
        let wheelchair = |place: &&Place| place.wheelchair && seats.contains(&place.name);
        let wheelchair = self.rows.iter().flatten().filter(wheelchair).count();
        Best { quantity: seats.len(), wheelchair, section: None }
    }

    fn rows_of<'a>(&'a self, section: Option<&'a str>) -> impl Iterator<Item = usize> + 'a {
        let has = move |row: &Vec<Place>| section.is_none_or(|name| row.iter().any(|place| place.section == name));
        self.rows.iter().enumerate().filter(move |(_, row)| has(row)).map(|(n, _)| n)
    }

    fn blocks(&self, wanted: &Best) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        if wanted.quantity == 0 {
            return blocks;
        }
        for (row, places) in self.rows.iter().enumerate() {
            for block in places.windows(wanted.quantity).filter(|block| fits(block, wanted)) {
                blocks.push(Block { row, places: block, lonely: leaves_alone(places, block) });
            }
        }
        blocks
    }

    fn why_none(&self, wanted: &Best) -> NoBlock {
        let like = |place: &&Place| wanted.section.as_ref().is_none_or(|section| place.section == *section);
        if self.rows.iter().flatten().filter(like).any(|place| place.standing == Standing::Free) {
            let fewer = (1..wanted.quantity).rev();
            let fewer = fewer.filter(|n| *n >= wanted.wheelchair);
            let mut fewer = fewer.map(|quantity| Best { quantity, ..wanted.clone() });
            return NoBlock::Together(fewer.find(|best| !self.blocks(best).is_empty()).map_or(0, |best| best.quantity));
        }
        let kept = |place: &Place| match place.standing {
            Standing::Kept(in_ms) => Some(in_ms),
            Standing::Free | Standing::Gone => None,
        };
        let kept: Vec<Option<i64>> = self.rows.iter().flatten().filter(like).filter_map(kept).collect();
        if kept.is_empty() { NoBlock::Gone } else { NoBlock::Kept(kept.into_iter().flatten().min()) }
    }
}

/// Two columns doubled, and rows in hundredths, as one cost.
fn distance(doubled_columns: i64, hundredths_of_rows: i64) -> i64 {
    doubled_columns.abs() * SEAT_COST / 2 + hundredths_of_rows.abs() * ROW_COST_TENTHS / 10
}

fn as_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX / 1_000)
}

fn fits(block: &[Place], wanted: &Best) -> bool {
    let first = block.first();
    let beside = |pair: &[Place]| matches!(pair, [a, b] if a.column + 1 == b.column && a.section == b.section);
    block.iter().all(|place| place.standing == Standing::Free)
        && block.windows(2).all(beside)
        && block.iter().filter(|place| place.wheelchair).count() == wanted.wheelchair
        && wanted.section.as_ref().is_none_or(|section| first.is_some_and(|place| place.section == *section))
}

/// [`Hall::left_alone`] for a block: only the two seats at its ends can be.
fn leaves_alone(row: &[Place], block: &[Place]) -> bool {
    let (Some(first), Some(last)) = (block.first(), block.last()) else { return false };
    let free = |column: i64| {
        let found = row.binary_search_by_key(&column, |place| place.column).ok().and_then(|at| row.get(at));
        found.filter(|place| place.standing == Standing::Free)
    };
    let alone = |beside: i64, beyond: i64| free(beside).is_some_and(|seat| !seat.wheelchair) && free(beyond).is_none();
    alone(first.column - 1, first.column - 2) || alone(last.column + 1, last.column + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A row a line: `s` free, `w` a free wheelchair space, `h` kept, and the shorter the further right, `p` being paid for,
    /// `x` gone, `.` a gap. Rows from `C` on are the circle.
    fn hall(lines: &[&str]) -> Hall {
        let mut places = Vec::new();
        for (row, line) in ('A'..).zip(lines) {
            let mut number = 0;
            for (column, what) in (1..).zip(line.chars()).filter(|(_, what)| *what != '.') {
                number += 1;
                places.push(Place {
                    name: format!("{row}{number}"),
                    row: row.to_string(),
                    column,
                    section: String::from(if row < 'C' { "Stalls" } else { "Circle" }),
                    wheelchair: what == 'w',
                    standing: match what {
                        's' | 'w' => Standing::Free,
                        'h' => Standing::Kept(Some(1_000 - column)),
                        'p' => Standing::Kept(None),
                        _ => Standing::Gone,
                    },
                });
            }
        }
        Hall::new(places)
    }

    fn best(quantity: usize) -> Best {
        Best { quantity, wheelchair: 0, section: None }
    }

    fn text(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_middle_of_the_best_row_is_the_best() {
        let empty = hall(&["sssss", "sssss", "sssss", "sssss"]);
        assert_eq!(empty.best(&best(1), 0), Ok(text(&["C3"])));
        assert_eq!(empty.best(&best(3), 0), Ok(text(&["C1", "C2", "C3"])), "C2 to C4 would leave two alone");
        let stalls = Best { section: Some(String::from("Stalls")), ..best(5) };
        assert_eq!(empty.best(&stalls, 0), Ok(text(&["B1", "B2", "B3", "B4", "B5"])));
    }

    #[test]
    fn who_lost_looks_further_but_leaves_nobody_alone_if_it_can_be() {
        let narrow = hall(&["ss.sss"]);
        assert_eq!(narrow.best(&best(2), 0), Ok(text(&["A1", "A2"])), "A3 and A4 would leave A5 alone");
        assert_eq!(narrow.best(&best(2), 5), Ok(text(&["A1", "A2"])));
        assert_eq!(hall(&["sss"]).best(&best(2), 0), Ok(text(&["A1", "A2"])), "rather that than nothing");
    }

    #[test]
    fn wheelchair_spaces_are_for_who_asks() {
        let row = hall(&["wsss"]);
        assert_eq!(row.best(&best(4), 0), Err(NoBlock::Together(3)));
        assert_eq!(row.best(&Best { wheelchair: 1, ..best(2) }, 0), Ok(text(&["A1", "A2"])));
        assert_eq!(row.best(&Best { wheelchair: 2, ..best(2) }, 0), Err(NoBlock::Together(0)));
    }

    #[test]
    fn nothing_free_is_sold_out_only_if_nothing_can_come_back() {
        assert_eq!(hall(&["xhx"]).best(&best(1), 0), Err(NoBlock::Kept(Some(998))));
        assert_eq!(hall(&["hph"]).best(&best(1), 0), Err(NoBlock::Kept(Some(997))), "the first of them");
        assert_eq!(hall(&["xp"]).best(&best(1), 0), Err(NoBlock::Kept(None)), "nobody knows when");
        assert_eq!(hall(&["xxx"]).best(&best(1), 0), Err(NoBlock::Gone));
        let stalls = Best { section: Some(String::from("Stalls")), ..best(1) };
        assert_eq!(hall(&["x", "x", "s"]).best(&stalls, 0), Err(NoBlock::Gone));
    }

    #[test]
    fn a_single_seat_between_others_is_left_alone() {
        let row = hall(&["sssss.ss"]);
        assert_eq!(row.left_alone(&text(&["A2"])), text(&["A1"]));
        assert_eq!(row.left_alone(&text(&["A2", "A4"])), text(&["A1", "A3", "A5"]));
        assert_eq!(row.left_alone(&text(&["A1", "A2"])), text(&[]));
        assert_eq!(row.left_alone(&text(&["A6"])), text(&["A7"]), "an aisle is a wall");
        assert_eq!(hall(&["ws"]).left_alone(&text(&["A2"])), text(&[]), "a wheelchair space is never alone");
        assert!(row.could_leave_none_alone(&text(&["A2"])));
        assert!(!hall(&["ss"]).could_leave_none_alone(&text(&["A1"])));
    }

    #[test]
    fn what_is_offered_is_near() {
        let cinema = hall(&["ssss", "hhss", "ssss"]);
        assert_eq!(cinema.near(&text(&["B1", "B2"])), [text(&["A1", "A2"]), text(&["C1", "C2"]), text(&["B3", "B4"])]);
        assert_eq!(hall(&["hh"]).near(&text(&["A1", "A2"])), [] as [Vec<String>; 0]);
    }

    fn lines() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[sssswhpx.]{1,12}", 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The block is free, of the kind that was asked for, together, and nothing better is left.
        #[test]
        fn the_best_is_what_looking_at_every_block_finds(lines in lines(), quantity in 1_usize..5, wheelchair in 0_usize..2) {
            let hall = hall(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            let wanted = Best { wheelchair, ..best(quantity) };
            let all: Vec<Vec<&Place>> = hall
                .rows
                .iter()
                .flat_map(|row| row.windows(quantity))
                .map(|block| block.iter().collect::<Vec<_>>())
                .filter(|block| {
                    block.iter().all(|place| place.standing == Standing::Free)
                        && block.windows(2).all(|pair| pair[1].column == pair[0].column + 1)
                        && block.iter().filter(|place| place.wheelchair).count() == wheelchair
                })
                .collect();
            let names = |block: &[&Place]| block.iter().map(|place| place.name.clone()).collect::<Vec<_>>();
            match hall.best(&wanted, 0) {
                Err(_) => prop_assert!(all.is_empty()),
                Ok(found) => {
                    let cost = |block: &[&Place]| {
                        let row = hall.rows.iter().position(|row| row[0].row == block[0].row).expect("its row");
                        let side = block[0].column + block[quantity - 1].column - hall.middle;
                        let back = 100 * as_i64(row) - 62 * (as_i64(hall.rows.len()) - 1);
                        (!hall.left_alone(&names(block)).is_empty(), side.abs() * 50 + back.abs() * 14 / 10)
                    };
                    let chosen = all.iter().find(|block| names(block) == found);
                    prop_assert!(chosen.is_some(), "{found:?} is no such block");
                    let least = all.iter().map(|block| cost(block)).min();
                    prop_assert_eq!(chosen.map(|block| cost(block)), least);
                }
            }
        }

        /// What is offered could be held, has as many seats, and no two offers share one.
        #[test]
        fn offers_are_free_and_apart(lines in lines(), first in 0_usize..8, many in 1_usize..4) {
            let hall = hall(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            let all: Vec<&Place> = hall.rows.iter().flatten().collect();
            let wanted: Vec<String> = all.iter().skip(first).take(many).map(|place| place.name.clone()).collect();
            let offers = hall.near(&wanted);
            let mut seen = BTreeSet::new();
            for seat in offers.iter().flatten() {
                let place = all.iter().find(|place| place.name == *seat).expect("a seat of the hall");
                prop_assert_eq!(place.standing, Standing::Free);
                prop_assert!(seen.insert(seat));
            }
            prop_assert!(offers.iter().all(|offer| offer.len() == wanted.len()) && offers.len() <= OFFERS_MAX);
        }
    }
}
