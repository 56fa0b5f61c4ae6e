//! The draw against vectors made by another implementation (`docs/draw.py`), and its uniformity.

use proptest::prelude::*;

use super::super::answer::{LaneSnapshot, Snapshot};
use super::evidence::hex;
use super::*;

const SEED: Bytes32 = {
    let mut seed = [0; 32];
    let mut index = 0;
    while index < 32 {
        seed[index] = index as u8;
        index += 1;
    }
    seed
};
const DIGEST: &str = "d1f0c4b1a2938475";
const BEACON: &str = "drand 4521873";

fn places(draw: &Draw) -> Vec<u64> {
    (1..=draw.count()).map(|number| draw.place_of(number).expect("took part")).collect()
}

#[test]
fn the_order_is_the_one_of_the_published_vectors() {
    assert_eq!(hex(&commitment(&SEED)), "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
    let seed = final_seed(&SEED, 10, DIGEST, BEACON, "");
    assert_eq!(hex(&seed), "8ec02113c874094f6c5cc1dddd70cf136653c8bfdaa303083a9b031bbf07e865");
    assert_eq!(places(&Draw::make(seed, 10)), [6, 1, 10, 8, 3, 7, 4, 2, 9, 5]);
    let members = final_seed(&SEED, 10, DIGEST, BEACON, "members");
    assert_eq!(hex(&members), "ed6487fe83f3c2eade16824b04d319cfbffb9254bf37a3af2d4ff7133eeb68f3");
    assert_eq!(places(&Draw::make(members, 10)), [4, 1, 8, 5, 9, 2, 10, 7, 6, 3]);
    let seed = final_seed(&SEED, 1_000, DIGEST, BEACON, "");
    assert_eq!(hex(&seed), "b57fe9d77e341cab6116fde40b9c73d2b58c490dd160376c5971f817d71e3ceb");
    let draw = Draw::make(seed, 1_000);
    assert_eq!((&places(&draw)[..3], draw.place_of(1_000)), (&[850, 549, 646][..], Some(777)));
    let bytes: Vec<u8> = draw.places.iter().flat_map(|place| place.to_be_bytes()).collect();
    assert_eq!(hex(&sha256(&bytes)), "88fe41613a6dfcbc8d39795299d8c62df602d9cc01fea30c1baa949f52b4bc2d");
}

#[test]
fn small_draws_and_strangers() {
    assert_eq!(Draw::make(SEED, 0).place_of(1), None);
    let alone = Draw::make(SEED, 1);
    assert_eq!([0, 1, 2, u64::MAX].map(|number| alone.place_of(number)), [None, Some(1), None, None]);
}

#[test]
fn one_bit_of_anything_changes_the_order() {
    let order = |seed: &Bytes32, count, digest: &str, beacon: &str| {
        places(&Draw::make(final_seed(seed, count, digest, beacon, ""), 100))
    };
    let plain = order(&SEED, 100, DIGEST, BEACON);
    for bit in 0..256 {
        let mut seed = SEED;
        seed[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(order(&seed, 100, DIGEST, BEACON), plain, "seed bit {bit}");
        assert_ne!(commitment(&seed), commitment(&SEED));
    }
    for bit in 0..64 {
        assert_ne!(order(&SEED, 100 ^ 1 << bit, DIGEST, BEACON), plain, "count bit {bit}");
    }
    let flipped = |text: &str, bit: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 7] ^= 1 << (bit % 7);
        String::from_utf8(bytes).expect("seven bits are ASCII")
    };
    for bit in 0..7 * DIGEST.len() {
        assert_ne!(order(&SEED, 100, &flipped(DIGEST, bit), BEACON), plain, "digest bit {bit}");
    }
    for bit in 0..7 * BEACON.len() {
        assert_ne!(order(&SEED, 100, DIGEST, &flipped(BEACON, bit)), plain, "beacon bit {bit}");
    }
    // What ends one part cannot begin the next.
    assert_ne!(order(&SEED, 100, "ab", "c"), order(&SEED, 100, "a", "bc"));
}

fn line(drawn: u64) -> Snapshot {
    let lane = LaneSnapshot { issued: 12, drawn, digest: DIGEST.to_owned(), ..LaneSnapshot::default() };
    Snapshot { epoch: 1, lanes: vec![lane.clone(), lane], ..Snapshot::default() }
}

fn evidence() -> DrawEvidence {
    DrawEvidence::of("demo", &line(10), (0, ""), &SEED, BEACON)
}

#[test]
fn the_seed_is_secret_until_the_draw() {
    let before = DrawEvidence::of("demo", &line(0), (0, ""), &SEED, BEACON);
    assert_eq!((before.seed.clone(), before.final_seed.clone()), (None, None));
    assert_eq!((&before.commitment, before.registered), (&evidence().commitment, 12));
    assert_eq!(before.check(), Err(Refuted::NotDrawn));
    assert_eq!(evidence().seed, Some(hex(&SEED)));
}

#[test]
fn evidence_is_checked_from_itself_alone() {
    let draw = evidence().check().expect("holds");
    assert_eq!((draw.count(), draw.place_of(1), draw.place_of(11)), (10, Some(6), None));
    let with = |change: fn(&mut DrawEvidence)| {
        let mut changed = evidence();
        change(&mut changed);
        changed.check().expect_err("must be refuted")
    };
    assert_eq!(with(|e| e.seed = None), Refuted::NotDrawn);
    assert_eq!(with(|e| e.seed = Some("00".repeat(32))), Refuted::Commitment);
    assert_eq!(with(|e| e.seed = Some("0g".repeat(32))), Refuted::Unreadable("seed"));
    assert_eq!(with(|e| e.commitment = "no".to_owned()), Refuted::Commitment);
    assert_eq!(with(|e| e.drawn = 11), Refuted::FinalSeed);
    assert_eq!(with(|e| e.drawn = u64::MAX), Refuted::Unreadable("drawn"));
    assert_eq!(with(|e| e.digest.push('0')), Refuted::FinalSeed);
    assert_eq!(with(|e| e.beacon.clear()), Refuted::FinalSeed);
    assert_eq!(with(|e| e.lane = "members".to_owned()), Refuted::FinalSeed);
    let members = DrawEvidence::of("demo", &line(10), (1, "members"), &SEED, BEACON);
    assert_ne!(places(&members.check().expect("holds")), places(&draw), "each lane has an order of its own");
    assert_eq!(with(|e| e.algorithm = "other".to_owned()), Refuted::Algorithm("other".to_owned()));
}

/// How far a sum of squares lies from what chance gives, in standard deviations (Wilson and Hilferty).
fn deviation(observed: &[u32], expected: &[f64]) -> f64 {
    let square = |(&seen, &wanted): (&u32, &f64)| (f64::from(seen) - wanted).powi(2) / wanted;
    let chi2: f64 = observed.iter().zip(expected).map(square).sum();
    let spread = 2.0 / (9.0 * (observed.len() as f64 - 1.0));
    ((chi2 / (observed.len() as f64 - 1.0)).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// p between 0.001 and 0.999. The seeds are fixed, so it holds always or never.
fn is_sane(what: &str, observed: &[u32], expected: &[f64]) {
    let deviation = deviation(observed, expected);
    assert!(deviation.abs() < 3.09, "{what}: {deviation} standard deviations");
}

fn draws(count: u32, seeds: u32) -> impl Iterator<Item = Draw> {
    (0..seeds).map(move |seed| Draw::make(sha256(&[seed.to_be_bytes(), count.to_be_bytes()].concat()), count))
}

#[test]
fn everybody_is_first_equally_often_and_every_pair_of_places_is_equally_likely() {
    for (count, seeds) in [(3_u32, 30_000_u32), (10, 30_000), (50, 20_000), (1_000, 6_000)] {
        let parts = count.min(10);
        let (mut first, mut of_first, mut pairs) =
            (vec![0; count as usize], vec![0; count as usize], vec![0; (parts * parts) as usize]);
        for draw in draws(count, seeds) {
            let winner = draw.places.iter().position(|&place| place == 1).expect("somebody is first");
            first[winner] += 1;
            of_first[draw.places[0] as usize - 1] += 1;
            let part = |place: u32| (place - 1) * parts / count;
            pairs[(part(draw.places[0]) * parts + part(draw.places[count as usize - 1])) as usize] += 1;
        }
        let even = vec![f64::from(seeds) / f64::from(count); count as usize];
        is_sane(&format!("who is first of {count}"), &first, &even);
        is_sane(&format!("the place of number 1 of {count}"), &of_first, &even);
        // A pair of parts holds as many pairs of different places.
        let size = f64::from(count / parts);
        let pair = f64::from(seeds) / (f64::from(count) * f64::from(count - 1));
        let expected =
            |cell: u32| if cell / parts == cell % parts { size * (size - 1.0) * pair } else { size * size * pair };
        let cells: Vec<u32> = (0..parts * parts).filter(|&cell| expected(cell) > 0.0).collect();
        let seen: Vec<u32> = cells.iter().map(|&cell| pairs[cell as usize]).collect();
        let wanted: Vec<f64> = cells.iter().map(|&cell| expected(cell)).collect();
        assert_eq!(seen.iter().sum::<u32>(), seeds, "nothing fell into an impossible pair");
        is_sane(&format!("the places of the first and the last of {count}"), &seen, &wanted);
    }
}

#[test]
fn all_orders_of_four_are_equally_likely() {
    let mut seen = std::collections::BTreeMap::<Vec<u32>, u32>::new();
    draws(4, 24_000).for_each(|draw| *seen.entry(draw.places).or_default() += 1);
    let observed: Vec<u32> = seen.into_values().collect();
    assert_eq!(observed.len(), 24);
    is_sane("orders of four", &observed, &[1_000.0; 24]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_place_is_given_once(seed: [u8; 32], count in 0u32..3_000) {
        let mut places = places(&Draw::make(seed, count));
        places.sort_unstable();
        prop_assert!(places.into_iter().eq(1..=u64::from(count)));
    }
}
