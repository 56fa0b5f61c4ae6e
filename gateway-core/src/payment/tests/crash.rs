//! The process dies before and after every commit of an order's way, and comes back; every message comes twice. In the
//! end money, stock and messages agree, which a checker says that links nothing of ours.

use super::on_every_database;

mod on {
    use super::on_every_database;
    on_every_database!(
        paid_and_booked,
        declined_and_given_up,
        given_up_while_paying,
        money_that_comes_too_late,
        nobody_comes_back,
        every_message_comes_twice,
    );
}

mod stories {
    use super::super::{World, orders, payments};
    use crate::base::{AttemptId, ReservationId};
    use crate::coupon::{self, Coupons, Issued};
    use crate::db::crash::Side;
    use crate::db::{Db, in_tx, params};
    use crate::order::{Orders, Pay, PayOutcome, Verdicts};
    use crate::outbox::Worker;
    use crate::payment::Payments;
    use crate::payment::drive::Why;
    use crate::payment::processors::Heard;
    use crate::reservation::{self, HoldStock, State, Stepped, StockOrders};
    use crate::testing::{clock, tell};
    use serde_json::json;
    use std::process::Command;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    const OFTEN: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A core as it runs: its own connections, its own workers, and nothing that another life of it had.
    struct Process {
        db: Db,
        payments: Payments,
        orders: Orders,
        stock: StockOrders,
        coupons: Coupons,
        running: tokio::task::JoinHandle<()>,
    }

    impl Process {
        async fn start(world: &World) -> Self {
            let db = Db::connect(&world.core.url, clock()).await.expect("a database");
            let payments = payments(&db, &world.sandbox_url, 1_500);
            let running = tokio::spawn({
                let (db, payments) = (db.clone(), payments.clone());
                async move {
                    let stop = CancellationToken::new();
                    let to_orders = Worker::new(db.clone(), Verdicts(payments.shared.news.clone()));
                    let to_payments = Worker::new(db, payments.clone());
                    tokio::join!(
                        to_orders.run(OFTEN, &stop),
                        to_payments.run(OFTEN, &stop),
                        payments.run(OFTEN, &stop)
                    );
                }
            });
            let (stock, coupons) = (StockOrders::on(db.clone()), Coupons::on(db.clone()));
            Self { orders: orders(&payments), stock, coupons, db, payments, running }
        }

        async fn ends(self) {
            self.running.abort();
            let _aborted = self.running.await;
            // Whoever died in a statement has its connection with it.
            let _closed = tokio::time::timeout(Duration::from_secs(1), self.db.close()).await;
        }
    }

    /// A campaign like that of the small sale, with one coupon.
    const ONE_COUPON: &str = "\
        insert into campaign (id, sale_id, total, remaining, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount) \
        select ?, sale_id, 1, 1, starts_at, ends_at, amount_off, percent_off_bp, minimum_amount from campaign where id = 'c'";

    /// What a customer wants, always with the same keys.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Journey {
        Pays,
        IsDeclined,
        GivesUpWhilePaying,
        /// The order is released, its seat is somebody else's, and the money has come.
        PaysTooLate,
    }

    #[derive(Clone, Debug)]
    struct Customer {
        journey: Journey,
        order: ReservationId,
        attempt: AttemptId,
        /// Has one coupon, which is taken, used, and given back when the order dies.
        campaign: String,
    }

    impl Customer {
        async fn new(world: &World, journey: Journey, number: u32) -> Self {
            let (order, attempt) = (ReservationId::new(clock()()), AttemptId::new(clock()()));
            if journey == Journey::PaysTooLate {
                let (order, attempt) = released_with_money(world, number).await;
                return Self { journey, order, attempt, campaign: String::new() };
            }
            let campaign = format!("c-{number}");
            in_tx!(world.db, tx, { tx.execute(ONE_COUPON, params![campaign.as_str()]).await }).expect("a campaign");
            Self { journey, order, attempt, campaign }
        }

        /// Goes the whole way, from wherever an earlier life of the process left it.
        async fn goes(&self, process: &Process, world: &World) {
            if self.journey == Journey::PaysTooLate {
                process.payments.drive(self.attempt, Why::Again).await.expect("answers");
                return self.waits(process, world, "select count(*) from refund where state <> 'succeeded'").await;
            }
            let coupon = match coupon::issue(&process.coupons, &self.campaign, world.customer).await {
                Ok(Issued::Now { code } | Issued::Before { code }) => Some(code),
                other => panic!("{other:?}"),
            };
            let lines = vec![(String::from("p"), 1)];
            let ask = HoldStock { id: self.order, customer: world.customer, lines, coupon };
            reservation::hold_stock(&process.stock, &ask).await.expect("an order");
            let (token, page) = match self.journey {
                Journey::IsDeclined => (Some("tok_declined"), None),
                Journey::GivesUpWhilePaying => (None, Some("http://shop.example/orders/1")),
                Journey::Pays | Journey::PaysTooLate => (None, None),
            };
            let pay = Pay { attempt_id: self.attempt, ..world.try_with(self.order, token, page) };
            loop {
                match (self.journey, process.orders.pay(&pay).await.expect("answers")) {
                    (Journey::Pays, PayOutcome::Booked) => return,
                    (Journey::Pays, outcome) => assert!(matches!(outcome, PayOutcome::Running { .. }), "{outcome:?}"),
                    (_, PayOutcome::Running { action_url: None }) => {}
                    (_, PayOutcome::Declined | PayOutcome::Refused(_) | PayOutcome::Running { .. }) => break,
                    (_, outcome) => panic!("{outcome:?}"),
                }
                tokio::time::sleep(OFTEN).await;
            }
            let given_up = reservation::cancel(&process.db, self.order, world.customer).await.expect("answers");
            assert!(matches!(given_up, Stepped::Done(_)), "{given_up:?}");
            self.waits(process, world, "select count(*) from reservation where state = 'closing'").await;
        }

        async fn waits(&self, process: &Process, world: &World, until_none: &'static str) {
            for _ in 0..1_000 {
                let waiting = "select count(*) from outbox where state = 'ready'";
                if world.one_number(waiting).await + world.one_number(until_none).await == 0 {
                    return;
                }
                tokio::time::sleep(OFTEN).await;
            }
            let pays = process.payments.of_order(self.order).await.expect("answers").is_some();
            panic!("{self:?} never ends; there is a payment: {pays}");
        }

        fn end(&self) -> State {
            if self.journey == Journey::Pays { State::Booked } else { State::Released }
        }
    }

    async fn released_with_money(world: &World, number: u32) -> (ReservationId, AttemptId) {
        let seat = format!("C{number}");
        in_tx!(world.db, tx, {
            let values = params![seat.as_str(), i64::from(number)];
            tx.execute(
                "insert into seat (screening_id, seat_no, row_name, seat_number, section, kind, price, place, state) \
                 select 's', ?, 'C', ?, section, kind, price, place, 'free' from seat where seat_no = 'A1'",
                values,
            )
            .await
        })
        .expect("a seat");
        let order = world.order(&[&seat]).await;
        let attempt = world.pay_on_page(order).await;
        world.payments.record(attempt, &Heard::Cancelled).await.expect("answers");
        while world.state(order).await == State::Paying {
            world.deliver().await;
            tokio::time::sleep(OFTEN).await;
        }
        reservation::cancel(&world.db, order, world.customer).await.expect("answers");
        world.decide(attempt, "approve").await;
        world.order(&[&seat]).await;
        (order, attempt)
    }

    /// Room for every order of a story.
    async fn much_stock(world: &World) {
        world.sql("update stock set capacity = capacity + 1000, available = available + 1000").await;
    }

    /// One customer for each commit of the journey and each side of it. The process dies there.
    async fn everywhere(world: &World, journey: Journey, comes_back: bool) {
        much_stock(world).await;
        let whole = Process::start(world).await;
        let mut customers = vec![Customer::new(world, journey, 0).await];
        customers[0].goes(&whole, world).await;
        let commits = whole.db.fuse().committed();
        whole.ends().await;
        assert!((4..40).contains(&commits), "{commits}");
        let mut deaths = 0;
        for (number, (side, n)) in
            (1..).zip([Side::Before, Side::After].into_iter().flat_map(|side| (1..=commits).map(move |n| (side, n))))
        {
            let customer = Customer::new(world, journey, number).await;
            let process = Process::start(world).await;
            process.db.fuse().light(n, side);
            tokio::select! {
                () = customer.goes(&process, world) => {}
                () = process.db.fuse().burnt() => deaths += 1,
            }
            process.ends().await;
            if comes_back {
                world.let_time_pass().await;
                let process = Process::start(world).await;
                let gone = tokio::time::timeout(PATIENCE, customer.goes(&process, world)).await;
                assert!(gone.is_ok(), "{customer:?} is stuck after a death {side:?} commit {n}");
                process.ends().await;
            }
            customers.push(customer);
        }
        assert!(deaths >= commits, "{deaths} deaths in {commits} commits");
        if comes_back {
            world.settle().await;
            for customer in &customers {
                assert_eq!(world.state(customer.order).await, customer.end(), "{customer:?}");
            }
        } else {
            nobody_waits_any_more(world).await;
        }
        the_checker_finds_nothing(world).await;
        let story = format!("{journey:?}, {}", if comes_back { "and again after a death" } else { "and never again" });
        tell(&story, json!({ "commits": commits, "deaths": deaths, "orders": customers.len() }));
    }

    /// All deadlines pass. Whoever had not paid gets nothing, and pays nothing.
    async fn nobody_waits_any_more(world: &World) {
        let open = "select count(*) from reservation where state not in ('booked', 'released')";
        for _ in 0..20 {
            world.sql("update reservation set due_at = 1, pay_until = 1 where state in ('checkout', 'paying')").await;
            reservation::sweep(&world.db).await.expect("answers");
            world.settle().await;
            if world.one_number(open).await == 0 {
                return;
            }
        }
        panic!("orders stay open");
    }

    /// Asks the databases with plain SQL from another process.
    async fn the_checker_finds_nothing(world: &World) {
        assert_eq!(world.one_number("select count(*) from outbox where state <> 'done'").await, 0);
        let books = concat!(env!("CARGO_MANIFEST_DIR"), "/../k6/books.py");
        let core = world.core.url.trim_start_matches("sqlite://");
        let asked = Command::new("python3").args([books, core]).arg(world.folder.path().join("sandbox.db")).output();
        let asked = asked.expect("python3 runs");
        let said = String::from_utf8_lossy(&asked.stdout);
        assert!(
            asked.status.success() && said.contains("ok  C4 outbox"),
            "{said}{}",
            String::from_utf8_lossy(&asked.stderr)
        );
    }

    pub(super) async fn paid_and_booked(world: &World) {
        everywhere(world, Journey::Pays, true).await;
        let (captured, refunded, _) = world.ledger().await;
        assert!(captured > 0 && refunded == 0, "{captured} {refunded}");
    }

    pub(super) async fn declined_and_given_up(world: &World) {
        everywhere(world, Journey::IsDeclined, true).await;
        assert_eq!(world.ledger().await, (0, 0, 0));
    }

    pub(super) async fn given_up_while_paying(world: &World) {
        everywhere(world, Journey::GivesUpWhilePaying, true).await;
        assert_eq!(world.ledger().await, (0, 0, 0));
    }

    pub(super) async fn money_that_comes_too_late(world: &World) {
        everywhere(world, Journey::PaysTooLate, true).await;
        let (captured, refunded, _) = world.ledger().await;
        assert!(captured > 0 && captured == refunded, "{captured} {refunded}");
    }

    pub(super) async fn nobody_comes_back(world: &World) {
        everywhere(world, Journey::Pays, false).await;
    }

    pub(super) async fn every_message_comes_twice(world: &World) {
        much_stock(world).await;
        let journeys =
            [Journey::Pays, Journey::IsDeclined, Journey::GivesUpWhilePaying, Journey::PaysTooLate, Journey::Pays];
        let mut customers = Vec::new();
        // Before anybody delivers twice: what they did until now is delivered by somebody else, who would take it away.
        for (number, journey) in (1..).zip(journeys) {
            customers.push(Customer::new(world, journey, number).await);
        }
        let process = Process::start(world).await;
        // Its workers deliver once; these do it twice.
        process.running.abort();
        let stop = CancellationToken::new();
        let twice = tokio::spawn({
            let (db, payments, stop) = (process.db.clone(), process.payments.clone(), stop.clone());
            async move {
                let to_orders = Worker::new(db.clone(), Verdicts(payments.shared.news.clone()));
                let to_payments = Worker::new(db, payments.clone());
                while !stop.is_cancelled() {
                    to_orders.round_twice().await;
                    to_payments.round_twice().await;
                    payments.reconcile().await.expect("answers");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        for customer in &customers {
            let gone = tokio::time::timeout(PATIENCE, customer.goes(&process, world)).await;
            assert!(gone.is_ok(), "{customer:?} is stuck");
        }
        customers[0].waits(&process, world, "select count(*) from refund where state <> 'succeeded'").await;
        // Cut off in a round, it would leave what it has taken.
        stop.cancel();
        twice.await.expect("no panic");
        for customer in &customers {
            assert_eq!(world.state(customer.order).await, customer.end(), "{customer:?}");
        }
        the_checker_finds_nothing(world).await;
        tell("every message twice", json!({ "commits": 0, "deaths": 0, "orders": customers.len() }));
    }
}
