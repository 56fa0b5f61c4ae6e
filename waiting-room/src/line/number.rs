//! A number and its lane in one: `lane << 32 | n`, so that whatever names a number names its lane, and the first lane's
//! numbers are plain. Every one of them is exact in a double.

/// Where the lane begins.
const LANE_SHIFT: u32 = 32;

/// The highest `n` of a lane: where the bitmap of the largest store ends.
pub(crate) const NUMBER_MAX: u64 = u32::MAX as u64;

/// The number `n` of a lane.
pub const fn numbered(lane: usize, n: u64) -> u64 {
    (lane as u64) << LANE_SHIFT | n
}

/// The lane of a number; perhaps one that the room does not have.
pub const fn lane_of(number: u64) -> usize {
    (number >> LANE_SHIFT) as usize
}

/// The number within its lane, from 1: what its holder is told.
pub const fn within_lane(number: u64) -> u64 {
    number & NUMBER_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_lane_and_the_first_lanes_are_plain() {
        assert_eq!(numbered(0, 7), 7);
        for (lane, n) in [(0, 1), (1, 1), (7, NUMBER_MAX)] {
            let number = numbered(lane, n);
            assert_eq!((lane_of(number), within_lane(number)), (lane, n));
            assert!(number < 1 << 53, "exact in a double");
        }
    }
}
