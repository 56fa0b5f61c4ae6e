//! The world of one story: virtual time, nodes with snapshots of their own, a store that may be away, and visitors who
//! do as the nodes say. Every answer of the line goes through the checker before anybody learns of it.

mod faults;
mod inside;
mod watch;

use super::{
    Outcome, Scenario, Violation,
    backing::Backing,
    chance::Chance,
    checker::{Broken, Checker},
    trace::Trace,
    visitor::{self, Patience, Stage, Visitor},
};
use crate::{
    door::{Place, is_near, poll_after_ms},
    line::{Claimed, Joiner, RoomState, Snapshot},
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

/// The wall clock at the beginning of every story, epoch milliseconds.
pub(super) const WALL_BEGIN_MS: i64 = 1_700_000_000_000;
/// How often a node moves the line on.
const TICK_MS: i64 = 250;
/// Every so many ticks a node tells the store whom it heard of.
const BATCH_TICKS: i64 = 4;
/// A visitor without an answer tries again after this time and up to half as much more.
const AGAIN_MS: i64 = 2_000;
/// A retry that is this soon goes to the node of the last answer: the connection is still open.
const SAME_NODE_MS: i64 = 500;
/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Begins,
    Fault(usize),
    Tick(usize),
    Second,
    Ask(usize),
    /// By the order in which they went in, among those who end their session.
    Ends(usize),
}

#[derive(Debug, Default)]
struct Node {
    /// Nothing: the node is down, or has not heard from the store since it began.
    snapshot: Option<Snapshot>,
    /// Its last call to the store had an answer; without one it names the last place it knows.
    store_ok: bool,
    gone_until_ms: i64,
    /// Who asked near the front since the last batch.
    heard: Vec<u64>,
}

/// Everything there is in a story.
pub(super) struct World<'a, B> {
    scenario: &'a Scenario,
    chance: Chance,
    now_ms: i64,
    wall_offset_ms: i64,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    scheduled: u64,
    backing: B,
    store_away_until_ms: i64,
    replies_lost_until_ms: i64,
    nodes: Vec<Node>,
    visitors: Vec<Visitor>,
    /// Sessions that the upstream ends, by their ids.
    inside: Vec<String>,
    unfinished: usize,
    /// Numbers of the people in line who keep their appointments.
    there: BTreeSet<u64>,
    /// How many of them will stay until they go in.
    staying: u64,
    waiting: u64,
    checker: Checker,
    trace: Trace,
}

impl<'a, B: Backing> World<'a, B> {
    pub(super) fn new(scenario: &'a Scenario, backing: B) -> World<'a, B> {
        let mut world = World {
            scenario,
            chance: Chance::new(scenario.seed),
            now_ms: 0,
            wall_offset_ms: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            backing,
            store_away_until_ms: 0,
            replies_lost_until_ms: 0,
            nodes: (0..scenario.nodes.max(1)).map(|_| Node::default()).collect(),
            visitors: Vec::new(),
            inside: Vec::new(),
            unfinished: 0,
            there: BTreeSet::new(),
            staying: 0,
            waiting: 0,
            checker: Checker::new(scenario),
            trace: Trace::new(scenario.visitors),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            let at_ms = self.chance.between(0, TICK_MS - 1);
            self.schedule(at_ms, Event::Tick(node));
        }
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            self.schedule(fault.at_ms, Event::Fault(index));
        }
        self.schedule(1_000, Event::Second);
        for at_ms in visitor::arrivals(self.scenario, &mut self.chance) {
            let visitor = Visitor { arrived_ms: at_ms, ..Visitor::draw(self.scenario, &mut self.chance) };
            self.enter_story(visitor, at_ms);
        }
    }

    fn enter_story(&mut self, visitor: Visitor, at_ms: i64) {
        self.visitors.push(visitor);
        self.unfinished += 1;
        self.schedule(at_ms, Event::Ask(self.visitors.len() - 1));
    }

    fn schedule(&mut self, at_ms: i64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at_ms, self.scheduled, event)));
    }

    /// Plays until everybody has gone in or away.
    pub(super) fn run(mut self) -> Result<Outcome, Violation> {
        while self.unfinished > 0
            && let Some(Reverse((at_ms, _, event))) = self.events.pop()
            && at_ms <= self.scenario.limit_ms
        {
            self.now_ms = at_ms;
            self.trace.outcome.events += 1;
            self.checker.ceiling.pass(at_ms);
            self.play(event).map_err(|(rule, detail)| Violation {
                rule,
                detail,
                seed: self.scenario.seed,
                event: self.trace.outcome.events,
                at_ms,
            })?;
        }
        self.trace.outcome.lasted_ms = self.now_ms;
        self.trace.outcome.waiting = self.waiting;
        self.trace.outcome.share_used = self.checker.progress.worst();
        self.trace.outcome.most_inside = self.checker.cap.most();
        self.trace.outcome.lanes_off = self.checker.shares.worst();
        Ok(self.trace.end())
    }

    fn play(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Begins => {
                self.trace.began(self.now_ms);
                self.checker.begins()
            }
            Event::Tick(node) => self.tick(node),
            Event::Ask(visitor) => self.ask(visitor),
            Event::Ends(index) => self.ends(index),
            Event::Fault(index) => self.fault(index),
            Event::Second => self.second(),
        }
    }

    const fn wall_ms(&self) -> i64 {
        WALL_BEGIN_MS + self.now_ms + self.wall_offset_ms
    }

    /// A node hears from the store; replies may overtake each other.
    fn learn(&mut self, node: usize, snapshot: Snapshot) -> Result<(), Broken> {
        self.checker.snapshot(&snapshot)?;
        let known = &mut self.nodes[node].snapshot;
        if self.replies_lost_until_ms <= self.now_ms && known.as_ref().is_none_or(|known| snapshot.supersedes(known)) {
            *known = Some(snapshot);
        }
        Ok(())
    }

    fn tick(&mut self, node: usize) -> Result<(), Broken> {
        self.schedule(self.now_ms + TICK_MS, Event::Tick(node));
        if self.now_ms < self.nodes[node].gone_until_ms {
            return Ok(());
        }
        self.nodes[node].store_ok = self.store_answers() && self.replies_arrive();
        if !self.store_answers() {
            return Ok(());
        }
        if self.now_ms / TICK_MS % BATCH_TICKS == 0 {
            let heard = std::mem::take(&mut self.nodes[node].heard);
            self.backing.seen(self.wall_ms(), &heard);
        }
        let snapshot = self.backing.tick(self.wall_ms());
        self.learn(node, snapshot)
    }

    /// A node that is up; the last one for a retry that comes at once.
    fn node_for(&mut self, visitor: usize, sooner_ms: i64) -> Option<usize> {
        let last = usize::from(self.visitors[visitor].node);
        if sooner_ms < SAME_NODE_MS && self.nodes[last].snapshot.is_some() {
            return Some(last);
        }
        let first = usize::try_from(self.chance.below(self.nodes.len() as u64)).unwrap_or(0);
        let mut order = (first..self.nodes.len()).chain(0..first);
        order.find(|&node| self.nodes[node].snapshot.is_some())
    }

    fn ask(&mut self, visitor: usize) -> Result<(), Broken> {
        let asked_before_ms = self.visitors[visitor].asked_ms;
        self.visitors[visitor].asked_ms = self.now_ms;
        let Some(node) = self.node_for(visitor, self.now_ms - asked_before_ms) else {
            let live_nodes = self.nodes.iter().filter(|node| node.snapshot.is_some()).count();
            Checker::unanswered(live_nodes)?;
            self.again(visitor);
            return Ok(());
        };
        self.visitors[visitor].node = u8::try_from(node).unwrap_or(0);
        match self.visitors[visitor].stage {
            Stage::Outside => self.join(visitor, node),
            Stage::InLine => self.poll(visitor, node),
            Stage::Done => Ok(()),
        }
    }

    /// Nobody could answer: later.
    fn again(&mut self, visitor: usize) {
        let at_ms = self.now_ms + AGAIN_MS + self.chance.between(0, AGAIN_MS / 2);
        self.schedule(at_ms, Event::Ask(visitor));
    }

    fn join(&mut self, visitor: usize, node: usize) -> Result<(), Broken> {
        if !self.store_answers() {
            self.again(visitor);
            return Ok(());
        }
        let joiner = Joiner { lane: self.visitors[visitor].lane, ..Joiner::default() };
        let Some(joined) = self.backing.join(self.wall_ms(), joiner) else {
            self.done(visitor);
            return Ok(());
        };
        let Some(number) = joined.numbers().next() else { return Ok(()) };
        let session = joined.admitted().first().copied();
        if let Some(session) = session {
            self.calm(session.number)?;
            self.admit(session)?;
        }
        self.learn(node, joined.snapshot.clone())?;
        if !self.replies_arrive() {
            // The number is burnt: nobody knows it.
            self.again(visitor);
            return Ok(());
        }
        self.checker.acknowledged(number)?;
        self.trace.outcome.joined += 1;
        self.visitors[visitor].number = number;
        self.visitors[visitor].epoch = joined.snapshot.epoch;
        if session.is_some() {
            self.trace.admitted(0);
            self.done(visitor);
            return Ok(());
        }
        self.visitors[visitor].stage = Stage::InLine;
        self.waiting += 1;
        self.be_there(visitor, true);
        if self.visitors[visitor].has_copy {
            let copy = self.visitors[visitor].copy();
            self.enter_story(copy, self.now_ms + 1);
        }
        self.poll(visitor, node)
    }

    fn poll(&mut self, visitor: usize, node: usize) -> Result<(), Broken> {
        let Visitor { patience, polls, number, told, .. } = self.visitors[visitor];
        match patience {
            Patience::Goes { after_polls, tells } if polls >= after_polls => return self.go(visitor, node, tells),
            Patience::ComesBack { after_polls, away_ms } if polls >= after_polls => {
                self.be_there(visitor, false);
                self.visitors[visitor].patience = Patience::Stays;
                self.schedule(self.now_ms + away_ms, Event::Ask(visitor));
                return Ok(());
            }
            Patience::Goes { .. } | Patience::ComesBack { .. } | Patience::Stays => {}
        }
        self.be_there(visitor, true);
        self.visitors[visitor].polls = polls.saturating_add(1);
        self.trace.outcome.polls += 1;
        let jitter = self.chance.next();
        // A poll is answered from the node's memory, whatever the store does (W6). Without it that is the last place this
        // node knows; the visitor brings along what they saw (W7).
        let Some(snapshot) = &self.nodes[node].snapshot else { return Checker::unanswered(1) };
        let (ok, seen) = (self.nodes[node].store_ok, told.map(|told| told.saturating_sub(1)));
        let place = Place::of(number, snapshot).no_worse_than(seen.filter(|_| !ok));
        let shown = if place.called || !ok && told == Some(0) { 0 } else { place.ahead + 1 };
        let next_ms = i64::try_from(poll_after_ms(place, snapshot, jitter)).unwrap_or(i64::MAX);
        let may_claim = place.called && snapshot.state == RoomState::Open;
        let near = is_near(place, snapshot);
        Checker::told(number, told, shown)?;
        self.visitors[visitor].told = Some(shown);
        self.trace.told(visitor, self.now_ms, shown);
        if !ok {
            self.again(visitor);
            return Ok(());
        }
        if near {
            self.nodes[node].heard.push(number);
        }
        if may_claim {
            return self.claim(visitor, node, next_ms);
        }
        self.schedule(self.now_ms + next_ms, Event::Ask(visitor));
        Ok(())
    }

    fn claim(&mut self, visitor: usize, node: usize, next_ms: i64) -> Result<(), Broken> {
        if !self.store_answers() {
            self.again(visitor);
            return Ok(());
        }
        let Visitor { number, epoch, .. } = self.visitors[visitor];
        let (answer, snapshot) = self.backing.claim(self.wall_ms(), epoch, number);
        self.checker.claimed(number, &answer)?;
        if let Claimed::Admitted(session) = &answer {
            self.admit(session)?;
        }
        self.learn(node, snapshot)?;
        if !self.replies_arrive() {
            self.again(visitor);
            return Ok(());
        }
        match answer {
            Claimed::Admitted(_) => {
                if !self.visitors[visitor].is_copy {
                    self.trace.admitted(self.now_ms - self.visitors[visitor].arrived_ms);
                }
                self.done(visitor);
            }
            Claimed::NoBudget { retry_after_ms } => {
                self.schedule(self.now_ms + retry_after_ms.max(1), Event::Ask(visitor));
            }
            Claimed::NotCalled => self.schedule(self.now_ms + next_ms, Event::Ask(visitor)),
            Claimed::Spent | Claimed::Unknown => self.done(visitor),
        }
        Ok(())
    }

    fn go(&mut self, visitor: usize, node: usize, tells: bool) -> Result<(), Broken> {
        self.trace.outcome.gone += 1;
        let number = self.visitors[visitor].number;
        self.done(visitor);
        if tells && self.store_answers() {
            let snapshot = self.backing.leave(self.wall_ms(), number);
            self.checker.left(number);
            self.learn(node, snapshot)?;
        }
        Ok(())
    }

    fn be_there(&mut self, visitor: usize, there: bool) {
        let Visitor { number, is_copy, patience, .. } = self.visitors[visitor];
        if is_copy {
            return;
        }
        let changed = if there { self.there.insert(number) } else { self.there.remove(&number) };
        if changed && patience == Patience::Stays {
            self.staying = if there { self.staying + 1 } else { self.staying - 1 };
        }
    }

    fn done(&mut self, visitor: usize) {
        self.be_there(visitor, false);
        let person = &mut self.visitors[visitor];
        if person.stage == Stage::InLine && !person.is_copy {
            self.waiting -= 1;
        }
        person.stage = Stage::Done;
        self.unfinished -= 1;
    }
}
