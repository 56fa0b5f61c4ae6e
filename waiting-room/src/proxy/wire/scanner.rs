//! The pure part: follows the framing of HTTP/1 requests line by line and says where it stops being unambiguous.
//!
//! ```text
//! Head ──empty line──▶ Head | Body(n) ──n bytes──▶ Head | ChunkSize ──▶ ChunkData ──▶ ChunkEnd ──▶ ChunkSize
//!                                                          └──size 0──▶ Trailers ──empty line──▶ Head
//! any ──ambiguous──▶ Refused          first line of HTTP/2, or CONNECT ──▶ Blind
//! ```

/// As much of a line as is looked at: enough for the longest framing header with a proper value.
const LINE_BYTES_KEPT: usize = 96;
/// Digits of a chunk's size, and of a length: more would not fit anyway.
const DIGITS_MAX: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    /// Not HTTP/1 any more: nothing is looked at.
    Blind,
    Refused,
}

/// The reader's place in the stream of requests of one connection.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    /// The beginning of the current line, without its end.
    line: Vec<u8>,
    line_bytes: usize,
    after_cr: bool,
    first_line: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner {
            state: State::Head,
            line: Vec::with_capacity(LINE_BYTES_KEPT),
            line_bytes: 0,
            after_cr: false,
            first_line: true,
            length: None,
            chunked: false,
        }
    }
}

impl Scanner {
    /// Reads on; the position from which on the bytes must not be believed, if there is one.
    pub(super) fn refused_at(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut position = 0;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            position += match self.state {
                State::Blind => return None,
                State::Refused => return Some(position),
                State::Body(left) => self.skip(left, rest, State::Body, State::Head),
                State::ChunkData(left) => self.skip(left, rest, State::ChunkData, State::ChunkEnd),
                State::Head | State::ChunkSize | State::ChunkEnd | State::Trailers => match self.run(rest) {
                    0 => {
                        self.step(rest.first().copied().unwrap_or_default());
                        if self.state == State::Refused {
                            return Some(position);
                        }
                        1
                    }
                    run => run,
                },
            };
        }
        None
    }

    fn skip(&mut self, left: u64, rest: &[u8], more: fn(u64) -> State, then: State) -> usize {
        let step = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left.saturating_sub(step as u64);
        self.state = if left == 0 { then } else { more(left) };
        step
    }

    /// Takes what lies before the next end of a line, all at once; its length.
    fn run(&mut self, rest: &[u8]) -> usize {
        if self.after_cr {
            return 0;
        }
        let run = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let kept = run.min(LINE_BYTES_KEPT.saturating_sub(self.line.len()));
        self.line.extend_from_slice(rest.get(..kept).unwrap_or_default());
        self.line_bytes = self.line_bytes.saturating_add(run);
        run
    }

    /// One byte that ends a line, or follows one that does. Lines end with CRLF, and neither half stands alone.
    fn step(&mut self, byte: u8) {
        match (self.after_cr, byte) {
            (true, b'\n') => self.end_of_line(),
            (true, _) | (false, b'\n') => self.state = State::Refused,
            // What begins the end of a line: anything else is part of a run.
            (false, _) => self.after_cr = true,
        }
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let whole = self.line_bytes == line.len();
        self.state = match self.state {
            State::Head => self.head_line(&line, whole),
            State::ChunkSize => chunk_size(&line).map_or(State::Refused, |size| match size {
                0 => State::Trailers,
                size => State::ChunkData(size),
            }),
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => State::Refused,
            State::Trailers if line.is_empty() => self.next_request(),
            State::Trailers => State::Trailers,
            other @ (State::Body(_) | State::ChunkData(_) | State::Blind | State::Refused) => other,
        };
        self.line = line;
        self.line.clear();
        self.line_bytes = 0;
        self.after_cr = false;
    }

    fn head_line(&mut self, line: &[u8], whole: bool) -> State {
        if self.first_line {
            // Empty lines before a request are allowed, and say nothing.
            if line.is_empty() {
                return State::Head;
            }
            self.first_line = false;
            let blind = line.starts_with(b"PRI * HTTP/2.0") || line.starts_with(b"CONNECT ");
            return if blind { State::Blind } else { State::Head };
        }
        if line.is_empty() {
            return match (self.chunked, self.length) {
                (true, Some(_)) => State::Refused,
                (true, None) => self.body(State::ChunkSize),
                (false, Some(length)) if length > 0 => self.body(State::Body(length)),
                (false, Some(_) | None) => self.next_request(),
            };
        }
        // Neither of the two that matter begins with another letter.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return State::Head;
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default().trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = digits(value, 10).filter(|_| whole && self.length.is_none());
            self.length = length;
            return if length.is_some() { State::Head } else { State::Refused };
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let proper = whole && !self.chunked && value.eq_ignore_ascii_case(b"chunked");
            self.chunked = true;
            return if proper { State::Head } else { State::Refused };
        }
        State::Head
    }

    fn next_request(&mut self) -> State {
        self.body(State::Head)
    }

    fn body(&mut self, state: State) -> State {
        self.first_line = true;
        self.length = None;
        self.chunked = false;
        state
    }
}

/// The size of a chunk; extensions are cut off, as the parser does.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    digits(size.trim_ascii_end(), 16)
}

fn digits(text: &[u8], radix: u32) -> Option<u64> {
    let plain = text.iter().all(|digit| char::from(*digit).is_digit(radix));
    let text = std::str::from_utf8(text).ok().filter(|text| plain && !text.is_empty() && text.len() <= DIGITS_MAX)?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn refused(text: &str) -> bool {
        Scanner::default().refused_at(text.as_bytes()).is_some()
    }

    fn post(headers: &str, body: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}{GET}")
    }

    #[test]
    fn proper_requests_pass_one_after_the_other() {
        for text in [
            GET.repeat(3),
            format!("\r\n{GET}"),
            post("Content-Length: 3\r\n", "a\nb"),
            post("content-length:\t0 \r\n", ""),
            post("Transfer-Encoding: Chunked\r\n", "3\r\na\nb\r\nA;x=1\r\n0123456789\r\n0\r\nx: y\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n{GET}", "a".repeat(5_000)),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\n".to_owned(),
        ] {
            assert!(!refused(&text), "{text:?}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for text in [
            post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"),
            post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            post("Transfer-Encoding: identity\r\n", ""),
            post("Content-Length: +3\r\n", "abc"),
            post("Content-Length: 9999999999999999\r\n", ""),
            post(&format!("Content-Length: 3{}\r\n", " ".repeat(200)), "abc"),
            post("Transfer-Encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n"),
            post("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"),
            post("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n0\r\n\r\n"),
            post("Transfer-Encoding: chunked\r\n", "3;\n\r\nabc\r\n0\r\n\r\n"),
            post("Transfer-Encoding: chunked\r\n", "\r\n\r\n"),
            "GET / HTTP/1.1\nHost: a\n\n".to_owned(),
            "GET / HTTP/1.1\r\nHost: a\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n".to_owned(),
            format!("{GET}GET / HTTP/1.1\r\nHost: a\r\n\n"),
        ] {
            assert!(refused(&text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(1usize..40, 0..40), which in 0usize..4) {
            let text = [
                post("Content-Length: 3\r\n", "a\nb"),
                post("Transfer-Encoding: chunked\r\n", "3\r\na\nb\r\n0\r\n\r\n"),
                post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
                format!("{GET}GET / HTTP/1.1\r\nHost: a\r\n\n"),
            ][which].clone();
            let whole = refused(&text);
            let mut scanner = Scanner::default();
            let (mut rest, mut found) = (text.as_bytes(), false);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                found |= scanner.refused_at(piece).is_some();
                rest = more;
            }
            prop_assert_eq!(found, whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let position = Scanner::default().refused_at(&bytes);
            prop_assert!(position.is_none_or(|position| position < bytes.len()));
        }
    }
}
