//! A ledger's first rows, and what its versions say.

use sqlx::migrate::{MigrateError, Migrator};

use super::LedgerError;

/// The first row of `meta`, unless it is there.
pub(super) const META: &str = "INSERT INTO meta (id, estate, version) VALUES (1, $1, 0) ON CONFLICT DO NOTHING";
/// The first row of `sequence`, unless it is there.
pub(super) const SEQUENCE: &str = "INSERT INTO sequence (id, fence) VALUES (1, 0) ON CONFLICT DO NOTHING";

/// A random name of 128 bits.
pub(super) fn estate_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Whether a ledger of version `found` is of this version; `false` for an older one.
pub(super) fn is_current(address: &str, found: i64, migrations: &Migrator) -> Result<bool, LedgerError> {
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(LedgerError::Newer { address: address.to_owned(), found, known });
    }
    Ok(found == known)
}

/// Why the tables could not be set up; `fail` knows the database's own errors.
pub(super) fn migration_failed(
    address: &str,
    error: MigrateError,
    fail: impl FnOnce(&str, &'static str, sqlx::Error) -> LedgerError,
) -> LedgerError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => fail(address, "set up the tables", error),
        other => LedgerError::Unusable { address: address.to_owned(), text: other.to_string() },
    }
}
