//! Where one target stands in a run: from what the ledger knows of it to what may be sent.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::estate::EstateId;
use crate::ledger::{Binding, Rows};
use crate::model::{Digest, EdgeId, Key};
use crate::plan::{
    self, Attachments, Beats, Change, Drifted, Guarded, Guards, Hold, Input, Lost, Members, Pace, RecordBrief, RecordEdge, Terms, Verdict,
    VerdictKind,
};
use crate::source::Remark;
use crate::target::{FoundRecord, Identity, RecordId, TargetError};

use super::ready::Ready;
use super::{Context, Only, RunError, Stand};

/// Identities asked of a target at once.
const ASK_MAX: usize = 1000;

/// One target in a run.
pub(super) struct Standing<'a> {
    /// The target, ready.
    pub(super) ready: Ready<'a>,
    /// Rows that a read changed, to be stored before anything is sent.
    pub(super) rows: BTreeMap<Key, RecordBrief>,
    /// The same of edges; `None` for those that do not stand there.
    pub(super) edges: BTreeMap<EdgeId, Option<RecordEdge>>,
    /// Fields found other than written.
    pub(super) drifted: Vec<Drifted>,
    /// Delivered edges that were not found.
    pub(super) lost: Vec<Lost>,
    /// Odd things for the report.
    pub(super) remarks: Vec<Remark>,
    /// Keys whose rows went to another key.
    moved: Vec<(Key, Key)>,
    answers: BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>,
    guarded: Option<Guarded>,
    newest_found: Option<Timestamp>,
    members: Members,
    attachments: Attachments,
    approved: BTreeSet<Digest>,
    is_lean: bool,
}

impl<'a> Standing<'a> {
    /// A target whose records were not looked at yet. Lean: what a new record holds is worked out when it is sent, not before.
    #[must_use]
    pub(super) fn new(ready: Ready<'a>, is_lean: bool) -> Self {
        Self {
            ready,
            is_lean,
            rows: BTreeMap::new(),
            edges: BTreeMap::new(),
            drifted: Vec::new(),
            lost: Vec::new(),
            remarks: Vec::new(),
            moved: Vec::new(),
            answers: BTreeMap::new(),
            guarded: None,
            newest_found: None,
            members: Members::default(),
            attachments: Attachments::default(),
            approved: BTreeSet::new(),
        }
    }

    /// Brings rows, and what a full read found, under the keys that their resources have now; own records that the ledger does not know
    /// say that it is an old copy.
    ///
    /// In memory only: the ledger's rows move with [`Self::rows`], after the estate that says so was committed. A run that is killed
    /// between the two leaves them to the next, which finds the same successors in the estate.
    pub(super) fn follow(&mut self, stand: &Stand) {
        let state = &mut self.ready.state;
        for (from, to) in &stand.successors {
            if state.records.get(to).is_some_and(RecordBrief::exists) {
                continue;
            }
            let Some(row) = state.records.remove(from) else { continue };
            state.records.insert(to.clone(), row.moved(from, to));
            move_edges(&mut state.edges, from, to);
            self.moved.push((from.clone(), to.clone()));
        }
        let Some(found) = &mut self.ready.found else { return };
        let mut renamed: BTreeMap<&Key, &Key> = BTreeMap::new();
        for (key, row) in &state.records {
            // The record says its old key until the update that rewrites it was delivered.
            if let Some(old) = &row.carries
                && !found.contains_key(key)
                && found.get(old).is_some_and(|record| row.record.as_ref() == Some(&record.id))
                && let Some(record) = found.remove(old)
            {
                found.insert(key.clone(), record);
                renamed.insert(old, key);
            }
        }
        if !renamed.is_empty() {
            for edges in found.values_mut().filter_map(|record| record.edges.as_mut()) {
                let now = |to: Key| renamed.get(&to).map_or_else(|| to.clone(), |now| (*now).clone());
                *edges = std::mem::take(edges).into_iter().map(|((relation, to), edge)| ((relation, now(to)), edge)).collect();
            }
        }
        let unknown = found.keys().find(|key| !state.records.get(*key).is_some_and(RecordBrief::exists));
        if let Some(key) = unknown.filter(|_| !self.ready.recovering) {
            tracing::warn!(target.name = %self.ready.configured.name, %key, "A record of ours is not in the ledger, which must be an old copy");
        }
        let has_unknown = unknown.is_some();
        self.ready.recovering |= has_unknown;
        self.ready.is_ledger_old |= has_unknown;
    }

    /// Takes in what a full read or a recovery found.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(super) async fn prepare(&mut self, context: &Context<'_>, stand: &Stand) -> Result<(), RunError> {
        let Some(found) = self.ready.found.take() else { return Ok(()) };
        let live: Vec<Key> = self.ready.state.records.iter().filter(|(_, row)| row.is_live()).map(|(key, _)| key.clone()).collect();
        self.load_fields(context, &live).await?;
        self.count(stand);
        self.members = self.with_input(context, stand, plan::members);
        let absorbed = self.with_input(context, stand, |input| plan::absorb(input, &found));
        let mut unseen: Vec<Identity> = absorbed.unseen.iter().chain(&absorbed.references).filter_map(|key| identity(stand, key)).collect();
        if self.ready.recovering {
            let rows = self.with_input(context, stand, |input| {
                found
                    .iter()
                    .filter_map(|(key, record)| Some((key.clone(), plan::recovered(input, key, record)?)))
                    .collect::<BTreeMap<_, _>>()
            });
            self.remarks.push(Remark {
                subject: self.ready.configured.name.to_string(),
                text: format!(
                    "recovered {} records from the target itself; nothing is retired, purged or unrelated in this run",
                    rows.len()
                ),
            });
            let bound: BTreeSet<&RecordId> = rows.values().filter_map(|row| row.record.as_ref()).collect();
            let shares = |row: &RecordBrief| row.record.as_ref().is_some_and(|record| bound.contains(record));
            // The record says whose it is; whoever the ledger thought it was has none then. Where people asked for the recovery, it may be
            // another CMDB, in which no number is known to be whose it was: the creates ask again for what the read did not show.
            let (state, was_asked) = (&self.ready.state, self.ready.was_asked_to_recover);
            let is_displaced = |key: &Key, row: &RecordBrief| !rows.contains_key(key) && row.exists() && (was_asked || shares(row));
            let displaced = state.records.iter().filter(|(key, row)| is_displaced(key, row));
            self.rows.extend(displaced.map(|(key, row)| (key.clone(), plan::gone(row))));
            self.rows.extend(rows);
            self.newest_found = found.values().filter_map(|record| record.delivered_at).max();
        } else {
            self.rows.extend(absorbed.rows);
            self.drifted = absorbed.drifted;
            self.lost = absorbed.lost;
            self.edges = absorbed.edges.into_iter().map(|(edge, row)| (edge, Some(row))).collect();
        }
        unseen.retain(|identity| !self.rows.contains_key(&identity.key));
        let answers = self.ask(&unseen).await;
        for (key, answer) in answers {
            match answer {
                Ok(records) if self.shows(&key, &records, absorbed.references.contains(&key)) => {}
                Ok(_) => {
                    if let Some(row) = self.ready.state.records.get(&key) {
                        self.rows.insert(key, plan::gone(row));
                    }
                }
                // The read did not show it and the target cannot say: nothing is concluded.
                Err(error) => self.remarks.push(Remark { subject: key.to_string(), text: error.to_string() }),
            }
        }
        for (key, row) in &self.rows {
            self.ready.state.records.insert(key.clone(), row.clone());
        }
        if !self.ready.recovering {
            self.try_again().await;
        }
        if self.ready.recovering {
            self.edges = self.with_input(context, stand, |input| plan::recovered_edges(input, &found));
        }
        for (edge, row) in &self.edges {
            match row {
                Some(row) => drop(self.ready.state.edges.insert(edge.clone(), row.clone())),
                None => drop(self.ready.state.edges.remove(edge)),
            }
        }
        self.ready.row.verified_at = Some(context.at());
        Ok(())
    }

    /// Counts what is attached to machines, as the estate stands now, for a target that tells of it.
    fn count(&mut self, stand: &Stand) {
        if self.ready.target.counts_attached() {
            self.attachments = plan::attachments(&stand.estate);
        }
    }

    /// Puts values that the target left among what is still to be written, where it can take them by now. A write of what it would leave again is in vain.
    async fn try_again(&mut self) {
        let left = plan::left(self.ready.state.records.values());
        if left.is_empty() {
            return;
        }
        let taken = match self.ready.target.stands_by_now(&left).await {
            Ok(taken) => taken,
            Err(error) => {
                let subject = self.ready.configured.name.to_string();
                return self.remarks.push(Remark { subject, text: error.to_string() });
            }
        };
        let taken: HashSet<_> = left.into_iter().zip(taken).filter_map(|(value, is_taken)| is_taken.then_some(value)).collect();
        if taken.is_empty() {
            return;
        }
        for (key, row) in &mut self.ready.state.records {
            if let Some(tried) = plan::tried_again(row, &taken) {
                self.rows.insert(key.clone(), tried.clone());
                *row = tried;
            }
        }
    }

    /// Whether an answer shows the record of a row; one that is only referred to is told by its id, and as long as it is nobody's.
    fn shows(&self, key: &Key, records: &[FoundRecord], is_reference: bool) -> bool {
        let row = self.ready.state.records.get(key);
        let is_same = |record: &FoundRecord| row.and_then(|row| row.record.as_ref()) == Some(&record.id) && record.estate.is_none();
        records.iter().any(|record| if is_reference { is_same(record) } else { record.external_id.as_ref() == Some(key) })
    }

    /// Plans for this target as the estate stands, and takes out what the guardrails stop.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(super) async fn plan(
        &mut self,
        context: &Context<'_>,
        stand: &Stand,
        own: &EstateId,
        approve: &BTreeSet<Digest>,
    ) -> Result<(), RunError> {
        self.count(stand);
        self.members = self.with_input(context, stand, plan::members);
        let missing: Vec<Key> = self
            .with_input(context, stand, plan::stale)
            .into_iter()
            .filter(|key| self.ready.state.records.get(key).is_some_and(|row| row.fields.is_none()))
            .collect();
        self.load_fields(context, &missing).await?;
        let identities: Vec<Identity> = self
            .with_input(context, stand, plan::identities)
            .into_iter()
            .filter(|identity| !self.answers.contains_key(&identity.key))
            .collect();
        let answers = self.ask(&identities).await;
        self.answers.extend(answers);
        let estate = self.ready.row.estate.clone().unwrap_or_else(|| own.clone());
        let mut guarded = self.guard(context, stand, &estate);
        let approved: Vec<&Hold> = guarded.holds.iter().filter(|hold| approve.contains(&hold.id)).collect();
        if !approved.is_empty() {
            self.approved.extend(approved.iter().map(|hold| hold.id));
            let verdicts: Vec<Verdict> = approved.into_iter().flat_map(|hold| hold.verdicts(VerdictKind::Approved, context.at())).collect();
            if self.ready.lease.is_some() {
                context.ledger.put_verdicts(&verdicts).await?;
            }
            self.ready.state.verdicts.extend(verdicts.into_iter().map(|verdict| (verdict.change, verdict)));
            guarded = self.guard(context, stand, &estate);
        }
        self.guarded = Some(guarded);
        Ok(())
    }

    fn guard(&self, context: &Context<'_>, stand: &Stand, estate: &EstateId) -> Guarded {
        self.with_input(context, stand, |input| {
            let draft = if self.is_lean { plan::draft_lean(input) } else { plan::draft(input) };
            let draft = draft.adopt(input, estate, &self.answers);
            let guards =
                Guards { limits: &context.config.guardrails, disowned: &stand.decisions.disowned, recovering: self.ready.recovering };
            plan::guard(draft, input, &guards)
        })
    }

    /// Puts in what a lean plan left out of a change.
    pub(super) fn fill(&self, context: &Context<'_>, stand: &Stand, change: &mut Change) {
        if self.is_lean {
            self.with_input(context, stand, |input| plan::fill(input, change));
        }
    }

    /// The heartbeats that are due beside what is sent; `None` where this target has none, or its map is being rebuilt.
    pub(super) fn beats(&self, context: &Context<'_>, stand: &Stand, changes: &[Change]) -> Option<Beats> {
        let every = self.ready.configured.heartbeat.filter(|_| !self.ready.recovering)?;
        let last_run = self.ready.row.met_at;
        // The budget of a run is what may be asked within its own time, or since the last one where that is less.
        let deadline = self.ready.configured.deadline;
        let since = last_run.map_or(deadline, |last_run| Duration::try_from(context.at().duration_since(last_run)).unwrap_or_default());
        let max = self.ready.target.beats_within(deadline.min(since))?;
        let changing = changes.iter().filter(|change| change.relation.is_none()).map(|change| &change.key).collect();
        Some(self.with_input(context, stand, |input| plan::beats(input, &changing, &Pace { every, last_run, max })))
    }

    fn with_input<T>(&self, context: &Context<'_>, stand: &Stand, f: impl FnOnce(&Input<'_>) -> T) -> T {
        let configured = self.ready.configured;
        let terms = Terms {
            target: self.ready.target.as_ref(),
            include: &configured.include,
            adopt: configured.adopt,
            purge: configured.purge,
            authority: &configured.authority,
            max_records: configured.max_records,
        };
        f(&Input {
            terms: &terms,
            estate: &stand.estate,
            proposed: &stand.decisions.proposed,
            state: &self.ready.state,
            members: &self.members,
            attachments: &self.attachments,
            ownership: &stand.ownership,
            verdicts: &stand.decisions.verdicts,
            at: context.at(),
        })
    }

    async fn load_fields(&mut self, context: &Context<'_>, keys: &[Key]) -> Result<(), RunError> {
        if keys.is_empty() {
            return Ok(());
        }
        // The ledger's rows have not moved yet.
        let now: BTreeMap<&Key, &Key> = self.moved.iter().map(|(from, to)| (from, to)).collect();
        let before: BTreeMap<&Key, &Key> = self.moved.iter().map(|(from, to)| (to, from)).collect();
        let keys: Vec<Key> = keys.iter().map(|key| before.get(key).copied().unwrap_or(key).clone()).collect();
        let fields = context.ledger.load_fields(&self.ready.configured.name, &keys).await?;
        for (key, fields) in fields {
            let key = now.get(&key).map_or(key.clone(), |now| (*now).clone());
            if let Some(row) = self.ready.state.records.get_mut(&key) {
                row.fields = Some(fields);
            }
        }
        Ok(())
    }

    async fn ask(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        let mut answers = BTreeMap::new();
        for chunk in identities.chunks(ASK_MAX) {
            answers.extend(self.ready.target.find(chunk).await);
        }
        answers
    }

    /// Proposed retirements that passed this target's gates.
    pub(super) fn to_look_up(&self) -> impl Iterator<Item = &Key> {
        self.guarded.iter().flat_map(|guarded| guarded.look_up.iter())
    }

    /// The newest delivery that a recovery found on the target's records.
    pub(super) fn newest_found(&self) -> Option<Timestamp> {
        self.newest_found
    }

    /// Whether this run approved a hold of this target.
    #[must_use]
    pub(super) fn has_approved(&self, id: &Digest) -> bool {
        self.approved.contains(id)
    }

    /// Whether a record of ours stands there live, so that its end has to pass this target's gates.
    #[must_use]
    pub(super) fn keeps(&self, key: &Key) -> bool {
        self.ready.state.records.get(key).is_some_and(|row| row.is_live() && !row.contributed)
    }

    /// Whether a record with our external id carries another estate.
    #[must_use]
    pub(super) fn has_other_estates(&self) -> bool {
        self.guarded.as_ref().is_some_and(|guarded| !guarded.other_estates.is_empty())
    }

    /// What the guardrails stopped.
    #[must_use]
    pub(super) fn holds(&self) -> &[Hold] {
        self.guarded.as_ref().map_or(&[], |guarded| guarded.holds.as_slice())
    }

    /// Changes that people rejected and that are not asked about again.
    #[must_use]
    pub(super) fn rejected(&self) -> u64 {
        self.guarded.as_ref().map_or(0, |guarded| guarded.rejected)
    }

    /// Records the target would hold afterwards.
    #[must_use]
    pub(super) fn forecast(&self) -> u64 {
        self.guarded.as_ref().map_or(0, |guarded| guarded.forecast)
    }

    /// Takes out what may be sent, in order; of a saved plan only what it names, at the revisions that it was planned from.
    pub(super) fn take_sendable(&mut self, only: Option<&Only>) -> Vec<Change> {
        let mut changes = self.guarded.as_mut().map(|guarded| std::mem::take(&mut guarded.changes)).unwrap_or_default();
        changes.retain(|change| only.is_none_or(|only| only.get(&change.id) == Some(&change.revision)));
        changes
    }

    /// Creates that wait because the target could not say whether the record is there.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = (&Key, &TargetError)> {
        self.guarded.iter().flat_map(|guarded| guarded.unanswered.iter().map(|unanswered| (&unanswered.key, &unanswered.error)))
    }

    /// CIs of which `include.when` could not be asked.
    pub(super) fn unasked(&self) -> impl Iterator<Item = (&Key, &plan::Unasked)> {
        self.members.failures()
    }

    /// Fields whose mapping failed.
    pub(super) fn failed_fields(&self) -> impl Iterator<Item = (&Key, &BTreeMap<String, String>)> {
        self.guarded.iter().flat_map(|guarded| &guarded.failed_fields)
    }

    /// What is to be stored before anything is sent.
    #[must_use]
    pub(super) fn rows(&self) -> Rows {
        let bound_edges = self.edges.iter().filter_map(|(edge, row)| Some((edge.clone(), row.clone()?))).collect();
        let mut rows = Rows { moved: self.moved.clone(), bound: self.rows.iter().map(binding).collect(), bound_edges, ..Rows::default() };
        if let Some(guarded) = &self.guarded {
            rows.bound.extend(guarded.bindings.iter().map(binding));
            rows.settled.clone_from(&guarded.settled);
            rows.forgotten = guarded.forgotten.iter().cloned().collect();
            rows.forgotten_edges = guarded.forgotten_edges.iter().cloned().collect();
        }
        rows.forgotten_edges.extend(self.edges.iter().filter(|(_, row)| row.is_none()).map(|(edge, _)| edge.clone()));
        rows
    }

    /// The target's state for delivering: with the rows that were bound in this run.
    pub(super) fn take_state(&mut self) -> crate::plan::TargetState {
        let mut state = crate::plan::TargetState {
            target: self.ready.configured.name.clone(),
            paused: self.ready.state.paused,
            records: std::mem::take(&mut self.ready.state.records),
            edges: std::mem::take(&mut self.ready.state.edges),
            tallies: Vec::new(),
            verdicts: BTreeMap::new(),
        };
        if let Some(guarded) = &self.guarded {
            state.records.extend(guarded.bindings.iter().map(|(key, row)| (key.clone(), row.clone())));
        }
        state
    }
}

fn move_edges(edges: &mut BTreeMap<EdgeId, RecordEdge>, from: &Key, to: &Key) {
    let moved: Vec<EdgeId> = edges.keys().filter(|edge| edge.from == *from || edge.to == *from).cloned().collect();
    for edge in moved {
        let Some(row) = edges.remove(&edge) else { continue };
        let renamed = |key: Key| if key == *from { to.clone() } else { key };
        edges.entry(EdgeId { from: renamed(edge.from), relation: edge.relation, to: renamed(edge.to) }).or_insert(row);
    }
}

fn binding((key, row): (&Key, &RecordBrief)) -> Binding {
    Binding { key: key.clone(), row: row.clone() }
}

fn identity(stand: &Stand, key: &Key) -> Option<Identity> {
    Some(Identity::of(&stand.estate.resources.get(key)?.resource))
}
