//! Between the model's types and the database's cells.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::LedgerError;
use super::session::Row;
use crate::model::Digest;

/// Reads a row's cells in the order of the statement's columns.
pub(super) struct Reader<'r> {
    row: &'r dyn Row,
    operation: &'static str,
    column: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(row: &'r dyn Row, operation: &'static str) -> Self {
        Self { row, operation, column: 0 }
    }

    /// Passes over a cell.
    pub(super) fn skip(&mut self) {
        self.next();
    }

    pub(super) fn opt_int(&mut self) -> Result<Option<i64>, LedgerError> {
        let column = self.next();
        self.row.int(column).map_err(|error| self.corrupt(error))
    }

    pub(super) fn int(&mut self) -> Result<i64, LedgerError> {
        let value = self.opt_int()?;
        self.present(value)
    }

    pub(super) fn u32(&mut self) -> Result<u32, LedgerError> {
        let value = self.int()?;
        u32::try_from(value).map_err(|error| self.corrupt(error))
    }

    pub(super) fn bool(&mut self) -> Result<bool, LedgerError> {
        Ok(self.int()? != 0)
    }

    pub(super) fn opt_text(&mut self) -> Result<Option<&'r str>, LedgerError> {
        let column = self.next();
        self.row.text(column).map_err(|error| self.corrupt(error))
    }

    pub(super) fn text(&mut self) -> Result<&'r str, LedgerError> {
        let value = self.opt_text()?;
        self.present(value)
    }

    pub(super) fn opt_string(&mut self) -> Result<Option<String>, LedgerError> {
        Ok(self.opt_text()?.map(str::to_owned))
    }

    pub(super) fn opt_time(&mut self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.opt_int()?.map(time))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, LedgerError> {
        self.int().map(time)
    }

    pub(super) fn opt_digest(&mut self) -> Result<Option<Digest>, LedgerError> {
        let column = self.next();
        match self.row.bytes(column).map_err(|error| self.corrupt(error))? {
            None => Ok(None),
            Some(bytes) => Digest::from_bytes(bytes).map(Some).ok_or_else(|| self.corrupt("a digest must have 16 bytes")),
        }
    }

    pub(super) fn digest(&mut self) -> Result<Digest, LedgerError> {
        let value = self.opt_digest()?;
        self.present(value)
    }

    /// A word of a vocabulary, a key or a name.
    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self) -> Result<T, LedgerError> {
        let text = self.text()?;
        text.parse().map_err(|error| self.corrupt(error))
    }

    /// The same where there may be none.
    pub(super) fn opt_parse<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>, LedgerError> {
        let text = self.opt_text()?;
        text.map(|text| text.parse().map_err(|error| self.corrupt(error))).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, LedgerError> {
        let text = self.text()?;
        serde_json::from_str(text).map_err(|error| self.corrupt(error))
    }

    pub(super) fn opt_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, LedgerError> {
        let text = self.opt_text()?;
        text.map(|text| serde_json::from_str(text).map_err(|error| self.corrupt(error))).transpose()
    }

    /// What is wrong with the cell read last.
    pub(super) fn corrupt(&self, error: impl Display) -> LedgerError {
        LedgerError::Corrupt { what: "row", text: format!("{}: column {}: {error}", self.operation, self.column) }
    }

    fn present<T>(&self, value: Option<T>) -> Result<T, LedgerError> {
        value.ok_or_else(|| self.corrupt("no value where there must be one"))
    }

    fn next(&mut self) -> usize {
        let column = self.column;
        self.column += 1;
        column
    }
}

/// A value's JSON text.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|error| LedgerError::Corrupt { what: "value", text: error.to_string() })
}

/// A time from microseconds since the epoch; one beyond what a calendar holds becomes the nearest that it does.
fn time(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(if microseconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
