//! Rows in bulk, packed into JSON by SQLite.
//!
//! sqlx copies every value of every row and hands the row from its own thread to ours, which costs more than reading it. A thousand numbers'
//! rows in one text cost one such passage.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::{SqliteSession, arguments, fail};
use crate::ledger::LedgerError;
use crate::ledger::codec::Reader;
use crate::ledger::session::{Columns, Row, Table, Type, Visit, cells};
use crate::model::TargetName;

/// How many numbers' rows are packed into one text.
const NUMBERS_PER_TEXT: i64 = 1_000;

impl SqliteSession {
    pub(super) async fn scan_table(
        &mut self,
        operation: &'static str,
        table: &'static Table,
        target: Option<&TargetName>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LedgerError> {
        let select = packing_statement(table, target.is_some());
        let (first, last) = self.numbers(operation, table, target).await?;
        let mut starts = (first..=last).step_by(usize::try_from(NUMBERS_PER_TEXT).unwrap_or(1));
        let mut packed = None;
        loop {
            // While the rows of one text are taken in, the database packs the next one.
            let packing = async {
                match starts.next() {
                    Some(start) => self.pack(operation, &select, start, target).await.map(Some),
                    None => Ok(None),
                }
            };
            let unpacking = async { packed.map_or(Ok(()), |text: String| unpack(&text, operation, table.columns, visit)) };
            let (next, unpacked) = futures::future::join(packing, unpacking).await;
            unpacked?;
            match next? {
                Some(text) => packed = Some(text),
                None => return Ok(()),
            }
        }
    }

    async fn pack(
        &mut self,
        operation: &'static str,
        select: &str,
        start: i64,
        target: Option<&TargetName>,
    ) -> Result<String, LedgerError> {
        let end = start.saturating_add(NUMBERS_PER_TEXT);
        let cells = match target {
            Some(target) => cells![start, end, target.as_str()],
            None => cells![start, end],
        };
        let arguments = arguments(cells).map_err(|error| self.fail(operation, error))?;
        let query = sqlx::query_scalar_with::<_, String, _>(sqlx::AssertSqlSafe(select.to_owned()), arguments);
        query.fetch_one(&mut *self.transaction).await.map_err(|error| fail(&self.address, operation, error))
    }

    /// The first and last number in the table; an empty range for an empty table.
    async fn numbers(&mut self, operation: &'static str, table: &Table, target: Option<&TargetName>) -> Result<(i64, i64), LedgerError> {
        let filter = if target.is_some() { "WHERE target = $1" } else { "" };
        // Two statements in one: SQLite finds `min` and `max` by the index only when each stands alone.
        let side = |function: &str| format!("(SELECT {function}({}) FROM {} {filter})", table.number, table.name);
        let select = format!("SELECT {}, {}", side("min"), side("max"));
        let arguments = arguments(target.map(|target| cells![target.as_str()]).unwrap_or_default());
        let arguments = arguments.map_err(|error| self.fail(operation, error))?;
        let query = sqlx::query_as_with::<_, (Option<i64>, Option<i64>), _>(sqlx::AssertSqlSafe(select), arguments);
        let (first, last) = query.fetch_one(&mut *self.transaction).await.map_err(|error| self.fail(operation, error))?;
        Ok((first.unwrap_or(0), last.unwrap_or(-1)))
    }
}

fn packing_statement(table: &Table, of_target: bool) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|(name, kind)| match kind {
            Type::Int | Type::Text => (*name).to_owned(),
            Type::Bytes => format!("iif({name} IS NULL, NULL, hex({name}))"),
        })
        .collect();
    let Table { name, number, .. } = table;
    let filter = if of_target { "AND target = $3" } else { "" };
    format!("SELECT json_group_array(json_array({})) FROM {name} WHERE {number} >= $1 AND {number} < $2 {filter}", columns.join(", "))
}

fn unpack(text: &str, operation: &'static str, columns: Columns, visit: &mut Visit<'_>) -> Result<(), LedgerError> {
    struct Rows<'v, 'w> {
        operation: &'static str,
        columns: Columns,
        visit: &'v mut Visit<'w>,
        /// What a visit said; serde carries only its own errors.
        refused: &'v mut Option<LedgerError>,
    }

    impl<'de> Visitor<'de> for Rows<'_, '_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of rows")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
            while let Some(cells) = rows.next_element::<Vec<Packed<'de>>>()? {
                let row = PackedRow::new(cells, self.columns);
                if let Err(error) = (self.visit)(&mut Reader::new(&row, self.operation)) {
                    *self.refused = Some(error);
                    return Err(serde::de::Error::custom("a row was refused"));
                }
            }
            Ok(())
        }
    }

    let mut refused = None;
    let rows = Rows { operation, columns, visit, refused: &mut refused };
    let read = serde_json::Deserializer::from_str(text).deserialize_seq(rows);
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(LedgerError::Corrupt { what: "row", text: format!("{operation}: {error}") }),
        (None, Ok(())) => Ok(()),
    }
}

/// A cell as JSON carries it: bytes are hexadecimal digits.
enum Packed<'t> {
    Null,
    Int(i64),
    Text(Cow<'t, str>),
}

impl<'de> Deserialize<'de> for Packed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cell;

        impl<'de> Visitor<'de> for Cell {
            type Value = Packed<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a whole number or a text")
            }

            fn visit_unit<E>(self) -> Result<Packed<'de>, E> {
                Ok(Packed::Null)
            }

            fn visit_i64<E>(self, value: i64) -> Result<Packed<'de>, E> {
                Ok(Packed::Int(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Packed<'de>, E> {
                i64::try_from(value).map(Packed::Int).map_err(E::custom)
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Packed<'de>, E> {
                Ok(Packed::Text(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Packed<'de>, E> {
                Ok(Packed::Text(Cow::Owned(value.to_owned())))
            }
        }

        deserializer.deserialize_any(Cell)
    }
}

struct PackedRow<'t> {
    cells: Vec<Packed<'t>>,
    /// The columns of bytes, by their place.
    bytes: Vec<(usize, Vec<u8>)>,
}

impl<'t> PackedRow<'t> {
    fn new(cells: Vec<Packed<'t>>, columns: Columns) -> Self {
        let places = columns.iter().enumerate().filter(|(_, (_, kind))| *kind == Type::Bytes).map(|(place, _)| place);
        let bytes = places.filter_map(|place| match cells.get(place) {
            Some(Packed::Text(digits)) => Some((place, from_hex(digits)?)),
            _ => None,
        });
        let bytes = bytes.collect();
        Self { cells, bytes }
    }
}

impl Row for PackedRow<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        match self.cells.get(column) {
            Some(Packed::Null) => Ok(None),
            Some(Packed::Int(value)) => Ok(Some(*value)),
            _ => Err(sqlx::Error::Decode("not a number".into())),
        }
    }

    fn text(&self, column: usize) -> Result<Option<&str>, sqlx::Error> {
        match self.cells.get(column) {
            Some(Packed::Null) => Ok(None),
            Some(Packed::Text(value)) => Ok(Some(value)),
            _ => Err(sqlx::Error::Decode("not a text".into())),
        }
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        match (self.cells.get(column), self.bytes.iter().find(|(place, _)| *place == column)) {
            (Some(Packed::Null), _) => Ok(None),
            (_, Some((_, bytes))) => Ok(Some(bytes)),
            _ => Err(sqlx::Error::Decode("not bytes".into())),
        }
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}
