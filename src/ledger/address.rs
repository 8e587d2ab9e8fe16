//! Where a ledger is, from the configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

/// Where a ledger is. Neither its `Debug` nor its `Display` shows a password or a user.
#[derive(Clone)]
pub enum LedgerAddress {
    /// A file.
    Sqlite {
        /// Its path.
        path: PathBuf,
    },
    /// A PostgreSQL database.
    Postgres(PostgresAddress),
}

/// How to reach a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresAddress {
    pub(super) options: Box<PgConnectOptions>,
    display: String,
}

/// A text that is no address of a ledger. Does not repeat the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of a ledger: {reason}")]
pub struct InvalidLedgerAddress {
    /// What is wrong with it.
    pub reason: &'static str,
}

impl LedgerAddress {
    /// Reads `sqlite://PATH` (relative paths from `base`) or `postgres://[USER@]HOST[:PORT]/DATABASE[?sslmode=…]`.
    ///
    /// # Errors
    /// [`InvalidLedgerAddress`] when it is neither, or a password is given for a file.
    pub fn parse(text: &str, base: &Path, password: Option<&SecretString>) -> Result<Self, InvalidLedgerAddress> {
        let fail = |reason| Err(InvalidLedgerAddress { reason });
        if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
            return match path {
                "" => fail("it names no file; write `sqlite://dewpoint.db`"),
                _ if path.contains('?') => fail("a file takes no parameters after `?`"),
                _ if password.is_some() => fail("a file has no password"),
                _ => Ok(Self::Sqlite { path: base.join(path) }),
            };
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return fail("it must start with `sqlite://` or `postgres://`");
        }
        let Ok(mut options) = PgConnectOptions::from_str(text) else {
            return fail("write `postgres://user@host:5432/database`, with `?sslmode=…` where needed");
        };
        if let Some(password) = password {
            options = options.password(password.expose_secret());
        }
        let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let display = format!("postgres://{host}:{}/{database}", options.get_port());
        Ok(Self::Postgres(PostgresAddress { options: Box::new(options.application_name("dewpoint")), display }))
    }
}

impl fmt::Display for LedgerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(address) => f.write_str(&address.display),
        }
    }
}

impl fmt::Debug for LedgerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerAddress({self})")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn relative_files_lie_beside_the_configuration() {
        let base = Path::new("/etc/dewpoint");
        let display = |text| LedgerAddress::parse(text, base, None).unwrap().to_string();
        assert_eq!(display("sqlite://dewpoint.db"), "sqlite:///etc/dewpoint/dewpoint.db");
        assert_eq!(display("sqlite:///var/lib/dewpoint.db"), "sqlite:///var/lib/dewpoint.db");
    }

    #[test]
    fn neither_password_nor_user_show() {
        let base = Path::new(".");
        let inside = LedgerAddress::parse("postgres://anna:s3cret@db.example:5433/cmdb?sslmode=require", base, None).unwrap();
        let beside =
            LedgerAddress::parse("postgres://anna@db.example:5433/cmdb", base, Some(&SecretString::from("s3cret".to_owned()))).unwrap();
        for address in [inside, beside] {
            assert_eq!(address.to_string(), "postgres://db.example:5433/cmdb");
            assert_eq!(format!("{address:?}"), "LedgerAddress(postgres://db.example:5433/cmdb)");
        }
    }

    #[test]
    fn other_texts_are_refused_without_repeating_them() {
        for text in ["", "dewpoint.db", "sqlite://", "sqlite://a.db?mode=ro", "mysql://u:s3cret@h/d", "postgres://u:s3cret@[bad/d"] {
            let error = LedgerAddress::parse(text, Path::new("."), None).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert!(LedgerAddress::parse("sqlite://a.db", Path::new("."), Some(&SecretString::from("x".to_owned()))).is_err());
    }
}
