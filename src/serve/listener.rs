//! The one accept loop: every server of the program runs in it, with its time limits, size limits and drain.
//!
//! `axum::serve` is deliberately not used: it sets no header timeout and no cap on connections.

use std::convert::Infallible;
use std::future::Future;
use std::io::Cursor;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::BytesMut;
use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use waiting_room::{Answer, StrictWire};

use super::workers::Threads;
use super::{endless, polls};

/// Open connections of one server. With everything in one process a visitor has one descriptor, and a request on its way
/// to the core two more (the door sends on 2,048 at most, and opens some more): together they fit under the usual limit of
/// 20,000 open files.
const CONNECTIONS_MAX: usize = 11_000;
/// A client has this long for all of its request's headers; who sends them drop by drop is cut off.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// A connection has this long until its first request, which covers the time before hyper knows the protocol.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);
const PATIENCE: polls::Patience = polls::Patience { first: FIRST_REQUEST_WITHIN, then: HEADERS_WITHIN };
/// Headers of a request, in number. The design's limit (DESIGN 5).
pub(super) const HEADERS_MAX: usize = 64;
/// Headers of a request, in bytes. The design's limit (DESIGN 5).
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Requests in flight on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// An HTTP/2 connection is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(20);
/// After a refused `accept` (out of descriptors, most often) the loop waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests under way have this long to finish when the program stops: within the five seconds that a stop may take.
const DRAIN_WITHIN: Duration = Duration::from_secs(4);

/// Serves `answer` on `listener` until `stop`, then lets what is under way finish.
pub(super) async fn serve<A>(listener: TcpListener, stop: CancellationToken, threads: Threads, answer: A)
where
    A: Fn(Request<Body>, SocketAddr) -> Answer + Clone + Send + Sync + 'static,
{
    serve_at_most(CONNECTIONS_MAX, listener, stop, threads, answer).await;
}

async fn serve_at_most<A>(
    connections_max: usize,
    listener: TcpListener,
    stop: CancellationToken,
    threads: Threads,
    answer: A,
) where
    A: Fn(Request<Body>, SocketAddr) -> Answer + Clone + Send + Sync + 'static,
{
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(connections_max));
    // Behind an `Arc`, as cloning the token itself takes a lock, for every request.
    let stopped = Arc::new(stop.clone());
    loop {
        let next = async {
            // The semaphore is never closed; without a permit nobody could be served anyway.
            let permit = Arc::clone(&room).acquire_owned().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((permit, listener.accept().await?))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((permit, (stream, peer))) => {
                let (answer, stop, watcher) = (answer.clone(), Arc::clone(&stopped), graceful.watcher());
                let polls_first = threads.are_own();
                let answer = move |request| answer(request, peer);
                let served = threads.serve(stream, move |stream| async move {
                    connection(stream, polls_first, answer, stop, watcher).await;
                    drop(permit);
                });
                if let Err(error) = served {
                    tracing::warn!(%error, "a connection could not be served");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WITHIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still under way at the end of the drain and were cut off");
    }
}

/// An answer that the stop ends, if it has no end of its own.
struct Serving {
    answer: Answer,
    stop: Arc<CancellationToken>,
}

impl Future for Serving {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.answer).poll(context));
        Poll::Ready(Ok(endless::ended_by(&self.stop, response)))
    }
}

async fn connection<A>(stream: TcpStream, polls_first: bool, answer: A, stop: Arc<CancellationToken>, watcher: Watcher)
where
    A: Fn(Request<Body>) -> Answer + Send + Sync + 'static,
{
    // Answers are small and often the last thing on their connection: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let mut reader = StrictWire::new(reader);
    let mut read = BytesMut::new();
    if polls_first {
        match polls::answer(&mut reader, &mut writer, (&stop, PATIENCE), &answer).await {
            Some(other) => read = other,
            None => return,
        }
    }
    let wire = tokio::io::join(Cursor::new(read).chain(reader), writer);
    requests(wire, move |request| Serving { answer: answer(request), stop: Arc::clone(&stop) }, watcher).await;
}

/// The server proper, for all requests of HTTP/1 and HTTP/2.
async fn requests<W, A>(wire: W, answer: A, watcher: Watcher)
where
    W: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Body>) -> Serving + Send + Sync + 'static,
{
    let spoken = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&spoken);
    let service = service_fn(move |request: Request<Incoming>| {
        heard.store(true, Ordering::Relaxed);
        // Nothing is allocated for a body that is none.
        answer(request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) }))
    });
    let builder = builder();
    let serving = watcher.watch(builder.serve_connection(TokioIo::new(wire), service).into_owned());
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        biased;
        ended = &mut serving => ended,
        () = tokio::time::sleep(FIRST_REQUEST_WITHIN) => {
            if !spoken.load(Ordering::Relaxed) {
                tracing::debug!("a connection that sent no request in time was closed");
                return;
            }
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        // Head and body as one piece: copying what is small costs less than telling the kernel of two.
        .writev(false)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .keep_alive_interval(PING_EVERY);
    builder
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::workers::Workers;
    use super::*;

    async fn start(delay: Duration) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        start_on(Threads::Shared, delay).await
    }

    async fn start_on(
        threads: Threads,
        delay: Duration,
    ) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, stop.clone(), threads, move |_request, _peer| {
            Answer::later(async move {
                tokio::time::sleep(delay).await;
                Response::new(Body::from("here"))
            })
        }));
        (address, stop, server)
    }

    async fn talk(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_request_under_way_is_finished_after_the_stop() {
        let own = Threads::Own(Arc::new(Workers::start().unwrap()));
        for threads in [Threads::Shared, own] {
            let (address, stop, server) = start_on(threads, Duration::from_millis(300)).await;
            let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            let client = tokio::spawn(async move { talk(address, request).await });
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.cancel();
            assert!(client.await.unwrap().ends_with("here"));
            server.await.unwrap();
            assert!(TcpStream::connect(address).await.is_err(), "nobody new gets in after the stop");
        }
    }

    #[tokio::test]
    async fn what_follows_polls_on_their_connection_is_answered_too() {
        let own = Threads::Own(Arc::new(Workers::start().unwrap()));
        let (address, _stop, _server) = start_on(own, Duration::ZERO).await;
        let poll = "GET /ticket HTTP/1.1\r\nHost: a\r\n\r\n";
        let other = "POST /else HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        let last = "GET /ticket HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answers = talk(address, &format!("{poll}{poll}{other}{poll}{last}")).await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 5, "{answers}");
        assert_eq!(answers.matches("\r\n\r\nhere").count(), 5, "{answers}");
        let bare = talk(address, &format!("{poll}GET /ticket HTTP/1.1\nHost: a\n\n")).await;
        assert!(bare.matches("200 OK").count() == 1 && bare.contains("HTTP/1.1 400"), "{bare}");
    }

    #[tokio::test]
    async fn a_full_house_can_be_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let answer = |_request, _peer| Answer::at_once(Response::new(Body::from("here")));
        let server = tokio::spawn(serve_at_most(1, listener, stop.clone(), Threads::Shared, answer));
        let mut guest = TcpStream::connect(address).await.unwrap();
        guest.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(guest.read(&mut [0; 512]).await.unwrap() > 0, "answered, and the connection stays open");
        stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(1), server).await;
        stopped.expect("the stop is heard while no connection is free").unwrap();
    }

    #[tokio::test]
    async fn too_many_headers_are_refused() {
        let (address, _stop, _server) = start(Duration::ZERO).await;
        let many: String = (0..65).map(|n| format!("X-{n}: 1\r\n")).collect();
        let answer = talk(address, &format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let long = "x".repeat(HEADER_BYTES_MAX);
        let answer = talk(address, &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    #[tokio::test]
    async fn headers_that_trickle_are_cut_off() {
        let (address, _stop, _server) = start(Duration::ZERO).await;
        let started = Instant::now();
        let answer = talk(address, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow").await;
        assert!(!answer.contains("here"), "{answer}");
        assert!(started.elapsed() < FIRST_REQUEST_WITHIN, "cut off by the header timeout");
    }
}
