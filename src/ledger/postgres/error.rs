//! What PostgreSQL's errors mean for the ledger.

use crate::ledger::LedgerError;

/// The variant that says what to do, by SQLSTATE (PostgreSQL, "Appendix A. Error Codes"). The server's messages name users and
/// databases, never passwords.
pub(super) fn fail(address: &str, operation: &'static str, error: sqlx::Error) -> LedgerError {
    let address = address.to_owned();
    let text = match &error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    match &error {
        sqlx::Error::PoolTimedOut => LedgerError::Unreachable { address, text: "no connection came free in time".to_owned() },
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            LedgerError::Unreachable { address, text }
        }
        sqlx::Error::Database(database) => match database.code().as_deref().unwrap_or_default() {
            // lock_not_available, query_canceled (a time-out), deadlock_detected
            "55P03" | "57014" | "40P01" => LedgerError::Locked { address },
            // idle_in_transaction_session_timeout
            "25P03" => {
                LedgerError::Unreachable { address, text: "this process stood still within a write, which the server undid".to_owned() }
            }
            // serialization_failure
            "40001" => LedgerError::Conflict,
            // read_only_sql_transaction, insufficient_privilege
            "25006" | "42501" => LedgerError::ReadOnly { address, text },
            // disk_full, out_of_memory on the server's side
            "53100" | "53200" => LedgerError::Full { address, text },
            // data_corrupted, index_corrupted
            "XX001" | "XX002" => LedgerError::Unusable { address, text },
            // invalid_authorization_specification, invalid_password
            code if code.starts_with("28") => LedgerError::Credentials { address, text },
            // invalid_catalog_name
            "3D000" => LedgerError::NoDatabase { address, text },
            // connection exceptions, too_many_connections, shutdowns
            code if code == "53300" || code.starts_with("08") || code.starts_with("57P") => LedgerError::Unreachable { address, text },
            _ => LedgerError::Database { operation, source: error },
        },
        _ => LedgerError::Database { operation, source: error },
    }
}
