//! One suite, run on both databases. A test is a function over a [`Place`]; [`on_both`] makes two tests of each.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod batches;
mod estates;
mod leases;
mod opening;
mod properties;
pub(crate) mod samples;
mod upkeep;

use std::path::Path;

use secrecy::SecretString;
use sqlx::Connection;

use super::{Ledger, LedgerAddress, Mode, open};

/// Where a test's ledger lies: a file in a folder of its own, or a schema of its own.
pub(super) struct Place {
    address: LedgerAddress,
    /// Removed with the place.
    folder: Option<tempfile::TempDir>,
    schema: Option<String>,
}

impl Place {
    fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = LedgerAddress::parse("sqlite://dewpoint.db", folder.path(), None).unwrap();
        Self { address, folder: Some(folder), schema: None }
    }

    async fn schema() -> Self {
        let schema = format!("dewpoint_test_{:016x}", rand::random::<u64>());
        run_sql(&format!("CREATE SCHEMA {schema}")).await;
        let url = database_url();
        let url = format!("{url}{}options[search_path]={schema}", if url.contains('?') { '&' } else { '?' });
        let address = LedgerAddress::parse(&url, Path::new("."), None::<&SecretString>).unwrap();
        Self { address, folder: None, schema: Some(schema) }
    }

    /// Removes what a test that passed leaves behind.
    async fn clear(self) {
        if let Some(schema) = self.schema {
            run_sql(&format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    async fn open(&self) -> Box<dyn Ledger> {
        open(&self.address, Mode::ReadWrite { create: true }).await.unwrap()
    }

    /// Makes a database of another program where the ledger's file would be.
    async fn tamper_new(&self, sql: &str) {
        let LedgerAddress::Sqlite { path } = &self.address else { panic!("only a file can be another program's") };
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Runs a statement past the ledger's own code.
    async fn tamper(&self, sql: &str) {
        match &self.schema {
            None => {
                let LedgerAddress::Sqlite { path } = &self.address else { panic!("a place without a schema is a file") };
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Some(schema) => run_sql(&format!("SET search_path = {schema}; {sql}")).await,
        }
    }
}

fn database_url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL is not set; run tests/run.sh")
}

async fn run_sql(sql: &str) {
    let mut connection = sqlx::PgConnection::connect(&database_url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Makes a test on SQLite and one on PostgreSQL of each function.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(&crate::ledger::suite::Place::file()).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test]
                async fn $name() {
                    let place = crate::ledger::suite::Place::schema().await;
                    super::$name(&place).await;
                    place.clear().await;
                }
            )*
        }
    };
}
use on_both;
