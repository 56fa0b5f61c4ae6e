//! Coming back after a loss, and the operators' changes.

use super::*;

#[test]
fn a_lost_line_goes_on_above_the_highest_that_was_seen_with_an_empty_meter() {
    let mut line = Model::begin(BEGIN_MS, &initial(600, 5));
    line.join(BEGIN_MS, 500);
    line.tick(BEGIN_MS + 1_000);
    line.claim(BEGIN_MS + 1_000, &[1, 2, 3]);
    let seen = line.tick(BEGIN_MS + 1_000);
    let late = line.join(BEGIN_MS + 1_100, 20);
    let now = BEGIN_MS + 9_000;
    let mut line = Model::begin(now, &initial(60, 0));
    let back = line.restore(now, &seen);
    assert_eq!((back.epoch, back.issued(), back.lanes[0].cursor), (seen.epoch, 1_500, seen.lanes[0].cursor));
    assert_eq!((back.admitted, back.rate_per_minute, back.burst), (3, 600, 5));
    assert!(back.supersedes(&late.snapshot) || back.version > seen.version);
    assert!(back.issued() > late.snapshot.issued(), "numbers given out after the snapshot are not given out again");
    assert_eq!(line.restore(now, &seen), back, "once, whoever else asks for it");
    let lane = |issued, cursor| vec![LaneSnapshot { issued, cursor, ..seen.lanes[0].clone() }];
    let older = Snapshot { version: seen.version - 1, lanes: lane(9_999, 0), ..seen.clone() };
    assert_eq!(line.restore(now, &older), back);
    assert!(matches!(claim_one(&mut line, now, 4), Claimed::NoBudget { .. }), "what was given ahead is owed");
    line.tick(now + 1_100);
    assert!(matches!(claim_one(&mut line, now + 1_100, 4), Claimed::Admitted(_)));
    let newer = Snapshot { version: back.version + 50, lanes: lane(700, 400), ..seen.clone() };
    let merged = line.restore(now + 1_100, &newer);
    assert_eq!((merged.issued(), merged.lanes[0].cursor), (1_700, 400), "what is higher stays");
    assert!(merged.version > newer.version);
    let other = Snapshot { epoch: 1, version: 1_000_000, ..newer };
    assert_eq!(line.restore(now + 1_100, &other), merged, "people wait in this epoch");
}

#[test]
fn every_change_is_kept_and_can_be_undone() {
    let mut line = Model::begin(BEGIN_MS, &initial(60, 0));
    let begun = line.tick(BEGIN_MS);
    let change = RoomChange {
        rate_per_minute: Some(100),
        state: Some(RoomState::Paused),
        message: Some("Soon".to_owned()),
        max_active: Some(7),
        queue_max: Some(8),
        method: Some(Method::Draw),
        opens_at_ms: Some(BEGIN_MS + 9_000),
        session_renewal: Some(true),
        burst: Some(3),
        ..RoomChange::default()
    };
    line.change_by(BEGIN_MS, "ann", &change);
    let kept = line.0.changes();
    assert_eq!((kept.len(), kept[0].at_ms, kept[0].who.as_str(), &kept[0].after), (1, BEGIN_MS, "ann", &change));
    let undone = line.change_by(BEGIN_MS, "bob", &kept[0].before);
    assert_eq!(undone, Snapshot { version: undone.version, ..begun });
    assert_eq!(line.0.changes()[1].before, change, "and done again");
    let empty = line.change_by(BEGIN_MS, "cy", &RoomChange::default());
    assert_eq!((empty.version, line.0.changes().len()), (undone.version, 2));
    for rate in 1..=600 {
        line.change(BEGIN_MS, &RoomChange { rate_per_minute: Some(rate), ..RoomChange::default() });
    }
    let last = line.0.changes();
    assert_eq!(
        (last.len(), last[499].after.rate_per_minute, last[0].after.rate_per_minute),
        (500, Some(600), Some(101))
    );
}
