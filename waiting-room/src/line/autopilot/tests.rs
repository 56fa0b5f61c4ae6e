//! The autopilot against shops of every size: never outside its bounds, near what the shop can bear, and back again.

use proptest::prelude::*;

use super::*;

const BOUNDS: Autopilot = Autopilot { floor: 100, ceiling: 2_100, p95_ms: 200 };

/// A shop that answers fast up to what it can bear, and slowly or with failures above.
#[derive(Clone, Copy, Debug)]
struct Shop {
    bears: u32,
    fails: bool,
}

impl Shop {
    fn health(self, rate_per_minute: u32, over_ms: u64) -> Health {
        let over = rate_per_minute > self.bears;
        let answers = u32::try_from(u64::from(rate_per_minute) * over_ms / 6_000).unwrap_or(u32::MAX);
        let failed = if over && self.fails { answers / 5 } else { 0 };
        let p95_ms = if over && !self.fails { 900 } else { 40 };
        Health { over_ms, answers, failed, p95_ms, in_flight: rate_per_minute / 100, orders: None }
    }
}

/// One node, a decision a second, for so many seconds; the rates on the way.
fn fly(pilot: &mut Pilot, bounds: &Autopilot, start: (u64, u32), seconds: u64, shop: Shop) -> Vec<u32> {
    let (from_s, mut rate) = start;
    (from_s..from_s + seconds)
        .map(|second| {
            let decision = pilot.decide(bounds, second * 1_000, rate, 1_000, |over_ms| shop.health(rate, over_ms));
            rate = decision.rate_per_minute;
            rate
        })
        .collect()
}

fn bounds() -> impl Strategy<Value = Autopilot> {
    (1..=RATE_PER_MINUTE_MAX, 1..=RATE_PER_MINUTE_MAX, 1..=P95_MS_MAX).prop_map(|(one, other, p95_ms)| Autopilot {
        floor: one.min(other),
        ceiling: one.max(other),
        p95_ms,
    })
}

fn health() -> impl Strategy<Value = Health> {
    (0..=20_000_u64, any::<u32>(), any::<u32>(), 0..=600_000_u64, any::<u32>()).prop_map(
        |(over_ms, answers, failed, p95_ms, in_flight)| Health {
            over_ms,
            answers,
            failed: failed.min(answers),
            p95_ms,
            in_flight,
            orders: in_flight
                .is_multiple_of(3)
                .then_some(Orders { in_flight: u64::from(in_flight) << 16, per_second: u64::from(answers % 4) << 32 }),
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_measured_the_rate_stays_within_the_bounds(
        bounds in bounds(), rate in 1..=RATE_PER_MINUTE_MAX, waiting in any::<u64>(),
        measured in prop::collection::vec(health(), 1..40),
    ) {
        let (mut pilot, mut rate) = (Pilot::default(), rate);
        for (second, health) in measured.into_iter().enumerate() {
            let decision = pilot.decide(&bounds, second as u64 * 1_000, rate, waiting, |_| health);
            prop_assert!((bounds.floor..=bounds.ceiling).contains(&decision.rate_per_minute), "{decision:?}");
            prop_assert!(decision.words(&bounds).ends_with('.'));
            rate = decision.rate_per_minute;
        }
    }

    #[test]
    fn it_comes_near_what_the_shop_can_bear_and_stays_there(
        bears in 200..2_000_u32, fails in any::<bool>(), begin in 100..=2_100_u32,
    ) {
        let rates = fly(&mut Pilot::default(), &BOUNDS, (0, begin), 600, Shop { bears, fails });
        let step = (BOUNDS.ceiling - BOUNDS.floor) / STEPS;
        let least = (u64::from(bears) * KEEP_PERCENT / 100) as u32;
        for rate in &rates[300..] {
            prop_assert!(*rate <= bears + step && *rate + 1 >= least, "{rate} for a shop that bears {bears}");
        }
    }

    #[test]
    fn it_recovers_when_the_shop_does(fails in any::<bool>()) {
        let mut pilot = Pilot::default();
        let ill = fly(&mut pilot, &BOUNDS, (0, 2_000), 120, Shop { bears: 0, fails });
        prop_assert_eq!(ill.last(), Some(&BOUNDS.floor));
        let well = fly(&mut pilot, &BOUNDS, (120, BOUNDS.floor), 180, Shop { bears: u32::MAX, fails });
        prop_assert_eq!(well.last(), Some(&BOUNDS.ceiling));
    }
}

#[test]
fn two_nodes_do_not_add_up_their_steps() {
    let shop = Shop { bears: u32::MAX, fails: false };
    let (mut one, mut other, mut rate) = (Pilot::default(), Pilot::default(), BOUNDS.floor);
    let mut raised = 0;
    for second in 0..60 {
        for pilot in [&mut one, &mut other] {
            let decision = pilot.decide(&BOUNDS, second * 1_000, rate, 9, |over_ms| shop.health(rate, over_ms));
            raised += u32::from(decision.rate_per_minute > rate);
            rate = decision.rate_per_minute;
        }
    }
    let alone = fly(&mut Pilot::default(), &BOUNDS, (0, BOUNDS.floor), 60, shop);
    assert!(raised <= 12 && rate <= *alone.last().unwrap() + 100, "{raised} steps, {rate} a minute");
}

#[test]
fn each_reason_is_told_in_words() {
    let fine = Health { over_ms: 10_000, answers: 100, failed: 0, p95_ms: 40, in_flight: 2, orders: None };
    let orders = |in_flight, per_second| Health { orders: Some(Orders { in_flight, per_second }), ..fine };
    let told = |rate, waiting, health: Health| {
        let mut pilot = Pilot { rate_per_minute: rate, since_ms: 20_000 - health.over_ms };
        pilot.decide(&BOUNDS, 20_000, rate, waiting, |_| health).words(&BOUNDS)
    };
    let table = [
        (told(5_000, 1, fine), "Lowered from 5000 to 2100 a minute: the bounds are 100 to 2100."),
        (told(50, 1, fine), "Raised from 50 to 100 a minute: the bounds are 100 to 2100."),
        (told(500, 1, fine), "Raised from 500 to 600 a minute: 95 of 100 answers take 40 ms of 200 ms."),
        (told(2_100, 1, fine), "At the ceiling of 2100 a minute: 95 of 100 answers take 40 ms of 200 ms."),
        (told(500, 0, fine), "Kept at 500 a minute: the shop is well, and nobody waits."),
        (told(500, 1, Health { over_ms: 900, ..fine }), "Kept at 500 a minute: the rate has just changed."),
        (
            told(500, 1, Health { p95_ms: 180, ..fine }),
            "Kept at 500 a minute: 95 of 100 answers take 180 ms of 200 ms, and 0 of 100 failed.",
        ),
        (
            told(1_000, 1, Health { p95_ms: 201, ..fine }),
            "Lowered from 1000 to 700 a minute: 95 of 100 answers take 201 ms, more than 200 ms.",
        ),
        (told(100, 1, Health { failed: 6, ..fine }), "At the floor of 100 a minute: 6 of 100 answers failed."),
        (
            told(1_000, 1, Health { answers: 0, in_flight: 40, ..fine }),
            "Lowered from 1000 to 700 a minute: 40 requests have no answer yet.",
        ),
        (
            told(1_000, 1, orders(402, 2_000)),
            "Lowered from 1000 to 700 a minute: 402 orders are under way, and the shop does 2000 a second.",
        ),
        (
            told(100, 1, orders(20, 0)),
            "At the floor of 100 a minute: 20 orders are under way, and the shop does 0 a second.",
        ),
        (
            told(500, 1, orders(350, 2_000)),
            "Kept at 500 a minute: 95 of 100 answers take 40 ms of 200 ms, and 0 of 100 failed.",
        ),
        (told(500, 1, orders(19, 0)), "Raised from 500 to 600 a minute: 95 of 100 answers take 40 ms of 200 ms."),
        (
            told(500, 1, Health { answers: 0, in_flight: 0, ..fine }),
            "Kept at 500 a minute: no answer came from the shop in 10 s.",
        ),
    ];
    for (said, expected) in table {
        assert_eq!(said, expected);
    }
    let one_slow_page = Health { answers: 3, p95_ms: 5_000, ..fine };
    assert_eq!(judge(&BOUNDS, 1, 10_000, &one_slow_page), Reason::Fair);
}

#[test]
fn bounds_out_of_range_are_named() {
    let wrong = |bounds: Autopilot| bounds.check().unwrap_err().to_string();
    assert_eq!(BOUNDS.check(), Ok(()));
    assert_eq!(wrong(Autopilot { floor: 0, ..BOUNDS }), "autopilot.floor must be 1 to 1000000");
    assert_eq!(wrong(Autopilot { ceiling: 99, ..BOUNDS }), "autopilot.ceiling must be 100 (the floor) to 1000000");
    assert_eq!(wrong(Autopilot { p95_ms: 0, ..BOUNDS }), "autopilot.p95_ms must be 1 to 60000");
}
