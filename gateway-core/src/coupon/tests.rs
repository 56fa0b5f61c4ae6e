//! At most one each, at most the limit, under any race.

use super::*;
use crate::catalogue::{self, Campaign};
use crate::testing::{World, on_every_database, small};

on_every_database!(
    never_more_than_there_are,
    one_for_each,
    an_unknown_campaign,
    a_campaign_has_a_beginning_and_an_end,
    a_wish_that_is_written_twice_is_one,
    a_stranger_falls_out_and_the_rest_gets_theirs,
);

async fn never_more_than_there_are(world: &World) {
    world.sale(1_000, 1_000).await;
    let mut customers = Vec::new();
    for _ in 0..24 {
        customers.push(world.customer().await);
    }
    let issued = futures_util::future::join_all(customers.iter().map(|one| issue(&world.coupons, "c", *one))).await;
    let issued: Vec<Issued> = issued.into_iter().map(|one| one.expect("an outcome")).collect();
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Now { .. })).count(), 5);
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Gone)).count(), 19);
    assert_eq!(world.count("select remaining from campaign").await, 0);
}

async fn one_for_each(world: &World) {
    world.sale(1_000, 1_000).await;
    let customer = world.customer().await;
    let issued = futures_util::future::join_all((0..8).map(|_| issue(&world.coupons, "c", customer))).await;
    let issued: Vec<Issued> = issued.into_iter().map(|one| one.expect("an outcome")).collect();
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Now { .. })).count(), 1);
    assert_eq!(issued.iter().filter(|one| matches!(one, Issued::Before { .. })).count(), 7);
    assert_eq!(world.count("select remaining from campaign").await, 4);
}

async fn an_unknown_campaign(world: &World) {
    world.sale(1_000, 1_000).await;
    let customer = world.customer().await;
    assert_eq!(issue(&world.coupons, "nöne", customer).await.expect("an outcome"), Issued::NoSuchCampaign);
    assert_eq!(issue(&world.coupons, "", customer).await.expect("an outcome"), Issued::NoSuchCampaign);
}

fn wish(customer: CustomerId, code: &str) -> Wish {
    Wish { campaign: String::from("c"), customer, code: code.to_owned() }
}

/// As after a commit whose answer was lost: the same group again.
async fn a_wish_that_is_written_twice_is_one(world: &World) {
    world.sale(1_000, 1_000).await;
    let (a, b) = (world.customer().await, world.customer().await);
    let group = [wish(a, "A"), wish(b, "B"), wish(a, "C")];
    let work = Issue(world.db.clone());
    let first = work.run(&group).await.expect("outcomes");
    let code = |code: &str| code.to_owned();
    assert_eq!(
        first,
        [Issued::Now { code: code("A") }, Issued::Now { code: code("B") }, Issued::Before { code: code("A") }]
    );
    assert_eq!(work.run(&group).await.expect("outcomes"), first);
    assert_eq!(world.count("select remaining from campaign").await, 3);
}

async fn a_stranger_falls_out_and_the_rest_gets_theirs(world: &World) {
    world.sale(1_000, 1_000).await;
    let mut customers = [CustomerId::derived([9; 16]); 5];
    for at in [0, 1, 3, 4] {
        customers[at] = world.customer().await;
    }
    let issued = futures_util::future::join_all(customers.iter().map(|one| issue(&world.coupons, "c", *one))).await;
    let theirs: Vec<bool> = issued.iter().map(|one| matches!(one, Ok(Issued::Now { .. }))).collect();
    assert_eq!(theirs, [true, true, false, true, true]);
    assert_eq!(world.count("select remaining from campaign").await, 1);
}

/// By the database's clock: the one who had a coupon keeps it beyond the end.
async fn a_campaign_has_a_beginning_and_an_end(world: &World) {
    let now_ms = world.db.now_ms().await.expect("the time");
    let mut catalogue = small(1_000, 1_000);
    catalogue.sales[0].campaigns = vec![
        Campaign { id: String::from("later"), coupons: 5, starts_at: Some(now_ms + 60_000), ..Campaign::default() },
        Campaign { id: String::from("c"), coupons: 5, ends_at: Some(now_ms + 60_000), ..Campaign::default() },
    ];
    catalogue::seed(&world.db, &catalogue).await.expect("a catalogue");
    let (early, late) = (world.customer().await, world.customer().await);
    let not_yet = issue(&world.coupons, "later", early).await.expect("an outcome");
    assert!(matches!(not_yet, Issued::NotYet { in_ms: 1..=60_000 }), "{not_yet:?}");
    assert!(matches!(issue(&world.coupons, "c", early).await, Ok(Issued::Now { .. })));
    world.end_campaign("c").await;
    assert!(matches!(issue(&world.coupons, "c", late).await, Ok(Issued::Over)));
    assert!(matches!(issue(&world.coupons, "c", early).await, Ok(Issued::Before { .. })));
    assert_eq!(world.count("select cast(sum(remaining) as signed) from campaign").await, 9);
}

#[tokio::test]
async fn a_campaign_that_makes_no_sense_is_not_seeded() {
    let world = World::sqlite().await;
    for (wrong, said) in [
        (Campaign { amount_off: -1, ..Campaign::default() }, "amount_off: -1 is not from 0"),
        (Campaign { percent_off_bp: 10_001, ..Campaign::default() }, "10001 is not from 0 to 10000"),
        (Campaign { amount_off: 1, percent_off_bp: 1, ..Campaign::default() }, "not both"),
        (Campaign { starts_at: Some(5), ends_at: Some(5), ..Campaign::default() }, "ends after it has started"),
    ] {
        let mut catalogue = small(1_000, 1_000);
        catalogue.sales[0].campaigns = vec![Campaign { id: String::from("wrong"), coupons: 5, ..wrong }];
        let refused = catalogue::seed(&world.db, &catalogue).await.expect_err("refused").to_string();
        assert!(refused.contains("sales[0].campaigns[0]") && refused.contains(said), "{refused}");
    }
    assert_eq!(world.count("select count(*) from sale").await, 0, "nothing of it was stored");
}

#[test]
fn a_code_is_read_as_people_write_it() {
    assert_eq!(code_of(" oil0abcdef\n").as_deref(), Some("0110ABCDEF"));
    for _ in 0..100 {
        let code = new_code();
        assert_eq!(code_of(&code.to_lowercase()), Some(code));
    }
    for wrong in ["", "ABC", "ABCDEFGHJKM", "ABCDEFGHJU", "ABCDEFGHÄ", "ABCDE-GHJK"] {
        assert_eq!(code_of(wrong), None, "{wrong:?}");
    }
}

proptest::proptest! {
    #[test]
    fn a_group_is_handed_out_as_one_by_one(remaining in 0_i64..6, customers in proptest::collection::vec(0_u8..12, 0..30)) {
        let id = |n: u8| CustomerId::derived([n; 16]);
        let wishes: Vec<Wish> = customers.iter().zip(0..).map(|(n, at): (&u8, i32)| wish(id(*n), &at.to_string())).collect();
        let terms = Terms::default();
        let group = hand_out(&terms, 0, remaining, HashMap::new(), &wishes.iter().collect::<Vec<_>>());
        let (mut left, mut had) = (remaining, HashMap::new());
        for (wish, (together, new)) in wishes.iter().zip(group) {
            let (alone, _) = hand_out(&terms, 0, left, had.clone(), &[wish])[0].clone();
            proptest::prop_assert_eq!(&alone, &together);
            proptest::prop_assert_eq!(new, matches!(alone, Issued::Now { .. }));
            if new {
                left -= 1;
                had.insert(wish.customer, wish.code.clone());
            }
        }
        proptest::prop_assert!(left >= 0);
    }
}
