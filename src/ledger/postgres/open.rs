//! Opening a ledger's database: which version wrote it, and may we.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use super::PostgresDatabase;
use super::error::fail;
use crate::ledger::address::PostgresAddress;
use crate::ledger::{LedgerError, Mode, birth};

/// How long a server may take to answer the first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: u32 = 6;
/// How long a task waits for a free connection: somewhat longer than those who have one may wait for a lock.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(45);
/// A process that stands still (stopped, or in a paused machine) within a transaction keeps its locks for this long at most, and whoever
/// needs them waits somewhat longer. A statement runs for at most as long as the last of these.
const LIMITS: &str = "SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '40s'; SET statement_timeout = '5min'";

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/postgres/migrations");

/// Opens the ledger; `None` where there is none yet and `mode` only reads.
pub(in crate::ledger) async fn open(target: &PostgresAddress, address: &str, mode: Mode) -> Result<Option<PostgresDatabase>, LedgerError> {
    let failed = |error| fail(address, "connect", error);
    let reads_only = mode == Mode::Read;
    try_connection(&target.options).await.map_err(failed)?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(LIMITS).execute(&mut *connection).await?;
                if reads_only {
                    sqlx::raw_sql("SET default_transaction_read_only = on").execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect_with((*target.options).clone())
        .await
        .map_err(failed)?;
    let current = match found_version(&pool).await.map_err(failed)? {
        None => None,
        Some(found) => match birth::is_current(address, found, &MIGRATIONS)? {
            // The tables and their first rows come one after the other: a birth that was cut off between them is finished.
            true if !is_born(&pool).await.map_err(failed)? => None,
            is_current => Some(is_current),
        },
    };
    match (mode, current) {
        (_, Some(true)) => {}
        (Mode::Read, None) => return Ok(None),
        (Mode::Read, Some(false)) => {
            return Err(LedgerError::Unusable {
                address: address.to_owned(),
                text: "it was written by an older Dewpoint; the next sync brings it up to date".to_owned(),
            });
        }
        (Mode::ReadWrite { create: false }, None) => {
            return Err(LedgerError::Absent {
                address: address.to_owned(),
                text: "there is no ledger in this database; the first sync makes it".to_owned(),
            });
        }
        (Mode::ReadWrite { .. }, _) => migrate(&pool, address).await?,
    }
    Ok(Some(PostgresDatabase { pool, address: address.into() }))
}

/// Says at once what a pool would go on trying for as long as it waits for connections: that nobody listens there. A server that is about
/// to listen (starting up, or out of connections) is left to the pool.
async fn try_connection(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => connection.close().await,
        Ok(Err(sqlx::Error::Database(error))) if error.is_transient_in_connect_phase() => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let text = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
        }
    }
}

/// The newest migration that this schema has; `None` where it never had one.
async fn found_version(pool: &PgPool) -> Result<Option<i64>, sqlx::Error> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?;
    if !exists {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(pool).await
}

/// Whether the first rows are there, in a schema of this version.
async fn is_born(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM meta) AND EXISTS (SELECT 1 FROM sequence)").fetch_one(pool).await
}

/// sqlx holds an advisory lock meanwhile, so that only one process sets up.
async fn migrate(pool: &PgPool, address: &str) -> Result<(), LedgerError> {
    let failed = |error| fail(address, "set up the tables", error);
    MIGRATIONS.run(pool).await.map_err(|error| birth::migration_failed(address, error, fail))?;
    sqlx::query(birth::META).bind(birth::estate_id()).execute(pool).await.map_err(failed)?;
    sqlx::query(birth::SEQUENCE).execute(pool).await.map_err(failed)?;
    Ok(())
}
