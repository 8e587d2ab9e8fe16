//! The end of a run: delivering, telling, and leaving the ledger tidy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::clock::earlier;
use crate::deliver::{self, Beaten, Beating, Delivery, Stop};
use crate::exit::Exit;
use crate::ledger::{LedgerError, Rows, RunRow, TargetNews};
use crate::model::{EdgeId, Key, TargetName};
use crate::plan::{Beats, Change, Lost, Plan, Unasked, document};
use crate::source::{Remark, SourceError};
use crate::target::TargetError;
use crate::told;

use super::about;
use super::gaps::is_gap;
use super::ready::NotReady;
use super::report::{FailedDocument, Failure, HEARTBEAT, Heartbeat, Problem, ReceiptDocument, Report, Usage};
use super::stand::Standing;
use super::{Context, Ended, Mode, Only, Options, RunError, Stand};
use crate::rules::Failure as RuleFailure;

/// Stores what planning found, then sends what may be sent, to every target side by side. What fails for one target, its lease among
/// it, ends that target only.
///
/// # Errors
/// When the ledger cannot say whose estate it is.
pub(super) async fn deliver(
    context: &Context<'_>,
    stand: &Stand,
    standings: &mut [Standing<'_>],
    options: &Options,
    changes: Vec<Change>,
    only: Option<&Only>,
) -> Result<BTreeMap<TargetName, deliver::Outcome>, RunError> {
    let own = context.ledger.estate_id().await?;
    let mut by_target: BTreeMap<TargetName, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_target.entry(change.target.clone()).or_default().push(change);
    }
    let deliveries = standings.iter_mut().map(|standing| {
        let own = &own;
        let name = standing.ready.configured.name.clone();
        let changes = by_target.remove(&name).unwrap_or_default();
        async move { (name, deliver_one(context, stand, standing, own, options, changes, only).await) }
    });
    Ok(futures::future::join_all(deliveries).await.into_iter().collect())
}

async fn deliver_one(
    context: &Context<'_>,
    stand: &Stand,
    standing: &mut Standing<'_>,
    own: &crate::estate::EstateId,
    options: &Options,
    changes: Vec<Change>,
    only: Option<&Only>,
) -> deliver::Outcome {
    let waiting = changes.len() as u64;
    if let Err(error) = remember(context, standing).await {
        return deliver::Outcome { waiting, stopped: Some(Stop::Ledger(error)), ..deliver::Outcome::default() };
    }
    if options.pause_writes || standing.ready.state.paused {
        return deliver::Outcome { waiting, ..deliver::Outcome::default() };
    }
    // What people approved of in a saved plan is all that is sent for it.
    let beats = if only.is_none() { standing.beats(context, stand, &changes) } else { None };
    let deadline = Instant::now() + standing.ready.configured.deadline;
    let mut outcome = if changes.is_empty() {
        deliver::Outcome::default()
    } else {
        deliver_changes(context, stand, standing, own, changes, deadline).await
    };
    if let Some(beats) = beats {
        outcome.beaten = Some(beat(context, standing, own, beats, deadline, outcome.stopped.is_some()).await);
    }
    // What sends requests counts them itself.
    if !standing.ready.configured.kind.sends_requests() {
        let mut calls = outcome.calls.clone();
        calls.extend(outcome.beaten.iter().filter(|beaten| beaten.calls > 0).map(|beaten| (HEARTBEAT.to_owned(), beaten.calls)));
        context.meter.add_calls(standing.ready.configured.name.as_str(), &calls);
    }
    outcome
}

async fn beat(
    context: &Context<'_>,
    standing: &Standing<'_>,
    own: &crate::estate::EstateId,
    beats: Beats,
    deadline: Instant,
    has_stopped: bool,
) -> Beaten {
    let Some(lease) = standing.ready.lease.as_ref().filter(|_| !has_stopped) else {
        return Beaten { late: beats.late_after(0), ..Beaten::default() };
    };
    let beating = Beating {
        target: &standing.ready.target,
        ledger: context.ledger.as_ref(),
        lease,
        estate: standing.ready.row.estate.as_ref().unwrap_or(own),
        at: context.at(),
        deadline,
        interrupt: &context.interrupt,
    };
    beating.beat(&beats).await
}

async fn deliver_changes(
    context: &Context<'_>,
    stand: &Stand,
    standing: &mut Standing<'_>,
    own: &crate::estate::EstateId,
    changes: Vec<Change>,
    deadline: Instant,
) -> deliver::Outcome {
    let approved = standing.ready.state.approved();
    let state = standing.take_state();
    let standing = &*standing;
    let Some(lease) = &standing.ready.lease else { return deliver::Outcome::default() };
    let bar = context.meter.delivery(standing.ready.configured.name.as_str(), changes.len() as u64);
    let hosts = about::Hosts::of(&stand.estate, standing.ready.target.as_ref());
    let about = |key: &Key| hosts.about(&stand.estate, key);
    let delivery = Delivery {
        target: &standing.ready.target,
        ledger: context.ledger.as_ref(),
        lease,
        run: &context.run,
        estate: standing.ready.row.estate.as_ref().unwrap_or(own),
        at: context.at(),
        deadline,
        interrupt: &context.interrupt,
        about: &about,
        fill: &|change| standing.fill(context, stand, change),
        limits: &context.config.guardrails,
        approved: &approved,
        progress: &|count| bar.inc(count),
    };
    let outcome = delivery.deliver(changes, state).await;
    bar.finish_and_clear();
    outcome
}

/// Stores what planning found out about one target.
async fn remember(context: &Context<'_>, standing: &mut Standing<'_>) -> Result<(), LedgerError> {
    let Some(lease) = &standing.ready.lease else { return Ok(()) };
    let (ledger, lease) = (&context.ledger, lease.lease());
    let name = &standing.ready.configured.name;
    let rows = standing.rows();
    ledger.bind(lease, &rows, context.at()).await?;
    let row = &standing.ready.row;
    let news = TargetNews::Met {
        address: row.address.clone(),
        instance: row.instance.clone(),
        estate: row.estate.clone(),
        verified_at: row.verified_at,
        at: context.at(),
    };
    ledger.note_target(name, &row.kind, &row.address, &news).await?;
    if standing.ready.was_asked_to_recover {
        ledger.note_target(name, &row.kind, &row.address, &TargetNews::Recover(false)).await?;
    }
    // People may have paused the target while this run was planning.
    if let Some(latest) = ledger.target_row(name).await? {
        standing.ready.state.paused = latest.paused;
    }
    if let Some(newest) = standing.newest_found() {
        // After the rows it speaks for, and once there is a target row to hold it.
        ledger.bind(lease, &Rows { newest_delivered_at: Some(newest), ..Rows::default() }, context.at()).await?;
    }
    ledger.put_holds(name, standing.holds(), context.at()).await
}

/// Puts the report together, notes it in the ledger and removes what is past `journal_keep`.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn report(
    context: &Context<'_>,
    stand: Stand,
    standings: Vec<Standing<'_>>,
    not_ready: Vec<NotReady>,
    outcomes: BTreeMap<TargetName, deliver::Outcome>,
    plan: Plan,
    skipped: Vec<String>,
) -> Result<Ended, RunError> {
    let mut exits = BTreeSet::from([Exit::Done]);
    let mut problems: Vec<(Exit, Problem)> = Vec::new();
    if let Some(exit) = source_exit(&stand) {
        exits.insert(exit);
        problems.extend(stand.problems().map(|problem| (exit, problem)));
    }
    let receipts: Vec<ReceiptDocument> = stand
        .observed
        .receipts
        .iter()
        .map(|(scope, receipt)| {
            let accepted = stand.estate.scopes.get(scope).is_some_and(|known| known.accepted == Some(receipt.outcome));
            ReceiptDocument::new(scope, receipt, accepted)
        })
        .collect();
    if receipts.iter().any(|receipt| is_gap(receipt.outcome) && !receipt.accepted) {
        exits.insert(Exit::Partly);
    }
    let targets = standings.len() + not_ready.len();
    let refused = not_ready.iter().filter(|refused| refused.exit == Exit::Credentials).count();
    for NotReady { exit, problem, .. } in not_ready {
        let exit = if exit == Exit::Credentials && refused < targets { Exit::Partly } else { exit };
        exits.insert(exit);
        problems.push((exit, problem));
    }
    let unasked = rule_problems(stand.decisions.verdicts.failures());
    if !unasked.is_empty() {
        exits.insert(Exit::Partly);
        problems.extend(unasked.into_iter().map(|problem| (Exit::Partly, problem)));
    }
    if !plan.holds.is_empty() {
        exits.insert(Exit::Held);
    }
    let mut remarks = stand.remarks.clone();
    let mut failed = Vec::new();
    let mut counts = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    let mut stopped = BTreeSet::new();
    let mut heartbeats = BTreeMap::new();
    for standing in &standings {
        let name = &standing.ready.configured.name;
        remarks.extend(standing.remarks.iter().cloned());
        remarks.extend(standing.drifted.iter().map(|drifted| drifted_remark(name, drifted)));
        remarks.extend(lost_remarks(name, &standing.lost));
        if let Some(error) = &standing.ready.unread {
            exits.insert(Exit::Partly);
            problems.push((Exit::Partly, unread_problem(name, error)));
        }
        if let Some(problem) = include_problem(name, standing.unasked()) {
            exits.insert(Exit::Partly);
            problems.push((Exit::Partly, problem));
        }
        for problem in mapping_problems(name, standing.failed_fields()) {
            exits.insert(Exit::Partly);
            problems.push((Exit::Partly, problem));
        }
        for (key, error) in standing.unanswered() {
            exits.insert(Exit::Partly);
            failed.push(FailedDocument { target: name.clone(), key: key.clone(), error: error.to_string(), parked: false });
        }
        counts.insert(name.clone(), BTreeMap::new());
    }
    if !stand.unconfirmed.is_empty() || stand.is_short_of_approvals {
        exits.insert(Exit::Partly);
    }
    for (name, outcome) in outcomes {
        if !outcome.failed.is_empty() {
            exits.insert(Exit::Partly);
        }
        if outcome.unanswered > 0 {
            exits.insert(Exit::Partly);
            problems.push((Exit::Partly, unanswered_problem(&name, outcome.unanswered)));
        }
        let paused = standings.iter().any(|standing| standing.ready.configured.name == name && standing.ready.state.paused);
        match outcome.stopped {
            Some(stop) => {
                let (exit, problem) = stop_problem(&name, &stop);
                exits.insert(exit);
                problems.push((exit, problem));
                stopped.insert(name.clone());
            }
            // What waits for another record that failed is told by that failure; what was paused was meant to wait.
            None if paused => {
                remarks.push(Remark { subject: name.to_string(), text: "paused: nothing was sent".to_owned() });
            }
            None => {}
        }
        remarks.extend(left_remarks(&name, outcome.left));
        remarks.extend(waits_remarks(&name, outcome.waits));
        failed.extend(outcome.failed.into_iter().map(|failure| FailedDocument {
            target: name.clone(),
            key: failure.key,
            error: failure.error,
            parked: failure.parked,
        }));
        if let Some(beaten) = outcome.beaten {
            remarks.extend(unbeaten_remark(&name, &beaten));
            heartbeats.insert(name.clone(), Heartbeat { sent: beaten.sent, late: beaten.late });
        }
        counts.insert(name.clone(), outcome.done);
        waiting.insert(name, outcome.waiting);
    }
    if !skipped.is_empty() {
        exits.insert(Exit::Partly);
    }
    let exit = exits.first().copied().unwrap_or(Exit::Done);
    let (calls, waited_s) = context.meter.take();
    let usage = Usage::of(&calls, &receipts);
    let error = Failure::of(exit, &problems);
    let problems: Vec<Problem> = problems.into_iter().map(|(_, problem)| problem).collect();
    let errors = if error.is_some() { problems.clone() } else { Vec::new() };
    let mut report = Report {
        run: context.run.0.clone(),
        outcome: exit.outcome().to_owned(),
        started_at: context.began.at,
        duration_s: context.began.instant.elapsed().as_secs_f64(),
        receipts,
        counts,
        failed,
        holds: plan.holds.iter().map(document::hold).collect(),
        usage,
        calls,
        waited_s,
        deferred: stand.decisions.deferred,
        deferred_by: stand.decisions.deferred_by,
        folded: stand.decisions.folded,
        ignored: stand.decisions.ignored,
        rejected: standings.iter().map(Standing::rejected).sum(),
        waiting,
        heartbeats,
        forecast: plan.forecast.clone(),
        skipped,
        verified: BTreeMap::new(),
        remarks,
        problems,
        error,
        errors,
    };
    if context.mode == Mode::Sync {
        close(context, standings, &stopped, &report).await?;
        report.remarks.extend(prune(context).await);
    }
    Ok(Ended { exits, report, plan })
}

/// Removes what is past `journal_keep`. What happened is done and noted by then: where this fails, it is a remark, and the next sync's work.
///
/// A run's clock may stand anywhere (`--at`), and what real runs left is only old by the real one: the earlier of the two counts.
async fn prune(context: &Context<'_>) -> Option<Remark> {
    let keep = context.config.journal_keep?;
    let now = context.at().min(context.clock.real_now());
    let error = context.ledger.prune(earlier(now, keep)).await.err()?;
    let text = format!("what is older than `journal_keep` was not removed: {}", crate::words::chain(&error));
    tracing::warn!(%error, "Could not remove what is older than `journal_keep`");
    Some(Remark { subject: "ledger".to_owned(), text })
}

/// Notes that a run came to no report; one that has ended stays as it ended. What keeps the note from being written is the failure itself, which is told anyway.
pub(super) async fn note_failure(context: &Context<'_>, error: &RunError) {
    let row = RunRow {
        run: context.run.clone(),
        started_at: context.began.at,
        finished_at: Some(context.clock.real_now().max(context.began.at)),
        outcome: Some(error.exit().outcome().to_owned()),
        counts: BTreeMap::new(),
        report: None,
    };
    if let Err(error) = context.ledger.finish_run(&row).await {
        tracing::debug!(%error, "could not note how the run ended");
    }
}

async fn close(
    context: &Context<'_>,
    standings: Vec<Standing<'_>>,
    stopped: &BTreeSet<TargetName>,
    report: &Report,
) -> Result<(), RunError> {
    for standing in standings {
        let name = &standing.ready.configured.name;
        let ended_well = !stopped.contains(name)
            && report.waiting.get(name).is_none_or(|waiting| *waiting == 0)
            && !report.failed.iter().any(|failed| failed.target == *name);
        if ended_well {
            let row = &standing.ready.row;
            context.ledger.note_target(name, &row.kind, &row.address, &TargetNews::Succeeded(context.at())).await?;
        }
    }
    let counts = report
        .counts
        .iter()
        .map(|(target, counts)| (target.to_string(), counts.iter().map(|(change, n)| (change.to_string(), *n)).collect()))
        .collect();
    let row = RunRow {
        run: context.run.clone(),
        started_at: report.started_at,
        finished_at: Some(context.clock.real_now().max(report.started_at)),
        outcome: Some(report.outcome.clone()),
        counts,
        report: serde_json::to_value(report).ok(),
    };
    context.ledger.retain_holds(&context.config.targets.iter().map(|target| target.name.clone()).collect()).await?;
    context.ledger.finish_run(&row).await?;
    Ok(())
}

/// How sources that could not be read at all end the run.
fn source_exit(stand: &Stand) -> Option<Exit> {
    if stand.failed.is_empty() {
        return None;
    }
    if stand.failed.len() < stand.asked {
        return Some(Exit::Partly);
    }
    let refused =
        stand.failed.iter().filter(|(_, error)| matches!(error, SourceError::Credentials { .. } | SourceError::Clock { .. })).count();
    Some(if refused == stand.failed.len() { Exit::Credentials } else { Exit::Failed })
}

/// Rules that could not be asked about some resources: one problem a rule, with the first of them.
fn rule_problems<'a>(failures: impl Iterator<Item = (&'a Key, &'a RuleFailure)>) -> Vec<Problem> {
    let mut by_rule: BTreeMap<&str, Vec<(&Key, &RuleFailure)>> = BTreeMap::new();
    for (key, failure) in failures {
        by_rule.entry(&failure.rule).or_default().push((key, failure));
    }
    let problem = |(rule, failed): (&str, Vec<(&Key, &RuleFailure)>)| {
        let (key, first) = failed.first()?;
        let frozen = failed.iter().filter(|(_, failure)| failure.freezes).count();
        let text = format!(
            "could not be asked about {}, {frozen} of them frozen by that; the first is {key}: {}",
            if failed.len() == 1 { "1 resource".to_owned() } else { format!("{} resources", failed.len()) },
            first.text
        );
        let mend = first.hint.as_deref().unwrap_or("let `when` ask whether the value is there first");
        let hint = format!("{mend}; `dewpoint explain {key}` says more");
        Some(Problem { subject: format!("rule `{rule}`"), text, hint: Some(hint) })
    };
    by_rule.into_iter().filter_map(problem).collect()
}

/// `include.when` of a target that could not be asked about some CIs: one problem, with the first of them.
fn include_problem<'a>(name: &TargetName, unasked: impl Iterator<Item = (&'a Key, &'a Unasked)>) -> Option<Problem> {
    let unasked: Vec<_> = unasked.collect();
    let (key, first) = unasked.first()?;
    let text = format!(
        "`include.when` could not be asked about {}: what has a record there keeps it, and nothing gets a new one; the first is {key}: {}",
        told::count(unasked.len(), "CI", "CIs"),
        first.text
    );
    let hint = first.hint.clone().unwrap_or_else(|| "let `when` ask whether the value is there first".to_owned());
    Some(Problem { subject: format!("target `{name}`"), text, hint: Some(hint) })
}

/// Fields of a target whose mapping failed: one problem a field, with the first of the records.
fn mapping_problems<'a>(name: &TargetName, failed: impl Iterator<Item = (&'a Key, &'a BTreeMap<String, String>)>) -> Vec<Problem> {
    let mut by_field: BTreeMap<&str, Vec<(&Key, &str)>> = BTreeMap::new();
    for (key, fields) in failed {
        for (field, text) in fields {
            by_field.entry(field).or_default().push((key, text));
        }
    }
    let problem = |(field, failed): (&str, Vec<(&Key, &str)>)| {
        let (key, text) = failed.first()?;
        let records = told::count(failed.len(), "record", "records");
        let text = format!("the mapping of `{field}` failed for {records}, where it stays as it is; the first is {key}: {text}");
        let hint = "let the field's expression ask whether the value is there first".to_owned();
        Some(Problem { subject: format!("target `{name}`"), text, hint: Some(hint) })
    };
    by_field.into_iter().filter_map(problem).collect()
}

/// A routine full read that failed says nothing: the target is served all the same.
fn unread_problem(name: &TargetName, error: &TargetError) -> Problem {
    Problem {
        subject: name.to_string(),
        text: format!("{error}; it was served from what the ledger knows, and drift there was not looked for"),
        hint: Some("the next sync reads it in full again".to_owned()),
    }
}

/// What was sent and had no answer may have arrived.
fn unanswered_problem(name: &TargetName, count: u64) -> Problem {
    let changes = if count == 1 { "1 change" } else { &format!("{count} changes") };
    Problem {
        subject: name.to_string(),
        text: format!("target `{name}` answered fewer changes than it was sent: {changes} may have arrived or not"),
        hint: Some("run again: the next sync looks up what became of them".to_owned()),
    }
}

fn stop_problem(name: &TargetName, stop: &Stop) -> (Exit, Problem) {
    let problem = |text: String, hint: Option<String>| Problem { subject: name.to_string(), text, hint };
    match stop {
        Stop::Target(error) => (Exit::Partly, problem(error.to_string(), error.hint())),
        Stop::Ledger(error @ (LedgerError::LeaseLost { .. } | LedgerError::Conflict)) => {
            (Exit::Partly, problem(error.to_string(), error.hint()))
        }
        Stop::Ledger(error) => (Exit::Failed, problem(crate::words::chain(error), error.hint())),
        Stop::Deadline => (
            Exit::Partly,
            problem(
                "its deadline passed; the rest is kept for the next sync".to_owned(),
                Some("raise `deadline`, or sync more often".to_owned()),
            ),
        ),
        Stop::Interrupted => (
            Exit::Interrupted,
            problem(
                "interrupted; the change in hand was finished and recorded".to_owned(),
                Some("run `dewpoint sync` again: it goes on from there".to_owned()),
            ),
        ),
    }
}

/// What a target left as it was, once for each reason: one name that nothing stands for is on many records.
fn left_remarks(name: &TargetName, left: Vec<(Key, String, String)>) -> Vec<Remark> {
    let mut by_reason: BTreeMap<(String, String), Vec<Key>> = BTreeMap::new();
    for (key, field, why) in left {
        by_reason.entry((field, why)).or_default().push(key);
    }
    let remark = |((field, why), keys): ((String, String), Vec<Key>)| match keys.as_slice() {
        [key] => Remark { subject: key.to_string(), text: format!("target {name} left field `{field}` as it was: {why}") },
        keys => Remark { subject: name.to_string(), text: format!("field `{field}` of {} records was left as it was: {why}", keys.len()) },
    };
    by_reason.into_iter().map(remark).collect()
}

/// What new records wait for, once for each reason.
fn waits_remarks(name: &TargetName, waits: Vec<(Key, String)>) -> Vec<Remark> {
    let mut by_reason: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    for (key, text) in waits {
        by_reason.entry(text).or_default().push(key);
    }
    let remark = |(text, keys): (String, Vec<Key>)| {
        let others = if keys.len() > 1 { format!(" (and {} others)", keys.len() - 1) } else { String::new() };
        let subject = keys.first().map_or_else(|| name.to_string(), ToString::to_string);
        Remark { subject, text: format!("target {name} has no record of it yet{others}: {text}") }
    };
    by_reason.into_iter().map(remark).collect()
}

/// Heartbeats that failed, in one remark: they change nothing, and are due again in the next run.
fn unbeaten_remark(name: &TargetName, beaten: &Beaten) -> Option<Remark> {
    let (key, first) = beaten.failed.first()?;
    let first = key.as_ref().map_or_else(|| first.clone(), |key| format!("{key}: {first}"));
    let text = match beaten.failed.len() {
        1 => format!("a heartbeat failed: {first}"),
        many => format!("{many} heartbeats failed; the first: {first}"),
    };
    Some(Remark { subject: name.to_string(), text })
}

fn drifted_remark(name: &TargetName, drifted: &crate::plan::Drifted) -> Remark {
    let plain = crate::words::plain;
    Remark {
        subject: drifted.key.to_string(),
        text: format!(
            "{name}: `{}` is {} and should be {} ({})",
            drifted.field,
            plain(&drifted.found),
            plain(&drifted.desired),
            drifted.action.words()
        ),
    }
}

/// Edges that the target lacks; of very many the first, and how many more.
fn lost_remarks(name: &TargetName, lost: &[Lost]) -> Vec<Remark> {
    const EACH_MAX: usize = 20;
    let mut remarks = Vec::new();
    let outcomes =
        [(false, "related again"), (true, "it was related again before; left so until its attributes or the record of an end change")];
    for (rests, what) in outcomes {
        let edges: Vec<&EdgeId> = lost.iter().filter(|lost| lost.rests == rests).map(|lost| &lost.edge).collect();
        remarks.extend(edges.iter().take(EACH_MAX).map(|EdgeId { from, relation, to }| Remark {
            subject: from.to_string(),
            text: format!("{name}: the target does not show `{relation}` to {to} ({what})"),
        }));
        if let Some(more) = edges.len().checked_sub(EACH_MAX).filter(|more| *more > 0) {
            remarks.push(Remark { subject: name.to_string(), text: format!("the target does not show {more} more edges ({what})") });
        }
    }
    remarks
}

/// Changes of a saved plan that no longer fit: the record or the wish is not the one that was planned from.
pub(super) fn skipped(plan: &Plan, standings: &[Standing<'_>], only: Option<&Only>) -> Vec<String> {
    let Some(only) = only else { return Vec::new() };
    let held: BTreeSet<_> =
        standings.iter().flat_map(|standing| standing.holds()).flat_map(|hold| hold.changes.iter().map(|change| change.id)).collect();
    let sent: BTreeSet<_> = plan.changes.iter().map(|change| change.id).collect();
    only.keys().filter(|id| !sent.contains(*id) && !held.contains(*id)).map(ToString::to_string).collect()
}
