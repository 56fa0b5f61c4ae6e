//! Stories about orders of stock: crowds, repeats, the poisoned, several nodes, and commits whose answer is lost.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::catalogue::{self, ProductEntry};
use crate::db::{Db, DbError, in_tx, params};
use crate::group::Unserved;
use crate::testing::{clock, small};

on_every_database!(
    a_crowd_gets_exactly_what_there_is,
    one_order_sent_many_times_is_one_order,
    the_poisoned_fall_out_and_the_rest_buys,
    all_products_of_an_order_or_none,
    a_refusal_names_all_that_was_lost,
    two_nodes_sell_the_same_stock_once,
);

/// Long enough for whoever does not wait for anybody.
const MOMENT: Duration = Duration::from_millis(100);

/// The small sale with so many of product `p`, and of a product `q`.
async fn stocked(world: &World, p: i64, q: i64) {
    let mut catalogue = small(LONG_MS, LONG_MS);
    let sale = &mut catalogue.sales[0];
    sale.products[0].stock = p;
    let text = String::from;
    sale.products.push(ProductEntry {
        id: text("q"),
        title: text("Mug"),
        price: 900,
        per_order_max: 4,
        stock: q,
        ..ProductEntry::default()
    });
    catalogue::seed(&world.db, &catalogue).await.expect("a catalogue");
}

fn one(customer: CustomerId) -> HoldStock {
    HoldStock { id: id(), customer, lines: vec![(String::from("p"), 1)], coupon: None }
}

fn ordered(outcomes: &[Result<StockOutcome, Unserved>]) -> usize {
    outcomes.iter().filter(|one| matches!(one, Ok(StockOutcome::Ordered(_)))).count()
}

async fn a_crowd_gets_exactly_what_there_is(world: &World) {
    stocked(world, 100, 0).await;
    let customer = world.customer().await;
    let asks: Vec<HoldStock> = (0..600).map(|_| one(customer)).collect();
    let outcomes = join_all(asks.iter().map(|ask| hold_stock(&world.stock, ask))).await;
    assert_eq!(ordered(&outcomes), 100);
    let refused = |one: &&Result<StockOutcome, Unserved>| matches!(one, Ok(StockOutcome::Refused(refused)) if is_all_held(refused, 0));
    assert_eq!(outcomes.iter().filter(refused).count(), 500, "the rest are told so");
    assert_eq!(world.count("select held from stock where product_id = 'p'").await, 100);
    assert_eq!(world.count("select count(*) from reservation where state = 'checkout'").await, 100);
    assert_eq!(world.count("select count(*) from stock_movement where kind = 'hold'").await, 100);
    for (ask, outcome) in asks.iter().zip(&outcomes) {
        let stored = find(&world.db, ask.id, customer).await.expect("a read");
        let Ok(StockOutcome::Ordered(order)) = outcome else {
            assert_eq!(stored, None, "who was refused has nothing");
            continue;
        };
        assert_eq!(stored.as_ref(), Some(order), "who was told so has it");
    }
    let load = world.stock.busy();
    assert!(load.in_flight == 0 && load.per_second > 0, "{load:?}");
}

/// Who writes waits for the disk, and that may take long.
#[tokio::test]
async fn who_finds_it_sold_out_does_not_wait_for_who_writes() {
    let world = World::sqlite().await;
    stocked(&world, 2, 1).await;
    let customer = world.customer().await;
    let waits = world.db.waits();
    let outcomes = join_all((0..2).map(|_| async { hold_stock(&world.stock, &one(customer)).await })).await;
    assert_eq!(ordered(&outcomes), 2);
    assert_eq!(world.db.waits() - waits, 1, "orders of a group are on the disk before anybody is told of them");
    let ask = one(customer);
    assert!(matches!(hold_stock(&world.stock, &ask).await, Ok(StockOutcome::Refused(_))), "the first to hear of it");
    assert_eq!(world.db.waits() - waits, 1, "a refusal need not be");
    let writing = world.db.begin().await.expect("the writer");
    let told = hold_stock(&world.stock, &ask).await;
    assert!(told.as_ref().is_ok_and(may_return), "{told:?}");
    drop(writing);
    let Ok(StockOutcome::Ordered(first)) = &outcomes[0] else { panic!("{outcomes:?}") };
    let again = HoldStock { id: first.id, ..one(customer) };
    assert!(matches!(hold_stock(&world.stock, &again).await, Ok(StockOutcome::Repeated(_))), "who has an order");
    assert_eq!(world.db.waits() - waits, 2, "is told of it when it is on the disk, also the second time");
    let mug = HoldStock { lines: vec![(String::from("q"), 1)], ..one(customer) };
    let both = [hold_stock(&world.stock, &mug).await, hold_stock(&world.stock, &ask).await];
    assert!(matches!(both, [Ok(StockOutcome::Ordered(_)), Ok(StockOutcome::Refused(_))]), "there is a mug: {both:?}");
    step::cancel(&world.db, first.id, customer).await.expect("cancelled");
    assert!(matches!(hold_stock(&world.stock, &ask).await, Ok(StockOutcome::Ordered(_))), "one came back");
    world.the_books_agree().await;
}

/// So many ask for one each while somebody else writes. What they are told meanwhile, and what the others are told after it.
async fn while_somebody_writes(world: &World, asks: &[HoldStock], told: usize) -> [Vec<StockOutcome>; 2] {
    let writing = world.db.begin().await.expect("the writer");
    let asking = asks.iter().map(|ask| async { hold_stock(&world.stock, ask).await.expect("an outcome") });
    let mut asking: FuturesUnordered<_> = asking.collect();
    let meanwhile = asking.by_ref().take(told).collect();
    let meanwhile = timeout(Duration::from_secs(4), meanwhile).await.expect("nobody waits for the writer in vain");
    assert!(asking.next().now_or_never().is_none(), "the others wait for it");
    drop(writing);
    [meanwhile, asking.collect().await]
}

/// All of it is held, and may come back when somebody's time to pay is over.
fn may_return(outcome: &StockOutcome) -> bool {
    let StockOutcome::Refused(refused) = outcome else { return false };
    is_all_held(refused, 0) && matches!(refused, Refused::AllHeld { may_return_in_ms: Some(1..), .. })
}

/// One of `p` and one of `q`. That of `p` was ordered, missed by somebody, and has come back.
async fn one_came_back() -> (World, CustomerId) {
    let world = World::sqlite().await;
    stocked(&world, 1, 1).await;
    let customer = world.customer().await;
    let first = one(customer);
    assert!(matches!(hold_stock(&world.stock, &first).await, Ok(StockOutcome::Ordered(_))));
    assert!(matches!(hold_stock(&world.stock, &one(customer)).await, Ok(StockOutcome::Refused(_))));
    step::cancel(&world.db, first.id, customer).await.expect("cancelled");
    (world, customer)
}

/// It is as good as taken by the first who wants it.
#[tokio::test]
async fn one_that_came_back_is_waited_for_by_one() {
    let (world, customer) = one_came_back().await;
    let asks: Vec<HoldStock> = (0..40).map(|_| one(customer)).collect();
    let [told, waited] = while_somebody_writes(&world, &asks, 39).await;
    assert!(told.iter().all(may_return), "{told:?}");
    assert!(matches!(waited[..], [StockOutcome::Ordered(_)]), "{waited:?}");
    world.the_books_agree().await;
}

async fn everybodys_time_is_over(world: &World) {
    let passed = "update reservation set due_at = 1, pay_until = 1 where state = 'checkout'";
    let done: Result<u64, DbError> = in_tx!(world.db, tx, { tx.execute(passed, params![]).await });
    assert_eq!(done.expect("an order"), 1);
}

/// As many as there is for them: what has lapsed counts by pieces, and is cleared away by who gets it.
#[tokio::test]
async fn three_that_lapsed_are_waited_for_by_three() {
    let world = World::sqlite().await;
    stocked(&world, 3, 0).await;
    let customer = world.customer().await;
    let all = HoldStock { lines: vec![(String::from("p"), 3)], ..one(customer) };
    assert!(matches!(hold_stock(&world.stock, &all).await, Ok(StockOutcome::Ordered(_))));
    assert!(matches!(hold_stock(&world.stock, &one(customer)).await, Ok(StockOutcome::Refused(_))));
    everybodys_time_is_over(&world).await;
    let asks: Vec<HoldStock> = (0..20).map(|_| one(customer)).collect();
    let [told, waited] = while_somebody_writes(&world, &asks, 17).await;
    assert!(told.iter().all(may_return), "{told:?}");
    assert!(waited.iter().all(|outcome| matches!(outcome, StockOutcome::Ordered(_))), "{waited:?}");
    assert_eq!(waited.len(), 3);
    world.the_books_agree().await;
}

/// Who is being served keeps its place, whether or not somebody still listens.
#[tokio::test]
async fn who_is_being_served_is_ahead_until_the_end() {
    let (world, customer) = one_came_back().await;
    let writing = world.db.begin().await.expect("the writer");
    let impatient = one(customer);
    let mut asking = Box::pin(hold_stock(&world.stock, &impatient));
    while world.stock.busy().in_flight == 0 {
        assert!(timeout(MOMENT, asking.as_mut()).await.is_err(), "it goes to the writer");
    }
    assert!(timeout(MOMENT, asking.as_mut()).await.is_err(), "the writer is at this one");
    drop(asking);
    let told = timeout(Duration::from_secs(4), hold_stock(&world.stock, &one(customer))).await.expect("no wait");
    assert!(told.as_ref().is_ok_and(may_return), "{told:?}");
    let again = timeout(MOMENT, hold_stock(&world.stock, &impatient)).await;
    assert!(again.is_err(), "whose ask is on its way is not told that it is gone: {again:?}");
    drop(writing);
    assert!(matches!(hold_stock(&world.stock, &impatient).await, Ok(StockOutcome::Repeated(_))));
    world.the_books_agree().await;
}

/// Who gave up before it was served is passed over at its turn, and keeps nobody from it after that.
#[tokio::test]
async fn who_went_away_is_not_ahead_any_more() {
    let (world, customer) = one_came_back().await;
    let writing = world.db.begin().await.expect("the writer");
    let mug = HoldStock { lines: vec![(String::from("q"), 1)], ..one(customer) };
    let mut served = pin!(hold_stock(&world.stock, &mug));
    assert!(timeout(MOMENT, served.as_mut()).await.is_err(), "the writer is at this one");
    let (impatient, patient) = (one(customer), one(customer));
    assert!(timeout(MOMENT, hold_stock(&world.stock, &impatient)).await.is_err(), "this one queues, and goes");
    drop(writing);
    assert!(matches!(served.await, Ok(StockOutcome::Ordered(_))));
    let insisting = async {
        while !matches!(hold_stock(&world.stock, &patient).await, Ok(StockOutcome::Ordered(_))) {
            tokio::time::sleep(MOMENT).await;
        }
    };
    timeout(Duration::from_secs(4), insisting).await.expect("there is one for this one");
    world.the_books_agree().await;
}

/// What nobody pays for in time is cleared away by who wants it, also after a group that got nothing.
#[tokio::test]
async fn who_finds_it_sold_out_finds_what_has_lapsed_since() {
    let world = World::sqlite().await;
    stocked(&world, 1, 0).await;
    let customer = world.customer().await;
    assert!(matches!(hold_stock(&world.stock, &one(customer)).await, Ok(StockOutcome::Ordered(_))));
    let ask = one(customer);
    for _ in 0..2 {
        assert!(matches!(hold_stock(&world.stock, &ask).await, Ok(StockOutcome::Refused(Refused::AllHeld { .. }))));
    }
    everybodys_time_is_over(&world).await;
    assert!(matches!(hold_stock(&world.stock, &ask).await, Ok(StockOutcome::Ordered(_))));
    world.the_books_agree().await;
}

async fn one_order_sent_many_times_is_one_order(world: &World) {
    stocked(world, 100, 0).await;
    let (customer, other) = (world.customer().await, world.customer().await);
    let ask = HoldStock { lines: vec![(String::from("p"), 3)], ..one(customer) };
    let more = HoldStock { lines: vec![(String::from("p"), 2)], ..ask.clone() };
    let theirs = HoldStock { customer: other, ..ask.clone() };
    let mut asks = vec![&ask; 20];
    asks.extend([&more, &theirs]);
    let outcomes = join_all(asks.into_iter().map(|ask| hold_stock(&world.stock, ask))).await;
    assert_eq!(ordered(&outcomes), 1);
    let repeated = |one: &&Result<StockOutcome, Unserved>| matches!(one, Ok(StockOutcome::Repeated(_)));
    assert_eq!(outcomes.iter().filter(repeated).count(), 19);
    assert!(outcomes[20..].iter().all(|one| matches!(one, Ok(StockOutcome::Refused(Refused::KeyReused)))));
    assert_eq!(world.count("select held from stock where product_id = 'p'").await, 3);
}

async fn the_poisoned_fall_out_and_the_rest_buys(world: &World) {
    stocked(world, 100, 0).await;
    let known = world.customer().await;
    let stranger = CustomerId::derived([9; 16]);
    let asks: Vec<HoldStock> = (0..40).map(|n| one(if [5, 6, 39].contains(&n) { stranger } else { known })).collect();
    let outcomes = join_all(asks.iter().map(|ask| hold_stock(&world.stock, ask))).await;
    assert_eq!(ordered(&outcomes), 37);
    for n in [5, 6, 39] {
        assert!(matches!(outcomes[n], Err(Unserved::Failed(DbError::Statement(_)))), "{:?}", outcomes[n]);
    }
    assert_eq!(world.count("select held from stock where product_id = 'p'").await, 37);
}

async fn all_products_of_an_order_or_none(world: &World) {
    stocked(world, 100, 5).await;
    let customer = world.customer().await;
    let both = |_| HoldStock { lines: vec![(String::from("q"), 2), (String::from("p"), 4)], ..one(customer) };
    let asks: Vec<HoldStock> = (0..10).map(both).collect();
    let outcomes = join_all(asks.iter().map(|ask| hold_stock(&world.stock, ask))).await;
    assert_eq!(ordered(&outcomes), 2);
    assert_eq!(world.count("select available from stock where product_id = 'p'").await, 92);
    assert_eq!(world.count("select available from stock where product_id = 'q'").await, 1);
}

/// What will not come back is named first, and makes it "sold out". Of what may come back all is waited for.
async fn a_refusal_names_all_that_was_lost(world: &World) {
    stocked(world, 5, 2).await;
    let customer = world.customer().await;
    let of =
        |p: i64, q: i64| HoldStock { lines: vec![(String::from("p"), p), (String::from("q"), q)], ..one(customer) };
    let first = of(3, 2);
    assert!(matches!(hold_stock(&world.stock, &first).await, Ok(StockOutcome::Ordered(_))));
    let lost = |product: &str, available| Lost { product: product.to_owned(), available };
    let both = hold_stock(&world.stock, &of(3, 1)).await;
    let Ok(StockOutcome::Refused(Refused::AllHeld { lost: named, may_return_in_ms: Some(1..) })) = both else {
        panic!("{both:?}")
    };
    assert_eq!(named, [lost("p", 2), lost("q", 0)]);
    pay(world, first.id, customer).await;
    assert!(matches!(paid(world, first.id).await, Paid::Booked(_)));
    let other = HoldStock { lines: vec![(String::from("p"), 1)], ..one(customer) };
    assert!(matches!(hold_stock(&world.stock, &other).await, Ok(StockOutcome::Ordered(_))));
    let gone = hold_stock(&world.stock, &of(3, 1)).await;
    let Ok(StockOutcome::Refused(Refused::SoldOut { lost: named })) = gone else { panic!("{gone:?}") };
    assert_eq!(named, [lost("q", 0), lost("p", 1)], "a mug is sold, a poster is only held");
}

async fn two_nodes_sell_the_same_stock_once(world: &World) {
    stocked(world, 100, 0).await;
    let elsewhere = StockOrders::on(Db::connect(&world.url, clock()).await.expect("a second node"));
    let customer = world.customer().await;
    let asks: Vec<HoldStock> = (0..200).map(|_| one(customer)).collect();
    let sent = asks.iter().enumerate().map(|(n, ask)| {
        // A quarter goes to both nodes at once, as a client does that lost its patience.
        let nodes = if n % 4 == 0 { vec![&world.stock, &elsewhere] } else { vec![&world.stock] };
        join_all(nodes.into_iter().map(move |node| hold_stock(node, ask)))
    });
    let outcomes: Vec<_> = join_all(sent).await.into_iter().flatten().collect();
    assert_eq!(ordered(&outcomes), 100, "each order is new once");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(world.count("select held from stock where product_id = 'p'").await, 100);
}

const PASS: u8 = 0;
const SWALLOW_THE_ANSWER: u8 = 1;
const SWALLOW_THE_COMMIT: u8 = 2;

/// Stands between us and the server, and cuts the connection once at a commit.
async fn cutting_proxy(server: String, cut: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.expect("the test server");
            tokio::spawn(pump(client, server, Arc::clone(&cut)));
        }
    });
    port
}

async fn pump(mut client: TcpStream, mut server: TcpStream, cut: Arc<AtomicU8>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read?];
                let is_commit = bytes.windows(6).any(|word| word == b"COMMIT");
                let fault = if is_commit { cut.swap(PASS, Ordering::SeqCst) } else { PASS };
                if bytes.is_empty() || fault == SWALLOW_THE_COMMIT {
                    return Ok(());
                }
                server.write_all(bytes).await?;
                if fault == SWALLOW_THE_ANSWER {
                    let _bytes = server.read(&mut answered).await?;
                    return Ok(());
                }
            }
            read = server.read(&mut answered) => {
                let bytes = &answered[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_looked_up_before_anybody_is_told() {
    let Some(world) = World::mariadb().await else { return };
    stocked(&world, 100, 0).await;
    let customer = world.customer().await;
    let (login, rest) = world.url.split_once('@').expect("a login");
    let (server, database) = rest.split_once('/').expect("a database");
    let cut = Arc::new(AtomicU8::new(PASS));
    let port = cutting_proxy(server.to_owned(), Arc::clone(&cut)).await;
    let db = Db::connect(&format!("{login}@127.0.0.1:{port}/{database}"), clock()).await.expect("through the proxy");
    let orders = StockOrders::on(db);
    for (fault, stored) in [(SWALLOW_THE_ANSWER, true), (SWALLOW_THE_COMMIT, false)] {
        let asks: Vec<HoldStock> = (0..12).map(|_| one(customer)).collect();
        cut.store(fault, Ordering::SeqCst);
        let outcomes = join_all(asks.iter().map(|ask| hold_stock(&orders, ask))).await;
        assert_eq!(cut.load(Ordering::SeqCst), PASS, "a commit was cut off");
        let (mut new, mut found) = (0, 0);
        for outcome in &outcomes {
            match outcome {
                Ok(StockOutcome::Ordered(_)) => new += 1,
                Ok(StockOutcome::Repeated(_)) => found += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(new + found, 12);
        assert_eq!(found > 0, stored, "what was stored is found, what was not is done");
    }
    assert_eq!(world.count("select held from stock where product_id = 'p'").await, 24);
    assert_eq!(world.count("select count(*) from reservation").await, 24);
    world.the_books_agree().await;
    world.close().await;
}
