//! The keys of a room, in the order of `keys.lua`.

/// What all lanes share.
const SHARED: [&str; 11] =
    ["line", "recent0", "recent1", "live", "changes", "ids", "moved", "proofs0", "proofs1", "late0", "late1"];
/// What each lane has.
const OF_A_LANE: [&str; 5] = ["spent", "keen0", "keen1", "seen0", "seen1"];

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
