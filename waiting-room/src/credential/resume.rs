//! One-time codes with which a place goes on with another device. A code is made and checked with the ticket key alone,
//! so any node can do both and nothing is stored: it holds the number, sealed, and a truncated MAC over room, epoch, lane,
//! number, how often the place has moved, and a window of time. Moving the place makes the code worthless.

use crate::line::numbered;
use aws_lc_rs::{constant_time, hmac};

use super::spoken;
use super::ticket::TicketKeys;

/// First bytes of what is signed and of what the mask is derived from; tickets and draws have others.
const KIND_TAG: u8 = 16;
const KIND_MASK: u8 = 17;
const KIND_ATTEMPT: u8 = 18;

/// Codes change this often, in milliseconds.
const WINDOW_MS: i64 = 300_000;
/// A code holds at least this long, in milliseconds.
pub(crate) const CODE_MS: i64 = 2 * WINDOW_MS;
/// The window of now, those in which a code that still holds was made, and the next: another node may be a little ahead.
const WINDOWS: [i64; 4] = [0, -1, -2, 1];

const TAG_CHARACTERS: u32 = 8;
const TAG_BITS: u32 = 40;
/// Up to a million people in the first lane the code is short.
const SHORT: Shape = Shape { characters: 4, number_bits: 20 };
/// Otherwise it has room for every number, and for the lane above it.
const LONG: Shape = Shape { characters: 7, number_bits: 32 };

struct Shape {
    characters: u32,
    number_bits: u32,
}

/// The place that a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldPlace {
    pub(crate) epoch: u64,
    pub(crate) lane: u8,
    pub(crate) number: u64,
}

impl HeldPlace {
    /// The number as the line knows it.
    pub(crate) fn in_line(self) -> u64 {
        numbered(usize::from(self.lane), self.number)
    }
}

/// A code that was typed: its place, as it says, and the proof that is still to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) held: HeldPlace,
    tag: u64,
}

impl TicketKeys {
    /// The code of a place that has moved so often. Written with dashes.
    pub(crate) fn resume_code(&self, room: &str, held: HeldPlace, moved: u64, now_ms: i64) -> String {
        let shape = if held.lane == 0 && held.number < 1 << SHORT.number_bits { SHORT } else { LONG };
        let tag = self.tag(room, held, moved, now_ms.div_euclid(WINDOW_MS));
        let place = u64::from(held.lane) << shape.number_bits | held.number;
        let sealed = (place ^ self.mask(room, held.epoch, tag)) & bits(5 * shape.characters);
        let text = spoken::spell(sealed, shape.characters) + &spoken::spell(tag, TAG_CHARACTERS);
        spoken::grouped(&text)
    }

    /// What a code says; not yet whether it is true.
    pub(crate) fn read_code(&self, room: &str, epoch: u64, text: &str) -> Option<Typed> {
        let text = Some(text).filter(|text| text.len() <= 64).and_then(spoken::normal)?;
        let shape = [SHORT, LONG].into_iter().find(|shape| text.len() == len(shape))?;
        let (sealed, tag) = text.split_at_checked(text.len() - TAG_CHARACTERS as usize)?;
        let (sealed, tag) = (spoken::value(sealed)?, spoken::value(tag)?);
        let place = (sealed ^ self.mask(room, epoch, tag)) & bits(5 * shape.characters);
        let lane = u8::try_from(place >> shape.number_bits).ok()?;
        Some(Typed { held: HeldPlace { epoch, lane, number: place & bits(shape.number_bits) }, tag })
    }

    /// Whether a code is one of ours, of now, for a place that has moved so often.
    pub(crate) fn is_code(&self, room: &str, typed: Typed, moved: u64, now_ms: i64) -> bool {
        let window = now_ms.div_euclid(WINDOW_MS);
        let equal = |past: &i64| {
            let ours = self.tag(room, typed.held, moved, window + past);
            constant_time::verify_slices_are_equal(&ours.to_be_bytes(), &typed.tag.to_be_bytes()).is_ok()
        };
        // All are compared, so that time does not tell which one fits.
        WINDOWS.iter().filter(|past| equal(past)).count() > 0
    }

    /// A name for one device's attempt to use a code: whoever repeats it, because an answer was lost, is the same device.
    pub(crate) fn attempt(&self, text: &str) -> u32 {
        let mut bytes = vec![KIND_ATTEMPT];
        bytes.extend_from_slice(text.as_bytes());
        u32::try_from(self.short(&bytes) & 0xffff_ffff).unwrap_or(0)
    }

    fn tag(&self, room: &str, held: HeldPlace, moved: u64, window: i64) -> u64 {
        let mut bytes = labelled(KIND_TAG, room);
        bytes.extend_from_slice(&held.epoch.to_be_bytes());
        bytes.push(held.lane);
        bytes.extend_from_slice(&held.number.to_be_bytes());
        bytes.extend_from_slice(&moved.to_be_bytes());
        bytes.extend_from_slice(&window.to_be_bytes());
        self.short(&bytes) & bits(TAG_BITS)
    }

    fn mask(&self, room: &str, epoch: u64, tag: u64) -> u64 {
        let mut bytes = labelled(KIND_MASK, room);
        bytes.extend_from_slice(&epoch.to_be_bytes());
        bytes.extend_from_slice(&tag.to_be_bytes());
        self.short(&bytes)
    }

    fn short(&self, bytes: &[u8]) -> u64 {
        let tag = hmac::sign(self.key(), bytes);
        tag.as_ref().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
    }
}

fn labelled(kind: u8, room: &str) -> Vec<u8> {
    let mut bytes = vec![kind, u8::try_from(room.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(room.as_bytes());
    bytes
}

const fn bits(count: u32) -> u64 {
    (1 << count) - 1
}

const fn len(shape: &Shape) -> usize {
    (shape.characters + TAG_CHARACTERS) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_MS: i64 = 1_764_000_000_000;

    #[test]
    fn a_code_holds_ten_minutes_and_fifteen_at_most() {
        let keys = TicketKeys::new(&[7; 32]);
        let held = HeldPlace { epoch: 3, lane: 0, number: 48_211 };
        for offset_ms in [0, 1, WINDOW_MS - 1] {
            let code = keys.resume_code("demo", held, 0, NOW_MS + offset_ms);
            assert_eq!(code.len(), 14);
            let typed = keys.read_code("demo", 3, &code.to_lowercase().replace('-', " ")).expect("a code");
            let holds = |after_ms: i64| keys.is_code("demo", typed, 0, NOW_MS + offset_ms + after_ms);
            assert!(holds(0) && holds(CODE_MS) && holds(-1_000) && !holds(CODE_MS + WINDOW_MS), "{offset_ms}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_for_one_place_that_has_not_moved(
            lane in 0_u8..8, number in prop_oneof![1..1_u64 << 20, 1..=u64::from(u32::MAX)], epoch: u64, moved in 0_u64..1_000,
        ) {
            let keys = TicketKeys::new(&[7; 32]);
            let held = HeldPlace { epoch, lane, number };
            let code = keys.resume_code("demo", held, moved, NOW_MS);
            let typed = keys.read_code("demo", epoch, &code).expect("a code");
            prop_assert_eq!(typed.held, held);
            prop_assert!(keys.is_code("demo", typed, moved, NOW_MS));
            prop_assert!(!keys.is_code("demo", typed, moved + 1, NOW_MS));
            let shown = code.replace('-', "");
            prop_assert!(!shown.contains(&spoken::spell(number, 4)) || number < 1 << 10, "the number is sealed");
            for (other, room, of) in [(TicketKeys::new(&[8; 32]), "demo", epoch), (keys.clone(), "demo2", epoch), (keys, "demo", !epoch)] {
                let read = other.read_code(room, of, &code);
                prop_assert!(read.is_none_or(|typed| !other.is_code(room, typed, moved, NOW_MS)));
            }
        }

        #[test]
        fn noise_is_no_code(text in "[0-9A-Za-z -]{0,20}") {
            let keys = TicketKeys::new(&[7; 32]);
            prop_assert!(keys.read_code("demo", 3, &text).is_none_or(|typed| !keys.is_code("demo", typed, 0, NOW_MS)));
        }
    }
}
