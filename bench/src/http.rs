//! A client that costs little: one request at a time on one kept connection, bytes prepared beforehand. The load must
//! not take the processor from the servers that are measured.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than any answer here has.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// One kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, as it lies in the connection's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// Bytes of the whole answer.
    pub(crate) bytes: usize,
}

impl Reply<'_> {
    /// The JSON of the body; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or(Value::Null)
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4_096) })
    }

    /// Sends one whole request and reads the whole answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed within an answer");
            }
            if let Some((status, head, length)) = head(&self.buffer)?
                && self.buffer.len() >= head + length
            {
                let body = &self.buffer[head..head + length];
                return Ok(Reply { status, body, bytes: head + length });
            }
            if self.buffer.len() > REPLY_BYTES_MAX {
                bail!("the answer is too long");
            }
        }
    }
}

/// Status, bytes of the head and of the body, once the head is there.
fn head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer without status")?;
    let named = |line: &str| line.split_once(": ").is_some_and(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = head.lines().find(|line| named(line)).and_then(|line| line.split_once(": "));
    let length = length.map_or(Ok(0), |(_, length)| length.trim().parse())?;
    Ok(Some((status, end + 4, length)))
}

/// The bytes of a request without a body; `headers` are whole lines.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request_with(method, path, headers, "")
}

/// The bytes of a request with a body.
pub(crate) fn request_with(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is_there() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n").unwrap(), None);
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap(), Some((200, 38, 2)));
        assert_eq!(head(b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n").unwrap(), Some((204, 33, 0)));
    }
}
