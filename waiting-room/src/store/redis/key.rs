//! The keys of a room, in the order of `keys.lua`.

use crate::line::check_room_name;

/// What all lanes share.
const SHARED: [&str; 11] =
    ["line", "recent0", "recent1", "live", "changes", "ids", "moved", "proofs0", "proofs1", "late0", "late1"];
/// What each lane has.
const OF_A_LANE: [&str; 5] = ["spent", "keen0", "keen1", "seen0", "seen1"];

/// What the line of every room is kept under, as a pattern.
pub(super) fn every_line() -> String {
    "vestibule:{*}:line".to_owned()
}

/// The room whose line is kept under this key.
pub(super) fn room_of(key: &[u8]) -> Option<&str> {
    let room = std::str::from_utf8(key).ok()?.strip_prefix("vestibule:{")?.strip_suffix("}:line")?;
    check_room_name(room).is_ok().then_some(room)
}

/// The keys of a room with so many lanes. What stands in braces decides the cluster slot, so all of a room is on one
/// server. The first lane's keys are those of a room without lanes.
pub(super) fn keys(room: &str, lanes: usize) -> Vec<String> {
    let shared = SHARED.iter().map(|part| format!("vestibule:{{{room}}}:{part}"));
    let of_a_lane = |lane: usize| {
        let behind = if lane == 0 { String::new() } else { format!(":{lane}") };
        OF_A_LANE.iter().map(move |part| format!("vestibule:{{{room}}}:{part}{behind}"))
    };
    shared.chain((0..lanes).flat_map(of_a_lane)).collect()
}
