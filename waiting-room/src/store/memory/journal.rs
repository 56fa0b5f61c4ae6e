//! The journal of one room: a text file with one checksummed JSON record a line. The first is a header, the second
//! the whole line, every further one an effect. It decides nothing.

use super::{OpenError, file_error};
use crate::line::{Entry, Line, read_line};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The version of the format. Readers refuse any other.
const FORMAT: u32 = 1;
/// Journals end with this; what is still being written ends with [`SUFFIX_NEW`].
const SUFFIX: &str = ".journal";
const SUFFIX_NEW: &str = ".journal.new";
/// Below this size a journal is not compacted: reading it takes a fraction of a second.
const COMPACT_BYTES_MIN: u64 = 16 * 1_024 * 1_024;
/// A journal is compacted when it has grown to this many times its size after the last time, so that compacting costs
/// at most a fixed share of all writing.
const COMPACT_GROWTH: u64 = 4;
/// Bytes of the checksum in hexadecimal digits, before one space and the JSON.
const SUM_CHARS: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    vestibule_journal: u32,
    room: String,
}

/// An open journal, written at its end.
pub(super) struct Journal {
    dir: PathBuf,
    room: String,
    file: File,
    good_bytes: u64,
    compact_above_bytes: u64,
    /// A record was written in part and could not be taken back: anything after it would be unreadable.
    broken: bool,
}

impl Journal {
    /// Writes the line to a new file and puts it, safely on disk, in the place of the old one.
    pub(super) fn create(dir: &Path, room: &str, line: &Line) -> io::Result<Journal> {
        let new = dir.join(format!("{room}{SUFFIX_NEW}"));
        let mut text = record(&Header { vestibule_journal: FORMAT, room: room.to_owned() })?;
        text.extend(record(line)?);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, dir.join(format!("{room}{SUFFIX}")))?;
        // From here on the new file is the journal; an error now must not leave the old one in use.
        if let Err(error) = File::open(dir).and_then(|dir| dir.sync_all()) {
            tracing::warn!(room, %error, "the journal directory could not be flushed to disk");
        }
        let good_bytes = text.len() as u64;
        Ok(Journal {
            dir: dir.to_owned(),
            room: room.to_owned(),
            file,
            good_bytes,
            compact_above_bytes: COMPACT_BYTES_MIN.max(good_bytes.saturating_mul(COMPACT_GROWTH)),
            broken: false,
        })
    }

    /// Appends one effect. When it returns, the operating system has it: killing the process does not lose it.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier record could not be taken back; restart to recover"));
        }
        let text = record(entry)?;
        if let Err(error) = self.file.write_all(&text) {
            // A full disk, mostly. What was written of the record goes, so that the next one can follow.
            self.broken = self.file.set_len(self.good_bytes).is_err();
            return Err(error);
        }
        self.good_bytes += text.len() as u64;
        Ok(())
    }

    /// Starts a new file when this one is large. If that fails the old one simply goes on.
    pub(super) fn compact_if_large(&mut self, line: &Line) {
        if self.good_bytes <= self.compact_above_bytes {
            return;
        }
        match Journal::create(&self.dir, &self.room, line) {
            Ok(journal) => *self = journal,
            Err(error) => {
                tracing::warn!(room = self.room, %error, "the journal could not be compacted; it keeps growing");
                self.compact_above_bytes = self.good_bytes.saturating_mul(2);
            }
        }
    }
}

/// Every room that has a journal in `dir`.
pub(super) fn read_all(dir: &Path) -> Result<Vec<(String, Line)>, OpenError> {
    let read = |(room, path): (String, PathBuf)| read(&path, &room).map(|line| (room, line));
    all(dir)?.into_iter().map(read).collect()
}

/// The rooms and their journals in `dir`, unread.
pub(super) fn all(dir: &Path) -> Result<Vec<(String, PathBuf)>, OpenError> {
    let mut journals = Vec::new();
    for file in fs::read_dir(dir).map_err(file_error(dir))? {
        let path = file.map_err(file_error(dir))?.path();
        let room = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
        if let Some(room) = room.map(ToOwned::to_owned) {
            journals.push((room, path));
        }
    }
    Ok(journals)
}

/// Removes the journal of a room; whether there was one.
pub(super) fn remove(dir: &Path, room: &str) -> Result<bool, OpenError> {
    let path = dir.join(format!("{room}{SUFFIX}"));
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file_error(&path)(error)),
    }
}

fn read(path: &Path, room: &str) -> Result<Line, OpenError> {
    let text = fs::read(path).map_err(file_error(path))?;
    let mut records = Records { path, rest: &text, offset: 0 };
    let header: Header = records.required("the header is missing")?;
    if header.vestibule_journal != FORMAT || header.room != room {
        let reason = format!("format {} of room {}", header.vestibule_journal, header.room);
        return Err(OpenError::Damaged { path: path.to_owned(), offset: 0, reason });
    }
    let record = records.required("the line's own record is missing")?;
    let mut line = read_line(record).map_err(|error| records.damaged(error.to_string()))?;
    while let Some(entry) = records.next::<Entry>()? {
        line.apply(&entry);
    }
    if !records.rest.is_empty() {
        let bytes = records.rest.len();
        tracing::warn!(path = %path.display(), offset = records.offset, bytes, "dropped a record that was cut off");
    }
    Ok(line)
}

/// The records of a journal, in order. A last record without its line end was cut off by a crash, and was never
/// answered; anything else that cannot be read is damage.
struct Records<'a> {
    path: &'a Path,
    rest: &'a [u8],
    offset: u64,
}

impl Records<'_> {
    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, OpenError> {
        let Some(length) = self.rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let value = parse(&self.rest[..length]).map_err(|reason| self.damaged(reason))?;
        self.rest = &self.rest[length + 1..];
        self.offset += length as u64 + 1;
        Ok(Some(value))
    }

    fn required<T: DeserializeOwned>(&mut self, missing: &str) -> Result<T, OpenError> {
        match self.next()? {
            Some(value) => Ok(value),
            None => Err(self.damaged(missing.to_owned())),
        }
    }

    fn damaged(&self, reason: String) -> OpenError {
        OpenError::Damaged { path: self.path.to_owned(), offset: self.offset, reason }
    }
}

fn record(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(value)?;
    let mut text = checksum(&json).into_bytes();
    text.push(b' ');
    text.extend(json);
    text.push(b'\n');
    Ok(text)
}

fn parse<T: DeserializeOwned>(record: &[u8]) -> Result<T, String> {
    let (sum, json) = record.split_at_checked(SUM_CHARS).ok_or("the record is too short")?;
    let json = json.strip_prefix(b" ").ok_or("the record has no checksum")?;
    if sum != checksum(json).as_bytes() {
        return Err("the checksum is wrong".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

fn checksum(json: &[u8]) -> String {
    digest(&SHA256, json).as_ref().iter().take(SUM_CHARS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
impl Journal {
    /// Lets a test put another file in the place of this one.
    pub(super) fn swap_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// Lets a test see a compaction without writing many megabytes.
    pub(super) fn compact_above(&mut self, bytes: u64) {
        self.compact_above_bytes = bytes;
    }
}
