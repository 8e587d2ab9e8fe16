//! Walks the outer structure of a JSON document and hands out one value at a time.
//!
//! Only brackets and strings are counted here; whether a value is JSON at all is for serde_json to say, which gets each as one slice. So memory
//! is bounded by the largest single value, whatever the size of the file, and every place is exact.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::fault::{Fault, Odd, Place};

/// Bytes asked of the file at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Largest single value (one resource, one relation) that is read.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a value's bytes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// With the value.
    No,
    /// With the file.
    FileEnds,
    /// At [`VALUE_BYTES_MAX`].
    TooLarge,
}

/// One value's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) place: Place,
    cut: Cut,
}

/// Reads a document from its beginning to its end.
pub(super) struct Scanner<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    place: Place,
    bytes_read: u64,
    bytes_max: u64,
    ended: bool,
    cancelled: Arc<AtomicBool>,
}

impl<R: Read> Scanner<R> {
    pub(super) fn new(input: R, bytes_max: u64, cancelled: Arc<AtomicBool>) -> Self {
        Self { input, buffer: Vec::new(), start: 0, place: Place::START, bytes_read: 0, bytes_max, ended: false, cancelled }
    }

    /// Where the next byte stands.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Skips a byte order mark, which some editors put before UTF-8.
    pub(super) fn skip_byte_order_mark(&mut self) -> Result<(), Fault> {
        while self.rest().len() < 3 && self.fill()? {}
        if self.rest().starts_with(&[0xEF, 0xBB, 0xBF]) {
            self.start += 3;
            self.place.offset += 3;
        }
        Ok(())
    }

    /// The next byte that is no white space; `None` at the end of the file.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            let rest = self.rest();
            if let Some(blanks) = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
                self.consume(blanks);
                return Ok(self.rest().first().copied());
            }
            let blanks = rest.len();
            self.consume(blanks);
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Goes past the byte that [`Self::peek`] showed.
    pub(super) fn bump(&mut self) {
        self.consume(1);
    }

    /// Hands the next value to `take` and goes past it.
    pub(super) fn value<T>(&mut self, take: impl FnOnce(Token<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.peek()?;
        let (length, cut) = match self.measure()? {
            (length, Cut::No) if length > VALUE_BYTES_MAX => (length, Cut::TooLarge),
            measured => measured,
        };
        let bytes = self.rest().get(..length).unwrap_or_default();
        let taken = take(Token { bytes, place: self.place, cut })?;
        self.consume(length);
        Ok(taken)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.place = self.place.after(self.rest().get(..count).unwrap_or_default());
        self.start += count;
    }

    /// Length of the value that begins here.
    fn measure(&mut self) -> Result<(usize, Cut), Fault> {
        let (mut depth, mut in_string, mut escaped) = (0_u64, false, false);
        let mut scanned = 0;
        loop {
            for (index, byte) in self.rest().iter().enumerate().skip(scanned) {
                if in_string {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => {
                            in_string = false;
                            if depth == 0 {
                                return Ok((index + 1, Cut::No));
                            }
                        }
                        // No JSON: a quotation mark is missing. The parser says so, without looking for the next one through the whole file.
                        b'\n' => return Ok((index + 1, Cut::No)),
                        _ => {}
                    }
                    continue;
                }
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth <= 1 => return Ok((index + usize::from(depth == 1), Cut::No)),
                    b'}' | b']' => depth -= 1,
                    b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return Ok((index, Cut::No)),
                    _ => {}
                }
            }
            scanned = self.rest().len();
            if scanned > VALUE_BYTES_MAX {
                return Ok((scanned, Cut::TooLarge));
            }
            if !self.fill()? {
                return Ok((scanned, Cut::FileEnds));
            }
        }
    }

    /// Reads on; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.ended {
            return Ok(false);
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Fault::new(self.place, "reading was given up"));
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        match (&mut self.input).take(CHUNK_BYTES).read_to_end(&mut self.buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => self.bytes_read += count as u64,
            Err(error) => return Err(Fault::new(self.place, format!("reading failed: {error}"))),
        }
        if self.bytes_read > self.bytes_max {
            return Err(too_large(self.place, self.bytes_max));
        }
        Ok(!self.ended)
    }
}

/// The file is larger than the configuration allows.
pub(super) fn too_large(place: Place, bytes_max: u64) -> Fault {
    Fault::new(place, format!("the file is larger than `max_file_bytes` ({bytes_max}) allows"))
        .hint("raise `max_file_bytes` of this source")
}

impl<'a> Token<'a> {
    /// A token of its own, not cut.
    pub(super) fn whole(bytes: &'a [u8], place: Place) -> Self {
        Self { bytes, place, cut: Cut::No }
    }

    /// Parses the value. `what` names it in errors, for example `resource 7`.
    pub(super) fn parse<T: Deserialize<'a>>(self, what: &str) -> Result<T, Fault> {
        if self.bytes.is_empty() {
            return Err(match self.cut {
                Cut::FileEnds => ends_early(self.place, &format!("before {what}")),
                _ => Fault::new(self.place, format!("is not JSON: {what} is missing here")),
            });
        }
        let parsed = serde_json::from_slice::<T>(self.bytes);
        match (parsed, self.cut) {
            // A number may look whole and still be cut, so nothing that touches the end of the file is taken.
            (Ok(_), Cut::FileEnds) => Err(ends_early(self.end(), &format!("in the middle of {what}"))),
            (Ok(_), Cut::TooLarge) => Err(self.too_large(what)),
            (Ok(value), Cut::No) => Ok(value),
            (Err(error), _) => Err(self.fault_of(&error, what)),
        }
    }

    /// The fault that an odd value makes, at the start of the field that it is about.
    pub(super) fn fault(self, what: &str, odd: Odd) -> Fault {
        let named = match self.field("key").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok()) {
            Some(key) => format!("{what} (`{}`)", shorten(&key)),
            None => what.to_owned(),
        };
        let text = match odd.path.as_slice() {
            [] => format!("{named}: {}", odd.text),
            [field] => format!("{named}, field `{field}`: {}", odd.text),
            [field, name, ..] => format!("{named}, field `{field}`, `{}`: {}", shorten(name), odd.text),
        };
        Fault { place: self.place_of(&odd.path), text, hint: odd.hint }
    }

    /// Where the value of a field stands; the start of the token when there is no such field.
    pub(super) fn place_of(self, path: &[String]) -> Place {
        let mut found = self;
        for name in path {
            let Some(raw) = found.field(name) else { break };
            found = Self { bytes: raw.get().as_bytes(), ..self };
        }
        self.place.after(self.bytes.get(..self.distance(found.bytes)).unwrap_or_default())
    }

    /// The place behind the value.
    fn end(self) -> Place {
        self.place.after(self.bytes)
    }

    fn field(self, name: &str) -> Option<&'a RawValue> {
        fields(self.bytes).into_iter().find(|(field, _)| field == name).map(|(_, raw)| raw)
    }

    /// Bytes between the token's start and that of a value inside it.
    fn distance(self, inner: &[u8]) -> usize {
        inner.as_ptr().addr().saturating_sub(self.bytes.as_ptr().addr())
    }

    fn fault_of(self, error: &serde_json::Error, what: &str) -> Fault {
        let reached = self.offset_of(error);
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
        let message = &shorten(message);
        if error.classify() == Category::Data {
            let path = self.path_at(reached);
            let text = wanted(&path, what, message);
            return self.fault(what, Odd { path, text, hint: None });
        }
        if let Err(invalid) = std::str::from_utf8(self.bytes)
            && invalid.error_len().is_some()
            && invalid.valid_up_to() <= reached
        {
            let before = self.bytes.get(..invalid.valid_up_to()).unwrap_or_default();
            return not_utf8(self.place.after(before));
        }
        match (error.classify(), self.cut) {
            (Category::Eof, Cut::FileEnds) => ends_early(self.end(), &format!("in the middle of {what}")),
            (Category::Eof, Cut::TooLarge) => self.too_large(what),
            _ => {
                let place = self.place.after(self.bytes.get(..reached).unwrap_or_default());
                Fault::new(place, format!("{what} is not JSON: {message}"))
            }
        }
    }

    fn too_large(self, what: &str) -> Fault {
        Fault::new(self.place, format!("{what} is larger than {} MiB", VALUE_BYTES_MAX / (1024 * 1024)))
    }

    /// Index of the last byte that the parser had read when it failed.
    fn offset_of(self, error: &serde_json::Error) -> usize {
        let line_start = match error.line().checked_sub(2) {
            None => 0,
            Some(nth) => {
                let mut newlines = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                newlines.nth(nth).map_or(0, |(index, _)| index + 1)
            }
        };
        (line_start + error.column()).saturating_sub(1)
    }

    /// The field, and the name inside it, whose value the parser was in or before at `offset`.
    fn path_at(self, offset: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut inside = self.bytes;
        while path.len() < 2 {
            let mut spans: Vec<_> =
                fields(inside).into_iter().map(|(name, raw)| (self.distance(raw.get().as_bytes()), raw, name)).collect();
            spans.sort_by_key(|(start, ..)| *start);
            let Some((start, raw, name)) = spans.into_iter().find(|(start, raw, _)| offset < start + raw.get().len()) else { break };
            path.push(name);
            if offset < start || !raw.get().starts_with('{') {
                break;
            }
            inside = raw.get().as_bytes();
        }
        path
    }
}

/// What a value must be that does not fit, instead of the parser's words for what it is.
fn wanted(path: &[String], what: &str, message: &str) -> String {
    const TIME: &str = "must be an RFC 3339 time such as `2026-01-02T03:04:05Z`";
    let is_structure =
        message.starts_with("missing field") || message.starts_with("duplicate field") || message.ends_with("is given twice");
    let known = match path {
        _ if is_structure => None,
        [] if what == "`taken_at`" => Some(TIME),
        [field] => match field.as_str() {
            "created_at" | "observed_at" => Some(TIME),
            "count" => Some("must be a whole number, not negative"),
            "derived" => Some("must be `true` or `false`"),
            "tags" | "attributes" => Some("must be an object: `{…}`"),
            "key" | "kind" | "provider" | "native_id" | "account" | "region" | "name" | "state" | "type" | "from" | "to" | "source"
            | "outcome" | "error" => Some("must be a text: `\"…\"`"),
            _ => None,
        },
        [field, _, ..] if field == "tags" => Some("must be a text: `\"…\"`"),
        _ => None,
    };
    match (known, message.split_once(", expected ")) {
        (Some(known), _) => known.to_owned(),
        (None, Some((_, expected))) => format!("must be {expected}"),
        (None, None) => message.to_owned(),
    }
}

/// The fields of an object with their raw values, the last of each name; empty for anything else.
fn fields(bytes: &[u8]) -> std::collections::BTreeMap<String, &RawValue> {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// The file stops where more must follow.
pub(super) fn ends_early(place: Place, whereabouts: &str) -> Fault {
    Fault::new(place, format!("the file ends {whereabouts}"))
        .hint("it was cut: export or copy it again, and use it only once it is written whole")
}

/// The file is no text.
pub(super) fn not_utf8(place: Place) -> Fault {
    Fault::new(place, "the file is not UTF-8 text here").hint("save it as UTF-8")
}

/// A text cut to a readable length.
pub(super) fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((index, _)) => format!("{}…", text.get(..index).unwrap_or_default()),
        None => text.to_owned(),
    }
}
