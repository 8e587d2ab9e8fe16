//! One sync: pull, observe, decide, plan, guard, look up, commit, deliver, report. The only module that knows all the others.
//!
//! A plan is the same without the lease, without the commit and without the delivery, so that both decide alike.

mod about;
mod alone;
mod finish;
pub mod gaps;
mod late;
mod look_up;
pub mod progress;
pub mod ready;
pub mod recording;
mod recover;
pub mod report;
pub mod saved;
mod settle;
pub mod setup;
mod stand;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::instrument;

use crate::clock::{Began, Clock};
use crate::config::{Config, TargetConfig};
use crate::deliver::{self, Aftermath, HeldLease, LeaseError};
use crate::estate::{Estate, EstateId, Fence};
use crate::exit::Exit;
use crate::inventory::{self, Coverage, Observing};
use crate::ledger::{Lease, Ledger, LedgerError, RunId};
use crate::lifecycle::{self, Decisions, Policy};
use crate::model::{Digest, Key, Overlap, SourceName, TargetName};
use crate::ownership::Ownership;
use crate::plan::{Change, DeliveryState, Plan, RecordBrief};
use crate::source::{Pull, Source, SourceError};
use crate::target::{Purge, Target};

pub use self::alone::alone;
use self::progress::Meter;
use self::report::{Problem, Report};
use self::setup::{Absent, Requests};
use self::stand::Standing;

/// Whether a run applies what it plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Applies it.
    Sync,
    /// Only says it, and writes nothing to the ledger or to a target.
    Plan,
}

/// Makes a configured target.
pub type Targets = dyn Fn(&TargetConfig, Absent, &Requests) -> Box<dyn Target> + Send + Sync;

/// What a run has at hand.
pub struct Context<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Makes the targets ([`setup::target`]).
    pub targets: &'a Targets,
    /// Counts calls and draws progress.
    pub meter: &'a Meter,
    /// Turns true when someone asks to stop.
    pub interrupt: watch::Receiver<bool>,
    /// Sync or plan.
    pub mode: Mode,
    /// The run's identity.
    pub run: RunId,
    /// When the run began, before it read anything.
    pub began: Began,
    /// Who holds leases: host, process and a random part.
    pub holder: String,
    /// Leases taken by this run, so that none outlives it, however it ends.
    pub leases: Mutex<Vec<Lease>>,
}

impl Context<'_> {
    /// The run's clock.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits for a lease and remembers it.
    async fn lease(&self, name: &TargetName, aftermath: Aftermath) -> Result<HeldLease, LeaseError> {
        let mut interrupt = self.interrupt.clone();
        let held = tokio::select! {
            held = deliver::hold(Arc::clone(&self.ledger), Arc::clone(&self.clock), name, &self.holder, aftermath) => held?,
            _ = interrupt.wait_for(|stop| *stop) => return Err(LeaseError::Interrupted { target: name.clone() }),
        };
        self.leases_mut().push(held.lease().clone());
        Ok(held)
    }

    /// Gives back every lease that this run took. One that another took over since is left alone.
    pub async fn release_leases(&self) {
        let leases = std::mem::take(&mut *self.leases_mut());
        for lease in leases {
            if let Err(error) = self.ledger.release_lease(&lease).await {
                tracing::warn!(target.name = %lease.target, %error, "could not give the lease back; it ends by itself");
            }
        }
    }

    fn leases_mut(&self) -> std::sync::MutexGuard<'_, Vec<Lease>> {
        self.leases.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these sources; all where empty.
    pub sources: BTreeSet<SourceName>,
    /// Only these targets; all where empty.
    pub targets: BTreeSet<TargetName>,
    /// Holds to approve.
    pub approve: BTreeSet<Digest>,
    /// Decide and remember, but send nothing.
    pub pause_writes: bool,
    /// The plan is shown with what new records hold, so a sync has to work that out before it sends anything.
    pub shows_fields: bool,
    /// Targets are asked what they would do with the plan.
    pub verify: bool,
}

/// What was read, and under which number.
#[derive(Debug)]
pub struct Reading {
    /// What was read.
    pub pull: Pull,
    /// What became of each configured source.
    pub coverage: Coverage,
    /// The fence of the read's start.
    pub fence: Fence,
    /// Sources that could not be read at all.
    pub failed: Vec<(SourceName, SourceError)>,
}

/// How a run ended.
pub struct Ended {
    /// Everything that says how it ended; the first counts.
    pub exits: BTreeSet<Exit>,
    /// The report.
    pub report: Report,
    /// The plan, after the guardrails.
    pub plan: Plan,
}

impl Ended {
    /// How the run ended.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exits.first().copied().unwrap_or(Exit::Done)
    }

    /// The code for the operating system, where the configuration takes these codes for success.
    #[must_use]
    pub fn code(&self, ok: &BTreeSet<u8>) -> u8 {
        Exit::code_of(&self.exits, ok)
    }
}

/// Why a run ended without a report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Two sources cover one scope.
    #[error(transparent)]
    Overlap(#[from] Overlap),
    /// Someone asked to stop before anything was written.
    #[error("interrupted before anything was written")]
    Interrupted,
    /// Another process keeps the estate locked.
    #[error("another sync is working on the estate")]
    Busy,
    /// A name on the command line that the configuration does not have.
    #[error("no {what} `{name}` is configured")]
    NoSuch {
        /// `source` or `target`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A saved plan that must not be applied.
    #[error("{text}")]
    Refused {
        /// Why.
        text: String,
        /// The way on.
        hint: &'static str,
    },
}

impl RunError {
    /// How it ends the process.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            // Nothing is wrong with the ledger, and nothing was sent: the next run takes both into account.
            Self::Ledger(LedgerError::Conflict) => Exit::Partly,
            Self::Ledger(_) => Exit::Failed,
            Self::Overlap(_) | Self::NoSuch { .. } | Self::Refused { .. } => Exit::Usage,
            Self::Interrupted => Exit::Interrupted,
            Self::Busy => Exit::Partly,
        }
    }

    /// The user's next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::Overlap(_) => Some("let one source only cover an account, with all the regions that are to be read of it".to_owned()),
            Self::Interrupted => Some("run it again".to_owned()),
            Self::Busy => Some("run again when the other sync is done".to_owned()),
            Self::NoSuch { .. } => Some("names stand in the configuration's `sources` and `targets`".to_owned()),
            Self::Refused { hint, .. } => Some((*hint).to_owned()),
        }
    }
}

/// Pulls the chosen sources.
///
/// # Errors
/// [`RunError`] when nothing can be concluded at all; a source that fails is part of the reading.
pub async fn read(context: &Context<'_>, sources: &[Box<dyn Source>], options: &Options) -> Result<Reading, RunError> {
    let configured: Vec<SourceName> = context.config.sources.iter().map(|source| source.name.clone()).collect();
    if let Some(name) = options.sources.iter().find(|name| !configured.contains(name)) {
        return Err(RunError::NoSuch { what: "source", name: name.to_string() });
    }
    let fence = match context.mode {
        // A plan lies between the sync that drew the last number and the next: syncs have even fences, plans odd ones.
        Mode::Sync => Fence(context.ledger.draw_fence().await?.0.saturating_mul(2)),
        Mode::Plan => Fence(context.ledger.current_fence().await?.0.saturating_mul(2).saturating_add(1)),
    };
    let asked = sources.iter().filter(|source| options.sources.is_empty() || options.sources.contains(source.name()));
    let pulls = asked.map(|source| async { (source.name().clone(), source.pull(context.meter).await) });
    let mut interrupt = context.interrupt.clone();
    let answers = tokio::select! {
        answers = futures::future::join_all(pulls) => answers,
        _ = interrupt.wait_for(|stop| *stop) => return Err(RunError::Interrupted),
    };
    let failed = answers.iter().filter_map(|(name, answer)| Some((name.clone(), answer.as_ref().err()?.clone()))).collect();
    let (mut pull, coverage) = inventory::gather(answers.into_iter().collect(), configured)?;
    if sources.iter().any(|source| source.lists_late()) {
        let loaded = context.ledger.load_estate_beside(&pull.resources).await?;
        tokio::select! {
            () = late::confirm_absences(context, sources, &loaded.estate, &coverage, &mut pull) => {}
            _ = interrupt.wait_for(|stop| *stop) => return Err(RunError::Interrupted),
        }
    }
    context.meter.pulled();
    Ok(Reading { pull, coverage, fence, failed })
}

/// What of a plan may be applied: everything, or what a saved plan names, at the revisions that it was planned from.
pub type Only = BTreeMap<crate::plan::ChangeId, i64>;

/// Takes a reading through the whole flow.
///
/// # Errors
/// [`RunError`] when the run cannot be brought to a report.
#[instrument(name = "run", skip_all, fields(run = %context.run.0, mode = ?context.mode))]
pub async fn run(
    context: &Context<'_>,
    sources: &[Box<dyn Source>],
    reading: Reading,
    options: &Options,
    only: Option<&Only>,
    on_plan: &(dyn Fn(&Plan, &Estate) + Sync),
) -> Result<Ended, RunError> {
    for name in &options.targets {
        if !context.config.targets.iter().any(|target| target.name == *name) {
            return Err(RunError::NoSuch { what: "target", name: name.to_string() });
        }
    }
    if context.mode == Mode::Plan {
        return Box::pin(conclude(context, sources, reading, options, only, on_plan)).await;
    }
    context.ledger.start_run(&context.run, context.began.at).await?;
    let ended = Box::pin(conclude(context, sources, reading, options, only, on_plan)).await;
    if let Err(error) = &ended {
        finish::note_failure(context, error).await;
    }
    ended
}

async fn conclude(
    context: &Context<'_>,
    sources: &[Box<dyn Source>],
    reading: Reading,
    options: &Options,
    only: Option<&Only>,
    on_plan: &(dyn Fn(&Plan, &Estate) + Sync),
) -> Result<Ended, RunError> {
    let estate_lease = match context.mode {
        Mode::Sync => Some(lease_estate(context).await?),
        Mode::Plan => None,
    };
    let own = context.ledger.estate_id().await?;
    let loaded = context.ledger.load_estate_beside(&reading.pull.resources).await?;
    tracing::debug!(
        elapsed_ms = context.began.instant.elapsed().as_millis(),
        resources = loaded.estate.resources.len(),
        "Loaded the estate"
    );
    let fence = if only.is_some() { saved::fence(reading.fence, context.at(), &loaded.estate) } else { reading.fence };
    let mut stand = Stand::observe(context, loaded.estate, Reading { fence, ..reading });

    // Where no source could be read, nothing is concluded and nothing is sent.
    let readable = stand.failed.len() < stand.asked.max(1);
    let chosen =
        context.config.targets.iter().filter(|target| readable && (options.targets.is_empty() || options.targets.contains(&target.name)));
    let answers = futures::future::join_all(chosen.map(|target| ready::ready(context, target, &own))).await;
    let is_lean = context.mode == Mode::Sync && !options.shows_fields;
    let mut standings = Vec::new();
    let mut not_ready = Vec::new();
    for answer in answers {
        match answer? {
            Ok(ready) => standings.push(Standing::new(ready, is_lean)),
            Err(refused) => not_ready.push(refused),
        }
    }
    standings.iter_mut().for_each(|standing| standing.follow(&stand));
    recover::enter_unknown(&mut stand, &standings, context.at());
    recover::doubt_unseen(&mut stand, &standings, context.at());
    recover::enter_edges(&mut stand, &standings);
    stand.decide(context);
    stand.note_purged(context, &standings);

    // Side by side: a target that is slow to read or to ask delays no other.
    futures::future::try_join_all(standings.iter_mut().map(|standing| standing.prepare(context, &stand))).await?;
    futures::future::try_join_all(standings.iter_mut().map(|standing| standing.plan(context, &stand, &own, &options.approve))).await?;
    look_up::confirm(context, sources, &mut stand, &mut standings, &own, &options.approve).await?;
    let unmatched: Vec<&Digest> = options.approve.iter().filter(|id| !standings.iter().any(|standing| standing.has_approved(id))).collect();
    stand.is_short_of_approvals = !unmatched.is_empty();
    stand.remarks.extend(unmatched.into_iter().map(not_approved));
    for standing in &mut standings {
        if standing.has_other_estates() {
            not_ready.push(ready::other_estate(standing.ready.configured));
        }
    }
    standings.retain(|standing| !standing.has_other_estates());

    let mut plan = stand.plan(context, &own, &mut standings, only);
    tracing::debug!(
        elapsed_ms = context.began.instant.elapsed().as_millis(),
        changes = plan.changes.len(),
        holds = plan.holds.len(),
        "Planned"
    );
    on_plan(&plan, &stand.estate);
    let skipped = finish::skipped(&plan, &standings, only);
    let outcomes = match context.mode {
        Mode::Plan => BTreeMap::new(),
        Mode::Sync => {
            context.ledger.commit(&context.run, loaded.version, &stand.estate).await?;
            tracing::debug!(elapsed_ms = context.began.instant.elapsed().as_millis(), "Committed the estate");
            if let Some(held) = estate_lease {
                alone::release(&context.ledger, held).await?;
            }
            // What is sent need not be kept twice: of a sync's plan only the holds are told afterwards.
            finish::deliver(context, &stand, &mut standings, options, std::mem::take(&mut plan.changes), only).await?
        }
    };
    let verified = match (context.mode, options.verify) {
        (Mode::Plan, true) => verify::verify(context, &stand, &mut standings, &own, &plan.changes).await,
        _ => verify::Answers::new(),
    };
    let mut ended = finish::report(context, stand, standings, not_ready, outcomes, plan, skipped).await?;
    verify::note(&mut ended, verified);
    Ok(ended)
}

fn not_approved(id: &Digest) -> crate::source::Remark {
    crate::source::Remark {
        subject: format!("hold {id}"),
        text: "not approved: no such hold in this run; its id changes when what it holds changes".to_owned(),
    }
}

async fn lease_estate(context: &Context<'_>) -> Result<HeldLease, RunError> {
    context.lease(&alone::estate_lease()?, Aftermath::None).await.map_err(alone::not_leased)
}

/// The estate as this run sees it, with everything that was concluded from it.
pub struct Stand {
    /// The estate; its `dirty` part is what the commit writes.
    pub estate: Estate,
    /// What observing came to.
    pub observed: inventory::Observed,
    /// Machines that live on under another key: old key, new key.
    pub successors: BTreeMap<Key, Key>,
    /// What deciding came to.
    pub decisions: Decisions,
    /// The timers and rules.
    pub policy: Policy,
    /// Which tags tell of ownership.
    pub ownership: Ownership,
    /// The fence of the read.
    pub fence: Fence,
    /// Sources that could not be read at all.
    pub failed: Vec<(SourceName, SourceError)>,
    /// What became of each configured source.
    pub coverage: Coverage,
    /// How many sources were asked.
    pub asked: usize,
    /// Proposed retirements whose look-up failed: nothing is concluded for them in this run.
    pub unconfirmed: BTreeSet<Key>,
    /// Whether people asked to approve a hold that this run does not have.
    pub is_short_of_approvals: bool,
    /// Odd things for the report.
    pub remarks: Vec<crate::source::Remark>,
}

impl Stand {
    fn observe(context: &Context<'_>, mut estate: Estate, reading: Reading) -> Self {
        let Reading { pull, coverage, fence, failed } = reading;
        let asked = coverage.sources.values().filter(|source| !matches!(source, inventory::SourceCoverage::Skipped)).count();
        let observing = Observing { at: context.at(), fence, narrow: false, coverage: &coverage };
        let mut observed = inventory::observe(&mut estate, pull, &observing);
        let remarks = std::mem::take(&mut observed.remarks);
        let ownership = context.config.ownership.clone();
        let _ = inventory::derive(&mut estate, &ownership, &observing);
        let lifecycle = &context.config.lifecycle;
        let policy = Policy { timers: lifecycle.defaults.clone(), rules: lifecycle.rules.clone() };
        let successors = lifecycle::successors(&estate);
        lifecycle::conclude_moved(&mut estate, &successors, context.at());
        Self {
            estate,
            observed,
            successors,
            decisions: Decisions::default(),
            policy,
            ownership,
            fence,
            failed,
            coverage,
            asked,
            unconfirmed: BTreeSet::new(),
            is_short_of_approvals: false,
            remarks,
        }
    }

    /// What follows from the answers of look-ups for edges and for what is derived: some ended, some are back.
    fn follow_answers(&mut self, context: &Context<'_>) {
        let observing = Observing { at: context.at(), fence: self.fence, narrow: false, coverage: &self.coverage };
        inventory::release_edges(&mut self.estate, &self.observed.withheld, &observing);
        let _ = inventory::derive(&mut self.estate, &self.ownership, &observing);
    }

    fn decide(&mut self, context: &Context<'_>) {
        let observing = Observing { at: context.at(), fence: self.fence, narrow: false, coverage: &self.coverage };
        self.decisions = lifecycle::decide(&mut self.estate, &self.policy, &observing);
        self.decisions.proposed.retain(|key, _| !self.unconfirmed.contains(key));
    }

    /// The stage `purged` belongs to the resource, the removals to the targets: it is reached when every configured target that purges has
    /// removed its record. A target that takes no part in this run leaves the question open.
    fn note_purged(&mut self, context: &Context<'_>, standings: &[Standing<'_>]) {
        let purging = context.config.targets.iter().filter(|target| target.purge == Purge::Delete).count();
        let states: Vec<_> = standings
            .iter()
            .filter(|standing| standing.ready.configured.purge == Purge::Delete)
            .map(|standing| &standing.ready.state)
            .collect();
        if purging == 0 || states.len() < purging {
            return;
        }
        let is_left = |key: &Key| states.iter().any(|state| state.records.get(key).is_some_and(RecordBrief::exists));
        let removed = states.iter().flat_map(|state| state.records.iter()).filter(|(_, row)| row.state == DeliveryState::Purged);
        let keys: BTreeSet<Key> = removed.map(|(key, _)| key.clone()).filter(|key| !is_left(key)).collect();
        for key in &keys {
            lifecycle::purged(&mut self.estate, key, context.at());
        }
    }

    fn plan(&self, context: &Context<'_>, own: &EstateId, standings: &mut [Standing<'_>], only: Option<&Only>) -> Plan {
        let mut changes: Vec<Change> = standings.iter_mut().flat_map(|standing| standing.take_sendable(only)).collect();
        changes.sort_by(|a, b| (&a.target, a.change, &a.key, &a.relation).cmp(&(&b.target, b.change, &b.key, &b.relation)));
        Plan {
            schema_version: 1,
            taken_at: context.at(),
            estate: own.clone(),
            config: context.config.digest().to_string(),
            fence: self.fence,
            changes,
            holds: standings.iter().flat_map(|standing| standing.holds().to_vec()).collect(),
            deferred: self.decisions.deferred,
            deferred_by: self.decisions.deferred_by,
            folded: self.decisions.folded,
            ignored: self.decisions.ignored,
            forecast: standings.iter().map(|standing| (standing.ready.configured.name.clone(), standing.forecast())).collect(),
        }
    }

    fn problems(&self) -> impl Iterator<Item = Problem> + '_ {
        self.failed.iter().map(|(name, error)| Problem { subject: name.to_string(), text: error.to_string(), hint: error.hint() })
    }
}
