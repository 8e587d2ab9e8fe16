//! The ledger in a PostgreSQL database.
//!
//! Writes run at `READ COMMITTED` and serialise where they must by the row they change first: `meta` for commits of the estate, the lease's
//! row for everything about a target. Reads are snapshots (`REPEATABLE READ, READ ONLY`).

mod error;
mod open;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::{Arguments, Postgres, Transaction};

use self::error::fail;
pub(super) use self::open::open;
use super::LedgerError;
use super::codec::Reader;
use super::session::{Cell, Columns, Database, Session, Table, Type, Visit, cells, impl_row, impl_session};
use crate::doctor::{Finding, Health};
use crate::model::TargetName;

/// A ledger's database.
pub(super) struct PostgresDatabase {
    pool: PgPool,
    address: Arc<str>,
}

struct PostgresSession {
    transaction: Transaction<'static, Postgres>,
    address: Arc<str>,
}

impl PostgresSession {
    fn fail(&self, operation: &'static str, error: sqlx::Error) -> LedgerError {
        fail(&self.address, operation, error)
    }

    async fn scan_table(
        &mut self,
        operation: &'static str,
        table: &'static Table,
        target: Option<&TargetName>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LedgerError> {
        let names = table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let filter = if target.is_some() { "WHERE target = $1" } else { "" };
        let select = format!("SELECT {names} FROM {} {filter}", table.name);
        let arguments = arguments(target.map(|target| cells![target.as_str()]).unwrap_or_default());
        let arguments = arguments.map_err(|error| self.fail(operation, error))?;
        let address = self.address.clone();
        let mut rows = sqlx::query_with(sqlx::AssertSqlSafe(select), arguments).fetch(&mut *self.transaction);
        while let Some(row) = rows.try_next().await.map_err(|error| fail(&address, operation, error))? {
            visit(&mut Reader::new(&row, operation))?;
        }
        Ok(())
    }
}

impl_row!(PgRow);
impl_session!(PostgresSession);

fn arguments(cells: Vec<Cell>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
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

/// `WITH input (a, b) AS (SELECT * FROM unnest($1::bigint[], $2::text[]))`: one array per column, one statement for any number of rows.
fn bulk_arguments(columns: Columns, cells: Vec<Cell>) -> Result<(String, PgArguments, bool), sqlx::Error> {
    let rows = cells.len() / columns.len().max(1);
    let mut ints = vec![Vec::<Option<i64>>::new(); columns.len()];
    let mut texts = vec![Vec::<Option<String>>::new(); columns.len()];
    let mut bytes = vec![Vec::<Option<Vec<u8>>>::new(); columns.len()];
    let mut cells = cells.into_iter();
    for _ in 0..rows {
        for ((ints, texts), bytes) in ints.iter_mut().zip(&mut texts).zip(&mut bytes) {
            match cells.next() {
                Some(Cell::Int(value)) => ints.push(value),
                Some(Cell::Text(value)) => texts.push(value),
                Some(Cell::Bytes(value)) => bytes.push(value),
                None => {}
            }
        }
    }
    let mut arguments = PgArguments::default();
    let mut arrays = Vec::with_capacity(columns.len());
    for (number, (((_, kind), ints), (texts, bytes))) in (1..).zip(columns.iter().zip(ints).zip(texts.into_iter().zip(bytes))) {
        let (array, added) = match kind {
            Type::Int => ("bigint", arguments.add(ints)),
            Type::Text => ("text", arguments.add(texts)),
            Type::Bytes => ("bytea", arguments.add(bytes)),
        };
        added.map_err(sqlx::Error::Encode)?;
        arrays.push(format!("${number}::{array}[]"));
    }
    let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    Ok((format!("WITH input ({names}) AS (SELECT * FROM unnest({})) ", arrays.join(", ")), arguments, true))
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn read(&self) -> Result<Box<dyn Session>, LedgerError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let transaction = self.pool.begin_with(begin).await.map_err(|error| fail(&self.address, "begin to read", error))?;
        Ok(Box::new(PostgresSession { transaction, address: self.address.clone() }))
    }

    async fn write(&self) -> Result<Box<dyn Session>, LedgerError> {
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
        let transaction = self.pool.begin_with(begin).await.map_err(|error| fail(&self.address, "begin to write", error))?;
        Ok(Box::new(PostgresSession { transaction, address: self.address.clone() }))
    }

    async fn write_alone(&self) -> Result<Box<dyn Session>, LedgerError> {
        let mut session = self.write().await?;
        // Every such write changes a row of one of these first.
        session.run("wait for others", "LOCK TABLE meta, lease IN SHARE ROW EXCLUSIVE MODE", cells![]).await?;
        Ok(session)
    }

    async fn integrity(&self) -> Result<Vec<Finding>, LedgerError> {
        let select = "SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
             WHERE relnamespace = current_schema()::regnamespace AND NOT indisvalid";
        let invalid: i64 =
            sqlx::query_scalar(select).fetch_one(&self.pool).await.map_err(|error| fail(&self.address, "check the database", error))?;
        let sound = invalid == 0;
        Ok(vec![Finding {
            subject: "ledger".to_owned(),
            check: "the database's indexes are valid".to_owned(),
            outcome: if sound { Health::Ok } else { Health::Error },
            text: if sound { "as it should be; `pg_amcheck` looks deeper".to_owned() } else { format!("{invalid} are not") },
            mend: (!sound).then(|| "run `REINDEX SCHEMA` on the ledger's schema".to_owned()),
        }])
    }

    async fn backup(&self, _to: &Path) -> Result<(), LedgerError> {
        Err(LedgerError::Unsupported {
            text: "PostgreSQL is not backed up into a file by Dewpoint".to_owned(),
            hint: "use `pg_dump`, which copies a ledger in use consistently",
        })
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
