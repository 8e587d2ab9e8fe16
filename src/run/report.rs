//! The report that every run leaves: as a JSON document and as text.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::estate::KnownScope;
use crate::exit::Exit;
use crate::lifecycle::DeferredBy;
use crate::model::{Account, EdgeId, Key, Kind, Outcome, Provider, Receipt, Region, Scope, SourceName, TargetName};
use crate::plan::ChangeKind;
use crate::source::Remark;
use crate::target::{RecordId, Would};
use crate::told;

use super::gaps;

/// The operation in [`Report::calls`] under which a local CMDB's heartbeats are counted.
pub(super) const HEARTBEAT: &str = "heartbeat";

/// A receipt as documents have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptDocument {
    /// Source that listed it, or the label in an inventory file.
    pub source: SourceName,
    /// Provider.
    pub provider: Provider,
    /// Account or subscription.
    pub account: Account,
    /// Region.
    pub region: Region,
    /// Kind.
    pub kind: Kind,
    /// How the listing ended.
    pub outcome: Outcome,
    /// Resources read.
    pub count: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
    /// Whether people accepted this gap.
    #[serde(default)]
    pub accepted: bool,
}

impl ReceiptDocument {
    /// From one receipt.
    #[must_use]
    pub fn new(scope: &Scope, receipt: &Receipt, accepted: bool) -> Self {
        Self {
            source: receipt.source.clone(),
            provider: scope.provider,
            account: scope.account.clone(),
            region: scope.region.clone(),
            kind: scope.kind,
            outcome: receipt.outcome,
            count: receipt.count,
            error: receipt.error.clone(),
            accepted,
        }
    }

    /// From a scope as the ledger knows it.
    #[must_use]
    pub fn of_known(scope: &Scope, known: &KnownScope) -> Self {
        Self::new(scope, &known.receipt, known.accepted == Some(known.receipt.outcome))
    }
}

/// A record that a target refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedDocument {
    /// The target.
    pub target: TargetName,
    /// The CI.
    pub key: Key,
    /// The target's words.
    pub error: String,
    /// Whether it waits for `dewpoint retry`.
    #[serde(default)]
    pub parked: bool,
}

/// Records whose resources were seen and whose target was told no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Records told in this run.
    pub sent: u64,
    /// Records that were told nothing for longer than the target's `heartbeat`, although they were seen.
    pub late: u64,
}

/// What a target says that it would do with a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Changes with which it would do what is planned.
    pub agreed: u64,
    /// Changes that it cannot be asked about: removals, and what hangs on them.
    pub unasked: u64,
    /// Changes with which it would do something else.
    pub differences: Vec<DifferenceDocument>,
}

/// A change with which a target would do something else than what is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceDocument {
    /// The CI; for edges the `from` end.
    pub key: Key,
    /// The edge, if it is one.
    pub relation: Option<EdgeId>,
    /// What is planned.
    pub planned: ChangeKind,
    /// What the target would do.
    pub would: Would,
    /// The record that stands there by the target's own rules.
    pub record: Option<RecordId>,
    /// Its words.
    pub text: Option<String>,
}

impl DifferenceDocument {
    /// One line for people.
    fn line(&self) -> String {
        let edge = self.relation.as_ref().map(|edge| format!(" {} {}", edge.relation, edge.to)).unwrap_or_default();
        let would = match (&self.would, &self.record) {
            (Would::Refuse, _) => "the target would refuse it".to_owned(),
            (Would::Nothing, Some(record)) => format!("the target would change nothing in record {}", record.0),
            (Would::Nothing, None) => "the target would change nothing".to_owned(),
            (Would::Update, Some(record)) => format!("the target would change record {}", record.0),
            (Would::Update, None) => "the target would change what is there".to_owned(),
            (Would::Create, _) => "the target would make a new one".to_owned(),
        };
        let text = self.text.as_ref().map(|text| format!(": {}", told::printable(text))).unwrap_or_default();
        format!("{} of {}{edge}: {would}{text}", self.planned, self.key)
    }
}

/// What one run did. Its serde form is the `sync` document of `--output json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run.
    pub run: String,
    /// `done`, `partly`, `held`, `failed`, `interrupted`.
    pub outcome: String,
    /// When it began, by its own clock; of an `apply`, whose clock stands at the plan's time, by the real one.
    pub started_at: Timestamp,
    /// How long it took, on the real clock, reading the sources included.
    pub duration_s: f64,
    /// How each scope's listing ended.
    pub receipts: Vec<ReceiptDocument>,
    /// Changes delivered, by target and change.
    pub counts: BTreeMap<TargetName, BTreeMap<ChangeKind, u64>>,
    /// Records that a target refused.
    pub failed: Vec<FailedDocument>,
    /// What guardrails stopped.
    pub holds: Vec<Value>,
    /// API calls, by source or target and operation.
    pub calls: BTreeMap<String, BTreeMap<String, u64>>,
    /// What the calls of each source come to for what they read.
    #[serde(default)]
    pub usage: BTreeMap<SourceName, Usage>,
    /// Seconds spent waiting for rate limits, by source or target.
    pub waited_s: BTreeMap<String, f64>,
    /// Resources that wait: for their age, because a rule defers them, or because they are frozen.
    pub deferred: u64,
    /// The same by what they wait for.
    #[serde(default)]
    pub deferred_by: DeferredBy,
    /// Resources folded into fleets.
    pub folded: u64,
    /// Resources ignored by rule.
    pub ignored: u64,
    /// Changes that people rejected and that are not asked about again.
    #[serde(default)]
    pub rejected: u64,
    /// Changes that were not delivered: time was up, the run was interrupted, the record they belong to waits, or the target gave no
    /// answer about them.
    pub waiting: BTreeMap<TargetName, u64>,
    /// What became of the heartbeat, by target that has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub heartbeats: BTreeMap<TargetName, Heartbeat>,
    /// Records each target holds, or would hold afterwards.
    pub forecast: BTreeMap<TargetName, u64>,
    /// Changes of a saved plan that no longer fitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// What targets say that they would do, by target that can be asked (`plan --verify`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verified: BTreeMap<TargetName, Verified>,
    /// What is odd and worth reading.
    pub remarks: Vec<Remark>,
    /// What went wrong with sources and targets as a whole, each with its hint.
    pub problems: Vec<Problem>,
    /// Where the run failed: what decided that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Where the run failed: everything that went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Problem>,
}

/// Why a run that came to a report failed, in the form of every failing command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A word for programs.
    pub code: String,
    /// What went wrong.
    pub text: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Failure {
    /// Of a run that ended like this, by the first problem that made it end so; `None` where it did not fail.
    #[must_use]
    pub fn of(exit: Exit, problems: &[(Exit, Problem)]) -> Option<Self> {
        let code = exit.failure()?.to_owned();
        let first = problems.iter().find(|(own, _)| *own == exit).or_else(|| problems.first());
        Some(match first {
            Some((_, problem)) => Self { code, text: format!("{}: {}", problem.subject, problem.text), hint: problem.hint.clone() },
            None => Self { code, text: "the run failed".to_owned(), hint: None },
        })
    }
}

/// What went wrong with a source or target as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The source or target.
    pub subject: String,
    /// What went wrong.
    pub text: String,
    /// The next step.
    pub hint: Option<String>,
}

/// The text form of a stored report; the JSON itself where an older version wrote it.
#[must_use]
pub fn text_of(report: &Value, verbose: bool) -> String {
    match serde_json::from_value::<Report>(report.clone()) {
        Ok(report) => text(&report, verbose),
        Err(_) => format!("{report:#}"),
    }
}

/// A report for people.
#[must_use]
pub fn text(report: &Report, verbose: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "run {}: {} in {:.1} s", report.run, report.outcome, report.duration_s);
    receipts(&mut text, &report.receipts, verbose);
    for (name, count) in [("deferred", report.deferred), ("folded", report.folded), ("ignored", report.ignored)] {
        if count > 0 {
            let parts: Vec<String> = match name {
                "deferred" => report.deferred_by.told().map(|(count, how)| format!("{count} {how}")).collect(),
                _ => Vec::new(),
            };
            let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
            let _ = writeln!(text, "{name:<10}{}{parts}", counted(count, "resource"));
        }
    }
    rejected(&mut text, report);
    for (target, counts) in &report.counts {
        let changes: Vec<String> = counts.iter().map(|(change, n)| format!("{n} {change}")).collect();
        let summary = match (changes.is_empty(), left_over(report, target)) {
            (true, false) => "nothing to do".to_owned(),
            (true, true) => "nothing sent".to_owned(),
            (false, _) => changes.join(", "),
        };
        let records = report.forecast.get(target).map(|n| format!("; {}", counted(*n, "record"))).unwrap_or_default();
        let _ = writeln!(text, "target    {target}: {summary}{records}");
    }
    for (target, count) in report.waiting.iter().filter(|(_, count)| **count > 0) {
        let _ = writeln!(text, "waiting   {target}: {} not sent yet", counted(*count, "change"));
    }
    for (target, Heartbeat { sent, late }) in report.heartbeats.iter().filter(|(_, beat)| beat.sent > 0 || beat.late > 0) {
        let late = if *late > 0 { format!("; {late} late") } else { String::new() };
        let _ = writeln!(text, "heartbeat {target}: {} told as seen{late}", counted(*sent, "record"));
    }
    requests(&mut text, report, verbose);
    list(&mut text, "failed", failure_lines(&report.failed, verbose), verbose);
    list(&mut text, "skipped", report.skipped.iter().cloned(), verbose);
    for hold in &report.holds {
        let part = |name: &str| hold.get(name).and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "held      {} at {}: {}", part("id"), part("target"), part("text"));
    }
    remarks_and_problems(&mut text, report, verbose);
    text
}

/// What a report has to say beside the plan itself: scopes that were not listed completely, remarks and problems.
#[must_use]
pub fn rest_text(report: &Report, verbose: bool) -> String {
    let mut text = String::new();
    rejected(&mut text, report);
    if report.receipts.iter().any(|receipt| receipt.outcome != Outcome::Complete) {
        receipts(&mut text, &report.receipts, verbose);
    }
    list(&mut text, "failed", failure_lines(&report.failed, verbose), verbose);
    for (target, Verified { agreed, unasked, differences }) in &report.verified {
        let different = if differences.is_empty() { String::new() } else { format!(", {} otherwise", differences.len()) };
        let unasked = if *unasked == 0 { String::new() } else { format!(", {unasked} it cannot be asked about") };
        let _ = writeln!(text, "verified  {target} would do {} as planned{different}{unasked}", counted(*agreed, "change"));
        list(&mut text, "otherwise", differences.iter().map(DifferenceDocument::line), verbose);
    }
    remarks_and_problems(&mut text, report, verbose);
    text
}

/// What the calls of a source come to for what they read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// All calls.
    pub calls: u64,
    /// Accounts or subscriptions that were asked about.
    pub accounts: u64,
    /// Machines that were read.
    pub machines: u64,
    /// Calls for each account.
    pub per_account: f64,
    /// Calls for each thousand machines; `None` where none was read.
    pub per_thousand_machines: Option<f64>,
}

impl Usage {
    /// That of each source that made calls and has receipts.
    #[must_use]
    pub fn of(calls: &BTreeMap<String, BTreeMap<String, u64>>, receipts: &[ReceiptDocument]) -> BTreeMap<SourceName, Self> {
        let mut read: BTreeMap<&SourceName, (BTreeSet<&Account>, u64)> = BTreeMap::new();
        for receipt in receipts.iter().filter(|receipt| !matches!(receipt.outcome, Outcome::Skipped | Outcome::Orphaned)) {
            let (accounts, machines) = read.entry(&receipt.source).or_default();
            accounts.insert(&receipt.account);
            *machines += receipt.count.filter(|_| receipt.kind == Kind::Instance).unwrap_or_default();
        }
        let usage = |(source, (accounts, machines)): (&SourceName, (BTreeSet<&Account>, u64))| {
            let calls: u64 = calls.get(source.as_str())?.values().sum();
            let accounts = accounts.len() as u64;
            let share = |of: u64| if of == 0 { None } else { Some(calls as f64 / of as f64) };
            let usage = Self {
                calls,
                accounts,
                machines,
                per_account: share(accounts)?,
                per_thousand_machines: share(machines).map(|each| each * 1000.0),
            };
            Some((source.clone(), usage))
        };
        read.into_iter().filter_map(usage).collect()
    }

    fn words(self) -> String {
        let thousand = self.per_thousand_machines.map(|calls| format!(", {calls:.1} for a thousand machines")).unwrap_or_default();
        format!(" ({:.1} for an account{thousand})", self.per_account)
    }
}

/// Operations shown of a source or target without `-v`.
const OPERATIONS_MAX: usize = 4;

/// What was asked of whom, and how long that had to wait for rate limits. Batches into the local CMDB are no requests.
fn requests(text: &mut String, report: &Report, verbose: bool) {
    for (name, calls) in &report.calls {
        let is_request = |operation: &str| operation != HEARTBEAT && operation.parse::<ChangeKind>().is_err();
        let mut operations: Vec<(u64, &str)> =
            calls.iter().map(|(operation, n)| (*n, operation.as_str())).filter(|(_, operation)| is_request(operation)).collect();
        if operations.is_empty() {
            continue;
        }
        operations.sort_unstable_by_key(|(n, operation)| (Reverse(*n), *operation));
        let total = counted(operations.iter().map(|(n, _)| n).sum(), "request");
        let shown = if verbose || operations.len() <= OPERATIONS_MAX + 1 { operations.len() } else { OPERATIONS_MAX };
        let (told, rest) = operations.split_at(shown);
        let mut parts: Vec<String> = told.iter().map(|(n, operation)| format!("{n} {operation}")).collect();
        if !rest.is_empty() {
            parts.push(format!("{} of {} more kinds", rest.iter().map(|(n, _)| n).sum::<u64>(), rest.len()));
        }
        let waited = report.waited_s.get(name).filter(|waited| **waited >= 0.05);
        let waited = waited.map(|waited| format!("; waited {waited:.1} s")).unwrap_or_default();
        let usage = report.usage.iter().find(|(source, _)| source.as_str() == name).map(|(_, usage)| usage.words()).unwrap_or_default();
        let _ = writeln!(text, "asked     {name}: {total}{usage}: {}{waited}", parts.join(", "));
    }
}

fn rejected(text: &mut String, report: &Report) {
    if report.rejected > 0 {
        let _ = writeln!(text, "rejected  {} (`dewpoint holds list --rejected`)", counted(report.rejected, "change"));
    }
}

/// Whether something is wanted of a target that was not sent.
fn left_over(report: &Report, target: &TargetName) -> bool {
    report.waiting.get(target).is_some_and(|count| *count > 0)
        || report.failed.iter().any(|failed| failed.target == *target)
        || report.holds.iter().any(|hold| hold.get("target").and_then(Value::as_str) == Some(target.as_str()))
}

/// What targets refused: those with the same words in one line, unless all are asked for.
fn failure_lines(failed: &[FailedDocument], verbose: bool) -> impl Iterator<Item = String> {
    let mut alike: Vec<(&FailedDocument, u64)> = Vec::new();
    let mut places: BTreeMap<(&TargetName, &str, bool), usize> = BTreeMap::new();
    for failed in failed {
        let place = *places.entry((&failed.target, failed.error.as_str(), failed.parked)).or_insert(alike.len());
        match alike.get_mut(place) {
            Some((_, others)) if !verbose => *others += 1,
            _ => alike.push((failed, 0)),
        }
    }
    alike.into_iter().map(|(failed, others)| {
        let others = if others > 0 { format!(" and {}", counted(others, "other")) } else { String::new() };
        let parked = if failed.parked { " (parked: `dewpoint retry` sends it again)" } else { "" };
        format!("{}{others} at {}: {}{parked}", failed.key, failed.target, told::printable(&failed.error))
    })
}

fn remarks_and_problems(text: &mut String, report: &Report, verbose: bool) {
    let remarks = report.remarks.iter().map(|remark| format!("{}: {}", told::printable(&remark.subject), told::printable(&remark.text)));
    list(text, "remark", remarks, verbose);
    for problem in &report.problems {
        let _ = writeln!(text, "problem   {}: {}", problem.subject, told::printable(&problem.text));
        if let Some(hint) = &problem.hint {
            let _ = writeln!(text, "          hint: {hint}");
        }
    }
}

fn counted(count: u64, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Lines shown of a long list without `-v`.
const LINES_MAX: usize = 10;

fn list(text: &mut String, title: &str, lines: impl Iterator<Item = String>, verbose: bool) {
    let lines: Vec<String> = lines.collect();
    let shown = if verbose { lines.len() } else { lines.len().min(LINES_MAX) };
    for line in lines.iter().take(shown) {
        let _ = writeln!(text, "{title:<10}{line}");
    }
    if lines.len() > shown {
        let _ = writeln!(text, "{title:<10}… and {} more (`-v` shows all)", lines.len() - shown);
    }
}

fn receipts(text: &mut String, receipts: &[ReceiptDocument], verbose: bool) {
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    for receipt in receipts {
        *outcomes.entry(receipt.outcome).or_default() += 1;
    }
    let summary: Vec<String> = outcomes.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
    let _ = writeln!(text, "scopes    {}", if summary.is_empty() { "none".to_owned() } else { summary.join(", ") });
    list(text, "gap", gaps::lines(receipts, verbose), verbose);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn refusals_with_the_same_words_are_told_at_once() {
        let refusal = |number: u32, error: &str, parked| FailedDocument {
            target: "snow".parse().unwrap(),
            key: format!("aws:arn:aws:ec2:eu-west-1:1:subnet/subnet-{number}").parse().unwrap(),
            error: error.to_owned(),
            parked,
        };
        let failed =
            [refusal(1, "no rule", false), refusal(2, "no name", false), refusal(3, "no rule", false), refusal(4, "no rule", true)];
        let lines: Vec<String> = failure_lines(&failed, false).collect();
        assert_eq!(
            lines,
            [
                "aws:arn:aws:ec2:eu-west-1:1:subnet/subnet-1 and 1 other at snow: no rule",
                "aws:arn:aws:ec2:eu-west-1:1:subnet/subnet-2 at snow: no name",
                "aws:arn:aws:ec2:eu-west-1:1:subnet/subnet-4 at snow: no rule (parked: `dewpoint retry` sends it again)",
            ]
        );
        assert_eq!(failure_lines(&failed, true).count(), 4);
    }
}
