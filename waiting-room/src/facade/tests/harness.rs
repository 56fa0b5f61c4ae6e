//! A door with everything around it: upstream, store with a switch, clock with a handle, client.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::line::{Audit, Claimed, Generations, Joined, Joiner, Move, Renewal, RoomChange, RoomInitial, Snapshot};
use crate::store::{Answer, GroupedStore, LineStore, MemoryStore, StoreError};
use crate::{AccessFiles, Clock, Door, RoomSettings, Secrets, Settings, StrictWire, new_entry_key};

const START_MS: i64 = 1_764_000_000_000;
const STEP_MS: i64 = 1_900;

/// What the upstream saw.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body_bytes: usize,
}

pub(super) struct World {
    pub(super) door: Door,
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    pub(super) store: Arc<Switch>,
    offset_ms: Arc<AtomicI64>,
    client: Client<HttpConnector, Body>,
    _stop: DropGuard,
    _dir: tempfile::TempDir,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The cookies that were set, as a `Cookie` header sends them back.
    pub(super) fn cookies(&self) -> Vec<String> {
        let values = self.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        values.map(|text| text.split(';').next().unwrap().to_owned()).collect()
    }

    pub(super) fn cookie(&self) -> String {
        self.cookies().join("; ")
    }
}

pub(super) fn settings() -> Settings {
    let room = RoomSettings { rate_per_minute: 1, burst: 1, ..RoomSettings::default() };
    Settings { rooms: BTreeMap::from([("demo".to_owned(), room)]), ..Settings::default() }
}

impl World {
    /// One person a minute, one at once: the first is in, the second waits.
    pub(super) async fn new() -> World {
        World::with(settings()).await
    }

    pub(super) async fn with(settings: Settings) -> World {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let upstream = serve_upstream(Arc::clone(&seen)).await;
        World::in_front_of(Settings { upstream: format!("http://{upstream}"), ..settings }, seen).await
    }

    pub(super) async fn with_files(settings: Settings, access: AccessFiles) -> World {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let upstream = serve_upstream(Arc::clone(&seen)).await;
        let settings = Settings { upstream: format!("http://{upstream}"), ..settings };
        let access = settings.rooms.keys().map(|name| (name.clone(), access.clone())).collect();
        World::opened(settings, seen, access).await
    }

    pub(super) async fn in_front_of(settings: Settings, seen: Arc<Mutex<Vec<Seen>>>) -> World {
        World::opened(settings, seen, BTreeMap::new()).await
    }

    async fn opened(settings: Settings, seen: Arc<Mutex<Vec<Seen>>>, access: BTreeMap<String, AccessFiles>) -> World {
        let dir = tempfile::tempdir().unwrap();
        let (offset_ms, began) = (Arc::new(AtomicI64::new(0)), Instant::now());
        let offset = Arc::clone(&offset_ms);
        let clock: Clock = Arc::new(move || {
            let elapsed_ms = i64::try_from(began.elapsed().as_millis()).unwrap();
            START_MS + elapsed_ms + offset.load(Ordering::Relaxed)
        });
        let memory: Arc<dyn LineStore> = Arc::new(MemoryStore::open(dir.path(), Arc::clone(&clock)).unwrap());
        let grouped = GroupedStore::new(memory);
        let store = Arc::new(Switch::before(grouped));
        let secrets = Secrets { ticket_key: vec![7; 32], entry_key_pkcs8: new_entry_key(), access };
        let shared: Arc<dyn LineStore> = store.clone();
        let door = Door::with_store(&settings, &secrets, clock, &shared).await.unwrap();
        let stop = CancellationToken::new();
        let (running, token) = (door.clone(), stop.clone());
        tokio::spawn(async move { running.run(token).await });
        let address = serve_door(door.clone()).await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let world = World { door, address, seen, store, offset_ms, client, _stop: stop.drop_guard(), _dir: dir };
        // A meter begins empty; after a minute it has its one entry to give.
        world.pass_ms(61_000).await;
        world
    }

    /// Another node on the same store, with the same keys.
    pub(super) async fn another_node(&self, settings: &Settings) -> Door {
        let door = self.door.clone();
        let clock: Clock = Arc::new(move || door.gate().now_ms());
        let secrets = Secrets { ticket_key: vec![7; 32], entry_key_pkcs8: new_entry_key(), access: BTreeMap::new() };
        let store: Arc<dyn LineStore> = self.store.clone();
        Door::with_store(settings, &secrets, clock, &store).await.unwrap()
    }

    /// Lets time pass in steps: a line does not believe in leaps of its clock.
    pub(super) async fn pass_ms(&self, ms: i64) {
        for _ in 0..ms.div_euclid(STEP_MS) + 1 {
            self.offset_ms.fetch_add(STEP_MS, Ordering::Relaxed);
            self.door.check().await.unwrap();
        }
    }

    /// Lets time pass while nobody can ask the line.
    pub(super) fn skip_ms(&self, ms: i64) {
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub(super) async fn get(&self, path: &str, cookie: &str) -> Reply {
        self.send(Method::GET, path, &[("accept", "text/html"), ("cookie", cookie)], "").await
    }

    pub(super) async fn json(&self, method: Method, path: &str, cookie: &str) -> Reply {
        self.send(method, path, &[("accept", "application/json"), ("cookie", cookie)], "").await
    }

    pub(super) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers.iter().filter(|(name, value)| *name != COOKIE.as_str() || !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(Body::new(body), 10_000_000).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// Sends bytes as they are and reads until the door closes, or falls silent.
    pub(super) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_millis(1_500), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// An entry for one person: the room is calm, so joining is enough.
    pub(super) async fn entry(&self) -> String {
        let reply = self.json(Method::POST, "/.waiting-room/rooms/demo/tickets", "").await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
        reply.json()["entry_token"].as_str().expect("the room is calm").to_owned()
    }

    /// One is in and another one, who never comes, is next: whoever joins now waits, as number 3.
    pub(super) async fn busy(&self) {
        self.entry().await;
        self.next_in_line().await;
    }

    /// Somebody who joins, is called and never comes.
    pub(super) async fn next_in_line(&self) {
        let reply = self.json(Method::POST, "/.waiting-room/rooms/demo/tickets", "").await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
        self.door.check().await.unwrap();
    }

    pub(super) fn last_seen(&self) -> Seen {
        self.seen.lock().unwrap().last().cloned().expect("the upstream was asked")
    }

    pub(super) fn times_seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn serve_door(door: Door) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let door = door.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let door = door.clone();
                async move { Ok::<_, Infallible>(door.answer(request.map(Body::new), peer).await) }
            });
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(StrictWire::new(stream)), service)
                    .await;
            });
        }
    });
    address
}

/// An upstream that remembers what it saw, and does what paths ask for.
async fn serve_upstream(seen: Arc<Mutex<Vec<Seen>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let seen = Arc::clone(&seen);
                async move { Ok::<_, Infallible>(answer(request, &seen).await) }
            });
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn answer(request: Request<hyper::body::Incoming>, seen: &Mutex<Vec<Seen>>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), 10_000_000).await.unwrap_or_default();
    let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let slow = path.contains("slow");
    let status = if path.contains("fails") { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    seen.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        path: path.clone(),
        headers: parts.headers,
        body_bytes: body.len(),
    });
    if slow {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let word = if path.contains("the-end") { "end" } else { "stay" };
    Response::builder()
        .header("x-waiting-room-session", word)
        .status(status)
        .header("connection", "x-hop, keep-alive")
        .header("x-hop", "1")
        .header("proxy-authenticate", "Basic")
        .header("x-shop", "yes")
        .body(Body::from("the shop"))
        .unwrap()
}

/// A store that can be switched off, and counts.
pub(super) struct Switch {
    inner: GroupedStore,
    pub(super) down: AtomicBool,
    pub(super) calls: AtomicUsize,
    /// Changes what the line is seen as.
    pub(super) as_if: Mutex<Option<fn(&mut Snapshot)>>,
    /// The positions that were claimed, given up or said to be inside.
    pub(super) positions: Mutex<Vec<u64>>,
    pub(super) seen: Mutex<Vec<Vec<u64>>>,
    pub(super) renewed: Mutex<Vec<String>>,
    pub(super) ended: Mutex<Vec<String>>,
}

impl Switch {
    fn before(inner: GroupedStore) -> Switch {
        Switch {
            inner,
            down: AtomicBool::default(),
            calls: AtomicUsize::default(),
            as_if: Mutex::default(),
            positions: Mutex::default(),
            seen: Mutex::default(),
            renewed: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    fn ask<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.down.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::Unreachable("switched off".to_owned())) });
        }
        answer
    }

    fn shape<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>, of: fn(&mut T) -> &mut Snapshot) -> Answer<'a, T> {
        let answer = self.ask(answer);
        Box::pin(async move {
            let mut answer = answer.await?;
            if let Some(as_if) = *self.as_if.lock().unwrap() {
                as_if(of(&mut answer));
            }
            Ok(answer)
        })
    }
}

impl LineStore for Switch {
    fn ensure<'a>(&'a self, room: &'a str, initial: &'a RoomInitial) -> Answer<'a, Snapshot> {
        self.ask(self.inner.ensure(room, initial))
    }

    fn join<'a>(&'a self, room: &'a str, joiners: &'a [Joiner]) -> Answer<'a, Joined> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.shape(self.inner.join(room, joiners), |joined| &mut joined.snapshot)
    }

    fn claim<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, (Vec<Claimed>, Snapshot)> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.positions.lock().unwrap().extend(numbers);
        self.shape(self.inner.claim(room, epoch, numbers), |(_, snapshot)| snapshot)
    }

    fn tick<'a>(&'a self, room: &'a str) -> Answer<'a, Snapshot> {
        self.shape(self.inner.tick(room), |snapshot| snapshot)
    }

    fn change<'a>(&'a self, room: &'a str, who: &'a str, change: &'a RoomChange) -> Answer<'a, Snapshot> {
        self.ask(self.inner.change(room, who, change))
    }

    fn leave<'a>(&'a self, room: &'a str, number: u64) -> Answer<'a, Snapshot> {
        self.positions.lock().unwrap().push(number);
        self.shape(self.inner.leave(room, number), |snapshot| snapshot)
    }

    fn moves<'a>(&'a self, room: &'a str, epoch: u64, moves: &'a [Move]) -> Answer<'a, (Generations, Snapshot)> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.shape(self.inner.moves(room, epoch, moves), |(_, snapshot)| snapshot)
    }

    fn seen<'a>(&'a self, room: &'a str, positions: &'a [u64]) -> Answer<'a, Snapshot> {
        if !self.down.load(Ordering::Relaxed) {
            self.seen.lock().unwrap().push(positions.to_vec());
        }
        self.shape(self.inner.seen(room, positions), |snapshot| snapshot)
    }

    fn sessions<'a>(
        &'a self,
        room: &'a str,
        renew: &'a [String],
        end: &'a [String],
    ) -> Answer<'a, (Vec<Renewal>, Snapshot)> {
        if !self.down.load(Ordering::Relaxed) {
            self.renewed.lock().unwrap().extend_from_slice(renew);
            let number = |id: &String| u64::from_str_radix(id.split_once('-')?.1, 16).ok();
            self.positions.lock().unwrap().extend(renew.iter().filter_map(number));
            self.ended.lock().unwrap().extend_from_slice(end);
        }
        self.shape(self.inner.sessions(room, renew, end), |(_, snapshot)| snapshot)
    }

    fn restore<'a>(&'a self, room: &'a str, initial: &'a RoomInitial, highest: &'a Snapshot) -> Answer<'a, Snapshot> {
        self.ask(self.inner.restore(room, initial, highest))
    }

    fn heal<'a>(&'a self, room: &'a str, epoch: u64, numbers: &'a [u64]) -> Answer<'a, Snapshot> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.shape(self.inner.heal(room, epoch, numbers), |snapshot| snapshot)
    }

    fn changes<'a>(&'a self, room: &'a str) -> Answer<'a, Vec<Audit>> {
        self.ask(self.inner.changes(room))
    }
}
