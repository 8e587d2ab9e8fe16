//! A folder with a configuration, an inventory, a ledger and a CMDB, and the program to run on them.

pub mod azure;
pub mod inventory;
pub mod moto;
pub mod simulated;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tempfile::TempDir;

pub use inventory::Inventory;

/// A place of its own for one test.
pub struct World {
    folder: TempDir,
    /// How variables begin that the program does not get from the machine.
    hidden: Vec<&'static str>,
    /// Variables that it gets.
    given: Vec<(&'static str, String)>,
}

/// What one run of the program said.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; 256 plus the signal's number where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// A configuration with one file source and one local CMDB, ready for `extra` keys.
pub const CONFIG: &str = "ledger: sqlite://dewpoint.db\nsources:\n  - { name: estate, kind: file, path: inventory.json }\ntargets:\n  - { name: cmdb, kind: local, path: cmdb.db }\n";

impl World {
    /// An empty folder.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), hidden: Vec::new(), given: Vec::new() }
    }

    /// An empty folder beside a cloud on loopback, of which the machine's own variables, all that begin like this, say nothing.
    pub fn of_cloud(variables: &'static str) -> Self {
        let world = Self { hidden: vec![variables], ..Self::empty() };
        world.with("NO_PROXY", "127.0.0.1").with("no_proxy", "127.0.0.1")
    }

    /// Gives the program a variable.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.given.push((name, value.into()));
        self
    }

    /// A folder with [`CONFIG`] and `extra` below it.
    pub fn new(extra: &str) -> Self {
        let world = Self::empty();
        world.write("dewpoint.yaml", &format!("{CONFIG}{extra}"));
        world
    }

    /// Writes a configuration with one source, a local CMDB and keys of `lifecycle`.
    pub fn configure(&self, source: &str, lifecycle: &str) {
        let text = format!(
            "ledger: sqlite://dewpoint.db\nsources:\n  - {source}\ntargets:\n  - {{ name: cmdb, kind: local, path: cmdb.db }}\nlifecycle: {{ {lifecycle} }}\n"
        );
        self.write("dewpoint.yaml", &text);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn put(&self, inventory: &Inventory) {
        self.write("inventory.json", &inventory.to_string());
    }

    /// The program with these arguments, in this folder, with nothing of the surroundings that could change what it says.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dewpoint"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["DEWPOINT_CONFIG", "DEWPOINT_LOG_FORMAT", "RUST_LOG"] {
            command.env_remove(name);
        }
        let is_hidden = |name: &str| self.hidden.iter().any(|beginning| name.starts_with(beginning));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_hidden)) {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1").envs(self.given.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Runs it with `--output json`, expects this exit code, and gives the document.
    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        self.run(&[args, &["--output", "json"]].concat()).expect(code, args).document()
    }

    /// Syncs and expects this exit code.
    #[track_caller]
    pub fn sync(&self, code: i32) -> Value {
        self.json(&["sync"], code)
    }

    /// Syncs at a time and expects this exit code.
    #[track_caller]
    pub fn sync_at(&self, at: &str, code: i32) -> Value {
        self.json(&["sync", "--at", at], code)
    }

    /// Number of changes that a sync of the target `cmdb` delivered, by name.
    pub fn counts(document: &Value) -> Vec<(String, u64)> {
        let counts = document["counts"]["cmdb"].as_object().cloned().unwrap_or_default();
        counts.into_iter().filter_map(|(name, n)| n.as_u64().filter(|n| *n > 0).map(|n| (name, n))).collect()
    }

    /// Rows of a query against an SQLite file of this world, each column as text (`null` for NULL).
    pub fn query(&self, file: &str, sql: &str) -> Vec<Vec<String>> {
        query(&self.path(file), sql)
    }

    /// The one number that a query against the CMDB gives.
    #[track_caller]
    pub fn count(&self, sql: &str) -> u64 {
        let rows = self.query("cmdb.db", sql);
        rows[0][0].parse().unwrap()
    }
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self {
            code: output.status.code().unwrap_or_else(|| 256 + output.status.signal().unwrap_or_default()),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// What it said, where it ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32, args: &[&str]) -> Self {
        assert_eq!(self.code, code, "exit code of {args:?}\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    pub fn document(&self) -> Value {
        let document: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in\n{}\n--- err\n{}", self.out, self.err));
        assert_eq!(document["schema_version"], 1);
        document
    }
}

pub fn query(file: &Path, sql: &str) -> Vec<Vec<String>> {
    let sql = sql.to_owned();
    let file = file.to_owned();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(false);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let table = rows
            .iter()
            .map(|row| {
                (0..row.len())
                    .map(|column| {
                        row.try_get::<Option<String>, _>(column)
                            .map(|text| text.unwrap_or_else(|| "null".to_owned()))
                            .or_else(|_| row.try_get::<i64, _>(column).map(|n| n.to_string()))
                            .or_else(|_| row.try_get::<f64, _>(column).map(|n| n.to_string()))
                            .unwrap()
                    })
                    .collect()
            })
            .collect();
        connection.close().await.unwrap();
        table
    })
}
