//! Open rules: which paths need no entry. Everything that no rule names is protected; a rule cannot protect.

use std::collections::BTreeMap;

use http::Method;

use super::CanonicalPath;
use crate::settings::RoomSettings;

/// Rules of one room; every request walks them, so their number has a bound.
const RULES_PER_ROOM_MAX: usize = 256;

/// A rule of `open` in the settings that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("open rule `{rule}` of room `{room}`: {reason}")]
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
struct Rule {
    method: Option<Method>,
    pieces: Vec<Piece>,
}

/// The rules of all rooms, in the order of their names.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    rooms: Vec<(String, Vec<Rule>)>,
}

impl Rules {
    /// Reads the open rules of all rooms.
    ///
    /// # Errors
    /// [`BadRule`] names the first rule that cannot be read.
    pub(crate) fn of(rooms: &BTreeMap<String, RoomSettings>) -> Result<Rules, BadRule> {
        let mut all = Vec::with_capacity(rooms.len());
        for (name, room) in rooms {
            let refuse = |rule: &str, reason| BadRule { room: name.clone(), rule: rule.to_owned(), reason };
            if room.open.len() > RULES_PER_ROOM_MAX {
                return Err(refuse("", "too many rules in one room"));
            }
            let rules = room.open.iter().map(|text| Rule::parse(text).map_err(|reason| refuse(text, reason)));
            all.push((name.clone(), rules.collect::<Result<Vec<_>, _>>()?));
        }
        Ok(Rules { rooms: all })
    }

    /// The room that a path belongs to. One door guards one shop for now: the first room has it all, and this is
    /// the one place to change when rooms get hosts and paths of their own.
    pub(crate) fn room_of(&self, _path: &CanonicalPath) -> Option<&str> {
        self.rooms.first().map(|(name, _)| name.as_str())
    }

    /// Whether the path may be passed on without an entry token. What is not plain text is never open.
    pub(crate) fn is_open(&self, method: &Method, path: &CanonicalPath) -> bool {
        let Some((_, rules)) = self.rooms.first() else { return false };
        path.plain && path.own().is_none() && rules.iter().any(|rule| rule.covers(method, path))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Rule, &'static str> {
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

    fn covers(&self, method: &Method, path: &CanonicalPath) -> bool {
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
