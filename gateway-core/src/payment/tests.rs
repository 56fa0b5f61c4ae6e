//! Payments against a real sandbox provider over loopback, on SQLite and, where `VESTIBULE_TEST_MYSQL_URL` names a
//! server, on MariaDB. At its end every story checks that the provider's ledger and the bookings agree.

mod closing;
mod pay;
mod transactions;
mod webhooks;

use super::{Pay, PayOutcome, Payments, Settings};
use crate::base::{AttemptId, Clock, CustomerId, ReservationId};
use crate::db::{Db, DbError, in_tx, params};
use crate::reservation::{self, HoldSeats, SeatsOutcome, State, Stepped};
use crate::sandbox::{self, Sandbox};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
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
                let world = crate::payment::tests::World::on_sqlite().await;
                super::super::stories::$story(&world).await;
                world.books_agree().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                let Some(world) = crate::payment::tests::World::on_mariadb().await else { return };
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
    db: Db,
    payments: Payments,
    sandbox_url: String,
    line: Arc<AtomicU8>,
    customer: CustomerId,
    _folder: tempfile::TempDir,
}

fn clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "a test stands where the binary does: it injects the clock")]
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        i64::try_from(since.as_millis()).expect("before the far future")
    })
}

async fn listen(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

impl World {
    async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("core.db").display());
        Self::on(&url, folder).await
    }

    /// A database of its own on the server that the environment names. Without one the leg is skipped, loudly.
    async fn on_mariadb() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "which server to test on is the environment's to say")]
        let Ok(server) = std::env::var("VESTIBULE_TEST_MYSQL_URL") else {
            use std::io::Write as _;
            let _unseen = writeln!(std::io::stderr(), "skipped: VESTIBULE_TEST_MYSQL_URL is not set");
            return None;
        };
        let name = format!("pay_{}", uuid::Uuid::new_v4().simple());
        let pool = sqlx::MySqlPool::connect(&server).await.expect("the server answers");
        let create = sqlx::AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create).execute(&pool).await.expect("a database of its own");
        let root = server.split('?').next().unwrap_or(&server);
        let root = root.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        Some(Self::on(&format!("{root}/{name}"), tempfile::tempdir().expect("a folder")).await)
    }

    async fn on(database_url: &str, folder: tempfile::TempDir) -> Self {
        let db = Db::connect(database_url, clock()).await.expect("connects");
        db.migrate(&crate::schema::MIGRATIONS).await.expect("migrates");
        let customer = CustomerId::new(1);
        seed(&db, customer).await;
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
        Self { db, payments, sandbox_url, line, customer, _folder: folder }
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
            screening: "late".to_owned(),
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
        self.payments.pay(&self.try_with(order, token, None)).await.expect("the database answers")
    }

    /// Begins a payment on the provider's page; answers with the try's id.
    async fn pay_on_page(&self, order: ReservationId) -> AttemptId {
        let pay = self.try_with(order, None, Some("http://shop.example/orders/1"));
        let outcome = self.payments.pay(&pay).await.expect("the database answers");
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
        let row = self.db.row(statement, params![]).await.expect("the database answers");
        row.expect("one row").int().expect("a number")
    }

    async fn one_word(&self, statement: &'static str) -> String {
        let row = self.db.row(statement, params![]).await.expect("the database answers");
        row.expect("one row").text().expect("a word")
    }

    /// Lets the reconciler work until there is nothing left to ask.
    async fn settle(&self) {
        for _ in 0..50 {
            self.let_time_pass().await;
            self.payments.reconcile().await.expect("the database answers");
            let open = self.one_number("select count(*) from attempt where live = 1").await;
            let refunds = "select count(*) from refund where state in ('requested', 'sending', 'unknown')";
            if open == 0 && self.one_number(refunds).await == 0 {
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

    /// What the provider kept is the value of what is booked and of the charges without an order; nobody paid twice; a
    /// seat is sold if and only if its order is booked.
    async fn books_agree(&self) {
        self.line_is(Line::Up);
        let (captured, refunded, _) = self.ledger().await;
        let booked = "select cast(coalesce(sum(amount), 0) as signed) from reservation where state = 'booked'";
        let charges = "select cast(coalesce(sum(amount), 0) as signed) from transactions
                        where reservation_id is null and state = 'completed'";
        let ours = self.one_number(booked).await + self.one_number(charges).await;
        assert_eq!(captured - refunded, ours, "captured {captured}, refunded {refunded}");
        let strays = "select count(*) from seat s left join reservation r on r.id = s.reservation_id
                       where (s.state = 'sold' and r.state <> 'booked')
                          or (s.state <> 'sold' and r.state = 'booked')";
        assert_eq!(self.one_number(strays).await, 0);
    }
}

fn payments(db: &Db, processor_url: &str, processor_timeout_ms: u64) -> Payments {
    let settings =
        Settings { processor_url, processor_key: PROCESSOR_KEY, processor_timeout_ms, webhook_secret: WEBHOOK_SECRET };
    Payments::new(db.clone(), clock(), &settings).expect("builds")
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

/// One sale with one screening of twenty seats `A1` to `A20`, and a customer.
async fn seed(db: &Db, customer: CustomerId) {
    in_tx!(db, tx, {
        tx.execute(
            "insert into sale (id, title, currency, hold_ms, pay_ms, seats_max)
             values ('demo', 'Demo', 'EUR', 120000, 420000, 8)",
            params![],
        )
        .await?;
        tx.execute(
            "insert into film (id, title, synopsis, genre, minutes, poster_url, place)
             values ('film', 'Film', '', '', 90, '', 1)",
            params![],
        )
        .await?;
        tx.execute(
            "insert into screening (id, sale_id, film_id, hall, starts_at) values ('late', 'demo', 'film', 'One', 1)",
            params![],
        )
        .await?;
        for number in 1..=20_i64 {
            tx.execute(
                "insert into seat (screening_id, seat_no, row_name, seat_number, section, kind, price, place, state)
                 values ('late', ?, 'A', ?, 'Stalls', 'standard', ?, ?, 'free')",
                params![format!("A{number}"), number, PRICE, number],
            )
            .await?;
        }
        tx.execute(
            "insert into customer (id, email, password_hash, created_at) values (?, 'a@example.com', 'x', 1)",
            params![customer],
        )
        .await?;
        Ok::<_, DbError>(())
    })
    .expect("seeds");
}
