//! What SQLite's and the system's errors mean for the ledger.

use std::io::ErrorKind;

use sqlx::sqlite::SqliteError;

use crate::ledger::LedgerError;

/// SQLite's primary result codes ("Result and Error Codes").
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
    /// Extended: a read failed. Every other input/output error comes while writing, syncing or growing a file.
    pub(super) const IOERR_READ: i32 = 266;
    /// Extended: a read came back short.
    pub(super) const IOERR_SHORT_READ: i32 = 522;
    /// Extended: a page's checksum is wrong.
    pub(super) const IOERR_DATA: i32 = 8202;
}

/// The variant that says what to do.
pub(super) fn fail(address: &str, operation: &'static str, error: sqlx::Error) -> LedgerError {
    let address = address.to_owned();
    match &error {
        sqlx::Error::PoolTimedOut => return LedgerError::Locked { address },
        sqlx::Error::Io(error) => return io(&address, error),
        _ => {}
    }
    let Some((extended, text)) = error.as_database_error().and_then(|error| {
        let error = error.try_downcast_ref::<SqliteError>()?;
        let extended: i32 = sqlx::error::DatabaseError::code(error)?.parse().ok()?;
        Some((extended, sqlx::error::DatabaseError::message(error).to_owned()))
    }) else {
        return LedgerError::Database { operation, source: error };
    };
    match (extended & 0xff, extended) {
        (code::BUSY | code::LOCKED, _) => LedgerError::Locked { address },
        (code::READONLY, _) => LedgerError::ReadOnly { address, text },
        (code::FULL, _) => LedgerError::Full { address, text },
        (code::CORRUPT | code::NOTADB, _) | (_, code::IOERR_SHORT_READ | code::IOERR_DATA) => LedgerError::Unusable { address, text },
        (code::IOERR, code::IOERR_READ) => LedgerError::Unreachable { address, text },
        // A file-size limit (EFBIG) and some quotas show as a failed write, not as a full disk.
        (code::IOERR, _) => LedgerError::Full { address, text: format!("{text} while writing: no room, a file-size limit or a quota") },
        (code::CANTOPEN, _) => LedgerError::Unreachable { address, text },
        _ => LedgerError::Database { operation, source: error },
    }
}

/// The same for the system's own errors.
pub(super) fn io(address: &str, error: &std::io::Error) -> LedgerError {
    let (address, text) = (address.to_owned(), error.to_string());
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => LedgerError::ReadOnly { address, text },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => LedgerError::Full { address, text },
        ErrorKind::NotFound | ErrorKind::NotADirectory => LedgerError::Absent { address, text },
        _ => LedgerError::Unreachable { address, text },
    }
}
