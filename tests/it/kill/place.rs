//! A world whose ledger lies in SQLite or PostgreSQL, with what must hold of it whenever no run is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::estate::Estate;
use crate::support::{Ran, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

pub struct Place {
    world: World,
    ledger: String,
    schema: Option<String>,
}

impl Place {
    /// A world in which nothing but the changes themselves matters: no guardrail stops them, and no full read mends what a kill broke.
    pub fn new(database: Database, batch_size: u32) -> Self {
        let world = World::empty();
        let (ledger, schema) = match database {
            Database::Sqlite => ("sqlite://dewpoint.db".to_owned(), None),
            Database::Postgres => {
                let schema = format!("dewpoint_kill_{:016x}", rand::random::<u64>());
                run_sql(&format!("CREATE SCHEMA {schema}"));
                let url = database_url();
                let separator = if url.contains('?') { '&' } else { '?' };
                (format!("{url}{separator}options[search_path]={schema}"), Some(schema))
            }
        };
        world.write(
            "dewpoint.yaml",
            &format!(
                "ledger: env:LEDGER_URL\n\
                 sources:\n  - {{ name: estate, kind: file, path: inventory.json }}\n\
                 lifecycle:\n  defaults: {{ min_age: 0s, confirm_missing: 1, retire_after: 0s, min_dwell: 0s, purge_after: 150m }}\n\
                 targets:\n  - {{ name: cmdb, kind: local, path: cmdb.db, batch_size: {batch_size}, verify_every: never, purge: delete }}\n\
                 guardrails: {{ max_retire_min: 1000000, max_retire: 1000000 }}\n"
            ),
        );
        Self { world, ledger, schema }
    }

    /// Removes what a test that passed leaves behind on the server.
    pub fn clear(self) {
        if let Some(schema) = &self.schema {
            run_sql(&format!("DROP SCHEMA {schema} CASCADE"));
        }
    }

    pub fn put(&self, estate: &Estate) {
        self.world.put(&estate.inventory());
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command.env("LEDGER_URL", &self.ledger);
        command
    }

    /// Starts a sync and leaves it alone. Its answer is read by [`ended`].
    pub fn start(&self, at: &str) -> Child {
        let mut command = self.command(&["sync", "--at", at, "--output", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until a running sync has delivered something.
    #[track_caller]
    pub fn wait_for_delivery(&self, child: &mut Child) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.try_ledger("SELECT target FROM record").is_ok_and(|rows| rows.len() > 10) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before anyone could look");
            assert!(Instant::now() < patience, "nothing is delivered");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether no transaction is open, neither on the ledger nor on the CMDB: a write finds no lock.
    pub fn is_unlocked(&self) -> bool {
        let cmdb = query_file(&self.world.path("cmdb.db"), "UPDATE record SET id = id WHERE id < 0 RETURNING kind");
        let ledger = match &self.schema {
            None => self.try_ledger("UPDATE target SET name = name WHERE name = '' RETURNING name"),
            Some(_) => self.try_ledger("SELECT target FROM lease FOR UPDATE NOWAIT"),
        };
        cmdb.is_ok() && ledger.is_ok()
    }

    /// Kills a sync after a while. False where it had ended by itself.
    pub fn kill_after(&self, at: &str, delay: Duration) -> bool {
        let mut command = self.command(&["sync", "--at", at]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A random instant is what is wanted here; nothing waits for it.
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap().code().is_none()
    }

    #[track_caller]
    pub fn sync(&self, at: &str, context: &str) -> Value {
        let ran = Ran::of(&self.command(&["sync", "--at", at, "--output", "json"]).output().unwrap());
        assert_eq!(ran.code, 0, "{context}: exit code of a sync\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
        ran.document()
    }

    /// Rows of a query against the ledger, which gives text.
    pub fn ledger(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_ledger(sql).unwrap()
    }

    /// The same, where the ledger may not be there yet or be locked.
    pub fn try_ledger(&self, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        let Some(schema) = &self.schema else { return query_file(&self.world.path("dewpoint.db"), sql) };
        block_on(async {
            let mut connection = PgConnection::connect(&database_url()).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("SET search_path = {schema}"))).execute(&mut connection).await?;
            let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await?;
            let rows = rows.iter().map(|row| (0..row.len()).map(|i| row.try_get::<String, _>(i)).collect()).collect();
            connection.close().await?;
            rows
        })
    }

    /// Whether changes are in flight; not where the ledger is not even born.
    pub fn is_cut_off(&self) -> bool {
        self.try_ledger("SELECT target FROM in_flight").is_ok_and(|rows| !rows.is_empty())
    }

    /// Rows of a query against the CMDB, which gives text.
    pub fn cmdb(&self, sql: &str) -> Vec<Vec<String>> {
        query_file(&self.world.path("cmdb.db"), sql).unwrap()
    }

    /// Everything that must hold of the ledger and the CMDB between runs, given what the clouds show.
    #[track_caller]
    pub fn check(&self, estate: &Estate, context: &str) {
        let check = Ran::of(&self.command(&["ledger", "check", "--output", "json"]).output().unwrap());
        assert_eq!(check.code, 0, "{context}: ledger check\n{}\n{}", check.out, check.err);
        for finding in check.document()["findings"].as_array().unwrap() {
            assert_eq!(finding["outcome"], "ok", "{context}: {finding:#}");
        }
        let none = |what: &str, rows: Vec<Vec<String>>| assert!(rows.is_empty(), "{context}: {what}: {rows:#?}");
        none("changes are in flight", self.ledger("SELECT CAST(id AS TEXT) FROM in_flight"));
        none("leases are held", self.ledger("SELECT target FROM lease WHERE expires > 0"));
        none("some wait", self.ledger("SELECT state FROM record WHERE state NOT IN ('delivered', 'retired', 'purged')"));
        none("some edges wait", self.ledger("SELECT state FROM record_edge WHERE state <> 'delivered'"));
        self.check_journal(context);
        none("doubles by key", self.cmdb("SELECT key FROM ci GROUP BY key HAVING count(*) > 1"));
        none("doubles by native id", self.cmdb("SELECT native_id FROM ci GROUP BY kind, account, region, native_id HAVING count(*) > 1"));
        let live: BTreeSet<String> = self.cmdb("SELECT key FROM ci WHERE NOT retired").into_iter().map(|mut row| row.remove(0)).collect();
        assert_eq!(live, estate.live_keys(), "{context}: other live records than the clouds have");
        let edges: BTreeSet<(String, String)> = self
            .cmdb(
                "SELECT from_key, to_key FROM ci_relation JOIN ci AS a ON a.id = from_id JOIN ci AS b ON b.id = to_id \
                 WHERE NOT a.retired AND NOT b.retired",
            )
            .into_iter()
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect();
        let wanted = estate.live_edges();
        let only = |a: &BTreeSet<_>, b: &BTreeSet<_>| a.difference(b).cloned().collect::<Vec<(String, String)>>();
        assert_eq!(edges, wanted, "{context}: too many {:#?}\nmissing {:#?}", only(&edges, &wanted), only(&wanted, &edges));
        self.check_history(context);
    }

    /// The rounds are an hour apart: within one, the same entry twice is a double, unless the record went and came back in between.
    /// A value may change, change back and change again; the same step of one field twice on end is a double.
    #[track_caller]
    fn check_journal(&self, context: &str) {
        let mut seen = BTreeSet::new();
        let mut last_step = BTreeMap::new();
        let select = "SELECT known_key.key, CAST(at / 3600000000 AS TEXT), entry, cause, fields \
             FROM journal JOIN known_key ON known_key.id = key_id WHERE NOT EXISTS (SELECT 1 FROM journal AS back \
             WHERE back.key_id = journal.key_id AND back.cause = 'target cmdb: revive' AND back.at / 3600000000 = journal.at / 3600000000) \
             ORDER BY journal.id";
        for row in self.ledger(select) {
            let [key, hour, entry, cause, fields] = <[String; 5]>::try_from(row).unwrap();
            let steps: BTreeMap<String, Value> = serde_json::from_str(&fields).unwrap();
            let of = (key, hour, entry, cause);
            if steps.is_empty() {
                assert!(seen.insert(of.clone()), "{context}: the journal has an entry twice: {of:?}");
            }
            for (field, step) in steps {
                let before = last_step.insert((of.clone(), field.clone()), step.clone());
                assert_ne!(before.as_ref(), Some(&step), "{context}: the journal has a step of `{field}` twice on end: {of:?}");
            }
        }
    }

    /// Plays the CMDB's history from the start: every entry fits to what stood before it, and the end is what stands now.
    #[track_caller]
    fn check_history(&self, context: &str) {
        let mut records: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
        let mut retired: BTreeSet<String> = BTreeSet::new();
        let mut edges: BTreeSet<(String, String, String)> = BTreeSet::new();
        let select = "SELECT CAST(ci_id AS TEXT), change, fields, coalesce(relation_type, ''), coalesce(CAST(to_id AS TEXT), '') \
             FROM ci_history ORDER BY id";
        for row in self.cmdb(select) {
            let [id, change, fields, relation, to] = <[String; 5]>::try_from(row).unwrap();
            let edge = (id.clone(), relation, to);
            let is_new = match change.as_str() {
                "relate" => edges.insert(edge) || fields != "{}",
                "unrelate" => edges.remove(&edge),
                "create" => records.insert(id.clone(), serde_json::Map::new()).is_none(),
                "retire" => retired.insert(id.clone()),
                "revive" => retired.remove(&id),
                "purge" => records.remove(&id).is_some() && retired.remove(&id),
                _ => true,
            };
            assert!(is_new, "{context}: `{change}` of record {id} twice");
            if matches!(change.as_str(), "retire" | "purge") {
                edges.retain(|(from, _, to)| *from != id && *to != id);
            }
            if matches!(change.as_str(), "relate" | "unrelate" | "purge") {
                continue;
            }
            let record = records.get_mut(&id).unwrap();
            let fields: BTreeMap<String, Value> = serde_json::from_str(&fields).unwrap();
            for (name, difference) in fields {
                assert_eq!(record.get(&name), difference.get("from"), "{context}: `{change}` of `{name}` of record {id} does not fit");
                match difference.get("to") {
                    Some(value) => record.insert(name, value.clone()),
                    None => record.remove(&name),
                };
            }
        }
        let standing = self.cmdb("SELECT CAST(id AS TEXT), fields, CAST(retired AS TEXT) FROM record ORDER BY id");
        assert_eq!(records.len(), standing.len(), "{context}: records that no history tells of");
        for row in standing {
            let fields: Value = serde_json::from_str(&row[1]).unwrap();
            assert_eq!(Some(&fields), records.get(&row[0]).cloned().map(Value::Object).as_ref(), "{context}: history of record {}", row[0]);
            assert_eq!(row[2] == "1", retired.contains(&row[0]), "{context}: retirement of record {}", row[0]);
        }
        let standing = self.cmdb("SELECT CAST(from_id AS TEXT), type, CAST(to_id AS TEXT) FROM ci_relation");
        let standing: BTreeSet<_> = standing.into_iter().map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect();
        assert_eq!(standing, edges, "{context}: history of the relations");
    }
}

/// How a started sync ended.
pub fn ended(child: Child) -> Ran {
    Ran::of(&child.wait_with_output().unwrap())
}

/// Changes that a sync delivered.
pub fn delivered(document: &Value) -> u64 {
    World::counts(document).into_iter().map(|(_, n)| n).sum()
}

fn database_url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL is not set; run tests/run.sh")
}

fn run_sql(sql: &str) {
    block_on(async {
        let mut connection = PgConnection::connect(&database_url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn query_file(file: &Path, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(false).busy_timeout(Duration::ZERO);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await?;
        let rows = rows.iter().map(|row| (0..row.len()).map(|i| row.try_get::<String, _>(i)).collect()).collect();
        connection.close().await?;
        rows
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
