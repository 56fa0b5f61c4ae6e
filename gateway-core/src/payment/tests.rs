//! Payments against a real sandbox provider over loopback, on SQLite and, where `VESTIBULE_TEST_MYSQL_URL` names a
//! server, on MariaDB. At its end every story checks that the provider's ledger and the bookings agree.

mod call_off;
mod closing;
mod crash;
mod disk;
mod groups;
mod pay;
mod transactions;
mod webhooks;

use super::{Payments, QUEUE_MAX, Settings};
use crate::base::{AttemptId, CustomerId, ReservationId};
use crate::db::{Db, in_tx, params};
use crate::order::{Orders, Pay, PayOutcome, Verdicts};
use crate::outbox::{News, Worker};
use crate::reservation::{self, HoldSeats, SeatsOutcome, State, Stepped};
use crate::sandbox::{self, Sandbox};
use crate::testing::{self, clock};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

const WEBHOOK_SECRET: &[u8] = b"webhook-secret";
const PROCESSOR_KEY: &[u8] = b"processor-key";

/// Minor units of one seat.
const PRICE: i64 = 1_250;

/// Runs a story on every database.
macro_rules! on_every_database {
    ($($story:ident),* $(,)?) => { $(
        mod $story {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let world = crate::payment::tests::World::sqlite().await;
                super::super::stories::$story(&world).await;
                world.books_agree().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                let Some(world) = crate::payment::tests::World::mariadb().await else { return };
                super::super::stories::$story(&world).await;
                world.books_agree().await;
            }
        }
    )* };
}
pub(super) use on_every_database;

/// How the line to the provider is.
#[derive(Clone, Copy)]
enum Line {
    Up = 0,
    /// Answers 503 and does nothing.
    Broken = 1,
    /// Does what it is asked to and never answers.
    LosesAnswers = 2,
}

struct World {
    core: testing::World,
    db: Db,
    payments: Payments,
    sandbox_url: String,
    line: Arc<AtomicU8>,
    customer: CustomerId,
    folder: tempfile::TempDir,
}

async fn listen(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

impl World {
    async fn sqlite() -> Self {
        Self::over(testing::World::sqlite().await).await
    }

    async fn mariadb() -> Option<Self> {
        Some(Self::over(testing::World::mariadb().await?).await)
    }

    async fn over(core: testing::World) -> Self {
        core.sale(120_000, 420_000).await;
        let (db, customer) = (core.db.clone(), core.customer().await);
        let folder = tempfile::tempdir().expect("a folder");
        let secrets =
            sandbox::Secrets { processor_key: PROCESSOR_KEY.to_vec(), webhook_secret: WEBHOOK_SECRET.to_vec() };
        let settings = sandbox::Settings {
            database_path: folder.path().join("sandbox.db"),
            slow_answer_ms: 3_000,
            ..sandbox::Settings::default()
        };
        let sandbox = Sandbox::open(settings, secrets, clock()).await.expect("opens");
        let line = Arc::new(AtomicU8::new(Line::Up as u8));
        let sandbox_url =
            listen(sandbox.router().layer(axum::middleware::from_fn_with_state(line.clone(), wire))).await;
        let payments = payments(&db, &sandbox_url, 1_500);
        Self { core, db, payments, sandbox_url, line, customer, folder }
    }

    fn line_is(&self, line: Line) {
        self.line.store(line as u8, Ordering::SeqCst);
    }

    /// The same core with less patience.
    fn hasty(&self) -> Payments {
        payments(&self.db, &self.sandbox_url, 200)
    }

    /// An order over these seats, to be paid.
    async fn order(&self, seats: &[&str]) -> ReservationId {
        let id = ReservationId::new(clock()());
        let ask = HoldSeats {
            id,
            customer: self.customer,
            screening: "s".to_owned(),
            seats: seats.iter().map(|seat| (*seat).to_owned()).collect(),
        };
        let held = reservation::hold_seats(&self.db, &ask).await.expect("the database answers");
        assert!(matches!(held, SeatsOutcome::Held(_)), "{held:?}");
        let order = reservation::checkout(&self.db, id, self.customer).await.expect("the database answers");
        assert!(matches!(order, Stepped::Done(_)), "{order:?}");
        id
    }

    fn try_with(&self, order: ReservationId, token: Option<&str>, return_url: Option<&str>) -> Pay {
        Pay {
            attempt_id: AttemptId::new(clock()()),
            order,
            customer: self.customer,
            method: "credit_card".to_owned(),
            token: token.map(str::to_owned),
            return_url: return_url.map(str::to_owned),
        }
    }

    async fn pay(&self, order: ReservationId, token: Option<&str>) -> PayOutcome {
        self.pays(&self.try_with(order, token, None)).await
    }

    async fn pays(&self, pay: &Pay) -> PayOutcome {
        self.pays_through(&self.payments, pay).await
    }

    async fn pays_through(&self, payments: &Payments, pay: &Pay) -> PayOutcome {
        let orders = orders(payments);
        self.while_delivering(payments, orders.pay(pay)).await.expect("the database answers")
    }

    /// Does it while messages are delivered, as in a process that runs. A round that began is ended: what is taken and not
    /// heard would be nobody's for the length of a lease, and who else is paying would wait for it.
    async fn while_delivering<T>(&self, payments: &Payments, work: impl Future<Output = T>) -> T {
        let over = AtomicBool::new(false);
        let works = async {
            let outcome = work.await;
            over.store(true, Ordering::SeqCst);
            outcome
        };
        let delivers = async {
            while !over.load(Ordering::SeqCst) {
                self.deliver_to(payments).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::join!(works, delivers).0
    }

    /// The customer's wish is written down and committed, and then the process dies.
    async fn ask(&self, pay: &Pay) {
        let orders = orders(&self.payments);
        tokio::select! {
            outcome = orders.pay(pay) => panic!("nobody answers: {outcome:?}"),
            () = self.many_paying(1) => {}
        }
    }

    /// Waits until so many orders are being paid.
    async fn many_paying(&self, wanted: i64) {
        while self.one_number("select count(*) from reservation where state = 'paying'").await < wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has everything heard that is to be heard now.
    async fn deliver(&self) {
        self.deliver_to(&self.payments).await;
    }

    async fn deliver_to(&self, payments: &Payments) {
        let to_orders = Worker::new(payments.db().clone(), Verdicts(payments.shared.news.clone()));
        let to_payments = Worker::new(payments.db().clone(), payments.clone());
        while to_orders.round().await.expect("answers") + to_payments.round().await.expect("answers") > 0 {}
    }

    /// What a process does by itself, once.
    async fn round(&self) {
        self.deliver().await;
        self.payments.reconcile().await.expect("the database answers");
        while self.payments.shared.queue.available_permits() < QUEUE_MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.deliver().await;
    }

    /// Begins a payment on the provider's page; answers with the try's id.
    async fn pay_on_page(&self, order: ReservationId) -> AttemptId {
        let pay = self.try_with(order, None, Some("http://shop.example/orders/1"));
        let outcome = self.pays(&pay).await;
        assert!(matches!(outcome, PayOutcome::Running { action_url: Some(_) }), "{outcome:?}");
        pay.attempt_id
    }

    /// The customer decides on the provider's page.
    async fn decide(&self, attempt: AttemptId, decision: &str) {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("builds");
        let request = client.post(format!("{}/pay/{attempt}", self.sandbox_url)).form(&[("decision", decision)]);
        assert_eq!(request.send().await.expect("answers").status().as_u16(), 303);
    }

    async fn state(&self, order: ReservationId) -> State {
        let found = reservation::find(&self.db, order, self.customer).await.expect("the database answers");
        found.expect("the order is there").state
    }

    /// Makes everything due that has a deadline, as if time had passed.
    async fn let_time_pass(&self) {
        for statement in [
            "update attempt set due_at = 1 where due_at is not null",
            "update attempt set updated_at = 1",
            "update refund set due_at = 1 where due_at is not null",
            "update webhook_inbox set due_at = 1 where due_at is not null",
            "update outbox set due_at = 1 where state = 'ready'",
        ] {
            self.sql(statement).await;
        }
    }

    /// The time to pay is over, and the sweeper has seen it.
    async fn pay_window_ends(&self, order: ReservationId) {
        in_tx!(self.db, tx, {
            tx.execute("update reservation set due_at = 1, pay_until = 1 where id = ?", params![order]).await
        })
        .expect("the database answers");
        reservation::sweep(&self.db).await.expect("the database answers");
    }

    async fn sql(&self, statement: &'static str) {
        in_tx!(self.db, tx, { tx.execute(statement, params![]).await }).expect("the database answers");
    }

    async fn one_number(&self, statement: &'static str) -> i64 {
        self.core.count(statement).await
    }

    async fn one_word(&self, statement: &'static str) -> String {
        let row = self.db.row(statement, params![]).await.expect("the database answers");
        row.expect("one row").text().expect("a word")
    }

    /// Lets the reconciler work until there is nothing left to ask.
    async fn settle(&self) {
        for _ in 0..50 {
            self.let_time_pass().await;
            self.round().await;
            let mut open = 0;
            for statement in [
                "select count(*) from attempt where live = 1",
                "select count(*) from refund where state in ('requested', 'sending', 'unknown')",
                "select count(*) from outbox where state <> 'done'",
            ] {
                open += self.one_number(statement).await;
            }
            if open == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there is always something left to ask");
    }

    /// Minor units captured, given back, and the number of captured charges, as the provider's ledger has them.
    async fn ledger(&self) -> (i64, i64, i64) {
        let request = reqwest::Client::new().get(format!("{}/totals", self.sandbox_url));
        let answer = request.bearer_auth(String::from_utf8_lossy(PROCESSOR_KEY)).send().await.expect("answers");
        let totals: serde_json::Value = answer.json().await.expect("JSON");
        let number = |name: &str| totals["totals"][0][name].as_i64().unwrap_or(0);
        (number("captured"), number("refunded"), number("charges"))
    }

    /// What the provider kept is the value of what is booked and of the charges without an order; and a seat is sold if
    /// and only if its order is booked.
    async fn books_agree(&self) {
        self.line_is(Line::Up);
        let (captured, refunded, _) = self.ledger().await;
        let booked = "select cast(coalesce(sum(amount), 0) as signed) from reservation where state = 'booked'";
        let charges = "select cast(coalesce(sum(amount), 0) as signed) from transactions
                        where reservation_id is null and state = 'completed'";
        let ours = self.one_number(booked).await + self.one_number(charges).await;
        assert_eq!(captured - refunded, ours, "captured {captured}, refunded {refunded}");
        self.core.the_books_agree().await;
    }
}

fn payments(db: &Db, processor_url: &str, processor_timeout_ms: u64) -> Payments {
    let settings = Settings {
        processor_url,
        processor_key: PROCESSOR_KEY,
        processor_timeout_ms,
        webhook_secret: WEBHOOK_SECRET,
        asks: true,
    };
    Payments::new(db.clone(), News::default(), clock(), &settings).expect("builds")
}

fn orders(payments: &Payments) -> Orders {
    Orders::new(payments.db().clone(), payments.clone(), payments.shared.news.clone(), Duration::from_millis(1_500))
}

async fn wire(
    axum::extract::State(line): axum::extract::State<Arc<AtomicU8>>,
    request: Request,
    next: Next,
) -> Response {
    let mode = line.load(Ordering::SeqCst);
    // The customer's browser has a line of its own.
    if request.uri().path().starts_with("/pay/") || request.uri().path() == "/totals" || mode == Line::Up as u8 {
        return next.run(request).await;
    }
    if mode == Line::Broken as u8 {
        let refused = Response::builder().status(503).body(axum::body::Body::empty());
        return refused.expect("a response");
    }
    next.run(request).await;
    std::future::pending().await
}
