//! The one implementation of the trait, over either database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::session::Database;
use super::{
    Answer, Candidate, InFlight, InFlightId, Lease, Leasing, Ledger, LedgerError, Loaded, OnEntry, OnRun, Pruned, Rows, RunId, RunRow,
    TargetNews, TargetRow, Trouble, batches, books, check, leases, observed, records,
};
use crate::doctor::Finding;
use crate::estate::{Estate, EstateId, Fence, JournalEntry, Known, KnownEdge};
use crate::model::{EdgeId, Key, Outcome, Resource, Scope, TargetName};
use crate::plan::{Change, FieldState, Hold, RecordBrief, Tally, TargetState, Verdict, VerdictKind};

/// A ledger in a database.
pub(super) struct Store<D> {
    db: D,
}

impl<D: Database> Store<D> {
    pub(super) const fn new(db: D) -> Self {
        Self { db }
    }
}

#[async_trait]
impl<D: Database> Ledger for Store<D> {
    async fn estate_id(&self) -> Result<EstateId, LedgerError> {
        observed::estate_id(&self.db).await
    }

    async fn draw_fence(&self) -> Result<Fence, LedgerError> {
        observed::draw_fence(&self.db).await
    }

    async fn current_fence(&self) -> Result<Fence, LedgerError> {
        observed::current_fence(&mut *self.db.read().await?).await
    }

    async fn load_estate_beside(&self, pulled: &BTreeMap<Key, Arc<Resource>>) -> Result<Loaded, LedgerError> {
        observed::load_estate(&self.db, pulled).await
    }

    async fn commit(&self, run: &RunId, expected_version: i64, estate: &Estate) -> Result<i64, LedgerError> {
        observed::commit(&self.db, run, expected_version, estate).await
    }

    async fn resource(&self, key: &Key) -> Result<Option<Known>, LedgerError> {
        observed::resource(&self.db, key).await
    }

    async fn edges_of(&self, key: &Key) -> Result<BTreeMap<EdgeId, KnownEdge>, LedgerError> {
        observed::edges_of(&self.db, key).await
    }

    async fn search(&self, text: &str, limit: u32) -> Result<Vec<Candidate>, LedgerError> {
        observed::search(&self.db, text, limit).await
    }

    async fn history(&self, key: &Key) -> Result<Vec<JournalEntry>, LedgerError> {
        observed::history(&self.db, key).await
    }

    async fn journal(&self, since: Timestamp, each: &mut OnEntry<'_>) -> Result<i64, LedgerError> {
        observed::journal(&self.db, since, each).await
    }

    async fn accept_scopes(&self, scopes: &[(Scope, Option<Outcome>)]) -> Result<(), LedgerError> {
        observed::accept_scopes(&self.db, scopes).await
    }

    async fn retire_scopes(&self, scopes: &[Scope]) -> Result<(), LedgerError> {
        observed::retire_scopes(&self.db, scopes).await
    }

    async fn target_row(&self, target: &TargetName) -> Result<Option<TargetRow>, LedgerError> {
        records::target_row(&self.db, target).await
    }

    async fn note_target(&self, target: &TargetName, kind: &str, address: &str, news: &TargetNews) -> Result<(), LedgerError> {
        records::note_target(&self.db, target, kind, address, news).await
    }

    async fn load_target(&self, target: &TargetName, tallies_since: Timestamp) -> Result<TargetState, LedgerError> {
        records::load_target(&self.db, target, tallies_since).await
    }

    async fn load_fields(&self, target: &TargetName, keys: &[Key]) -> Result<BTreeMap<Key, BTreeMap<String, FieldState>>, LedgerError> {
        records::load_fields(&self.db, target, keys).await
    }

    async fn records_of(&self, key: &Key) -> Result<BTreeMap<TargetName, RecordBrief>, LedgerError> {
        records::records_of(&self.db, key).await
    }

    async fn recorded(&self) -> Result<BTreeSet<Key>, LedgerError> {
        books::recorded(&self.db).await
    }

    async fn acquire_lease(&self, target: &TargetName, holder: &str, ttl: Duration, now: Timestamp) -> Result<Leasing, LedgerError> {
        leases::acquire(&self.db, target, holder, ttl, now).await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration, now: Timestamp) -> Result<(), LedgerError> {
        leases::renew(&self.db, lease, ttl, now).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), LedgerError> {
        leases::release(&self.db, lease).await
    }

    async fn begin_batch(
        &self,
        lease: &Lease,
        run: &RunId,
        changes: &[Change],
        tallies: &[Tally],
        at: Timestamp,
    ) -> Result<Vec<InFlightId>, LedgerError> {
        batches::begin(&self.db, lease, run, changes, tallies, at).await
    }

    async fn finish_batch(&self, lease: &Lease, run: &RunId, answers: &[(InFlight, Answer)], at: Timestamp) -> Result<(), LedgerError> {
        batches::finish(&self.db, lease, run, answers, at).await
    }

    async fn in_flight(&self, target: &TargetName) -> Result<Vec<InFlight>, LedgerError> {
        batches::in_flight(&self.db, target).await
    }

    async fn bind(&self, lease: &Lease, rows: &Rows, at: Timestamp) -> Result<(), LedgerError> {
        records::bind(&self.db, lease, rows, at).await
    }

    async fn note_beats(&self, lease: &Lease, beaten: &[Key], at: Timestamp) -> Result<(), LedgerError> {
        records::note_beats(&self.db, lease, beaten, at).await
    }

    async fn unpark(&self, target: Option<&TargetName>, keys: &[Key]) -> Result<u64, LedgerError> {
        records::unpark(&self.db, target, keys).await
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, LedgerError> {
        records::troubles(&self.db).await
    }

    async fn put_holds(&self, target: &TargetName, holds: &[Hold], at: Timestamp) -> Result<(), LedgerError> {
        books::put_holds(&self.db, target, holds, at).await
    }

    async fn holds(&self) -> Result<Vec<Hold>, LedgerError> {
        books::holds(&self.db).await
    }

    async fn rejected_holds(&self) -> Result<Vec<Hold>, LedgerError> {
        books::rejected_holds(&self.db).await
    }

    async fn retain_holds(&self, targets: &BTreeSet<TargetName>) -> Result<(), LedgerError> {
        books::retain_holds(&self.db, targets).await
    }

    async fn judge(&self, hold: &Hold, verdict: VerdictKind, at: Timestamp) -> Result<(), LedgerError> {
        books::judge(&self.db, hold, verdict, at).await
    }

    async fn put_verdicts(&self, verdicts: &[Verdict]) -> Result<(), LedgerError> {
        books::put_verdicts(&self.db, verdicts).await
    }

    async fn start_run(&self, run: &RunId, at: Timestamp) -> Result<(), LedgerError> {
        books::start_run(&self.db, run, at).await
    }

    async fn finish_run(&self, row: &RunRow) -> Result<(), LedgerError> {
        books::finish_run(&self.db, row).await
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRow>, LedgerError> {
        books::runs(&self.db, limit).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRow>, LedgerError> {
        books::run(&self.db, run).await
    }

    async fn reports(&self, since: Timestamp, each: &mut OnRun<'_>) -> Result<(), LedgerError> {
        books::reports(&self.db, since, each).await
    }

    async fn prune(&self, before: Timestamp) -> Result<Pruned, LedgerError> {
        books::prune(&self.db, before).await
    }

    async fn check(&self) -> Result<Vec<Finding>, LedgerError> {
        check::check(&self.db).await
    }

    async fn backup(&self, to: &Path) -> Result<(), LedgerError> {
        self.db.backup(to).await
    }

    async fn close(&self) {
        self.db.close().await;
    }
}
