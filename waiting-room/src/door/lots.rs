//! The draw of one room as this node knows it: numbers become positions, and anybody may check how. The table is
//! computed once, away from the threads that answer, and takes four bytes a number.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::credential::TicketKeys;
use crate::line::{
    Draw, DrawEvidence, LaneSnapshot, Method, Phase, Snapshot, final_seed, lane_of, numbered, within_lane,
};

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

/// The draws of a line's lanes, and all that they follow from.
struct Table {
    epoch: u64,
    lanes: Vec<LaneTable>,
}

struct LaneTable {
    drawn: u64,
    digest: String,
    draw: Draw,
}

impl Table {
    fn is_of(&self, line: &Snapshot) -> bool {
        // Lanes may have been added since, in which nothing was drawn.
        let same = |(index, lane): (usize, &LaneSnapshot)| match self.lanes.get(index) {
            Some(table) => table.drawn == lane.drawn && (lane.drawn == 0 || table.digest == lane.digest),
            None => lane.drawn == 0,
        };
        self.epoch == line.epoch && line.lanes.iter().enumerate().all(same)
    }
}

/// A lane's name as seeds have it: the first one's are those of a room without lanes.
fn name_in_seed(index: usize, lane: &LaneSnapshot) -> &str {
    if index == 0 { "" } else { &lane.name }
}

impl Lots {
    pub(super) fn new(keys: &TicketKeys, room: &str, beacon: &str) -> Lots {
        let (room, beacon) = (room.to_owned(), beacon.to_owned());
        Lots { keys: keys.clone(), room, beacon, table: ArcSwapOption::empty() }
    }

    /// Computes the table if the line has drawn and this node does not have it yet.
    pub(super) async fn follow(&self, line: &Snapshot) {
        let known = self.table.load().as_ref().is_some_and(|table| table.is_of(line));
        if line.drawn() == 0 || known {
            return;
        }
        let seed = self.seed(line);
        let seed_of = |(index, lane): (usize, &LaneSnapshot)| {
            let order = final_seed(&seed, lane.drawn, &lane.digest, &self.beacon, name_in_seed(index, lane));
            (order, lane.drawn, lane.digest.clone())
        };
        let seeds: Vec<_> = line.lanes.iter().enumerate().map(seed_of).collect();
        let deal = move |(order, drawn, digest)| {
            // No lane has more numbers than fit.
            let draw = Draw::make(order, u32::try_from(drawn).unwrap_or(u32::MAX));
            LaneTable { drawn, digest, draw }
        };
        match tokio::task::spawn_blocking(move || seeds.into_iter().map(deal).collect()).await {
            Ok(lanes) => {
                self.table.store(Some(Arc::new(Table { epoch: line.epoch, lanes })));
                tracing::info!(room = self.room, drawn = line.drawn(), "the lots are drawn");
            }
            Err(error) => tracing::error!(room = self.room, %error, "the order of the draw could not be computed"),
        }
    }

    /// The position of a number of this line, in its lane. A lane without a draw, and who came after it: the number itself.
    pub(super) fn position_of(&self, number: u64, line: &Snapshot) -> Position {
        let (index, n) = (lane_of(number), within_lane(number));
        let Some(lane) = line.lane(index) else { return Position::NotKnown };
        // A lane that has called somebody does not draw any more.
        let before = lane.cursor == 0 && matches!(line.phase, Phase::Early | Phase::Prequeue);
        let to_come = before && line.method == Method::Draw;
        if n > lane.drawn {
            return if lane.drawn == 0 && to_come { Position::NotDrawn } else { Position::At(number) };
        }
        let table = self.table.load();
        let table = table.as_ref().filter(|table| table.is_of(line)).and_then(|table| table.lanes.get(index));
        let place = table.and_then(|table| table.draw.place_of(n));
        place.map_or(Position::NotKnown, |place| Position::At(numbered(index, place)))
    }

    /// What anybody may know of the draw of one lane.
    pub(super) fn evidence(&self, line: &Snapshot, lane: usize) -> Option<DrawEvidence> {
        let name = name_in_seed(lane, line.lane(lane)?);
        Some(DrawEvidence::of(&self.room, line, (lane, name), &self.seed(line), &self.beacon))
    }

    fn seed(&self, line: &Snapshot) -> [u8; 32] {
        self.keys.draw_seed(&self.room, line.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(drawn: u64, phase: Phase) -> Snapshot {
        let lane = |name: &str, drawn| {
            let (name, digest) = (name.to_owned(), "00ff".to_owned());
            LaneSnapshot { name, weight: 1, issued: 40, drawn, digest, ..LaneSnapshot::default() }
        };
        let lanes = vec![lane("general", drawn), lane("members", drawn / 2)];
        Snapshot { epoch: 1, lanes, phase, method: Method::Draw, ..Snapshot::default() }
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
        let check = |lane| one.evidence(&drawn, lane).expect("a lane").check().expect("holds");
        let evidence = check(0);
        for number in 1..=30 {
            assert_eq!(evidence.place_of(number).map(Position::At), Some(one.position_of(number, &drawn)));
        }
        // Each lane is shuffled on its own, and in another way.
        let of_members = |n| one.position_of(numbered(1, n), &drawn);
        let members: Vec<Position> = (1..=15).map(of_members).collect();
        let told = (1..=15).map(|n| Position::At(numbered(1, check(1).place_of(n).expect("took part"))));
        assert_eq!(members, told.collect::<Vec<_>>());
        assert_eq!(of_members(16), Position::At(numbered(1, 16)), "came later");
        assert!(one.evidence(&drawn, 2).is_none());
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
