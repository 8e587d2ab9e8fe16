//! The whole flow in this process: file source, ledger, local CMDB, with a clock that the test sets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use dewpoint::clock::{Began, RunClock};
use dewpoint::config::{self, Config};
use dewpoint::estate::Estate;
use dewpoint::export;
use dewpoint::ledger::{self, Ledger, LedgerAddress, RunId};
use dewpoint::plan::document::PlanDocument;
use dewpoint::run::progress::Meter;
use dewpoint::run::{self, Context, Ended, Mode, Options, saved, setup};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::world::Step;
use crate::support::{CONFIG, query};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// A ledger, an inventory file and a CMDB of their own.
pub struct Flow {
    folder: TempDir,
    config: Config,
    ledger: Arc<dyn Ledger>,
    meter: Meter,
    /// Never asks to stop; a run takes its end for such a wish.
    interrupt: watch::Sender<bool>,
    runs: AtomicU32,
}

impl Flow {
    /// With `extra` keys below the configuration of [`crate::support::World`].
    pub fn new(extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config::load_str("dewpoint.yaml", &format!("{CONFIG}{extra}"), folder.path()).unwrap();
        let address = LedgerAddress::Sqlite { path: folder.path().join("dewpoint.db") };
        let ledger = RUNTIME.block_on(ledger::open(&address, ledger::Mode::ReadWrite { create: true })).unwrap();
        Self {
            folder,
            config,
            ledger: Arc::from(ledger),
            meter: Meter::new(false),
            interrupt: watch::channel(false).0,
            runs: AtomicU32::new(0),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn put(&self, file: &Value) {
        self.put_text(&file.to_string());
    }

    pub fn put_text(&self, text: &str) {
        let new = self.path("inventory.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path("inventory.json")).unwrap();
    }

    fn context(&self, at: Timestamp, mode: Mode) -> Context<'_> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let clock = RunClock::new(Some(at));
        Context {
            config: &self.config,
            ledger: Arc::clone(&self.ledger),
            targets: &setup::target,
            clock: Arc::new(clock),
            meter: &self.meter,
            interrupt: self.interrupt.subscribe(),
            mode,
            run: RunId(format!("run-{number:06}")),
            began: Began::now(&clock),
            holder: format!("test, {number}"),
            leases: Mutex::default(),
        }
    }

    /// A sync of the file that was put last.
    pub fn sync(&self, at: Timestamp) -> Ended {
        self.run(at, Mode::Sync, None)
    }

    /// A plan from the file that was put last.
    pub fn plan(&self, at: Timestamp) -> Ended {
        self.run(at, Mode::Plan, None)
    }

    /// A plan that is saved for [`Self::apply`].
    pub fn save_plan(&self, at: Timestamp) {
        self.run(at, Mode::Plan, Some("plan.json"));
    }

    fn run(&self, at: Timestamp, mode: Mode, save: Option<&str>) -> Ended {
        let options = Options::default();
        let context = self.context(at, mode);
        let ended = RUNTIME.block_on(async {
            let sources = setup::sources(&self.config, &options.sources).unwrap();
            let reading = run::read(&context, &sources, &options).await.unwrap();
            let basis = saved::Basis::of(&reading);
            let ended = run::run(&context, &sources, reading, &options, None, &|_, _| {}).await.unwrap();
            context.release_leases().await;
            if let Some(name) = save {
                saved::save(&self.path(name), &ended.plan, basis).unwrap();
            }
            ended
        });
        assert!(ended.report.problems.is_empty() && ended.report.failed.is_empty(), "{:#?}", ended.report);
        ended
    }

    /// Applies the plan that was saved, as `dewpoint apply` does at the time when it was made.
    pub fn apply(&self) -> Ended {
        RUNTIME.block_on(async {
            let estate = self.ledger.estate_id().await.unwrap();
            let current = self.ledger.current_fence().await.unwrap();
            let plan = std::fs::read(self.path("plan.json")).unwrap();
            let made: Timestamp = serde_json::from_slice::<Value>(&plan).unwrap()["plan"]["taken_at"].as_str().unwrap().parse().unwrap();
            let saved = saved::load(&self.path("plan.json"), &self.config, &estate, current, made).unwrap();
            let context = self.context(saved.taken_at, Mode::Sync);
            let sources = setup::sources_to_ask(&self.config);
            let ended = run::run(&context, &sources, saved.reading, &Options::default(), Some(&saved.only), &|_, _| {}).await.unwrap();
            context.release_leases().await;
            ended
        })
    }

    /// Puts each world in its turn and syncs it; gives the end of the last.
    pub fn live(&self, history: &[Step]) -> Option<Ended> {
        history
            .iter()
            .map(|step| {
                self.put(&step.world.file());
                self.sync(step.at())
            })
            .last()
    }

    pub fn estate(&self) -> Estate {
        RUNTIME.block_on(self.ledger.load_estate()).unwrap().estate
    }

    /// The inventory file that `dewpoint export` writes.
    pub fn export(&self) -> String {
        let mut text = Vec::new();
        export::write_json(&self.estate(), Timestamp::UNIX_EPOCH, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        query(&self.path("cmdb.db"), sql)
    }

    /// Writes to the CMDB as other people do.
    pub fn execute(&self, sql: &'static str) {
        RUNTIME.block_on(async {
            let options = SqliteConnectOptions::new().filename(self.path("cmdb.db"));
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// Everything that the CMDB holds, apart from the random names of file and estate.
    pub fn cmdb(&self) -> String {
        let tables = [
            "SELECT id, external_id, estate IS NULL, class, kind, fields, retired, created_at, updated_at, delivered_at FROM record ORDER BY id",
            "SELECT * FROM relation ORDER BY from_id, type, to_id",
            "SELECT * FROM history ORDER BY id",
        ];
        tables.iter().flat_map(|sql| self.query(sql)).map(|row| row.join(" | ") + "\n").collect()
    }
}

/// The `plan` document of a run.
pub fn document(ended: &Ended) -> String {
    serde_json::to_string_pretty(&PlanDocument::new(&ended.plan, &ended.report.receipts)).unwrap()
}

/// The lines in which two texts differ; nothing where they are the same.
pub fn difference(left: &str, right: &str) -> String {
    let lines = |text: &str| text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect::<std::collections::BTreeSet<_>>();
    let (left_lines, right_lines) = (lines(left), lines(right));
    let only = |mark, these: &std::collections::BTreeSet<String>, those: &std::collections::BTreeSet<String>| {
        these.difference(those).map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    let difference = only("-", &left_lines, &right_lines) + &only("+", &right_lines, &left_lines);
    if difference.is_empty() && left != right { "the same lines in another order".to_owned() } else { difference }
}
