//! A Redis that goes away, hangs and comes back, seen through a small proxy: calls fail in time, and work again.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    time::{sleep, timeout},
};
use waiting_room::{
    line::RoomInitial,
    store::{GroupedStore, LineStore, RedisStore, StoreError},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Up,
    /// Connections are closed, new ones at once.
    Cut,
    /// Bytes are taken and go nowhere.
    Hung,
}

/// Copies one direction for as long as the network lets it.
async fn copy(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, mut network: watch::Receiver<Network>) {
    let mut bytes = vec![0; 64 * 1_024];
    loop {
        let length = tokio::select! {
            read = from.read(&mut bytes) => read.unwrap_or(0),
            _ = network.wait_for(|network| *network == Network::Cut) => 0,
        };
        if length == 0 {
            return;
        }
        let up = *network.borrow() == Network::Up;
        if up && to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

async fn proxy(target: String) -> (String, watch::Sender<Network>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let (switch, network) = watch::channel(Network::Up);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if *network.borrow() == Network::Cut {
                continue;
            }
            let server = TcpStream::connect(&target).await.expect("the server of the test");
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(copy(from_client, to_server, network.clone()));
            tokio::spawn(copy(from_server, to_client, network.clone()));
        }
    });
    (address, switch)
}

#[expect(clippy::disallowed_methods, reason = "which servers there are to test with is not a setting of the library")]
fn server() -> Option<String> {
    let address = std::env::var("VESTIBULE_TEST_REDIS_URL").ok();
    if address.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "VESTIBULE_TEST_REDIS_URL must be set in CI");
        writeln!(std::io::stderr(), "SKIPPED: VESTIBULE_TEST_REDIS_URL is not set").expect("stderr");
    }
    Some(address?.trim_start_matches("redis://").split('/').next()?.to_owned())
}

/// Joins once in a while until it works, for at most five seconds.
async fn join_again(store: &dyn LineStore, room: &str) -> u64 {
    let joining = async {
        loop {
            match store.join(room, 1).await {
                Ok(joined) => return joined.first,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(Duration::from_secs(5), joining).await.expect("it works again")
}

#[tokio::test]
async fn calls_fail_in_time_and_work_again() {
    let Some(server) = server() else { return };
    let (address, network) = proxy(server).await;
    let redis = RedisStore::open(&format!("redis://{address}/0")).await.expect("through the proxy");
    let store = GroupedStore::new(Arc::new(redis));
    let room = format!("fault-{}", uuid::Uuid::now_v7().simple());
    let begun = store.ensure(&room, &RoomInitial::default()).await.expect("ensured");
    let mut last = store.join(&room, 1).await.expect("joined").first;
    for fault in [Network::Cut, Network::Hung, Network::Cut] {
        network.send_replace(fault);
        for _ in 0..2 {
            let begin = Instant::now();
            let answer = store.join(&room, 1).await;
            assert!(matches!(answer, Err(StoreError::Unreachable(_))), "{answer:?}");
            assert!(begin.elapsed() < Duration::from_millis(3_000), "{:?}", begin.elapsed());
        }
        network.send_replace(Network::Up);
        let next = join_again(&store, &room).await;
        assert!(next > last, "no number is given out twice");
        last = next;
    }
    assert_eq!(store.tick(&room).await.expect("ticked").epoch, begun.epoch);
}
