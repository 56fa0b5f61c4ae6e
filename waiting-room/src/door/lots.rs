//! The draw of one room as this node knows it: numbers become positions, and anybody may check how. The table is
//! computed once, away from the threads that answer, and takes four bytes a number.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::credential::TicketKeys;
use crate::line::{Draw, DrawEvidence, Method, Phase, Snapshot, final_seed};

/// Where a number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    At(u64),
    /// The lots are drawn at the opening.
    NotDrawn,
    /// They are drawn, and this node is about to know them.
    NotKnown,
}

pub(super) struct Lots {
    keys: TicketKeys,
    room: String,
    beacon: String,
    table: ArcSwapOption<Table>,
}

/// A draw, and all that it follows from.
struct Table {
    epoch: u64,
    drawn: u64,
    digest: String,
    draw: Draw,
}

impl Table {
    fn is_of(&self, line: &Snapshot) -> bool {
        (self.epoch, self.drawn) == (line.epoch, line.drawn) && self.digest == line.digest
    }
}

impl Lots {
    pub(super) fn new(keys: &TicketKeys, room: &str, beacon: &str) -> Lots {
        let (room, beacon) = (room.to_owned(), beacon.to_owned());
        Lots { keys: keys.clone(), room, beacon, table: ArcSwapOption::empty() }
    }

    /// Computes the table if the line has drawn and this node does not have it yet.
    pub(super) async fn follow(&self, line: &Snapshot) {
        let known = self.table.load().as_ref().is_some_and(|table| table.is_of(line));
        if line.drawn == 0 || known {
            return;
        }
        let seed = final_seed(&self.seed(line), line.drawn, &line.digest, &self.beacon);
        // No line has more numbers than fit.
        let count = u32::try_from(line.drawn).unwrap_or(u32::MAX);
        match tokio::task::spawn_blocking(move || Draw::make(seed, count)).await {
            Ok(draw) => {
                let table = Table { epoch: line.epoch, drawn: line.drawn, digest: line.digest.clone(), draw };
                self.table.store(Some(Arc::new(table)));
                tracing::info!(room = self.room, drawn = line.drawn, "the lots are drawn");
            }
            Err(error) => tracing::error!(room = self.room, %error, "the order of the draw could not be computed"),
        }
    }

    /// The position of a number of this line. A room without a draw, and who came after it: the number itself.
    pub(super) fn position_of(&self, number: u64, line: &Snapshot) -> Position {
        // A line that has called somebody does not draw any more.
        let before = line.cursor == 0 && matches!(line.phase, Phase::Early | Phase::Prequeue);
        let to_come = before && line.method == Method::Draw;
        if number > line.drawn {
            return if line.drawn == 0 && to_come { Position::NotDrawn } else { Position::At(number) };
        }
        let table = self.table.load();
        let place = table.as_ref().filter(|table| table.is_of(line)).and_then(|table| table.draw.place_of(number));
        place.map_or(Position::NotKnown, Position::At)
    }

    pub(super) fn evidence(&self, line: &Snapshot) -> DrawEvidence {
        DrawEvidence::of(&self.room, line, &self.seed(line), &self.beacon)
    }

    fn seed(&self, line: &Snapshot) -> [u8; 32] {
        self.keys.draw_seed(&self.room, line.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(drawn: u64, phase: Phase) -> Snapshot {
        let digest = "00ff".to_owned();
        Snapshot { epoch: 1, issued: 40, drawn, digest, phase, method: Method::Draw, ..Snapshot::default() }
    }

    #[tokio::test]
    async fn numbers_become_positions_at_the_draw_and_stay() {
        let lots = |beacon| Lots::new(&TicketKeys::new(&[7; 32]), "demo", beacon);
        let one = lots("");
        assert_eq!(one.position_of(3, &line(0, Phase::Prequeue)), Position::NotDrawn);
        assert_eq!(one.position_of(3, &line(0, Phase::Running)), Position::At(3), "nobody registered: no draw");
        let drawn = line(30, Phase::Running);
        assert_eq!(one.position_of(3, &drawn), Position::NotKnown);
        assert_eq!(one.position_of(31, &drawn), Position::At(31), "came later");
        one.follow(&drawn).await;
        let order = |lots: &Lots| (1..=30).map(|number| lots.position_of(number, &drawn)).collect::<Vec<_>>();
        let evidence = one.evidence(&drawn).check().expect("holds");
        for number in 1..=30 {
            assert_eq!(evidence.place_of(number).map(Position::At), Some(one.position_of(number, &drawn)));
        }
        // Another node with the same keys agrees; another epoch or beacon has another order.
        let other = lots("");
        other.follow(&drawn).await;
        assert_eq!(order(&one), order(&other));
        assert_eq!(one.position_of(3, &Snapshot { epoch: 2, ..drawn.clone() }), Position::NotKnown);
        let other = lots("drand 1");
        other.follow(&drawn).await;
        assert_ne!(order(&one), order(&other));
    }
}
