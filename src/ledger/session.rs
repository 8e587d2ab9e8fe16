//! The little that the ledger needs of a database: transactions, statements, rows, and bulk writes.
//!
//! Both databases take `$1`, `ON CONFLICT`, `RETURNING` and `UPDATE … FROM`, so every statement stands once. A bulk statement reads
//! its rows from a common table expression `input`: `VALUES` with one bind per cell in SQLite, `unnest` of one array per column in
//! PostgreSQL. Neither goes through JSON, so texts arrive as they are.

use std::path::Path;

use async_trait::async_trait;

use super::LedgerError;
use super::codec::Reader;
use crate::doctor::Finding;
use crate::model::TargetName;

/// Rows that one bulk statement takes: with at most 32 columns within SQLite's 32 766 binds.
pub(super) const ROWS_PER_STATEMENT: usize = 1_000;

/// A value on its way into the database. A boolean is 0 or 1, a time is microseconds since the epoch.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// Type of a bulk statement's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Int,
    Text,
    Bytes,
}

/// Columns of `input`, in order.
pub(super) type Columns = &'static [(&'static str, Type)];

/// A table that is read whole: hundreds of thousands of narrow rows.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// A number in every row by which the table (of one target, where it has that column) is indexed first.
    pub(super) number: &'static str,
    /// What to read, in order.
    pub(super) columns: Columns,
}

/// A row on its way out. Columns count from 0.
pub(super) trait Row {
    fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error>;
    fn text(&self, column: usize) -> Result<Option<&str>, sqlx::Error>;
    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, sqlx::Error>;
}

/// What is done with each row of an answer.
pub(super) type Visit<'a> = dyn FnMut(&mut Reader<'_>) -> Result<(), LedgerError> + Send + 'a;

/// One transaction. Dropped without [`Session::commit`], it leaves nothing behind.
#[async_trait]
pub(super) trait Session: Send {
    /// Runs a statement; returns how many rows it touched.
    async fn run(&mut self, operation: &'static str, sql: &'static str, cells: Vec<Cell>) -> Result<u64, LedgerError>;

    /// Runs a statement and visits the rows of its answer, one by one.
    async fn each(
        &mut self,
        operation: &'static str,
        sql: &'static str,
        cells: Vec<Cell>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LedgerError>;

    /// Visits every row of a table, or those of one target, in no order.
    async fn scan(
        &mut self,
        operation: &'static str,
        table: &'static Table,
        target: Option<&TargetName>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LedgerError>;

    /// Runs a statement over `input`; `cells` are its rows one after the other, at most [`ROWS_PER_STATEMENT`] of them.
    async fn bulk(&mut self, operation: &'static str, sql: &'static str, columns: Columns, cells: Vec<Cell>) -> Result<u64, LedgerError>;

    /// The same, visiting the rows of its answer.
    async fn bulk_each(
        &mut self,
        operation: &'static str,
        sql: &'static str,
        columns: Columns,
        cells: Vec<Cell>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LedgerError>;

    /// Makes it all true.
    async fn commit(self: Box<Self>) -> Result<(), LedgerError>;
}

/// A database that holds a ledger.
#[async_trait]
pub(super) trait Database: Send + Sync {
    /// Begins a consistent read.
    async fn read(&self) -> Result<Box<dyn Session>, LedgerError>;

    /// Begins a write. Statements see what others committed before them.
    async fn write(&self) -> Result<Box<dyn Session>, LedgerError>;

    /// Begins a write while nobody else writes the estate or a target: one that has looked up a key's number may still be about to use it.
    async fn write_alone(&self) -> Result<Box<dyn Session>, LedgerError>;

    /// The database's own check of itself.
    async fn integrity(&self) -> Result<Vec<Finding>, LedgerError>;

    /// Writes a consistent copy to a new file.
    async fn backup(&self, to: &Path) -> Result<(), LedgerError>;

    /// Closes all connections.
    async fn close(&self);
}

/// Writes rows, [`ROWS_PER_STATEMENT`] at a time, each in the order of the columns: memory stays small however many there are. While the
/// database works on some, the next ones are made.
pub(super) async fn write_rows<const N: usize>(
    session: &mut dyn Session,
    operation: &'static str,
    sql: &'static str,
    columns: Columns,
    mut rows: impl Iterator<Item = Result<[Cell; N], LedgerError>> + Send,
) -> Result<(), LedgerError> {
    debug_assert_eq!(N, columns.len(), "{operation}: a row has as many cells as there are columns");
    let mut make = || -> Result<Vec<Cell>, LedgerError> {
        let mut cells = Vec::new();
        for row in rows.by_ref().take(ROWS_PER_STATEMENT) {
            cells.extend(row?);
        }
        Ok(cells)
    };
    let mut cells = make()?;
    while !cells.is_empty() {
        let (written, next) = futures::future::join(session.bulk(operation, sql, columns, cells), async { make() }).await;
        written?;
        cells = next?;
    }
    Ok(())
}

/// Builds a `Vec<Cell>` from values.
macro_rules! cells {
    ($($value:expr),* $(,)?) => { vec![$($crate::ledger::session::Cell::from($value)),*] };
}
pub(super) use cells;

/// Builds an array of cells from values.
macro_rules! row {
    ($($value:expr),* $(,)?) => { [$($crate::ledger::session::Cell::from($value)),*] };
}
pub(super) use row;

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}

impl From<String> for Cell {
    /// PostgreSQL's texts hold no NUL, so both databases get U+FFFD in its place. JSON texts have none: they spell it `\u0000`.
    fn from(value: String) -> Self {
        Self::Text(Some(if value.contains('\0') { value.replace('\0', "\u{fffd}") } else { value }))
    }
}

impl From<Option<&str>> for Cell {
    fn from(value: Option<&str>) -> Self {
        value.map_or(Self::Text(None), Self::from)
    }
}

impl From<Option<String>> for Cell {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::Text(None), Self::from)
    }
}

impl From<jiff::Timestamp> for Cell {
    fn from(value: jiff::Timestamp) -> Self {
        Self::Int(Some(value.as_microsecond()))
    }
}

impl From<Option<jiff::Timestamp>> for Cell {
    fn from(value: Option<jiff::Timestamp>) -> Self {
        Self::Int(value.map(jiff::Timestamp::as_microsecond))
    }
}

impl From<crate::model::Digest> for Cell {
    fn from(value: crate::model::Digest) -> Self {
        Self::Bytes(Some(value.as_bytes().to_vec()))
    }
}

impl From<Option<crate::model::Digest>> for Cell {
    fn from(value: Option<crate::model::Digest>) -> Self {
        Self::Bytes(value.map(|digest| digest.as_bytes().to_vec()))
    }
}

/// Reads a database's rows. `$row` is sqlx's row type.
macro_rules! impl_row {
    ($row:ty) => {
        impl $crate::ledger::session::Row for $row {
            fn int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
                sqlx::Row::try_get(self, column)
            }

            fn text(&self, column: usize) -> Result<Option<&str>, sqlx::Error> {
                sqlx::Row::try_get(self, column)
            }

            fn bytes(&self, column: usize) -> Result<Option<&[u8]>, sqlx::Error> {
                sqlx::Row::try_get(self, column)
            }
        }
    };
}
pub(super) use impl_row;

/// Implements [`Session`] for a struct with a `transaction`, the methods `fail(operation, error)` and `scan_table(…)`, and the functions
/// `arguments(cells)` and `bulk_arguments(columns, cells)`, which gives the head of the statement that declares `input`, the arguments,
/// and whether to keep the prepared statement.
macro_rules! impl_session {
    ($session:ty) => {
        #[async_trait::async_trait]
        impl Session for $session {
            async fn run(&mut self, operation: &'static str, sql: &'static str, cells: Vec<Cell>) -> Result<u64, LedgerError> {
                let arguments = arguments(cells).map_err(|error| self.fail(operation, error))?;
                let done = sqlx::query_with(sql, arguments).execute(&mut *self.transaction).await;
                done.map(|done| done.rows_affected()).map_err(|error| self.fail(operation, error))
            }

            async fn each(
                &mut self,
                operation: &'static str,
                sql: &'static str,
                cells: Vec<Cell>,
                visit: &mut Visit<'_>,
            ) -> Result<(), LedgerError> {
                let arguments = arguments(cells).map_err(|error| self.fail(operation, error))?;
                let address = self.address.clone();
                let mut rows = sqlx::query_with(sql, arguments).fetch(&mut *self.transaction);
                while let Some(row) = rows.try_next().await.map_err(|error| fail(&address, operation, error))? {
                    visit(&mut Reader::new(&row, operation))?;
                }
                Ok(())
            }

            async fn scan(
                &mut self,
                operation: &'static str,
                table: &'static Table,
                target: Option<&TargetName>,
                visit: &mut Visit<'_>,
            ) -> Result<(), LedgerError> {
                self.scan_table(operation, table, target, visit).await
            }

            async fn bulk(
                &mut self,
                operation: &'static str,
                sql: &'static str,
                columns: Columns,
                cells: Vec<Cell>,
            ) -> Result<u64, LedgerError> {
                let (head, arguments, keep) = bulk_arguments(columns, cells).map_err(|error| self.fail(operation, error))?;
                let query = sqlx::query_with(sqlx::AssertSqlSafe(head + sql), arguments).persistent(keep);
                let done = query.execute(&mut *self.transaction).await;
                done.map(|done| done.rows_affected()).map_err(|error| self.fail(operation, error))
            }

            async fn bulk_each(
                &mut self,
                operation: &'static str,
                sql: &'static str,
                columns: Columns,
                cells: Vec<Cell>,
                visit: &mut Visit<'_>,
            ) -> Result<(), LedgerError> {
                let (head, arguments, keep) = bulk_arguments(columns, cells).map_err(|error| self.fail(operation, error))?;
                let address = self.address.clone();
                let query = sqlx::query_with(sqlx::AssertSqlSafe(head + sql), arguments).persistent(keep);
                let mut rows = query.fetch(&mut *self.transaction);
                while let Some(row) = rows.try_next().await.map_err(|error| fail(&address, operation, error))? {
                    visit(&mut Reader::new(&row, operation))?;
                }
                Ok(())
            }

            async fn commit(self: Box<Self>) -> Result<(), LedgerError> {
                let address = self.address.clone();
                self.transaction.commit().await.map_err(|error| fail(&address, "commit", error))
            }
        }
    };
}
pub(super) use impl_session;
