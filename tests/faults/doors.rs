//! Doors of one line as processes, and a shop behind them that notes who comes through.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::RwLock;

use crate::harness::{House, Running};
use crate::wire::{free_port, subject_of};

pub(crate) const DOORS: usize = 3;

/// When each place came through the doors for the first time.
pub(crate) type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// A door's address, and whether it is meant to be alive: who asks it holds this for as long as the answer takes.
#[derive(Clone)]
pub(crate) struct Sign {
    pub(crate) url: String,
    pub(crate) alive: Arc<RwLock<bool>>,
}

pub(crate) struct Doors {
    house: House,
    settings: Vec<String>,
    signs: Vec<Sign>,
    running: Vec<Option<Running>>,
    pub(crate) arrivals: Arrivals,
}

impl Doors {
    /// Opens three doors on this store; in one minute `rate` people go in.
    pub(crate) async fn open(store: &str, rate: u64, burst: u64, environment: Vec<(String, String)>) -> Doors {
        let (upstream, arrivals) = shop().await;
        let settings = vec![
            format!("waiting_room.store={store}"),
            format!("waiting_room.upstream={upstream}"),
            format!("waiting_room.rooms.demo.rate_per_minute={rate}"),
            format!("waiting_room.rooms.demo.burst={burst}"),
        ];
        let sign = |_| Sign { url: format!("http://127.0.0.1:{}", free_port()), alive: Arc::default() };
        let signs = (0..DOORS).map(sign).collect();
        let running = (0..DOORS).map(|_| None).collect();
        let mut doors = Doors { house: House::under(environment), settings, signs, running, arrivals };
        for index in 0..DOORS {
            doors.start(index).await;
        }
        doors
    }

    pub(crate) async fn start(&mut self, index: usize) {
        let address = self.signs[index].url.trim_start_matches("http://");
        let listen = format!("listen.door={address}");
        let settings: Vec<&str> = std::iter::once(&listen).chain(&self.settings).map(String::as_str).collect();
        self.running[index] = Some(self.house.start_role(&["waiting-room"], &settings));
        *self.signs[index].alive.write().await = true;
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self, index: usize) {
        *self.signs[index].alive.write().await = false;
        if let Some(running) = self.running[index].take() {
            running.kill();
        }
    }

    /// Stands still, and goes on.
    pub(crate) async fn stop_for(&mut self, index: usize, pause: Duration) {
        *self.signs[index].alive.write().await = false;
        self.signal(index, "STOP");
        tokio::time::sleep(pause).await;
        self.signal(index, "CONT");
        *self.signs[index].alive.write().await = true;
    }

    fn signal(&self, index: usize, name: &str) {
        let pid = self.running[index].as_ref().expect("it runs").pid();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    pub(crate) fn signs(&self) -> Vec<Sign> {
        self.signs.clone()
    }
}

/// Answers everything with two bytes, and notes when each place came for the first time.
async fn shop() -> (String, Arrivals) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let arrivals = Arrivals::default();
    let noted = Arc::clone(&arrivals);
    tokio::spawn(async move {
        while let Ok((mut door, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                // Small requests without bodies, one after the other: each comes in one piece over the loopback.
                let mut bytes = vec![0; 16_384];
                while let Ok(length @ 1..) = door.read(&mut bytes).await {
                    let now = Instant::now();
                    let head = String::from_utf8_lossy(&bytes[..length]);
                    if let Some(token) = head.lines().find_map(|line| line.strip_prefix("x-entry-token: ")) {
                        noted.lock().expect("arrivals").entry(subject_of(token)).or_insert(now);
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if door.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (format!("http://{address}"), arrivals)
}
