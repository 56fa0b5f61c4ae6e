//! Polls, answered ahead of the HTTP server proper. Nearly all that a front door hears are polls, and to answer one from
//! memory costs less than what a general server keeps for every request. So a visitor's connection begins here: as long as
//! nothing but polls in their plainest form comes over it, they are answered here, by the function that answers everything.
//! The first thing that is anything else goes to the server proper as it came, and so does all that follows.

use std::cell::RefCell;
use std::future::Future;
use std::io::Write;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use waiting_room::Answer;

use super::listener::HEADERS_MAX;
use crate::telemetry::request::is_poll;

/// Polls of browsers with all their cookies take less; longer heads go to the server proper.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// What one read takes in, if there is as much.
const READ_BYTES: usize = 2 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";
const GET: &[u8] = b"GET ";
/// With one of these there is more to a request than its head.
const NOT_PLAIN: [HeaderName; 4] = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, UPGRADE];

/// How long a connection may say nothing.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// At its beginning: in a crowd, a client that has connected may be long in sending.
    pub(super) first: Duration,
    /// From its first byte on without a whole request or with an answer not taken; at the latest for twice as long.
    pub(super) then: Duration,
}

/// Answers polls until something else comes: what was read of it. `None` if the connection is at its end: it was closed, `stop`
/// came, or there is no `patience` left.
pub(super) async fn answer<R, W, A>(
    reader: &mut R,
    writer: &mut W,
    (stop, patience): (&CancellationToken, Patience),
    answer: A,
) -> Option<BytesMut>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    A: Fn(Request<Body>) -> Answer,
{
    let mut read = BytesMut::with_capacity(READ_BYTES);
    let mut out = Vec::new();
    let mut stopped = pin!(stop.cancelled());
    tokio::select! {
        biased;
        bytes = reader.read_buf(&mut read) => if bytes.ok()? == 0 { return None },
        () = sleep(patience.first) => return None,
        () = stopped.as_mut() => return None,
    }
    let mut silence = pin!(Silence::new(patience.then));
    loop {
        match next(&mut read) {
            Heard::Poll(request) => {
                let response = match answer(request).now() {
                    Ok(response) => response,
                    Err(later) => later.await,
                };
                out.clear();
                write(&mut out, response).await?;
                tokio::select! {
                    biased;
                    written = writer.write_all(&out) => written.ok()?,
                    () = silence.as_mut() => return None,
                }
                silence.broken();
                // Polls that queue on one connection take their turn with the others'.
                if !read.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
            Heard::Other => return Some(read),
            Heard::Part => {
                read.reserve(READ_BYTES);
                tokio::select! {
                    biased;
                    bytes = reader.read_buf(&mut read) => if bytes.ok()? == 0 { return None },
                    () = silence.as_mut() => return None,
                    () = stopped.as_mut() => return None,
                }
            }
        }
    }
}

/// What has been read so far.
#[expect(clippy::large_enum_variant, reason = "it lives for one turn, and a box would cost every poll")]
enum Heard {
    /// A whole request that is a poll, and is taken out.
    Poll(Request<Body>),
    /// Perhaps the beginning of one.
    Part,
    /// For the server proper to judge; all of it is left where it was.
    Other,
}

fn next(read: &mut BytesMut) -> Heard {
    let Some(end) = memmem::find(read, HEAD_END) else {
        let begins = GET.iter().zip(read.iter()).all(|(expected, found)| expected == found);
        return if begins && read.len() < HEAD_BYTES_MAX { Heard::Part } else { Heard::Other };
    };
    let head = read.split_to(end + HEAD_END.len()).freeze();
    match poll(&head) {
        Some(request) => Heard::Poll(request),
        None => {
            let rest = std::mem::replace(read, BytesMut::from(head));
            read.unsplit(rest);
            Heard::Other
        }
    }
}

/// The request of a head, if it is a poll in its plainest form: by GET, without a body, over a connection that stays.
fn poll(head: &Bytes) -> Option<Request<Body>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    // All of it, and nothing but it: not an end of lines that others would see elsewhere.
    let whole = head.starts_with(GET) && parsed.parse(head) == Ok(httparse::Status::Complete(head.len()));
    let target = parsed.path.filter(|target| target.starts_with('/'))?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    if !whole || parsed.version != Some(1) || !is_poll(&Method::GET, path) {
        return None;
    }
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).ok()?;
    // One more: the id of the request.
    request.headers_mut().reserve(parsed.headers.len() + 1);
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let stays = header.value.eq_ignore_ascii_case(b"keep-alive");
        if NOT_PLAIN.contains(&name) || (name == CONNECTION && !stays) {
            return None;
        }
        let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value)).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

/// Writes an answer out as HTTP/1.1. `None` if its body broke off: no length could be told.
async fn write(out: &mut Vec<u8>, response: Response<Body>) -> Option<()> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let status = parts.status;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &parts.headers {
        field(out, name, value.as_bytes());
    }
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless && !parts.headers.contains_key(CONTENT_LENGTH) {
        write!(out, "content-length: {}\r\n", body.len()).ok()?;
    }
    #[expect(clippy::disallowed_methods, reason = "an answer's date is for whoever reads it, and decides nothing")]
    let now = SystemTime::now();
    DATE_NOW.with_borrow_mut(|date| field(out, &DATE, date.at(now)));
    out.extend_from_slice(b"\r\n");
    if !bodiless {
        out.extend_from_slice(&body);
    }
    Some(())
}

fn field(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

thread_local! {
    static DATE_NOW: RefCell<Date> = RefCell::default();
}

/// The `Date` of answers, in words once a second.
#[derive(Debug, Default)]
struct Date {
    second: u64,
    text: String,
}

impl Date {
    fn at(&mut self, now: SystemTime) -> &[u8] {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.second != second || self.text.is_empty() {
            *self = Date { second, text: httpdate::fmt_http_date(now) };
        }
        self.text.as_bytes()
    }
}

/// Ends when nothing was asked for `longest`, at the latest for twice as long. That something was asked is only noted: a timer
/// set anew for every poll costs more than one that looks again when it has run down.
struct Silence {
    longest: Duration,
    broken: bool,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn new(longest: Duration) -> Silence {
        Silence { longest, broken: false, timer: Box::pin(sleep(longest)) }
    }

    fn broken(&mut self) {
        self.broken = true;
    }
}

impl Future for Silence {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            if !std::mem::take(&mut self.broken) {
                return Poll::Ready(());
            }
            let end = Instant::now() + self.longest;
            self.timer.as_mut().reset(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const SILENCE_MAX: Duration = Duration::from_millis(150);
    const PATIENCE: Patience = Patience { first: Duration::from_millis(600), then: SILENCE_MAX };
    const POLL: &str =
        "GET /.waiting-room/rooms/demo/ticket?lane=members HTTP/1.1\r\nHost: a\r\nCookie: t=1; u=2\r\n\r\n";

    /// What is left for the server proper, once the other end has said all it has to say.
    type Left = JoinHandle<Option<BytesMut>>;

    fn start(stop: &CancellationToken) -> (DuplexStream, Left) {
        let (client, server) = duplex(64 * 1024);
        let stop = stop.clone();
        let left = tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(server);
            answer(&mut reader, &mut writer, (&stop, PATIENCE), |request| {
                let mut heard = format!("{} {}", request.method(), request.uri());
                for (name, value) in request.headers() {
                    heard.push_str(&format!(", {name}={}", value.to_str().unwrap_or("?")));
                }
                let mut response = Response::new(Body::from(heard));
                if request.headers().contains_key("if-none-match") {
                    *response.status_mut() = StatusCode::NOT_MODIFIED;
                }
                match request.headers().contains_key("x-late") {
                    true => Answer::later(async move { response }),
                    false => Answer::at_once(response),
                }
            })
            .await
        });
        (client, left)
    }

    async fn said(client: &mut DuplexStream) -> String {
        let mut bytes = vec![0; 4096];
        let count = client.read(&mut bytes).await.unwrap();
        bytes.truncate(count);
        String::from_utf8(bytes).unwrap()
    }

    /// What is left after `text`, which is sent in two parts, and what was answered to it.
    async fn after(text: &str, cut: usize) -> (Option<String>, String) {
        let (mut client, left) = start(&CancellationToken::new());
        for part in [&text[..cut], &text[cut..]] {
            client.write_all(part.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.shutdown().await.unwrap();
        let left = left.await.unwrap().map(|left| String::from_utf8(left.to_vec()).unwrap());
        let mut answered = String::new();
        client.read_to_string(&mut answered).await.unwrap();
        (left, answered)
    }

    #[tokio::test]
    async fn polls_are_answered_however_they_arrive_and_one_after_the_other() {
        for cut in 0..POLL.len() {
            let (left, answered) = after(&format!("{POLL}{POLL}"), cut).await;
            assert_eq!(left, None, "{cut}");
            let body = "GET /.waiting-room/rooms/demo/ticket?lane=members, host=a, cookie=t=1; u=2";
            assert_eq!(answered.matches(body).count(), 2, "{cut}: {answered}");
            assert!(answered.starts_with("HTTP/1.1 200 OK\r\n") && answered.ends_with(body), "{cut}: {answered}");
            assert_eq!(answered.matches(&format!("content-length: {}\r\n", body.len())).count(), 2, "{answered}");
            assert_eq!(answered.matches("\r\ndate: ").count(), 2, "{answered}");
        }
    }

    #[tokio::test]
    async fn what_is_no_poll_in_its_plainest_form_is_left_as_it_came_with_all_that_follows() {
        let path = "/.waiting-room/rooms/demo/ticket";
        let many: String = (0..=HEADERS_MAX).map(|n| format!("x-{n}: 1\r\n")).collect();
        let others = [
            "GET /films HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            format!("GET {path}s HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /x?{path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET http://a{path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("DELETE {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            format!("GET {path} HTTP/1.1\nHost: a\n\nx: y\r\n\r\n"),
            format!("\r\nGET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            "G\0".to_owned(),
        ];
        for other in others {
            let (left, answered) = after(&format!("{POLL}{other}{POLL}"), 7).await;
            assert_eq!(left.as_deref(), Some(&*format!("{other}{POLL}")));
            assert_eq!(answered.matches("HTTP/1.1 200 OK").count(), 1, "{other}");
        }
        let long = format!("GET {path} HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        let left = after(&long, 0).await.0;
        assert!(left.is_some_and(|left| left.len() >= HEAD_BYTES_MAX), "the server proper knows the limits");
    }

    #[tokio::test]
    async fn an_answer_without_a_body_says_no_length_and_a_late_one_is_waited_for() {
        let (_, answered) = after(&POLL.replace("Host: a", "Host: a\r\nIf-None-Match: x"), 0).await;
        assert!(answered.starts_with("HTTP/1.1 304 Not Modified\r\n") && answered.ends_with("\r\n\r\n"), "{answered}");
        assert!(!answered.contains("content-length"), "{answered}");
        let (_, answered) = after(&POLL.replace("Host: a", "Host: a\r\nX-Late: 1"), 0).await;
        assert!(answered.contains("x-late=1"), "{answered}");
    }

    #[tokio::test]
    async fn silence_ends_a_connection_and_polls_keep_it() {
        let (mut client, left) = start(&CancellationToken::new());
        for _ in 0..5 {
            tokio::time::sleep(SILENCE_MAX / 2).await;
            client.write_all(POLL.as_bytes()).await.unwrap();
            assert!(said(&mut client).await.starts_with("HTTP/1.1 200 OK"));
        }
        client.write_all(b"GET /never").await.unwrap();
        assert_eq!(left.await.unwrap(), None, "ended by nothing but time");
    }

    #[tokio::test]
    async fn who_has_just_connected_is_given_more_time() {
        let (mut client, left) = start(&CancellationToken::new());
        tokio::time::sleep(SILENCE_MAX * 2).await;
        client.write_all(POLL.as_bytes()).await.unwrap();
        assert!(said(&mut client).await.starts_with("HTTP/1.1 200 OK"));
        drop(client);
        assert_eq!(left.await.unwrap(), None);
        let (_client, left) = start(&CancellationToken::new());
        assert_eq!(left.await.unwrap(), None, "but not for ever");
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_waited_for() {
        let (client, left) = start(&CancellationToken::new());
        let (_unread, mut asks) = tokio::io::split(client);
        let asking = tokio::spawn(async move { while asks.write_all(POLL.as_bytes()).await.is_ok() {} });
        assert_eq!(left.await.unwrap(), None);
        asking.abort();
    }

    #[tokio::test]
    async fn the_stop_ends_who_waits() {
        let stop = CancellationToken::new();
        let (mut client, left) = start(&stop);
        client.write_all(POLL.as_bytes()).await.unwrap();
        said(&mut client).await;
        stop.cancel();
        assert_eq!(left.await.unwrap(), None);
    }

    #[test]
    fn the_date_is_of_the_second() {
        let (mut date, at) = (Date::default(), |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(date.at(at(784_111_777)), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(at(784_111_778)), b"Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
