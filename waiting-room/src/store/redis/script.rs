//! The scripts: one file per operation, each after the rules' constants and the shared state of a line.

use crate::line::rule;
use redis::Script;
use std::fmt::Write;

/// What is put before every operation, in this order: each builds on those before it.
const SHARED: &str = concat!(
    include_str!("keys.lua"),
    include_str!("meter.lua"),
    include_str!("schedule.lua"),
    include_str!("people.lua"),
    include_str!("share.lua"),
    include_str!("line.lua"),
);

/// What a script does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Ensure,
    Heal,
    Join,
    Claim,
    Tick,
    Change,
    Changes,
    Moves,
    Leave,
    Restore,
    Seen,
    Sessions,
}

impl Operation {
    const fn source(self) -> &'static str {
        match self {
            Operation::Ensure => include_str!("ensure.lua"),
            Operation::Heal => include_str!("heal.lua"),
            Operation::Join => include_str!("join.lua"),
            Operation::Claim => include_str!("claim.lua"),
            Operation::Tick => include_str!("tick.lua"),
            Operation::Change => include_str!("change.lua"),
            Operation::Changes => include_str!("changes.lua"),
            Operation::Moves => include_str!("moves.lua"),
            Operation::Leave => include_str!("leave.lua"),
            Operation::Restore => include_str!("restore.lua"),
            Operation::Seen => include_str!("seen.lua"),
            Operation::Sessions => include_str!("sessions.lua"),
        }
    }
}

/// One whole script and the name that the server knows it by.
pub(super) struct Whole {
    pub(super) code: String,
    pub(super) sha1: String,
}

/// Clears all keys of a room. No operation on a line: it needs none, and reads nothing.
pub(super) fn forget() -> Whole {
    let code = "return redis.call('UNLINK', unpack(KEYS))".to_owned();
    Whole { sha1: Script::new(&code).get_hash().to_owned(), code }
}

/// All scripts, put together once.
pub(super) struct Scripts {
    ensure: Whole,
    heal: Whole,
    join: Whole,
    claim: Whole,
    tick: Whole,
    change: Whole,
    changes: Whole,
    moves: Whole,
    leave: Whole,
    restore: Whole,
    seen: Whole,
    sessions: Whole,
}

impl Scripts {
    pub(super) fn new() -> Scripts {
        let constants = constants();
        let whole = |operation: Operation| {
            let code = format!("{constants}{SHARED}{}", operation.source());
            let sha1 = Script::new(&code).get_hash().to_owned();
            Whole { code, sha1 }
        };
        Scripts {
            ensure: whole(Operation::Ensure),
            heal: whole(Operation::Heal),
            join: whole(Operation::Join),
            claim: whole(Operation::Claim),
            tick: whole(Operation::Tick),
            change: whole(Operation::Change),
            changes: whole(Operation::Changes),
            moves: whole(Operation::Moves),
            leave: whole(Operation::Leave),
            restore: whole(Operation::Restore),
            seen: whole(Operation::Seen),
            sessions: whole(Operation::Sessions),
        }
    }

    pub(super) const fn of(&self, operation: Operation) -> &Whole {
        match operation {
            Operation::Ensure => &self.ensure,
            Operation::Heal => &self.heal,
            Operation::Join => &self.join,
            Operation::Claim => &self.claim,
            Operation::Tick => &self.tick,
            Operation::Change => &self.change,
            Operation::Changes => &self.changes,
            Operation::Moves => &self.moves,
            Operation::Leave => &self.leave,
            Operation::Restore => &self.restore,
            Operation::Seen => &self.seen,
            Operation::Sessions => &self.sessions,
        }
    }
}

/// The rules' numbers as Lua: they stand in the pure line only.
fn constants() -> String {
    let table = [
        ("HEAL_MS", rule::HEAL_MS.unsigned_abs()),
        ("HEAL_GAP", rule::HEAL_GAP),
        ("GATHER_MS", rule::GATHER_MS.unsigned_abs()),
        ("STEP_MS_MAX", rule::STEP_MS_MAX.unsigned_abs()),
        ("STEADY_MS", rule::STEADY_MS.unsigned_abs()),
        ("RESTORE_GAP", rule::RESTORE_GAP),
        ("CHANGES_MAX", rule::CHANGES_MAX as u64),
        ("MOVED_MAX", rule::MOVED_MAX as u64),
        ("COVER_MS", rule::COVER_MS),
        ("COVER_MIN", rule::COVER_MIN),
        ("CALLED_PER_MISSING_KNOWN", rule::CALLED_PER_MISSING[0]),
        ("CALLED_PER_MISSING_UNKNOWN", rule::CALLED_PER_MISSING[1]),
        ("STEEP", rule::STEEP.into()),
        ("RAISED_MS", rule::RAISED_MS.unsigned_abs()),
        ("CALL_SCAN_MAX", rule::CALL_SCAN_MAX),
        ("AHEAD_MS", rule::AHEAD_MS),
        ("PROOF_WINDOW_MS", rule::PROOF_WINDOW_MS.unsigned_abs()),
        ("LATE_WINDOW_MS", rule::LATE_WINDOW_MS.unsigned_abs()),
        ("PROOFS_MAX", rule::PROOFS_MAX as u64),
        ("KEEN_MS", rule::KEEN_MS.unsigned_abs()),
        ("PRESENCE_MS", rule::PRESENCE_MS.unsigned_abs()),
        ("RETRY_MS_MIN", rule::RETRY_MS_MIN),
        ("RETRY_MS_MAX", rule::RETRY_MS_MAX),
        ("NUMBER_MAX", rule::NUMBER_MAX),
        ("UNITS_PER_PERSON", rule::UNITS_PER_PERSON),
        ("CALL_SLOT_MS", rule::CALL_SLOT_MS.unsigned_abs()),
        ("EXPECTED_MS", rule::EXPECTED_MS.unsigned_abs()),
        ("REPEAT_MS", rule::REPEAT_MS.unsigned_abs()),
        ("NEAR_MIN", rule::NEAR_MIN.into()),
        ("LANES_MAX", rule::LANES_MAX as u64),
        ("TAKES_PART_MS", rule::TAKES_PART_MS.unsigned_abs()),
        ("HOLD_MS", rule::HOLD_MS.unsigned_abs()),
        ("HOLD_INSIDE_MS", rule::HOLD_INSIDE_MS.unsigned_abs()),
        ("CREDIT_PLACES", rule::CREDIT_PLACES.unsigned_abs()),
        ("SECONDS", rule::SECONDS.unsigned_abs()),
    ];
    table.iter().fold(String::new(), |mut lua, (name, value)| {
        // Writing to a string cannot fail.
        let _ = writeln!(lua, "local {name} = {value}");
        lua
    })
}
