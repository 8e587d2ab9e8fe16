//! The file: opening it, telling whose it is, and saying what went wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use super::Missing;
use crate::model::TargetName;
use crate::target::TargetError;

/// `DEWP`, in the header of every file that is ours.
const APPLICATION_ID: i64 = 0x4445_5750;

/// The schema, one file per version: `user_version` counts them.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_records.sql")];

/// Longest wait for another program's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What tells a file from another that was put in its place while it was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inode {
    #[cfg(unix)]
    device_and_number: (u64, u64),
    #[cfg(not(unix))]
    created: Option<std::time::SystemTime>,
}

impl Inode {
    fn of(metadata: &std::fs::Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Self { device_and_number: (metadata.dev(), metadata.ino()) }
        }
        #[cfg(not(unix))]
        {
            Self { created: metadata.created().ok() }
        }
    }
}

/// An open file that is ours.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: SqliteConnection,
    /// The file's own random name.
    pub(super) instance: String,
    inode: Inode,
}

/// Where the file is, and what may be done where it is not.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) target: TargetName,
    pub(super) path: PathBuf,
}

impl Store {
    /// Opens the file. `None` where there is none, or an empty one, and `missing` says that this is no error.
    ///
    /// One connection, opened with a rollback journal (unless someone switched the file to another mode) and full synchronisation:
    /// whenever no batch is in hand, the one file holds everything, so that it can be copied, and readers need no write permission;
    /// a process that is killed leaves the last whole batch, and what a batch's answer promises outlives a power cut.
    pub(super) async fn open(&self, missing: Missing) -> Result<Option<Open>, TargetError> {
        let present = match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_dir() => return Err(self.unusable("it is a directory", "give `path` the name of a file")),
            Ok(metadata) => metadata.len() > 0,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(self.unusable(&format!("it cannot be looked at: {error}"), PERMISSIONS)),
        };
        if !present {
            match missing {
                Missing::Create => {}
                Missing::Empty => return Ok(None),
                Missing::Refuse => return Err(self.lost()),
            }
        }
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(missing == Missing::Create)
            .busy_timeout(BUSY_TIMEOUT)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", "-32768")
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| self.failed("open", &error))?;
        if !self.is_current(&mut connection).await? {
            if !self.is_ours(&mut connection).await? {
                match missing {
                    Missing::Create => {}
                    Missing::Empty => return Ok(None),
                    Missing::Refuse => return Err(self.lost()),
                }
            }
            self.migrate(&mut connection).await?;
        }
        let instance: String = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'instance'")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| self.failed("open", &error))?;
        let metadata = std::fs::metadata(&self.path).map_err(|_| self.lost())?;
        Ok(Some(Open { connection, instance, inode: Inode::of(&metadata) }))
    }

    /// Whether the path still leads to the file that is open: one that was removed or replaced would go on taking writes that nobody sees.
    pub(super) fn is_same(&self, open: &Open) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| Inode::of(&metadata) == open.inode)
    }

    /// Whether the schema is this version's.
    async fn is_current(&self, connection: &mut SqliteConnection) -> Result<bool, TargetError> {
        let (application, version) = self.header(connection).await?;
        let newest = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if application == APPLICATION_ID && version > newest {
            return Err(self.unusable(
                &format!("its schema has version {version}, and this program knows versions up to {newest}"),
                "use the version of Dewpoint that wrote it, or a newer one",
            ));
        }
        Ok(application == APPLICATION_ID && version == newest)
    }

    /// Whether the file is a local CMDB; `false` for a database with nothing in it, an error for somebody else's.
    async fn is_ours(&self, connection: &mut SqliteConnection) -> Result<bool, TargetError> {
        let (application, _) = self.header(connection).await?;
        if application == APPLICATION_ID {
            return Ok(true);
        }
        let objects: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
            .fetch_one(connection)
            .await
            .map_err(|error| self.failed("open", &error))?;
        if application != 0 || objects > 0 {
            return Err(
                self.unusable("it is a SQLite database, but no local CMDB", "give `path` the name of a file that no other program uses")
            );
        }
        Ok(false)
    }

    async fn header(&self, connection: &mut SqliteConnection) -> Result<(i64, i64), TargetError> {
        sqlx::query_as("SELECT application_id, user_version FROM pragma_application_id, pragma_user_version")
            .fetch_one(connection)
            .await
            .map_err(|error| self.failed("open", &error))
    }

    /// Brings the schema to this version, in one transaction.
    async fn migrate(&self, connection: &mut SqliteConnection) -> Result<(), TargetError> {
        let run = async |connection: &mut SqliteConnection| -> Result<(), sqlx::Error> {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            // Read again under the lock: another process may have been first.
            let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
            for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
                sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        run(connection).await.map_err(|error| self.failed("set up", &error))
    }

    /// The file is not there, or empty, and it was.
    pub(super) fn lost(&self) -> TargetError {
        self.unusable(
            "it is gone or empty, and records were delivered to it",
            &format!("restore the file, or run `dewpoint target recover {}`", self.target),
        )
    }

    /// Another local CMDB took the place of the one in use.
    pub(super) fn exchanged(&self) -> TargetError {
        self.unusable("another one was put in its place during the run", "put the right file back and run again")
    }

    pub(super) fn unusable(&self, text: &str, hint: &str) -> TargetError {
        TargetError::Unusable { target: self.target.clone(), text: format!("file {}: {text}", self.path.display()), hint: hint.to_owned() }
    }

    pub(super) fn unreachable(&self, operation: &'static str, text: &str) -> TargetError {
        TargetError::Unreachable { target: self.target.clone(), operation, text: format!("file {}: {text}", self.path.display()) }
    }

    /// What a database error means for the caller. Codes: SQLite, "Result and Error Codes".
    pub(super) fn failed(&self, operation: &'static str, error: &sqlx::Error) -> TargetError {
        let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => self.unreachable(operation, "another program has it locked"),
            Some(13) => self.unreachable(operation, "the disk is full; nothing of the batch was written"),
            Some(10) => self.unreachable(operation, &format!("it could not be read or written: {error}")),
            Some(3 | 8 | 23) => self.unusable("it cannot be written", PERMISSIONS),
            Some(14) => self.unusable("it, or its journal beside it, cannot be opened", PERMISSIONS),
            Some(26) => self.unusable("it is no SQLite database", "give `path` the name of another file, or restore this one"),
            Some(11) => self.unusable(&format!("it is damaged: {error}"), &self.restore()),
            // A constraint or a trigger that people added, or a value beyond SQLite's limits: the batch is bisected down to it.
            Some(18 | 19) => TargetError::Rejected { target: self.target.clone(), text: error.to_string() },
            _ if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound) => {
                self.unusable(&format!("it holds what no local CMDB holds: {error}"), &self.restore())
            }
            _ => self.unreachable(operation, &error.to_string()),
        }
    }

    fn restore(&self) -> String {
        format!("restore it from a backup, then run `dewpoint target recover {}`", self.target)
    }
}

const PERMISSIONS: &str = "let the user that runs Dewpoint write the file and the directory it lies in";
