//! Opening a ledger's file: is it one, may we, and which version wrote it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};

use super::SqliteDatabase;
use super::error::{fail, io};
use crate::ledger::{LedgerError, Mode, birth};

/// Marks the file as a Dewpoint ledger: `dwpl` in ASCII.
const APPLICATION_ID: i64 = 0x6477_706c;

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a task waits for this process's own writer; a commit of a large estate takes seconds.
const WRITER_TIMEOUT: Duration = Duration::from_secs(120);
const READERS_MAX: u32 = 4;

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/sqlite/migrations");

/// What stands at the path.
#[derive(PartialEq, Eq)]
enum Standing {
    Nothing,
    /// An empty file.
    Unborn,
    /// A ledger of this version.
    Present,
    /// A ledger that an older version wrote.
    Older,
}

/// Opens the ledger at `path`; `None` where there is none yet and `mode` only reads.
pub(in crate::ledger) async fn open(path: &Path, address: &str, mode: Mode) -> Result<Option<SqliteDatabase>, LedgerError> {
    let standing = inspect(path, address).await?;
    match (mode, standing) {
        (Mode::Read, Standing::Nothing | Standing::Unborn) => Ok(None),
        (Mode::Read, Standing::Older) => Err(LedgerError::Unusable {
            address: address.to_owned(),
            text: "it was written by an older Dewpoint; the next sync brings it up to date".to_owned(),
        }),
        (Mode::Read, Standing::Present) => open_to_read(path, address).await.map(Some),
        (Mode::ReadWrite { create: false }, Standing::Nothing) => {
            Err(LedgerError::Absent { address: address.to_owned(), text: "there is no such file; the first sync makes it".to_owned() })
        }
        (Mode::ReadWrite { .. }, standing) => {
            if standing != Standing::Nothing {
                // Before SQLite tries: it would fall back to reading, and leave companions that nobody can write either.
                OpenOptions::new().write(true).open(path).map_err(|error| io(address, &error))?;
            }
            match standing {
                Standing::Nothing => create(path, address).await?,
                Standing::Unborn | Standing::Older => bring_up_to_date(path, address).await?,
                Standing::Present => {}
            }
            open_to_write(path, address).await.map(Some)
        }
    }
}

/// An empty ledger that is forgotten at the end.
pub(in crate::ledger) async fn memory(address: &str) -> Result<SqliteDatabase, LedgerError> {
    let failed = |error| fail(address, "make a ledger in memory", error);
    let pool = one_connection().connect_with(SqliteConnectOptions::new().in_memory(true)).await.map_err(failed)?;
    let mut connection = pool.acquire().await.map_err(failed)?;
    migrate(&mut connection, address).await?;
    drop(connection);
    Ok(SqliteDatabase { writer: pool.clone(), readers: pool, address: address.into(), path: None })
}

/// Options that change nothing in the file by themselves.
pub(super) fn plain_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(BUSY_TIMEOUT).row_buffer_size(1_000)
}

fn one_connection() -> SqlitePoolOptions {
    // Never closed while open: a ledger in memory lives in its connection.
    let options = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).acquire_timeout(WRITER_TIMEOUT);
    // SQLite ends a transaction by itself when there is no room; sqlx then takes it for open, and the connection could begin no other.
    options.after_release(|connection, _| {
        Box::pin(async move {
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}

/// Looks without changing anything, so that another program's file stays as it is.
async fn inspect(path: &Path, address: &str) -> Result<Standing, LedgerError> {
    let unusable = |text: &str| LedgerError::Unusable { address: address.to_owned(), text: text.to_owned() };
    let mut header = Vec::new();
    match OpenOptions::new().read(true).open(path).and_then(|file| file.take(16).read_to_end(&mut header)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Standing::Nothing),
        Err(error) => return Err(LedgerError::Unreachable { address: address.to_owned(), text: error.to_string() }),
        Ok(0) => return Ok(Standing::Unborn),
        Ok(_) if header != b"SQLite format 3\0" => return Err(unusable("the file is no SQLite database")),
        Ok(_) => {}
    }
    let failed = |error| fail(address, "look into the file", error);
    let options = options_to_read(path).await.map_err(failed)?;
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    // One look at all of it: another process may be setting the file up right now.
    let mut look = connection.begin().await.map_err(failed)?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *look).await.map_err(failed)?;
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *look).await.map_err(failed)?;
    let standing = match (application, tables) {
        (APPLICATION_ID | 0, 0) => Standing::Unborn,
        (APPLICATION_ID, _) => {
            let select = "SELECT max(version) FROM _sqlx_migrations";
            let found: Option<i64> = sqlx::query_scalar(select).fetch_one(&mut *look).await.map_err(failed)?;
            match birth::is_current(address, found.unwrap_or(0), &MIGRATIONS)? {
                true => Standing::Present,
                false => Standing::Older,
            }
        }
        _ => return Err(unusable("the file is another program's SQLite database")),
    };
    look.rollback().await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(standing)
}

/// Options of a connection that writes nothing. In a folder that cannot be written SQLite cannot make the log's companion files; beside a
/// file that cannot be written it makes them as unwritable as that is, and they outlast the mending. The file is then read as it is,
/// which is safe as long as no log waits beside it, and nobody who may write has it open.
async fn options_to_read(path: &Path) -> Result<SqliteConnectOptions, sqlx::Error> {
    let options = plain_options(path).read_only(true);
    let is_writable = OpenOptions::new().write(true).open(path).is_ok();
    if !is_writable && !log_waits(path) && !companion(path, "-shm").exists() {
        return Ok(options.immutable(true));
    }
    match probe(&options).await {
        Err(_) if !log_waits(path) => Ok(options.immutable(true)),
        Err(error) => Err(error),
        Ok(()) => Ok(options),
    }
}

async fn probe(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(options).await?;
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&mut connection).await?;
    connection.close().await
}

fn log_waits(path: &Path) -> bool {
    std::fs::metadata(companion(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// A file that SQLite keeps beside the database.
fn companion(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// A ledger gets its name only when it is whole: two processes that begin at once do not meet in a half-made file, and a killed one leaves
/// none. Mode 0600.
async fn create(path: &Path, address: &str) -> Result<(), LedgerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(|error| io(address, &error))?;
    if let Err(error) = bring_up_to_date(file.path(), address).await {
        remove_companions(file.path());
        return Err(error);
    }
    match file.persist_noclobber(path) {
        // Another process was faster: its ledger is the ledger.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop).map_err(|error| io(address, &error.error)),
    }
}

/// Removes what SQLite left beside a file that never became a ledger.
fn remove_companions(path: &Path) {
    for end in ["-wal", "-shm", "-journal"] {
        // Mostly it is not there; where it cannot be removed, that is no worse than what is told already.
        let _ = std::fs::remove_file(companion(path, end));
    }
}

async fn bring_up_to_date(path: &Path, address: &str) -> Result<(), LedgerError> {
    let failed = |error| fail(address, "set up the file", error);
    let mut connection = SqliteConnection::connect_with(&plain_options(path)).await.map_err(failed)?;
    // The mark comes first: what is cut off from here on is known as ours.
    let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
    sqlx::query(sqlx::AssertSqlSafe(mark)).execute(&mut connection).await.map_err(failed)?;
    sqlx::query("PRAGMA journal_mode = WAL").execute(&mut connection).await.map_err(failed)?;
    migrate(&mut connection, address).await?;
    connection.close().await.map_err(failed)
}

/// All or nothing, and one process at a time: sqlx's own migrations do not lock a SQLite file.
async fn migrate(connection: &mut SqliteConnection, address: &str) -> Result<(), LedgerError> {
    let failed = |error| fail(address, "set up the tables", error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(|error| birth::migration_failed(address, error, fail))?;
    sqlx::query(birth::META).bind(birth::estate_id()).execute(&mut *transaction).await.map_err(failed)?;
    sqlx::query(birth::SEQUENCE).execute(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

async fn open_to_write(path: &Path, address: &str) -> Result<SqliteDatabase, LedgerError> {
    open_with(path, address, options_to_write(path)).await
}

fn options_to_write(path: &Path) -> SqliteConnectOptions {
    plain_options(path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", "-32000")
        // A cold sync's log is as large as the ledger; it need not stay so.
        .pragma("journal_size_limit", "67108864")
}

async fn open_with(path: &Path, address: &str, options: SqliteConnectOptions) -> Result<SqliteDatabase, LedgerError> {
    let failed = |error| fail(address, "open the file", error);
    let writer = one_connection().connect_with(options.clone()).await.map_err(failed)?;
    // Better refused now than after everything was pulled.
    let permitted = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    permitted.rollback().await.map_err(failed)?;
    let readers = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(SqliteDatabase { writer, readers, address: address.into(), path: Some(path.to_owned()) })
}

async fn open_to_read(path: &Path, address: &str) -> Result<SqliteDatabase, LedgerError> {
    let failed = |error| fail(address, "open the file", error);
    let options = options_to_read(path).await.map_err(failed)?;
    let readers: SqlitePool = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_with(options).await.map_err(failed)?;
    Ok(SqliteDatabase { writer: readers.clone(), readers, address: address.into(), path: Some(path.to_owned()) })
}

/// A ledger that may not grow beyond so many pages: to SQLite the same as a full disk.
#[cfg(test)]
pub(in crate::ledger) async fn open_with_page_limit(path: &Path, address: &str, pages: u32) -> Result<SqliteDatabase, LedgerError> {
    open_with(path, address, options_to_write(path).pragma("max_page_count", pages.to_string())).await
}
