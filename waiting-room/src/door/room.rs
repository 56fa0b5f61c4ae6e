//! What this node knows of a room, and its calls to the line: joins, claims, the tick, the operator's changes. Every
//! reply refreshes the snapshot that polls are answered from; a failure only says "store away".

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::desk::Desk;
use super::heal::Evidence;
use super::late::Late;
use super::lots::{Lots, Position};
use super::moved::Moved;
use super::pace::Pace;
use super::promise::Promises;
use super::report::{Batch, Reports};
use super::stand_in::StandIn;
use super::steer::Steering;
use crate::credential::TicketKeys;
use crate::line::{Audit, Autopilot, DrawEvidence, RoomChange, Snapshot};
use crate::metrics;
use crate::settings::{Clock, RoomSettings};
use crate::store::{BATCH_MAX, LineStore, StoreError};

/// How often a node moves the line on and refreshes its snapshot.
const TICK_EVERY: Duration = Duration::from_millis(250);
/// How often a node tells the line what it has heard.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How often those who came while the store was away are given their numbers.
const SETTLE_EVERY: Duration = Duration::from_millis(50);
/// A store that has not answered by then is away, as far as this request is concerned.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// One room of this node.
pub(crate) struct Room {
    name: String,
    settings: RoomSettings,
    pub(super) store: Arc<dyn LineStore>,
    snapshot: ArcSwap<Snapshot>,
    store_ok: AtomicBool,
    late: Late,
    // A std mutex: never held across an `.await`.
    pub(super) stand_in: Mutex<StandIn>,
    clock: Clock,
    lots: Lots,
    moved: Moved,
    pace: Pace,
    pub(super) promises: Promises,
    desk: Desk,
    access: Access,
    reports: Reports,
    pub(super) steering: Steering,
    evidence: Evidence,
}

impl Room {
    /// Begins the room, or finds it as it was.
    async fn open(
        name: &str,
        settings: &RoomSettings,
        store: Arc<dyn LineStore>,
        (keys, access): (&TicketKeys, Access),
        clock: &Clock,
    ) -> Result<Room, StoreError> {
        let snapshot = in_time(store.ensure(name, &settings.initial())).await?;
        let lots = Lots::new(keys, name, &settings.beacon);
        lots.follow(&snapshot).await;
        Ok(Room {
            name: name.to_owned(),
            reports: Reports::default(),
            desk: Desk::new(settings.join_limit, settings.proof_of_work),
            access,
            settings: settings.clone(),
            store,
            snapshot: ArcSwap::from_pointee(snapshot),
            store_ok: AtomicBool::new(true),
            late: Late::new(),
            stand_in: Mutex::default(),
            clock: Arc::clone(clock),
            lots,
            moved: Moved::new(),
            pace: Pace::default(),
            promises: Promises::default(),
            steering: Steering::default(),
            evidence: Evidence::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn title(&self) -> &str {
        &self.settings.title
    }

    pub(crate) fn session_ms(&self) -> i64 {
        self.settings.session_ms
    }

    /// Those who come while the store is away.
    pub(super) fn late(&self) -> &Late {
        &self.late
    }

    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    pub(super) fn settings(&self) -> &RoomSettings {
        &self.settings
    }

    /// Positions of a lane called per minute lately; 0 while that is not known.
    pub(crate) fn pace_per_minute(&self, lane: usize) -> u64 {
        self.pace.per_minute(lane)
    }

    /// What is asked of those who join.
    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Who may join, and by which lane.
    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Whether somebody with an access code can use it here.
    pub(crate) fn takes_codes(&self) -> bool {
        self.access.takes_codes()
    }

    /// Whether somebody with a token of the shop can use it here.
    pub(crate) fn takes_tokens(&self) -> bool {
        self.access.takes_tokens()
    }

    /// Tickets that the line does not know.
    pub(super) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What the line is told of once a second.
    pub(super) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// The bounds of the autopilot; `None` is off.
    pub(super) fn autopilot(&self) -> Option<Autopilot> {
        self.settings.autopilot
    }

    /// The line as this node last saw it. Costs no call.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The same for a moment: no count of users is written, which the threads would fight for.
    pub(super) fn look(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Whether the last call to the store was answered.
    pub(crate) fn store_ok(&self) -> bool {
        self.store_ok.load(Ordering::Relaxed)
    }

    /// Where a number of the line that `line` shows stands. Costs no call.
    pub(super) fn position_of(&self, number: u64, line: &Snapshot) -> Position {
        self.lots.position_of(number, line)
    }

    /// What anybody may know of the draw of one lane, if the room has it.
    pub(crate) fn draw(&self, lane: usize) -> Option<DrawEvidence> {
        self.lots.evidence(&self.snapshot(), lane)
    }

    /// What the seed of the room's draw was committed to with; all lanes have the same.
    pub(crate) fn commitment(&self) -> String {
        self.draw(0).map(|draw| draw.commitment).unwrap_or_default()
    }

    /// The places that went on with another device.
    pub(super) fn moved(&self) -> &Moved {
        &self.moved
    }

    /// Gives a number up. Before a draw there is no position to give up: the ticket is forgotten, and whichever place
    /// it draws is passed over like that of anybody who is not there.
    pub(crate) async fn leave(&self, number: u64) -> Result<(), StoreError> {
        match self.position_of(number, &self.snapshot()) {
            Position::At(position) => {
                self.keep(in_time(self.store.leave(&self.name, position)).await, |snapshot| snapshot).map(drop)
            }
            Position::NotDrawn => Ok(()),
            Position::NotKnown => Err(StoreError::Busy),
        }
    }

    /// Changes what an operator may change; the answer is the line after it.
    pub(crate) async fn change(&self, who: &str, change: &RoomChange) -> Result<Snapshot, StoreError> {
        self.keep(in_time(self.store.change(&self.name, who, change)).await, |snapshot| snapshot)
    }

    /// The changes that the store keeps, oldest first.
    pub(crate) async fn changes(&self) -> Result<Vec<Audit>, StoreError> {
        in_time(self.store.changes(&self.name)).await
    }

    /// Moves the line on.
    pub(crate) async fn tick(&self) -> Result<Snapshot, StoreError> {
        let snapshot = self.keep(in_time(self.store.tick(&self.name)).await, |snapshot| snapshot)?;
        metrics::line(&self.name, &snapshot);
        self.late.learn(&snapshot, self.now_ms());
        self.pace.follow(&snapshot);
        self.lots.follow(&snapshot).await;
        // A failure is in `store_ok`, and the next tick asks again.
        let _ = self.follow_moves(&snapshot).await;
        self.heal(&snapshot).await;
        Ok(snapshot)
    }

    /// Tells the line who is there and which sessions go on or are over.
    pub(crate) async fn report(&self) {
        self.late.book().sweep(self.now_ms());
        self.stand_in().sweep(self.session_ms(), self.now_ms());
        let Batch { heard, renew, end } = self.reports.take();
        for positions in heard.chunks(BATCH_MAX) {
            // Who was not told of is heard again soon.
            let _ = self.keep(in_time(self.store.seen(&self.name, positions)).await, |snapshot| snapshot);
        }
        let parts = renew.len().max(end.len()).div_ceil(BATCH_MAX);
        for part in 0..parts {
            let (renew, end) = (nth_chunk(&renew, part), nth_chunk(&end, part));
            let told = self.keep(in_time(self.store.sessions(&self.name, renew, end)).await, |(_, snapshot)| snapshot);
            if matches!(told, Err(StoreError::Unreachable(_) | StoreError::Busy | StoreError::NoRoom(_))) {
                self.reports.tell_again(end);
                renew.iter().for_each(|session| self.reports.renew(session));
            }
        }
    }

    async fn run(&self, stop: &CancellationToken) {
        let mut every = tokio::time::interval(TICK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut report = tokio::time::interval(REPORT_EVERY);
        report.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut settle = tokio::time::interval(SETTLE_EVERY);
        settle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = report.tick() => self.report().await,
                _ = settle.tick() => self.settle().await,
                _ = every.tick() => {
                    // The outcome is in the snapshot and in `store_ok`; `keep` has logged a change.
                    let _ = self.tick().await;
                }
            }
        }
    }

    /// Learns from a reply, or from its absence.
    pub(super) fn keep<T>(
        &self,
        reply: Result<T, StoreError>,
        snapshot: impl Fn(&T) -> &Snapshot,
    ) -> Result<T, StoreError> {
        match &reply {
            Ok(answer) => {
                self.learn(snapshot(answer).clone());
                self.store_is(true, "");
            }
            Err(error @ (StoreError::Unreachable(_) | StoreError::NoRoom(_))) => {
                self.store_is(false, &error.to_string());
            }
            Err(
                StoreError::Busy
                | StoreError::Full
                | StoreError::Closed
                | StoreError::NoLane
                | StoreError::Proof
                | StoreError::Invalid(_),
            ) => {}
        }
        reply
    }

    fn learn(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        // Replies overtake each other; the younger one stays.
        self.snapshot.rcu(|old| if snapshot.supersedes(old) { Arc::clone(&snapshot) } else { Arc::clone(old) });
    }

    fn store_is(&self, ok: bool, why: &str) {
        if self.store_ok.swap(ok, Ordering::Relaxed) != ok {
            if ok {
                self.store_came_back();
            }
            self.late.store_is(ok, self.now_ms());
            metrics::store_up(&self.name, ok);
            if ok {
                tracing::info!(room = self.name, "the line's store is back");
            } else {
                tracing::error!(room = self.name, why, "the line's store is away");
            }
        }
    }
}

fn nth_chunk(all: &[String], nth: usize) -> &[String] {
    all.chunks(BATCH_MAX).nth(nth).unwrap_or_default()
}

pub(super) async fn in_time<T>(answer: crate::store::Answer<'_, T>) -> Result<T, StoreError> {
    let late = |_| Err(StoreError::Unreachable(format!("no answer within {} ms", STORE_TIMEOUT.as_millis())));
    tokio::time::timeout(STORE_TIMEOUT, answer).await.unwrap_or_else(late)
}

/// The rooms of this node by name.
pub(crate) struct Rooms(BTreeMap<String, Room>);

impl Rooms {
    /// Opens all rooms of the settings.
    pub(crate) async fn open(
        settings: Vec<(&String, &RoomSettings, Access)>,
        store: &Arc<dyn LineStore>,
        keys: &TicketKeys,
        clock: &Clock,
    ) -> Result<Rooms, StoreError> {
        let mut rooms = BTreeMap::new();
        for (name, room, access) in settings {
            rooms.insert(name.clone(), Room::open(name, room, Arc::clone(store), (keys, access), clock).await?);
        }
        Ok(Rooms(rooms))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Room> {
        self.0.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Room> {
        self.0.values()
    }

    /// Moves all lines on until stopped.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        futures_util::future::join_all(self.iter().map(|room| room.run(stop))).await;
    }
}
