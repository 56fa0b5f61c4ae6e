//! Starts the program as a user would, on free ports and in a folder of its own, and ends it by its pid.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A start takes about a second; a loaded machine may need many.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Every wait in the stories has an end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);
/// A screening of the demo sale.
pub(crate) const SCREENING: &str = "lighthouse-1900";

/// The program's path.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vestibule");

/// A command of the program that ends by itself.
pub(crate) fn vestibule(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).current_dir(folder).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

/// Standard error of a finished command.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder that can outlive the process in it.
pub(crate) struct House {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::under(Vec::new())
    }

    /// Whose processes have more in their environment.
    pub(crate) fn under(environment: Vec<(String, String)>) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), environment }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Everything in one process.
    pub(crate) fn start(&self, set: &[&str]) -> Running {
        self.start_role(&[], set)
    }

    /// One role, or everything if `role` is empty.
    pub(crate) fn start_role(&self, role: &[&str], set: &[&str]) -> Running {
        Running::start(self, role, set)
    }
}

/// A running process. Ended when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) door: String,
    pub(crate) core: String,
    pub(crate) core_grpc: String,
    pub(crate) sandbox: String,
    pub(crate) operator: String,
    data: PathBuf,
    log: mpsc::Receiver<String>,
}

impl Running {
    fn start(house: &House, role: &[&str], set: &[&str]) -> Self {
        let folder = house.path();
        let mut command = Command::new(PROGRAM);
        command.envs(house.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(folder).args(role).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["door", "core", "core_grpc", "sandbox", "operator"] {
            if !set.iter().any(|pair| pair.starts_with(&format!("listen.{name}="))) {
                command.args(["--set", &format!("listen.{name}=127.0.0.1:0")]);
            }
        }
        command.args(["--set", "log.format=json"]);
        for pair in set {
            command.args(["--set", pair]);
        }
        let mut child = command.spawn().expect("the program starts");
        let log = lines_of(child.stderr.take().expect("piped"));
        let out = lines_of(child.stdout.take().expect("piped"));
        let addresses = Addresses::read(&out, &mut child, &log);
        Self {
            child,
            door: addresses.of("visit the shop"),
            core: addresses.of("core (JSON)"),
            core_grpc: addresses.of("core (gRPC)"),
            sandbox: addresses.of("sandbox pay"),
            operator: addresses.of("operate"),
            data: folder.join("data"),
            log,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`: no goodbye, nothing flushed.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("can be killed");
        self.child.wait().expect("is gone");
    }

    /// Asks it to stop as Ctrl-C does; how long that took, and whether it ended well.
    pub(crate) fn stop(mut self) -> (Duration, bool) {
        let asked = Instant::now();
        let interrupted = Command::new("kill").args(["-INT", &self.pid().to_string()]).status().expect("kill runs");
        assert!(interrupted.success());
        let ended = self.child.wait().expect("it ends");
        (asked.elapsed(), ended.success())
    }

    /// What it has logged so far.
    pub(crate) fn logged(&self) -> Vec<String> {
        std::thread::sleep(Duration::from_millis(200));
        self.log.try_iter().collect()
    }

    pub(crate) fn operator_password(&self) -> String {
        std::fs::read_to_string(self.data.join("operator-password")).expect("the password file").trim().to_owned()
    }

    /// A room where one person a minute gets in, the next of them in a minute.
    pub(crate) async fn slow_down(&self) {
        self.set_room(&json!({ "rate_per_minute": 1, "burst": 1 })).await;
        let mut last = App::new(&self.door);
        last.join().await;
    }

    /// Changes the room as an operator.
    pub(crate) async fn set_room(&self, change: &Value) -> Value {
        let request = Client::new().patch(format!("{}/api/rooms/demo", self.operator));
        let answer = request.bearer_auth(self.operator_password()).json(change).send().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.expect("JSON")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for line in self.log.try_iter().collect::<Vec<_>>().iter().rev().take(40).rev() {
                eprintln!("{line}");
            }
        }
    }
}

struct Addresses(Vec<String>);

impl Addresses {
    fn read(out: &mpsc::Receiver<String>, child: &mut Child, log: &mpsc::Receiver<String>) -> Self {
        let end = Instant::now() + START_WITHIN;
        let mut lines = Vec::new();
        while Instant::now() < end {
            match out.recv_timeout(Duration::from_millis(100)) {
                Ok(line) if line.contains("stop with Ctrl-C") => return Self(lines),
                Ok(line) => lines.push(line),
                Err(_) if child.try_wait().expect("can be asked").is_some() => break,
                Err(_) => {}
            }
        }
        let _ = child.kill();
        panic!("the program did not start: {lines:?} {:?}", log.try_iter().collect::<Vec<_>>());
    }

    fn of(&self, what: &str) -> String {
        let line = self.0.iter().find(|line| line.contains(what));
        line.and_then(|line| line.split_whitespace().last()).unwrap_or_default().trim_end_matches('/').to_owned()
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Somebody with an app: a customer's token, a place in line, an entry token.
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) door: String,
    pub(crate) customer: Option<String>,
    pub(crate) customer_id: Option<String>,
    pub(crate) ticket: Option<String>,
    pub(crate) entry: Option<String>,
}

impl App {
    pub(crate) fn new(door: &str) -> Self {
        // A connection for each call: a story may kill the server between two of them.
        let client = Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0).build();
        Self {
            client: client.expect("a client"),
            door: door.to_owned(),
            customer: None,
            customer_id: None,
            ticket: None,
            entry: None,
        }
    }

    /// Registered and let in.
    pub(crate) async fn admitted(door: &str) -> Self {
        let mut app = Self::new(door);
        app.register().await;
        app.join().await;
        app.enter().await;
        app
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request =
            self.client.request(method, format!("{}{path}", self.door)).header("accept", "application/json");
        if let Some(token) = &self.customer {
            request = request.bearer_auth(token);
        }
        if let Some(token) = &self.entry {
            request = request.header("x-entry-token", token);
        }
        request
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        read(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn register(&mut self) {
        let email = format!("{}@example.test", uuid_like());
        let (status, made) = self.post("/register", &json!({ "email": email, "password": "correct horse" })).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        self.customer = made["token"].as_str().map(ToOwned::to_owned);
        self.customer_id = made["customer_id"].as_str().map(ToOwned::to_owned);
    }

    /// Takes a place in line; the facts.
    pub(crate) async fn join(&mut self) -> Value {
        let (status, facts) = read(self.client.post(format!("{}/.waiting-room/rooms/demo/tickets", self.door))).await;
        assert_eq!(status, StatusCode::CREATED, "{facts}");
        self.ticket = facts["ticket"].as_str().map(ToOwned::to_owned);
        self.entry = facts["entry_token"].as_str().map(ToOwned::to_owned);
        facts
    }

    /// The facts for the ticket.
    pub(crate) async fn poll(&self) -> (StatusCode, Value) {
        self.line(Method::GET, "ticket").await
    }

    pub(crate) async fn line(&self, method: Method, call: &str) -> (StatusCode, Value) {
        let url = format!("{}/.waiting-room/rooms/demo/{call}", self.door);
        read(self.client.request(method, url).bearer_auth(self.ticket.as_deref().unwrap_or_default())).await
    }

    /// Waits for the turn as told, and enters.
    pub(crate) async fn enter(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.entry.is_none() {
            assert!(Instant::now() < end, "never let in");
            let (_, facts) = self.poll().await;
            let mut pause = facts["poll_after_ms"].as_u64().unwrap_or(500);
            if facts["state"] == "called" {
                let (_, entry) = self.line(Method::POST, "entry").await;
                self.entry = entry["entry_token"].as_str().map(ToOwned::to_owned);
                pause = entry["poll_after_ms"].as_u64().unwrap_or(500);
            }
            if self.entry.is_none() {
                tokio::time::sleep(Duration::from_millis(pause.min(1_000))).await;
            }
        }
    }

    /// Holds seats; the hold.
    pub(crate) async fn hold(&self, seats: &[&str]) -> (StatusCode, Value) {
        self.post(&format!("/screenings/{SCREENING}/holds"), &json!({ "seats": seats })).await
    }

    /// Holds, checks out and pays; the booked order.
    pub(crate) async fn buy(&self, seats: &[&str]) -> Value {
        let (status, hold) = self.hold(seats).await;
        assert_eq!(status, StatusCode::CREATED, "{hold}");
        let (status, order) = self.post(&format!("/holds/{}/checkout", id(&hold, "hold_id")), &json!({})).await;
        assert_eq!(status, StatusCode::CREATED, "{order}");
        let pay = format!("/api/orders/{}/pay", id(&order, "order_id"));
        let (status, order) = self.post(&pay, &json!({ "payment_method": "credit_card" })).await;
        assert_eq!((status, &order["state"]), (StatusCode::OK, &json!("booked")), "{order}");
        order
    }

    /// What the seat map says of a seat.
    pub(crate) async fn seat_state(&self, seat: &str) -> String {
        let (status, map) = self.get(&format!("/screenings/{SCREENING}/seats")).await;
        assert_eq!(status, StatusCode::OK, "{map}");
        let seats = map["seats"].as_array().expect("seats");
        let found = seats.iter().find(|found| found["seat"] == seat).expect("the seat is on the map");
        id(found, "state")
    }
}

/// The status and the JSON of an answer; null where there is none.
pub(crate) async fn read(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A text in an answer.
pub(crate) fn id(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// Asks until the answer is as wanted.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut wanted: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !wanted().await {
        assert!(Instant::now() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Different for every caller in this run.
fn uuid_like() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("visitor-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
