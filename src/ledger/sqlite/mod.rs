//! The ledger in one SQLite file.
//!
//! Write-ahead log with `synchronous = FULL`: a commit is on the disk before its effect leaves the machine (a change is noted before it is
//! sent). A sync commits a few hundred times at most, so the syncs to disk do not show. One connection writes, a few read.
//!
//! Sources: SQLite, "Write-Ahead Logging", "PRAGMA synchronous", "Result and Error Codes", "Database File Format" (§1.3, offset 68).

mod error;
mod open;
mod packed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Arguments, Connection, Row as _, Sqlite, Transaction};

use self::error::fail;
#[cfg(test)]
pub(super) use self::open::open_with_page_limit;
pub(super) use self::open::{memory, open};
use super::LedgerError;
use super::codec::Reader;
use super::session::{Cell, Columns, Database, ROWS_PER_STATEMENT, Session, Table, Visit, impl_row, impl_session};
use crate::doctor::{Finding, Health};
use crate::model::TargetName;

/// A ledger's file, or one in memory.
pub(super) struct SqliteDatabase {
    /// One connection.
    writer: SqlitePool,
    readers: SqlitePool,
    address: Arc<str>,
    /// `None` in memory.
    path: Option<PathBuf>,
}

struct SqliteSession {
    transaction: Transaction<'static, Sqlite>,
    address: Arc<str>,
}

impl SqliteSession {
    fn fail(&self, operation: &'static str, error: sqlx::Error) -> LedgerError {
        fail(&self.address, operation, error)
    }
}

impl_row!(SqliteRow);
impl_session!(SqliteSession);

fn arguments(cells: Vec<Cell>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for cell in cells {
        match cell {
            Cell::Int(value) => arguments.add(value),
            Cell::Text(value) => arguments.add(value),
            Cell::Bytes(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// `WITH input (a, b) AS (VALUES (?, ?), …)`. Binds without names: SQLite finds a named one by walking through all of them.
fn bulk_arguments(columns: Columns, cells: Vec<Cell>) -> Result<(String, SqliteArguments, bool), sqlx::Error> {
    let rows = cells.len() / columns.len().max(1);
    let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let row = format!("({})", vec!["?"; columns.len()].join(","));
    let head = format!("WITH input ({names}) AS (VALUES {}) ", vec![row; rows].join(","));
    // Only the text for a full statement comes again.
    Ok((head, arguments(cells)?, rows == ROWS_PER_STATEMENT))
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn read(&self) -> Result<Box<dyn Session>, LedgerError> {
        let transaction = self.readers.begin_with("BEGIN").await.map_err(|error| fail(&self.address, "begin to read", error))?;
        Ok(Box::new(SqliteSession { transaction, address: self.address.clone() }))
    }

    async fn write(&self) -> Result<Box<dyn Session>, LedgerError> {
        // Takes the write lock at once: a transaction that reads first and writes later may find that it cannot.
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| fail(&self.address, "begin to write", error))?;
        Ok(Box::new(SqliteSession { transaction, address: self.address.clone() }))
    }

    async fn write_alone(&self) -> Result<Box<dyn Session>, LedgerError> {
        self.write().await
    }

    async fn integrity(&self) -> Result<Vec<Finding>, LedgerError> {
        let rows = sqlx::query("PRAGMA integrity_check(20)").fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| fail(&self.address, "check the file", error))?;
        let texts: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        let sound = texts == ["ok"];
        Ok(vec![Finding {
            subject: "ledger".to_owned(),
            check: "the database file is sound".to_owned(),
            outcome: if sound { Health::Ok } else { Health::Error },
            text: texts.join("; "),
            mend: (!sound).then(|| "restore the newest backup; the next sync recovers what is newer from the targets".to_owned()),
        }])
    }

    async fn backup(&self, to: &Path) -> Result<(), LedgerError> {
        let shown = to.display().to_string();
        let unwritable = |error: std::io::Error| error::io(&shown, &error);
        let Some(path) = &self.path else {
            return Err(LedgerError::Unsupported { text: "there is no ledger to back up yet".to_owned(), hint: "the first sync makes it" });
        };
        if to.exists() {
            return Err(LedgerError::Unsupported {
                text: format!("{shown} exists already; a backup never overwrites a file"),
                hint: "name a new file",
            });
        }
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The copy gets its name only when it is whole and on the disk. Mode 0600, like the ledger itself.
        let copy = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
        let Some(name) = copy.path().to_str() else {
            return Err(LedgerError::Unsupported { text: "the path of a backup must be UTF-8".to_owned(), hint: "name another file" });
        };
        // A connection of its own: a pool's connections refuse to write, or are wanted by a sync.
        let failed = |error| fail(&self.address, "write a backup", error);
        let mut connection = sqlx::SqliteConnection::connect_with(&open::plain_options(path)).await.map_err(failed)?;
        sqlx::query("VACUUM INTO $1").bind(name).execute(&mut connection).await.map_err(|error| fail(&shown, "write a backup", error))?;
        connection.close().await.map_err(failed)?;
        copy.as_file().sync_all().map_err(unwritable)?;
        copy.persist_noclobber(to).map_err(|error| unwritable(error.error))?;
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
