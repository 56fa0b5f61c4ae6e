//! Strict HTTP/1 framing on the wire: what the HTTP parser forgives and hides is refused before it gets there. Both
//! lengths at once, a second length or coding, line ends that are not CRLF. Answers nothing itself: it ends the stream
//! with bytes that the parser refuses with 400, and nothing that follows is ever read.

mod scanner;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::scanner::Scanner;

/// What the parser gets in place of what is refused. No parser accepts a NUL, in a head or in the framing of a body;
/// the empty line lets it decide at once rather than wait for the rest of the head.
const SPOILER: &[u8] = b"\0\r\n\r\n";

/// A connection whose incoming HTTP/1 bytes are held to the strict reading. HTTP/2 passes as it is.
pub struct StrictWire<T> {
    inner: T,
    scanner: Scanner,
    /// Set once something was refused: what is left to say before the stream ends.
    last_words: Option<&'static [u8]>,
}

impl<T> StrictWire<T> {
    /// Wraps a fresh connection: the first byte must be the first of a request.
    pub fn new(inner: T) -> StrictWire<T> {
        StrictWire { inner, scanner: Scanner::default(), last_words: None }
    }

    fn say_last_words(&mut self, buffer: &mut ReadBuf<'_>) {
        let words = self.last_words.unwrap_or_default();
        let (now, later) = words.split_at(words.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.last_words = Some(later);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for StrictWire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.last_words.is_some() {
            self.say_last_words(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(context, buffer);
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        if let Some(position) = self.scanner.refused_at(fresh) {
            buffer.set_filled(before + position);
            self.last_words = Some(SPOILER);
            self.say_last_words(buffer);
        }
        outcome
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for StrictWire<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
