//! A CMDB in one SQLite file: what the quick start and an air-gapped user use.
//!
//! Class and fields of a record are the kind and the attributes of its CI, as they are. People may read everything through four
//! views, and add records of their own (`INSERT INTO record (class, fields) VALUES ('instance', '{"native_id": "i-1"}')`): those carry
//! no estate id, and nothing here changes them unless the engine was told to adopt them.
//!
//! # Views
//!
//! They are a promise; the tables below them are not. They are read-only, as views of SQLite are. Times are RFC 3339 in UTC, whole seconds.
//!
//! - `ci`, one row per record: `id`; `key` (null for people's records); `class`; `kind`; `provider`; `account`; `region`; `native_id`;
//!   `name`; `state`; `stage`; `environment`; `service`; `owner`; `support_group`; `cost_center`; `created_at` (birth of the machine);
//!   `retired` (0 or 1); `recorded_at`, `updated_at` (of the record); `delivered_at` (the last delivery to it); `estate`.
//! - `ci_attribute`, one row per field that has a value: `ci_id`, `key`, `name`, `value`. Lists and structures (`tags` among them) are
//!   JSON, flags `true` and `false`.
//! - `ci_relation`, one row per edge: `from_id`, `from_key`, `type`, `to_id`, `to_key`, `attributes` (JSON).
//! - `ci_history`, one row per delivered change that had an effect, in order of `id`: `at`, `ci_id`, `key`, `change` (`create`,
//!   `update`, `retire`, `revive`, `adopt`, `purge`, `relate`, `unrelate`), `fields` (JSON, `{name: {from, to}}`; what was or is without
//!   a value is left out), and for edges `relation_type`, `to_id`, `to_key`. It outlives purged records.
//!   The edges of a record go with its retirement or its purge, without entries of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::Mutex;

use self::store::{BUSY_TIMEOUT, Open, Store};
use super::{
    Acquaintance, Adapted, Authority, Ci, Delivered, Fingerprint, FoundRecord, Identity, Page, Sample, Sending, Target, TargetError, Write,
};
use crate::doctor::{Finding, Health};
use crate::model::{Digest, Key, Kind, RelationType, TargetName};

mod batch;
mod map;
mod records;
mod store;
#[cfg(test)]
mod tests;

/// What is to be done where the file is not there, or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it: the ledger never delivered to this target, or is about to recover it.
    Create,
    /// Show an empty CMDB, and make nothing: the same for a plan, which writes nowhere.
    Empty,
    /// An error: the ledger knows this target, so the file was there.
    Refuse,
}

/// One configured local CMDB.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Name from the configuration.
    pub name: TargetName,
    /// The file.
    pub path: PathBuf,
    /// Fields that are not `owned`, by name.
    pub authority: BTreeMap<String, Authority>,
    /// Writes to a batch, each batch being one transaction.
    pub batch_size: usize,
    /// What to do where there is no file.
    pub missing: Missing,
}

/// Default of [`LocalConfig::batch_size`]. Each transaction writes whole pages of the indexes and waits for the disk: for 100 000 records
/// with 300 000 relations, batches of 500 take three times as long as these, and larger ones gain little.
pub const BATCH_SIZE_DEFAULT: u32 = 5000;

/// [`Fingerprint::instance`] of a file that is not there yet, under [`Missing::Empty`].
pub const NOT_CREATED: &str = "not created yet";

/// The target. Opens its file at the first request, and again when another file took its place.
#[derive(Debug)]
pub struct LocalTarget {
    config: LocalConfig,
    store: Store,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Taken out for each request and put back only after its success: a connection whose request failed or was dropped is closed,
    /// and with it goes whatever transaction was left open.
    open: Option<Open>,
    /// The file that this run is about: set at the first request, and anew by each fingerprint.
    instance: Option<String>,
}

impl LocalTarget {
    /// A target over a file that is opened when first needed.
    #[must_use]
    pub fn new(config: LocalConfig) -> Self {
        let store = Store { target: config.name.clone(), path: config.path.clone() };
        Self { config, store, slot: Mutex::default() }
    }

    /// The open file; `None` where there is none and that is no error.
    async fn open(&self, slot: &mut Slot) -> Result<Option<Open>, TargetError> {
        if let Some(open) = slot.open.take()
            && self.store.is_same(&open)
        {
            return Ok(Some(open));
        }
        // A file that was there once is never made a second time.
        let missing = if slot.instance.is_some() { Missing::Refuse } else { self.config.missing };
        let Some(open) = self.store.open(missing).await? else { return Ok(None) };
        if slot.instance.get_or_insert_with(|| open.instance.clone()) != &open.instance {
            return Err(self.store.exchanged());
        }
        Ok(Some(open))
    }

    async fn find_all(&self, identities: &[Identity]) -> Result<BTreeMap<Key, Vec<FoundRecord>>, TargetError> {
        let mut slot = self.slot.lock().await;
        let Some(mut open) = self.open(&mut slot).await? else {
            return Ok(identities.iter().map(|identity| (identity.key.clone(), Vec::new())).collect());
        };
        let found = records::find(&mut open.connection, identities).await.map_err(|error| self.store.failed("find", &error))?;
        slot.open = Some(open);
        Ok(found)
    }

    async fn apply_in(&self, open: &mut Open, batch: &[Write], sending: &Sending<'_>) -> Result<Answers, TargetError> {
        let failed = |error: sqlx::Error| self.store.failed("apply", &error);
        let left = sending.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.too_late());
        }
        // Two waits for other programs are possible, at the begin and at the commit, and both must end before the deadline.
        let wait_ms = BUSY_TIMEOUT.min(left / 2).max(Duration::from_millis(1)).as_millis();
        sqlx::query(AssertSqlSafe(format!("PRAGMA busy_timeout = {wait_ms}")))
            .persistent(false)
            .execute(&mut open.connection)
            .await
            .map_err(failed)?;
        let mut transaction = open.connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut work = records::load(&mut transaction, batch, sending.estate, sending.at).await.map_err(failed)?;
        let answers = batch
            .iter()
            .map(|write| work.run(write).map_err(|text| TargetError::Rejected { target: self.config.name.clone(), text }))
            .collect();
        records::write(&mut transaction, &work, sending.at).await.map_err(failed)?;
        if Instant::now() >= sending.deadline {
            return Err(self.too_late());
        }
        transaction.commit().await.map_err(failed)?;
        Ok(answers)
    }

    fn too_late(&self) -> TargetError {
        self.store.unreachable("apply", "the time for this batch was over before it was written")
    }

    fn finding(&self, check: &str, outcome: Health, text: String, mend: Option<String>) -> Finding {
        Finding::new(&self.config.name, check, outcome, text, mend)
    }

    fn problem(&self, check: &str, error: &TargetError) -> Finding {
        self.finding(check, Health::Error, error.to_string(), error.hint())
    }

    /// Whether files can be made beside the CMDB: SQLite needs its journal there.
    fn check_directory(&self) -> Finding {
        let parent = self.config.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or_else(|| std::path::Path::new("."));
        match tempfile::tempfile_in(directory) {
            Ok(_) => self.finding("directory", Health::Ok, format!("{} can be written", directory.display()), None),
            Err(error) => self.finding(
                "directory",
                Health::Error,
                format!("{} cannot be written: {error}", directory.display()),
                Some("make the directory, and let the user that runs Dewpoint write to it".to_owned()),
            ),
        }
    }

    async fn check_file(&self) -> Vec<Finding> {
        let shown = self.config.path.display();
        let missing = if self.config.missing == Missing::Refuse { Missing::Refuse } else { Missing::Empty };
        let mut open = match self.store.open(missing).await {
            Ok(Some(open)) => open,
            Ok(None) => return vec![self.finding("file", Health::Ok, format!("{shown} is not there yet: the first sync makes it"), None)],
            Err(error) => return vec![self.problem("file", &error)],
        };
        let mut findings = vec![self.finding("file", Health::Ok, format!("{shown} is local CMDB {}", open.instance), None)];

        let checked = sqlx::query_scalar::<_, String>("PRAGMA quick_check(5)").fetch_all(&mut open.connection).await;
        findings.push(match checked {
            Ok(lines) if lines.iter().all(|line| line == "ok") => {
                self.finding("integrity", Health::Ok, "the database is sound".to_owned(), None)
            }
            Ok(lines) => self.finding(
                "integrity",
                Health::Error,
                format!("the database is damaged: {}", lines.join("; ")),
                Some(format!("restore it from a backup, then run `dewpoint target recover {}`", self.config.name)),
            ),
            Err(error) => self.problem("integrity", &self.store.failed("check", &error)),
        });

        let writable = async {
            let transaction = open.connection.begin_with("BEGIN IMMEDIATE").await?;
            transaction.rollback().await
        };
        findings.push(match writable.await {
            Ok(()) => self.finding("writable", Health::Ok, format!("{shown} can be written"), None),
            Err(error) => self.problem("writable", &self.store.failed("write", &error)),
        });
        findings
    }
}

type Answers = Vec<Result<Delivered, TargetError>>;

#[async_trait]
impl Target for LocalTarget {
    fn name(&self) -> &TargetName {
        &self.config.name
    }

    fn adapt(&self, ci: &Ci) -> Option<Adapted> {
        Some(map::adapt(ci, &self.config.authority))
    }

    fn relates(&self, _relation: RelationType, _from: Kind, _to: Kind) -> bool {
        true
    }

    fn mapping_digest(&self) -> Digest {
        map::digest(&self.config.authority)
    }

    async fn fingerprint(&self, _known: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        let mut slot = self.slot.lock().await;
        let open = match slot.open.take() {
            Some(open) if self.store.is_same(&open) => Some(open),
            _ => {
                let missing = if slot.instance.is_some() { Missing::Refuse } else { self.config.missing };
                self.store.open(missing).await?
            }
        };
        let Some(mut open) = open else {
            return Ok(Fingerprint { instance: NOT_CREATED.to_owned(), newest_delivered_at: None, sample: Sample::NotTaken });
        };
        let newest_delivered_at =
            records::newest_delivered_at(&mut open.connection).await.map_err(|error| self.store.failed("fingerprint", &error))?;
        let instance = open.instance.clone();
        slot.instance = Some(instance.clone());
        slot.open = Some(open);
        Ok(Fingerprint { instance, newest_delivered_at, sample: Sample::NotTaken })
    }

    async fn find(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        match self.find_all(identities).await {
            Ok(found) => found.into_iter().map(|(key, records)| (key, Ok(records))).collect(),
            Err(error) => identities.iter().map(|identity| (identity.key.clone(), Err(error.clone()))).collect(),
        }
    }

    async fn read(&self, after: Option<&str>) -> Result<Page, TargetError> {
        let after = match after.map(str::parse::<i64>) {
            None => 0,
            Some(Ok(after)) => after,
            Some(Err(_)) => return Err(self.store.unreachable("read", "it gave no such page")),
        };
        let mut slot = self.slot.lock().await;
        let Some(mut open) = self.open(&mut slot).await? else { return Ok(Page { records: Vec::new(), next: None }) };
        let (records, next) = records::page(&mut open.connection, after).await.map_err(|error| self.store.failed("read", &error))?;
        slot.open = Some(open);
        Ok(Page { records, next: next.map(|id| id.to_string()) })
    }

    async fn apply(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        let mut slot = self.slot.lock().await;
        let Some(mut open) = self.open(&mut slot).await? else {
            return Err(self.store.unusable("it is not there yet, and a plan makes none", "run `dewpoint sync`"));
        };
        let answers = self.apply_in(&mut open, batch, sending).await?;
        slot.open = Some(open);
        Ok(answers)
    }

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn ends_with_sender(&self) -> bool {
        true
    }

    async fn doctor(&self) -> Vec<Finding> {
        let mut findings = vec![self.check_directory()];
        findings.extend(self.check_file().await);
        findings
    }
}
