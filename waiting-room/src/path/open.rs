//! Which room a request belongs to, and which of its paths need no entry. Everything that no open rule names is
//! protected; a rule cannot protect.
//!
//! Rooms are tried from the most specific to the least: an exact host before a wildcard (the longest first) before
//! none, then the longest literal path before shorter ones before none, then by name. What no room claims is nobody's,
//! and nobody gets there.

use std::collections::BTreeMap;

use http::Method;

use super::CanonicalPath;
use super::bypass::{Bypass, Bypassed, Seen};
use super::host::{Host, HostPattern};
use crate::settings::{BypassRule, RoomSettings};

/// Rules of one room; every request walks them, so their number has a bound.
const RULES_PER_ROOM_MAX: usize = 256;

/// A rule of `open`, `hosts` or `paths` in the settings that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}` of room `{room}`: {reason}")]
pub(crate) struct BadRule {
    room: String,
    rule: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Exactly(String),
    /// `*`: one segment that is not empty.
    One,
    /// `**`: whatever follows, at least one segment.
    Rest,
}

/// One rule: `[METHOD ]/path`, with `*` for one segment and a final `**` for any depth. `GET` covers `HEAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    method: Option<Method>,
    pieces: Vec<Piece>,
}

/// The rules of all rooms, in the order of their names.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    rooms: Vec<RoomRules>,
}

/// What belongs to one room, and what of it is open.
#[derive(Debug, Clone)]
pub(crate) struct RoomRules {
    name: String,
    /// Empty: every host.
    hosts: Vec<HostPattern>,
    /// Empty: every path.
    paths: Vec<Rule>,
    open: Vec<Rule>,
    bypass: Vec<Bypass>,
}

/// How closely a room's patterns name a request; the greatest wins.
type Closeness = ((u8, usize), (usize, usize, usize));

impl Rules {
    /// Reads the rules of all rooms.
    ///
    /// # Errors
    /// [`BadRule`] names the first rule that cannot be read.
    pub(crate) fn of(rooms: &BTreeMap<String, RoomSettings>) -> Result<Rules, BadRule> {
        rooms
            .iter()
            .map(|(name, room)| RoomRules::of(name, room))
            .collect::<Result<_, _>>()
            .map(|rooms| Rules { rooms })
    }

    /// The room that a request belongs to: of those that claim it, the one that names it most closely.
    pub(crate) fn room_of(&self, host: &str, path: &CanonicalPath) -> Option<&RoomRules> {
        let host = Host::of(host);
        let mut best: Option<(Closeness, &RoomRules)> = None;
        for room in &self.rooms {
            let Some(closeness) = room.claims(&host, path) else { continue };
            if best.as_ref().is_none_or(|(other, _)| closeness > *other) {
                best = Some((closeness, room));
            }
        }
        best.map(|(_, room)| room)
    }
}

impl RoomRules {
    fn of(name: &str, room: &RoomSettings) -> Result<RoomRules, BadRule> {
        let refuse = |rule: &str, reason| BadRule { room: name.to_owned(), rule: rule.to_owned(), reason };
        let longest = room.open.len().max(room.paths.len()).max(room.hosts.len()).max(room.bypass.len());
        if longest > RULES_PER_ROOM_MAX {
            return Err(refuse("", "too many rules in one room"));
        }
        let open = |text: &String| Rule::parse(text).map_err(|reason| refuse(text, reason));
        let path = |text: &String| Rule::parse_path(text).map_err(|reason| refuse(text, reason));
        let host = |text: &String| HostPattern::parse(text).map_err(|reason| refuse(text, reason));
        let bypass = |rule: &BypassRule| Bypass::parse(rule).map_err(|reason| refuse("bypass", reason));
        Ok(RoomRules {
            name: name.to_owned(),
            hosts: room.hosts.iter().map(host).collect::<Result<_, _>>()?,
            paths: room.paths.iter().map(path).collect::<Result<_, _>>()?,
            open: room.open.iter().map(open).collect::<Result<_, _>>()?,
            bypass: room.bypass.iter().map(bypass).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the path may be passed on without an entry token. What is not plain text is never open.
    pub(crate) fn is_open(&self, method: &Method, path: &CanonicalPath) -> bool {
        path.plain && path.own().is_none() && self.open.iter().any(|rule| rule.covers(method, path))
    }

    /// What becomes of this request, if it need not wait.
    pub(crate) fn bypasses(&self, seen: &Seen<'_>) -> Option<Bypassed> {
        let rule = self.bypass.iter().find(|rule| rule.covers(seen)).filter(|_| seen.path.own().is_none());
        rule.map(Bypass::outcome)
    }

    fn claims(&self, host: &Host, path: &CanonicalPath) -> Option<Closeness> {
        let host = match self.hosts.as_slice() {
            [] => (0, 0),
            hosts => hosts.iter().filter_map(|pattern| pattern.closeness(host)).max()?,
        };
        let path = match self.paths.as_slice() {
            [] => (0, 0, 0),
            paths => paths.iter().filter(|rule| rule.claims(path)).map(Rule::closeness).max()?,
        };
        Some((host, path))
    }
}

impl Rule {
    pub(super) fn parse(text: &str) -> Result<Rule, &'static str> {
        let (method, pattern) = match text.split_once(' ') {
            Some((method, pattern)) => (Some(known_method(method)?), pattern),
            None => (None, text),
        };
        let inner = pattern.strip_prefix('/').ok_or("the path must start with `/`")?;
        let names: Vec<&str> = inner.split('/').collect();
        let count = names.len();
        let piece = |(index, name): (usize, &&str)| match *name {
            "**" if index + 1 == count => Ok(Piece::Rest),
            "*" => Ok(Piece::One),
            "" if index + 1 < count => Err("an empty segment"),
            name if name.contains(['*', '?', '%', ';', '\\', ' ']) => Err("`*` and `**` stand for whole segments only"),
            name => Ok(Piece::Exactly(name.to_owned())),
        };
        let pieces = names.iter().enumerate().map(piece).collect::<Result<_, _>>()?;
        Ok(Rule { method, pieces })
    }

    /// A path of `paths`: it claims for a room and so knows no method.
    fn parse_path(text: &str) -> Result<Rule, &'static str> {
        if text.contains(' ') {
            return Err("a room has whole paths, whatever the method");
        }
        Rule::parse(text)
    }

    /// Whether the path belongs to this one, read as widely as any upstream might: whatever the case, with or without
    /// a trailing slash, and a final `**` may be nothing. A spelling must not lead into another room.
    fn claims(&self, path: &CanonicalPath) -> bool {
        let mut segments = path.segments().filter(|segment| !segment.is_empty());
        for piece in self.pieces.iter().filter(|piece| **piece != Piece::Exactly(String::new())) {
            match (piece, segments.next()) {
                (Piece::Rest, _) => return true,
                (Piece::One, Some(_)) => {}
                (Piece::Exactly(name), Some(segment)) if name.eq_ignore_ascii_case(segment) => {}
                (Piece::One | Piece::Exactly(_), _) => return false,
            }
        }
        segments.next().is_none()
    }

    /// Literal segments before the first wildcard, then all literal ones, then length: `/a/b` > `/a/*` > `/a/**`.
    fn closeness(&self) -> (usize, usize, usize) {
        let literal = |piece: &&Piece| matches!(piece, Piece::Exactly(_));
        let before = self.pieces.iter().take_while(literal).count();
        let fixed = self.pieces.iter().filter(|piece| **piece != Piece::Rest).count();
        // One more than `no paths at all`, whatever stands in it.
        (before + 1, self.pieces.iter().filter(literal).count(), fixed)
    }

    pub(super) fn covers(&self, method: &Method, path: &CanonicalPath) -> bool {
        self.covers_method(method) && self.covers_path(path)
    }

    fn covers_method(&self, method: &Method) -> bool {
        match &self.method {
            None => true,
            Some(own) => own == method || (own == Method::GET && method == Method::HEAD),
        }
    }

    fn covers_path(&self, path: &CanonicalPath) -> bool {
        let mut segments = path.segments();
        for piece in &self.pieces {
            let Some(segment) = segments.next() else { return false };
            match piece {
                Piece::One | Piece::Rest if segment.is_empty() => return false,
                Piece::Rest => return true,
                Piece::Exactly(name) if name != segment => return false,
                Piece::One | Piece::Exactly(_) => {}
            }
        }
        segments.next().is_none()
    }
}

fn known_method(name: &str) -> Result<Method, &'static str> {
    const KNOWN: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    KNOWN
        .into_iter()
        .find(|known| known.as_str() == name)
        .ok_or("the method must be one of GET HEAD POST PUT PATCH DELETE OPTIONS")
}
