//! What can be wrong with an inventory file, and where.

use crate::source::SourceError;

/// A place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in bytes, from 1.
    pub(super) column: usize,
}

impl Place {
    /// The first byte.
    pub(super) const START: Self = Self { offset: 0, line: 1, column: 1 };

    /// The place behind `bytes`, which begin here.
    pub(super) fn after(self, bytes: &[u8]) -> Self {
        let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let column = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => bytes.len() - last,
            None => self.column + bytes.len(),
        };
        Self { offset: self.offset + bytes.len() as u64, line: self.line + newlines, column }
    }
}

/// Why the file is not used.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(place: Place, text: impl Into<String>) -> Self {
        Self { place, text: text.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn into_error(self, path: &str) -> SourceError {
        SourceError::File { path: path.to_owned(), line: self.place.line, column: self.place.column, text: self.text, hint: self.hint }
    }
}

/// What is wrong with one entry, before its place is known.
#[derive(Debug)]
pub(super) struct Odd {
    /// The field, and a name inside it. Empty: the entry as a whole.
    pub(super) path: Vec<String>,
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Odd {
    pub(super) fn new(path: &[&str], text: impl Into<String>) -> Self {
        Self { path: path.iter().map(|name| (*name).to_owned()).collect(), text: text.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
