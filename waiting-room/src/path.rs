//! The one canonical form of a request path, and the rules that say which paths need no entry.
//! Pure; the front door and [`EntryLayer`](crate::EntryLayer) decide by the same code, and it does no routing.

mod bypass;
mod host;
mod open;
#[cfg(test)]
pub(crate) mod tests;

use http::uri::PathAndQuery;

pub(crate) use bypass::{Bypassed, Seen};
pub(crate) use open::{RoomRules, Rules};

/// Longest path and query in bytes; longer ones are refused, as upstreams differ in what they would cut off.
pub(crate) const URI_BYTES_MAX: usize = 8 * 1024;

/// Everything the front door answers itself lives under this prefix and is never forwarded.
pub(crate) const OWN_PREFIX: &str = "/.waiting-room/";

/// A path with exactly one spelling: decoded where decoding changes nothing, upper-case escapes elsewhere, no
/// `.`/`..`/empty segments, no encoded separators. What is decided about it is decided about the bytes that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanonicalPath {
    path: String,
    query: Option<String>,
    /// False when it holds characters outside ASCII: some of them look or fold like `/` or `.` to some upstreams.
    plain: bool,
}

/// Why a path has no canonical form. Every variant is answered with 400, except `TooLong` with 414.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathRefused {
    #[error("the path and query are longer than {URI_BYTES_MAX} bytes")]
    TooLong,
    #[error("the path does not start with one `/`")]
    NotAbsolute,
    #[error("the path has a malformed percent escape")]
    BadEscape,
    #[error("the path hides a separator, a dot, a percent sign or a control character behind an escape")]
    HiddenCharacter,
    #[error("the path has a backslash, a semicolon or a control character")]
    ForbiddenCharacter,
    #[error("the path has an empty, `.` or `..` segment")]
    AmbiguousSegment,
    #[error("the path is not UTF-8")]
    NotText,
}

impl CanonicalPath {
    /// Finds the canonical form of `raw`, the path and query as they came.
    ///
    /// # Errors
    /// [`PathRefused`] for whatever two servers might read differently.
    pub(crate) fn parse(raw: &PathAndQuery) -> Result<CanonicalPath, PathRefused> {
        if raw.as_str().len() > URI_BYTES_MAX {
            return Err(PathRefused::TooLong);
        }
        let bytes = raw.path().as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(PathRefused::NotAbsolute);
        }
        let query = raw.query().map(str::to_owned);
        // Most paths are spelled as they should be: nothing is taken away, and nothing would be put back.
        if bytes.iter().all(is_plain) {
            check_segments(raw.path())?;
            return Ok(CanonicalPath { path: raw.path().to_owned(), query, plain: true });
        }
        let decoded = decode(bytes)?;
        let text = std::str::from_utf8(&decoded).map_err(|_| PathRefused::NotText)?;
        check_segments(text)?;
        Ok(CanonicalPath { path: encode(text), query, plain: text.is_ascii() })
    }

    /// The path alone, as it is sent on.
    pub(crate) fn as_str(&self) -> &str {
        &self.path
    }

    /// Path and query, as they are sent on.
    pub(crate) fn with_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The first value of this name in the query, as it came.
    pub(crate) fn query_value(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.as_deref()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The rest behind `/.waiting-room/`, if the path is one of the front door's own.
    pub(crate) fn own(&self) -> Option<&str> {
        self.path.strip_prefix(OWN_PREFIX)
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.strip_prefix('/').unwrap_or(&self.path).split('/')
    }
}

/// Only the last segment may be empty (a trailing slash): `a//b` means `a/b` to some servers and not to others.
fn check_segments(path: &str) -> Result<(), PathRefused> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    if inner.is_empty() {
        return Ok(());
    }
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment == "." || segment == ".." || (segment.is_empty() && !last) {
            return Err(PathRefused::AmbiguousSegment);
        }
    }
    Ok(())
}

/// Takes escapes away. An escape that would become a character with a meaning is refused, whatever its place.
fn decode(bytes: &[u8]) -> Result<Vec<u8>, PathRefused> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            if byte == b'\\' || byte == b';' || byte.is_ascii_control() {
                return Err(PathRefused::ForbiddenCharacter);
            }
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (rest.next().and_then(hex), rest.next().and_then(hex)) else {
            return Err(PathRefused::BadEscape);
        };
        let hidden = high << 4 | low;
        if matches!(hidden, b'/' | b'\\' | b'.' | b';' | b'%' | b'?' | b'#') || hidden.is_ascii_control() {
            return Err(PathRefused::HiddenCharacter);
        }
        decoded.push(hidden);
    }
    Ok(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// What RFC 3986 calls `pchar`, and the separator; but for `;`, which some servers cut paths at.
fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(byte)
}

/// Writes what is plain as it is, and everything else as an upper-case escape.
fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(&byte) {
            path.push(char::from(byte));
        } else {
            path.push('%');
            path.push(char::from(HEX[usize::from(byte >> 4)]));
            path.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    path
}
