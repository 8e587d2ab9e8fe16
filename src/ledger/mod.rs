//! Dewpoint's own database: what was seen, decided and delivered.
//!
//! One trait, two databases (SQLite and PostgreSQL), one test suite that runs on both. Every write that must not be torn is one
//! method and one transaction here; callers never hold a transaction.

mod address;
mod batches;
mod birth;
mod books;
mod check;
mod codec;
mod keys;
mod leases;
mod observed;
mod postgres;
mod records;
mod session;
mod sqlite;
mod store;
#[cfg(test)]
pub(crate) mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::address::{InvalidLedgerAddress, LedgerAddress};
use crate::doctor::Finding;
use crate::estate::{Estate, EstateId, Fence, JournalEntry, Known, KnownEdge};
use crate::model::{Digest, EdgeId, Key, Kind, Outcome, Resource, Scope, TargetName};
use crate::plan::{Change, DeliveryState, FieldState, Hold, RecordBrief, RecordEdge, Tally, TargetState, Verdict, VerdictKind};
use crate::target::{Acquaintance, Fingerprint, RecordId, Sample};

/// What a ledger is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To read only. Writes nothing anywhere; where there is no ledger yet, an empty one stands in for it.
    Read,
    /// To read and write. Brings a ledger of an older version up to date.
    ReadWrite {
        /// Whether to make one where there is none.
        create: bool,
    },
}

/// Opens a ledger.
///
/// # Errors
/// Every variant of [`LedgerError`] that names an address: it cannot be reached, is locked, of a newer version, or no ledger at all.
pub async fn open(address: &LedgerAddress, mode: Mode) -> Result<Box<dyn Ledger>, LedgerError> {
    match find(address, mode).await? {
        Some(ledger) => Ok(ledger),
        None => Ok(Box::new(store::Store::new(sqlite::memory(&address.to_string()).await?))),
    }
}

/// Whether there is a ledger already. Writes nothing anywhere.
///
/// # Errors
/// As [`open`] to read.
pub async fn exists(address: &LedgerAddress) -> Result<bool, LedgerError> {
    let Some(ledger) = find(address, Mode::Read).await? else { return Ok(false) };
    ledger.close().await;
    Ok(true)
}

/// A ledger; `None` where there is none yet and `mode` only reads.
async fn find(address: &LedgerAddress, mode: Mode) -> Result<Option<Box<dyn Ledger>>, LedgerError> {
    let shown = address.to_string();
    Ok(match address {
        LedgerAddress::Sqlite { path } => sqlite::open(path, &shown, mode).await?.map(stored),
        LedgerAddress::Postgres(target) => postgres::open(target, &shown, mode).await?.map(stored),
    })
}

fn stored(database: impl session::Database + 'static) -> Box<dyn Ledger> {
    Box::new(store::Store::new(database))
}

/// Identity of one run: sortable by time of start, unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// Proof of being a target's one holder. Every write for that target names it and fails with [`LedgerError::LeaseLost`] once another took over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The target.
    pub target: TargetName,
    /// Counts holders; grows with every take-over.
    pub token: i64,
    /// Who holds it: host, process and a random part.
    pub holder: String,
}

/// The answer to a request for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leasing {
    /// It is ours now.
    Granted(Lease),
    /// Another holds it until then (real clock).
    Held {
        /// Who.
        holder: String,
        /// Until when.
        until: Timestamp,
    },
}

/// The estate as loaded, with what a later [`Ledger::commit`] is checked against.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The estate; `last_seen` and `fence` of resources are effective (see the row rule in [`crate::estate`]).
    pub estate: Estate,
    /// The ledger's commit counter at loading.
    pub version: i64,
}

/// What the ledger knows of a target as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetRow {
    /// Kind word of the target (`local`, …).
    pub kind: String,
    /// Its address as configured (URL or path), without secrets.
    pub address: String,
    /// The instance id of its fingerprint, once known.
    pub instance: Option<String>,
    /// The estate id that its records carry, where it is not the ledger's own: records of an earlier ledger that this one took over.
    pub estate: Option<EstateId>,
    /// Planned and reported, not sent.
    pub paused: bool,
    /// The next sync rebuilds the map of its records from the target itself.
    pub recover: bool,
    /// When anything was last sent to it, heartbeats among it (`delivered_at` on its records is never newer than this, unless the ledger is an old copy).
    pub delivered_at: Option<Timestamp>,
    /// When it was last read in full.
    pub verified_at: Option<Timestamp>,
    /// When a sync last ended well for it.
    pub succeeded_at: Option<Timestamp>,
    /// When a sync last stood at it and could have sent something, however it ended.
    pub met_at: Option<Timestamp>,
}

impl TargetRow {
    /// The target as the ledger knows it; `None` before the first contact. `own` is the ledger's estate id.
    #[must_use]
    pub fn acquaintance<'a>(&'a self, own: &'a EstateId) -> Option<Acquaintance<'a>> {
        Some(Acquaintance { instance: self.instance.as_deref()?, estate: self.estate.as_ref().unwrap_or(own) })
    }

    /// Whether what stands there says that it is another CMDB than the one that was delivered to.
    #[must_use]
    pub fn is_contradicted_by(&self, found: &Fingerprint, own: &EstateId) -> bool {
        let is_other_place = self.instance.as_ref().is_some_and(|known| *known != found.instance);
        let is_without_ours = match &found.sample {
            Sample::NotTaken => false,
            Sample::Nothing => self.delivered_at.is_some(),
            Sample::Of(there) => there != self.estate.as_ref().unwrap_or(own),
        };
        is_other_place || is_without_ours
    }
}

/// Which change of which batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InFlightId {
    /// The batch's row.
    pub batch: i64,
    /// Its place in the batch, from 0.
    pub place: usize,
}

/// What is new about a target as a whole. Runs and people change its row at the same time, each its own part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetNews {
    /// People paused or resumed it.
    Paused(bool),
    /// People asked to recover it, or that attempt is over.
    Recover(bool),
    /// The same CMDB stands there now.
    Address(String),
    /// A run found it to be the right one.
    Met {
        /// Its address.
        address: String,
        /// See [`TargetRow::instance`].
        instance: Option<String>,
        /// See [`TargetRow::estate`].
        estate: Option<EstateId>,
        /// See [`TargetRow::verified_at`].
        verified_at: Option<Timestamp>,
        /// See [`TargetRow::met_at`].
        at: Timestamp,
    },
    /// A sync ended well for it.
    Succeeded(Timestamp),
}

/// A change that was sent and whose answer is not in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct InFlight {
    /// Which one.
    pub id: InFlightId,
    /// The run that sent it.
    pub run: RunId,
    /// The change.
    pub change: Change,
}

/// How one change of a batch ended, for [`Ledger::finish_batch`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The target took it. The row's fields become these; the journal gets a `delivered` entry.
    Done {
        /// The record.
        record: RecordId,
        /// The class the target gave it.
        class: String,
        /// The row's fields afterwards, whole (`None` for edges and purges).
        fields: Option<BTreeMap<String, FieldState>>,
        /// Only our fields are written there (`adopt: contribute`).
        contributed: bool,
    },
    /// The target refused it, or did not answer for it.
    Failed {
        /// Its words.
        error: String,
        /// Failed attempts in a row, this one included.
        attempts: u32,
        /// Not before this.
        next_try_at: Option<Timestamp>,
        /// Whether it waits for `dewpoint retry` from now on.
        parked: bool,
        /// Whether the target said so. Where it said nothing the change may have arrived: it stays in flight, for the next run to find out.
        answered: bool,
    },
    /// It was not sent after all, or did not arrive.
    NotSent,
    /// Nobody can tell whether it arrived: the row is made so that the next plan sends what is wanted then, whichever it is.
    Unknown {
        /// The row's fields, whole (`None` for edges).
        fields: Option<BTreeMap<String, FieldState>>,
    },
}

/// A record × target row as recovery or a read writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The CI.
    pub key: Key,
    /// The row, fields included.
    pub row: RecordBrief,
}

/// What a run found out about a target's rows without sending anything, for [`Ledger::bind`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// Keys whose rows and edges go to another key, before anything else is written: machines that kept their life under a new id.
    pub moved: Vec<(Key, Key)>,
    /// Rows as a read, a look-up or a recovery found them.
    pub bound: Vec<Binding>,
    /// Rows whose record is as wanted under a new basis: stored as `delivered` with it, without error.
    pub settled: BTreeMap<Key, Digest>,
    /// Rows that remember nothing that is still wanted.
    pub forgotten: Vec<Key>,
    /// The same for edges, and edges that do not stand there.
    pub forgotten_edges: Vec<EdgeId>,
    /// Edges as a recovery found them.
    pub bound_edges: BTreeMap<EdgeId, RecordEdge>,
    /// The newest delivery that a recovery found on the target's records, or the newest time that heartbeats are about to leave there: from now on
    /// the ledger is no older than that.
    pub newest_delivered_at: Option<Timestamp>,
}

/// One run, for `runs list | show`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its identity.
    pub run: RunId,
    /// When it began, by its own clock.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs, or when it was killed.
    pub finished_at: Option<Timestamp>,
    /// `done`, `partly`, `held`, `failed`, `interrupted`.
    pub outcome: Option<String>,
    /// Changes delivered, by target and change.
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
    /// The whole report, where it was asked for.
    pub report: Option<Value>,
}

/// Hears of each entry of the journal, with the run that wrote it.
pub type OnEntry<'a> = dyn FnMut(Option<RunId>, JournalEntry) + Send + 'a;

/// Hears of each run.
pub type OnRun<'a> = dyn FnMut(RunRow) + Send + 'a;

/// A resource as a search finds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Its key.
    pub key: Key,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Option<String>,
    /// Its life has not ended.
    pub is_live: bool,
}

/// What [`Ledger::prune`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Journal entries.
    pub journal: u64,
    /// Runs.
    pub runs: u64,
    /// Tallies and verdicts that no longer count.
    pub other: u64,
}

/// The ledger. Times in its columns are kept to the microsecond, finer digits are cut off; inside resources and changes they stay whole.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The ledger's random name, given at birth.
    async fn estate_id(&self) -> Result<EstateId, LedgerError>;

    /// Draws the next sequence number: the fence of a read that starts now.
    async fn draw_fence(&self) -> Result<Fence, LedgerError>;

    /// The last sequence number drawn; a plan notes it without drawing one.
    async fn current_fence(&self) -> Result<Fence, LedgerError>;

    /// Loads the whole estate in one consistent read.
    async fn load_estate(&self) -> Result<Loaded, LedgerError> {
        self.load_estate_beside(&BTreeMap::new()).await
    }

    /// The same where a pull is at hand: resources that it shows as they are known (nearly all, as a rule) are neither read nor held a
    /// second time, but shared with it.
    async fn load_estate_beside(&self, pulled: &BTreeMap<Key, Arc<Resource>>) -> Result<Loaded, LedgerError>;

    /// Writes `estate.dirty` in one transaction: resources, edges, scopes, journal.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when another commit came between loading and now; the caller loads anew and merges again.
    async fn commit(&self, run: &RunId, expected_version: i64, estate: &Estate) -> Result<i64, LedgerError>;

    /// One resource, as `show` and `explain` need it.
    async fn resource(&self, key: &Key) -> Result<Option<Known>, LedgerError>;

    /// Edges that start or end at a resource.
    async fn edges_of(&self, key: &Key) -> Result<BTreeMap<EdgeId, KnownEdge>, LedgerError>;

    /// Resources whose key, native id or name is exactly this text (Azure ids without regard to case), at most `limit`.
    async fn search(&self, text: &str, limit: u32) -> Result<Vec<Candidate>, LedgerError>;

    /// The journal of a resource, oldest first.
    async fn history(&self, key: &Key) -> Result<Vec<JournalEntry>, LedgerError>;

    /// The journal from the first entry of the runs that [`Self::reports`] gives, in the order in which it was written and without deliveries.
    /// Returns the version of the estate that it leads up to.
    async fn journal(&self, since: Timestamp, each: &mut OnEntry<'_>) -> Result<i64, LedgerError>;

    /// Accepts the last outcome of these scopes as a known gap, or (with `None`) no longer.
    async fn accept_scopes(&self, scopes: &[(Scope, Option<Outcome>)]) -> Result<(), LedgerError>;

    /// Asks for the retirement of what these orphaned scopes hold: the next run makes a hold of it.
    async fn retire_scopes(&self, scopes: &[Scope]) -> Result<(), LedgerError>;

    /// What the ledger knows of a target as a whole; `None` before the first sync.
    async fn target_row(&self, target: &TargetName) -> Result<Option<TargetRow>, LedgerError>;

    /// Notes what is new about a target and leaves the rest of its row as it is; `kind` and `address` are for a row that is not there yet.
    async fn note_target(&self, target: &TargetName, kind: &str, address: &str, news: &TargetNews) -> Result<(), LedgerError>;

    /// Loads a target's records (without fields), edges, verdicts, and tallies newer than `tallies_since`.
    async fn load_target(&self, target: &TargetName, tallies_since: Timestamp) -> Result<TargetState, LedgerError>;

    /// Loads the fields of some records.
    async fn load_fields(&self, target: &TargetName, keys: &[Key]) -> Result<BTreeMap<Key, BTreeMap<String, FieldState>>, LedgerError>;

    /// A resource's rows at every target, fields included.
    async fn records_of(&self, key: &Key) -> Result<BTreeMap<TargetName, RecordBrief>, LedgerError>;

    /// Keys that have or had a record at any target.
    async fn recorded(&self) -> Result<BTreeSet<Key>, LedgerError>;

    /// Asks to be the target's one holder for `ttl` from `now` (the real clock, whatever `--at` says).
    ///
    /// Another's lease is honoured until `now` reaches its end, however far ahead that lies: clocks differ, and two holders are worse than
    /// a wait. Whoever has watched the same `until` for a whole `ttl` by a clock of its own has seen that nobody renews it, and may ask
    /// with `now` set to that `until`. A holder that asks again gets a new lease; its old one is void.
    async fn acquire_lease(&self, target: &TargetName, holder: &str, ttl: Duration, now: Timestamp) -> Result<Leasing, LedgerError>;

    /// Prolongs a lease.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`] when another took over.
    async fn renew_lease(&self, lease: &Lease, ttl: Duration, now: Timestamp) -> Result<(), LedgerError>;

    /// Gives a lease back. One that was lost already is no error.
    async fn release_lease(&self, lease: &Lease) -> Result<(), LedgerError>;

    /// Notes changes as sent, before they are: one transaction with a compare-and-set on the lease. Tallies count from here.
    async fn begin_batch(
        &self,
        lease: &Lease,
        run: &RunId,
        changes: &[Change],
        tallies: &[Tally],
        at: Timestamp,
    ) -> Result<Vec<InFlightId>, LedgerError>;

    /// Writes the answers of a batch, in one transaction with a compare-and-set on the lease: rows, edges, journal; what has an answer is in flight no more.
    ///
    /// A retirement or a purge takes the rows of the edges with it that start or end at its key. A failure leaves a row's revision as it is.
    /// The tally of a change that was not sent stays: counting too much is the safe side, and a repeat of it counts once.
    async fn finish_batch(&self, lease: &Lease, run: &RunId, answers: &[(InFlight, Answer)], at: Timestamp) -> Result<(), LedgerError>;

    /// Changes that were sent by a run that did not live to note the answers.
    async fn in_flight(&self, target: &TargetName) -> Result<Vec<InFlight>, LedgerError>;

    /// Writes what a run found out about a target's rows without sending anything, in one transaction with a compare-and-set on the lease.
    async fn bind(&self, lease: &Lease, rows: &Rows, at: Timestamp) -> Result<(), LedgerError>;

    /// Notes that the heartbeats of these records were sent, in one transaction with a compare-and-set on the lease. Nothing else of their rows moves.
    /// What the target shows from then on has to be noted before they are sent ([`Rows::newest_delivered_at`]).
    async fn note_beats(&self, lease: &Lease, beaten: &[Key], at: Timestamp) -> Result<(), LedgerError>;

    /// Makes parked (and failed) changes due at once; `None` for all targets, an empty list for all keys. Returns how many.
    async fn unpark(&self, target: Option<&TargetName>, keys: &[Key]) -> Result<u64, LedgerError>;

    /// Rows and edges that failed or are parked: target, key, edge if it is one, state, error.
    async fn troubles(&self) -> Result<Vec<Trouble>, LedgerError>;

    /// Replaces a target's open holds. One that was rejected and is asked about again is open again; the other rejected ones stay.
    async fn put_holds(&self, target: &TargetName, holds: &[Hold], at: Timestamp) -> Result<(), LedgerError>;

    /// Open holds of all targets.
    async fn holds(&self) -> Result<Vec<Hold>, LedgerError>;

    /// Rejected holds of all targets, each with those of its changes whose rejection stands; see [`Hold::silent`] for news since.
    async fn rejected_holds(&self) -> Result<Vec<Hold>, LedgerError>;

    /// Forgets the holds of every target but these.
    async fn retain_holds(&self, targets: &BTreeSet<TargetName>) -> Result<(), LedgerError>;

    /// Stores what people said of a hold: of each of its changes, and of the hold itself, which is open or rejected from then on.
    async fn judge(&self, hold: &Hold, verdict: VerdictKind, at: Timestamp) -> Result<(), LedgerError>;

    /// Stores what people said.
    async fn put_verdicts(&self, verdicts: &[Verdict]) -> Result<(), LedgerError>;

    /// Notes that a run began.
    async fn start_run(&self, run: &RunId, at: Timestamp) -> Result<(), LedgerError>;

    /// Notes how a run ended. The first note stays: a run ends once.
    async fn finish_run(&self, row: &RunRow) -> Result<(), LedgerError>;

    /// The latest runs, the one that began last first (on the real clock, whatever `--at` said), without reports.
    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, LedgerError>;

    /// One run with its report.
    async fn run(&self, run: &RunId) -> Result<Option<RunRow>, LedgerError>;

    /// The runs from the first that began at or after `since`, oldest first, with their reports.
    async fn reports(&self, since: Timestamp, each: &mut OnRun<'_>) -> Result<(), LedgerError>;

    /// Removes journal entries and finished runs older than `before`, and tallies and verdicts that no longer count. Never what the present state rests on.
    async fn prune(&self, before: Timestamp) -> Result<Pruned, LedgerError>;

    /// Checks the database's own integrity and the ledger's invariants.
    async fn check(&self) -> Result<Vec<Finding>, LedgerError>;

    /// Writes a consistent copy while others go on. SQLite: a file. PostgreSQL: refused with the way to do it (`pg_dump`).
    async fn backup(&self, to: &Path) -> Result<(), LedgerError>;

    /// Finishes outstanding work and closes the connections.
    async fn close(&self);
}

/// A row or edge that waits after failures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trouble {
    /// The target.
    pub target: TargetName,
    /// The CI, or the `from` end.
    pub key: Key,
    /// The edge, if it is one.
    pub relation: Option<EdgeId>,
    /// `failed` or `parked`.
    pub state: DeliveryState,
    /// The target's words.
    pub error: Option<String>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// Not before this.
    pub next_try_at: Option<Timestamp>,
}

/// Why the ledger did not do what was asked. No variant carries a password.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another commit came first.
    #[error("the ledger changed while this run was deciding")]
    Conflict,
    /// Another holder took the target over.
    #[error("another process took over target `{target}`")]
    LeaseLost {
        /// The target.
        target: TargetName,
    },
    /// Written by a newer version.
    #[error("the ledger {address} was written by a newer Dewpoint (schema {found}, this one knows {known})")]
    Newer {
        /// Where.
        address: String,
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// Not a ledger, or damaged.
    #[error("{address} is no usable ledger: {text}")]
    Unusable {
        /// Where.
        address: String,
        /// What is wrong.
        text: String,
    },
    /// Another process holds the database's lock for longer than we wait.
    #[error("the ledger {address} is locked by another process")]
    Locked {
        /// Where.
        address: String,
    },
    /// It cannot be written: permissions, or a read-only file system.
    #[error("the ledger {address} cannot be written: {text}")]
    ReadOnly {
        /// Where.
        address: String,
        /// The system's words.
        text: String,
    },
    /// No room.
    #[error("no room left for the ledger {address}: {text}")]
    Full {
        /// Where.
        address: String,
        /// The system's words.
        text: String,
    },
    /// There is nothing at the address, or not even a folder for it.
    #[error("cannot open the ledger {address}: {text}")]
    Absent {
        /// Where.
        address: String,
        /// What is not there.
        text: String,
    },
    /// The server does not accept the credentials.
    #[error("cannot open the ledger {address}: {text}")]
    Credentials {
        /// Where.
        address: String,
        /// The server's words.
        text: String,
    },
    /// The server has no such database.
    #[error("cannot open the ledger {address}: {text}")]
    NoDatabase {
        /// Where.
        address: String,
        /// The server's words.
        text: String,
    },
    /// It cannot be reached or opened.
    #[error("cannot open the ledger {address}: {text}")]
    Unreachable {
        /// Where.
        address: String,
        /// What happened.
        text: String,
    },
    /// The database refused a statement.
    #[error("the ledger failed to {operation}")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// Something stored cannot be read back.
    #[error("the ledger holds a {what} that cannot be read: {text}")]
    Corrupt {
        /// What kind of row.
        what: &'static str,
        /// Why.
        text: String,
    },
    /// Asked for something this database cannot do.
    #[error("{text}")]
    Unsupported {
        /// What.
        text: String,
        /// The way to do it instead.
        hint: &'static str,
    },
}

impl LedgerError {
    /// The user's next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Conflict => "run again: what the other run wrote is taken into account",
            Self::LeaseLost { .. } => "another process serves this target now; run again when it is done",
            Self::Newer { .. } => "use the Dewpoint that wrote it, or a newer one; an older one would lose what it does not know",
            Self::Unusable { .. } => {
                "check the path; a damaged ledger is replaced by its newest backup, or by none: the next sync recovers it"
            }
            Self::Locked { .. } => "wait for the other process, or end it; a ledger on a network file system cannot be locked safely",
            Self::ReadOnly { .. } => "give the user that runs Dewpoint leave to write the ledger (for a file: its folder too)",
            Self::Full { .. } => "make room, or lift the file-size limit, and run again: nothing is half written",
            Self::Absent { .. } => "check the address under `ledger:`; the first sync makes the ledger there, in a folder that exists",
            Self::Credentials { .. } => "check the user and the password in the address under `ledger:`, and what the server asks of them",
            Self::NoDatabase { .. } => "make the database (`createdb`), or correct its name in the address under `ledger:`",
            Self::Unreachable { .. } => "check the address under `ledger:`, and that the server runs and can be reached from here",
            Self::Corrupt { .. } => "run `dewpoint ledger check`, then restore the newest backup",
            Self::Unsupported { hint, .. } => hint,
            Self::Database { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
