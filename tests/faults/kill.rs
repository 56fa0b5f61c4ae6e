//! `kill -9` of the core and of its database while people buy: what was acknowledged is there, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::books::Books;
use crate::buyers::{Buyers, order};
use crate::databases::Servers;
use crate::harness::{App, House, Running, id, until};
use crate::story::{ALONE, is_long};
use crate::wire::free_port;

/// So many have to be told of their orders between two faults.
const ORDERS_BETWEEN: usize = 40;

/// A core that can be killed and started again where it was.
struct Core {
    house: House,
    settings: Vec<String>,
    url: String,
    running: Option<Running>,
}

impl Core {
    async fn start(database: &str) -> Core {
        let port = free_port();
        let settings = vec![
            format!("listen.core=127.0.0.1:{port}"),
            format!("core.database_url={database}"),
            String::from("waiting_room.rooms.demo.open=[\"/**\"]"),
        ];
        let url = format!("http://127.0.0.1:{port}");
        let mut core = Core { house: House::new(), settings, url, running: None };
        core.start_again().await;
        core
    }

    async fn start_again(&mut self) {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        self.running = Some(self.house.start_role(&["core"], &settings));
        until("the core serves", || async {
            let films = reqwest::get(format!("{}/films", self.url)).await;
            films.is_ok_and(|films| films.status() == StatusCode::OK)
        })
        .await;
    }

    fn kill(&mut self) {
        self.running.take().expect("it runs").kill();
    }
}

/// As many as the promise says, or a few.
fn kills() -> usize {
    if is_long() { 50 } else { 4 }
}

/// Not at the same point of a transaction each time.
async fn a_moment(fault: usize) {
    sleep(Duration::from_millis(fault as u64 * 37 % 211)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_and_mariadb() {
    let _alone = ALONE.lock().await;
    let logged = ["--log-bin=bin", "--sync-binlog=1"];
    let mut server = Servers::start(&[&["start_mariadb"], &logged[..]].concat());
    let url = format!("{}/core", server.url);
    Books::open(&server.url).await.run("create database core").await;
    let mut core = Core::start(&url).await;
    Books::open(&url).await.stock_up().await;
    let buyers = Buyers::come(&core.url).await;
    // Each dies in two of three.
    let faults = kills() * 3 / 2;
    for fault in 0..faults {
        buyers.go_on(ORDERS_BETWEEN).await;
        a_moment(fault).await;
        // The core, its database, and both.
        let (database, program) = [(false, true), (true, false), (true, true)][fault % 3];
        if program {
            core.kill();
        }
        if database {
            server.kill(0);
            server.start_mariadb_again(&logged);
        }
        if program {
            core.start_again().await;
        }
    }
    buyers.go_on(ORDERS_BETWEEN).await;
    buyers.judge("core_and_mariadb", faults, &mut Books::open(&url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_on_sqlite() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("core.db").display());
    let mut core = Core::start(&url).await;
    Books::open(&url).await.stock_up().await;
    let buyers = Buyers::come(&core.url).await;
    for fault in 0..kills() {
        buyers.go_on(ORDERS_BETWEEN).await;
        a_moment(fault).await;
        core.kill();
        core.start_again().await;
    }
    buyers.go_on(ORDERS_BETWEEN).await;
    buyers.judge("core_on_sqlite", kills(), &mut Books::open(&url).await).await;
}

/// The node that is written to is killed; another one takes over, and nobody but the buyers noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_of_galera() {
    let _alone = ALONE.lock().await;
    let mut cluster = Servers::start(&["start_galera"]);
    let (login, hosts) = cluster.url.rsplit_once('@').expect("a login");
    let nodes: Vec<String> = hosts.split(',').map(|host| format!("{login}@{host}/core")).collect();
    Books::open(nodes[0].trim_end_matches("/core")).await.run("create database core").await;
    let core = Core::start(&format!("{}/core", cluster.url)).await;
    Books::open(&nodes[0]).await.stock_up().await;
    let buyers = Buyers::come(&core.url).await;
    buyers.go_on(ORDERS_BETWEEN * 4).await;
    cluster.kill(0);
    buyers.go_on(ORDERS_BETWEEN * 4).await;
    let mut books = Books::open(&nodes[1]).await;
    books.run("set session wsrep_sync_wait = 1").await;
    buyers.judge("writer_of_galera", 1, &mut books).await;
    assert_eq!(Books::open(&nodes[2]).await.orders().await, books.orders().await, "both nodes say the same");
}

/// Stands between the core and MariaDB. Once armed, it counts commits, and keeps the answer to the last of them.
#[derive(Clone, Default)]
struct Withheld {
    commits_left: Arc<AtomicUsize>,
    committed: Arc<Notify>,
}

impl Withheld {
    async fn stand_before(&self, server: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let this = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the server");
                tokio::spawn(this.clone().pump(client, server));
            }
        });
        port
    }

    async fn pump(self, mut client: TcpStream, mut server: TcpStream) -> std::io::Result<()> {
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let bytes = &asked[..read?];
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    let commits = bytes.windows(6).any(|word| word == b"COMMIT");
                    server.write_all(bytes).await?;
                    let left = self.commits_left.load(Ordering::SeqCst);
                    if commits && left > 0 && self.commits_left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        // The server has answered, so it is done; the core will never hear of it.
                        let _bytes = server.read(&mut answered).await?;
                        self.committed.notify_one();
                        std::future::pending::<()>().await;
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
}

/// An order with a key is three commits: the key, the order, the answer that is kept. The core dies after each of them,
/// before it hears of it; the buyer asks again, and finds the order that is there or gets one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_between_commit_and_answer() {
    let _alone = ALONE.lock().await;
    let server = Servers::start(&["start_mariadb"]);
    let url = format!("{}/core", server.url);
    Books::open(&server.url).await.run("create database core").await;
    let (login, host) = server.url.rsplit_once('@').expect("a login");
    let withheld = Withheld::default();
    let port = withheld.stand_before(host.to_owned()).await;
    // The sweeper would commit as well.
    let mut core = Core::start(&format!("{login}@127.0.0.1:{port}/core")).await;
    core.kill();
    core.settings.push(String::from("core.sweep_interval_ms=60000"));
    core.start_again().await;
    let mut app = App::new(&core.url);
    app.register().await;
    let mut books = Books::open(&url).await;
    for (commits, stored_before) in [(1, 0), (2, 1), (3, 1)] {
        sleep(Duration::from_millis(300)).await;
        let (key, before) = (format!("dies-after-{commits}"), books.orders().await.len());
        withheld.commits_left.store(commits, Ordering::SeqCst);
        let asked = order(&app, &key);
        let died = async {
            withheld.committed.notified().await;
            core.kill();
        };
        let (answer, ()) = tokio::join!(asked, died);
        assert!(answer.is_none(), "nobody was told anything: {answer:?}");
        assert_eq!(books.orders().await.len() - before, stored_before, "after {commits} commits");
        core.start_again().await;
        let mut told = Vec::new();
        while told.len() < 2 {
            match order(&app, &key).await.expect("an answer") {
                (StatusCode::CREATED | StatusCode::OK, order) => told.push(id(&order, "order_id")),
                // The dead core's claim on the key lasts a little longer than it did.
                (status, problem) => {
                    assert_eq!(problem["retry"], "safe", "{status} {problem}");
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
        assert_eq!(told[0], told[1]);
        let after = books.orders().await;
        assert!(after.contains(&told[0]) && after.len() == before + 1, "one order, and that one");
    }
    books.agree().await;
}
